/* SPDX-License-Identifier: MIT */
/*
 * Victims that wait for what is none of the engine's: a thread that changes
 * memory, a process that ends, a signal.
 */
#include "rota/rota.h"
#include "support/victim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OP_WAITID 50 /* liburing 2.3 has neither, Linux 6.7 both */
#define OP_FUTEX_WAIT 51

static int set_up_futex(struct victim *victim)
{
	(void)victim;
	return victim_has_operation(OP_FUTEX_WAIT, "futex") ? 0 : -ENOSYS;
}

static int call_futex(struct victim *victim)
{
	const uint32_t expected =
		__atomic_load_n(&victim->word, __ATOMIC_RELAXED);
	const int error = rota_futex_wait(&victim->word, expected, 0);

	victim->taken += !error;
	return error;
}

/* What a wake says that it has woken somebody is the victim's result. */
static void wake_futex(struct victim *victim)
{
	__atomic_add_fetch(&victim->word, 1, __ATOMIC_RELAXED);
	victim->given += (uint64_t)syscall(SYS_futex, &victim->word,
					   FUTEX_WAKE_PRIVATE, 1);
}

static void check_futex(struct victim *victim)
{
	referee_expect(victim->referee, "wakes taken of those used up",
		       (int64_t)victim->taken, (int64_t)victim->given);
}

/* The child ends when it is told by `peer`. */
static int set_up_child(struct victim *victim)
{
	int ends[2];

	if (!victim_has_operation(OP_WAITID, "waitid"))
		return -ENOSYS;
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	victim->sink = ends[0];
	victim->peer = ends[1];
	return 0;
}

#define CHILD_STATUS 7

static int prepare_child(struct victim *victim)
{
	char byte;

	if (victim->child)
		return 0;
	victim->child = fork();
	if (victim->child < 0)
		return -errno;
	if (!victim->child) {
		(void)!read(victim->sink, &byte, 1);
		_exit(CHILD_STATUS);
	}
	victim->told = false;
	return 0;
}

static int call_waitid(struct victim *victim)
{
	siginfo_t report = { 0 };
	const int error =
		rota_waitid(P_PID, (id_t)victim->child, &report, WEXITED);

	if (!error) {
		referee_expect(victim->referee, "how the child ended",
			       report.si_status, CHILD_STATUS);
		victim->child = 0;
	}
	return error;
}

static void end_child(struct victim *victim)
{
	if (!victim->told)
		(void)!write(victim->peer, "x", 1);
	victim->told = true;
}

/* A child that was told to end and not waited for can be waited for. */
static void check_child(struct victim *victim)
{
	siginfo_t report = { 0 };

	if (victim->told && victim->child) {
		referee_expect(victim->referee, "waiting for the child",
			       waitid(P_PID, (id_t)victim->child, &report,
				      WEXITED),
			       0);
		victim->child = 0;
	}
}

/* A real-time signal, each of which counts, sent to the loop's thread, where it
 * stays blocked: so what a closed set has not taken is still there. Each is for
 * any of those who wait. */
static atomic_uint signals_sent, signals_taken;

static int set_up_signal(struct victim *victim)
{
	sigset_t set;

	victim->thread = (int)gettid();
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int call_signal(struct victim *victim)
{
	struct rota_signals signals;
	int result = rota_cancelled();

	(void)victim;
	if (!result)
		result = rota_signals_open(&signals, SIGRTMIN);
	if (result)
		return result;
	result = rota_signals_wait(&signals, NULL);
	if (result > 0)
		atomic_fetch_add(&signals_taken, 1);
	rota_signals_close(&signals);
	return result;
}

static void send_signal(struct victim *victim)
{
	if (!tgkill(getpid(), victim->thread, SIGRTMIN))
		atomic_fetch_add(&signals_sent, 1);
}

/* Takes those that were left. */
static void check_signal(struct victim *victim)
{
	const struct timespec none = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	while (sigtimedwait(&set, NULL, &none) == SIGRTMIN)
		atomic_fetch_add(&signals_taken, 1);
	referee_expect(victim->referee, "signals taken of those sent",
		       atomic_load(&signals_taken), atomic_load(&signals_sent));
}

/* The kernel's last word is about the close. */
static int expected_signal(const struct victim *victim,
			   const struct verdict *verdict)
{
	if (victim->result > 0)
		return SIGRTMIN;
	return verdict->told   ? victim->result
	       : verdict->code ? verdict->code
			       : -EIO;
}

const struct victim_class victim_foreign[] = {
	{ "futex", .set_up = set_up_futex, .call = call_futex,
	  .complete = wake_futex, .check = check_futex },
	{ "waitid", VICTIM_SLOW, .set_up = set_up_child,
	  .prepare = prepare_child, .call = call_waitid, .complete = end_child,
	  .check = check_child },
	{ "signal", VICTIM_MANY, .set_up = set_up_signal, .call = call_signal,
	  .complete = send_signal, .check = check_signal,
	  .expected = expected_signal },
};
const unsigned victim_foreign_count =
	sizeof(victim_foreign) / sizeof(victim_foreign[0]);
