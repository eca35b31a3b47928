/* SPDX-License-Identifier: MIT */
/*
 * Signals of a thread that runs an engine.
 */
#include "support/child.h"
#include "support/run.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static volatile sig_atomic_t handled;

static void count(int number)
{
	(void)number;
	handled = handled + 1;
}

static int write_to_nobody(void *arg)
{
	int ends[2], n;

	(void)arg;
	if (pipe(ends))
		return 1;
	close(ends[0]);
	n = rota_write(ends[1], "!", 1);
	rota_close(ends[1]);
	return n == -EPIPE && rota_sleep(ROTA_MILLISECOND) == 0 ? 0 : 2;
}

/* Writing to a closed pipe raises SIGPIPE, whose default kills: not during the
 * run, and not when the mask is put back. */
static int run_write_to_nobody(void *arg)
{
	sigset_t pending;

	if (test_run(write_to_nobody, arg))
		return 1;
	sigpending(&pending);
	return sigismember(&pending, SIGPIPE) ? 3 : 0;
}

static void a_pipe_without_readers_is_an_error_and_no_signal(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_write_to_nobody, NULL);
	assert_int_equal(child.signal, 0);
	assert_int_equal(child.status, 0);
}

/* Who had blocked SIGPIPE may be waiting for it. */
static int run_with_pipe_blocked(void *arg)
{
	sigset_t blocked, pending;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGPIPE);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	if (test_run(write_to_nobody, arg))
		return 1;
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	sigpending(&pending);
	if (!sigismember(&blocked, SIGPIPE))
		return 3;
	return sigismember(&pending, SIGPIPE) ? 0 : 4;
}

static void a_program_that_blocks_sigpipe_keeps_it(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_with_pipe_blocked, NULL);
	assert_int_equal(child.status, 0);
}

static int raise_and_look(void *arg)
{
	int *seen = arg;

	raise(SIGUSR1);
	if (rota_sleep(2 * ROTA_MILLISECOND))
		return 1;
	*seen = handled;
	return 0;
}

static void a_signal_with_a_handler_comes_after_the_run(void **state)
{
	sigset_t before, after;
	int seen = -1;

	(void)state;
	handled = 0;
	signal(SIGUSR1, count);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(test_run(raise_and_look, &seen), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	signal(SIGUSR1, SIG_DFL);
	assert_int_equal(seen, 0);
	assert_int_equal(handled, 1);
	for (int number = 1; number < SIGRTMAX; number++)
		assert_int_equal(sigismember(&before, number),
				 sigismember(&after, number));
}

static int interrupt_myself(void *arg)
{
	(void)arg;
	raise(SIGINT);
	return 0;
}

static int run_interrupted(void *arg)
{
	return test_run(interrupt_myself, arg);
}

static void a_signal_without_a_handler_does_as_always(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_interrupted, NULL);
	assert_int_equal(child.signal, SIGINT);
}

static int run_interrupted_ignoring(void *arg)
{
	signal(SIGINT, SIG_IGN);
	return test_run(interrupt_myself, arg);
}

static void a_signal_that_is_ignored_is_ignored(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_interrupted_ignoring, NULL);
	assert_int_equal(child.signal, 0);
	assert_int_equal(child.status, 0);
}

static int await_signal(void *arg)
{
	struct signalfd_siginfo info = { 0 };
	const int fd = signalfd(-1, arg, SFD_CLOEXEC);
	int n;

	kill(getpid(), SIGUSR2);
	n = rota_read(fd, &info, sizeof(info));
	rota_close(fd);
	return n == sizeof(info) ? (int)info.ssi_signo : -EIO;
}

static void a_signal_is_awaited_by_a_descriptor(void **state)
{
	sigset_t set, before;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	assert_int_equal(test_run(await_signal, &set), SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* A task installs a handler, so it is not blocked: waits end early all the
 * time, and nobody notices. */
struct waits {
	int pair[2];
	int slept, received;
	int64_t took_ns;
	int handled;
};

static int send_later(void *value)
{
	const int fd = *(int *)value;

	if (rota_sleep(30 * ROTA_MILLISECOND))
		return -EIO;
	return rota_send(fd, "!", 1, 0) == 1 ? 0 : -EIO;
}

static int wait_among_signals(void *arg)
{
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	const struct itimerval off = { { 0, 0 }, { 0, 0 } };
	struct waits *waits = arg;
	struct rota_group group;
	int64_t begun_ns;
	char byte;

	signal(SIGALRM, count);
	setitimer(ITIMER_REAL, &often, NULL);
	begun_ns = rota_now_ns();
	waits->slept = rota_sleep(30 * ROTA_MILLISECOND);
	waits->took_ns = rota_now_ns() - begun_ns;
	rota_group_open(&group, NULL);
	if (rota_go(&group, send_later, waits->pair[1]))
		return -EIO;
	waits->received = rota_recv(waits->pair[0], &byte, 1, 0);
	waits->handled = handled;
	setitimer(ITIMER_REAL, &off, NULL);
	return rota_group_wait(&group);
}

static void a_signal_in_a_wait_does_no_harm(void **state)
{
	struct waits waits = { .slept = -1 };

	(void)state;
	handled = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, waits.pair), 0);
	assert_int_equal(test_run(wait_among_signals, &waits), 0);
	signal(SIGALRM, SIG_DFL);
	close(waits.pair[0]);
	close(waits.pair[1]);
	assert_int_equal(waits.slept, 0);
	assert_true(waits.took_ns >= 30 * ROTA_MILLISECOND);
	assert_int_equal(waits.received, 1);
	assert_in_range(waits.handled, 2, 100000);
}

/* A second process stops the one that runs, and lets it go on. */
static void stop_and_continue(pid_t pid)
{
	const struct timespec before = { .tv_nsec = 20000000 };
	const struct timespec stopped = { .tv_nsec = 40000000 };

	nanosleep(&before, NULL);
	kill(pid, SIGSTOP);
	nanosleep(&stopped, NULL);
	kill(pid, SIGCONT);
	_exit(0);
}

static int wait_while_stopped(void *arg)
{
	struct waits *waits = arg;
	const int64_t begun_ns = rota_now_ns();
	struct rota_group group;
	char byte;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 3; i++) {
		if (rota_go(&group, send_later, waits->pair[1]))
			return 1;
		if (rota_recv(waits->pair[0], &byte, 1, 0) != 1)
			return 2;
	}
	if (rota_group_wait(&group))
		return 3;
	return rota_now_ns() - begun_ns >= 90 * ROTA_MILLISECOND ? 0 : 4;
}

static int run_stopped(void *arg)
{
	const pid_t self = getpid();

	if (fork() == 0)
		stop_and_continue(self);
	return test_run(wait_while_stopped, arg);
}

static void a_program_that_is_stopped_goes_on(void **state)
{
	struct test_child child;
	struct waits waits;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, waits.pair), 0);
	test_child_run(&child, run_stopped, &waits);
	close(waits.pair[0]);
	close(waits.pair[1]);
	assert_int_equal(child.signal, 0);
	assert_int_equal(child.status, 0);
	assert_string_equal(child.errors, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_pipe_without_readers_is_an_error_and_no_signal),
		cmocka_unit_test(a_program_that_blocks_sigpipe_keeps_it),
		cmocka_unit_test(a_signal_with_a_handler_comes_after_the_run),
		cmocka_unit_test(a_signal_without_a_handler_does_as_always),
		cmocka_unit_test(a_signal_that_is_ignored_is_ignored),
		cmocka_unit_test(a_signal_is_awaited_by_a_descriptor),
		cmocka_unit_test(a_signal_in_a_wait_does_no_harm),
		cmocka_unit_test(a_program_that_is_stopped_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
