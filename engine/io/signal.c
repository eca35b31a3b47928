/* SPDX-License-Identifier: MIT */
/*
 * Signals are taken from a signalfd(2): a poll tells that there is one, then a
 * read that does not block takes it. A read through the ring would do for one
 * who waits; before Linux 6.10 it occupies a thread of the kernel, which sees
 * only what was sent to the process.
 *
 * Whoever takes it has it: between the read and the return nothing suspends.
 *
 *	blocked   a set has to unblock what it has found unblocked. When it is
 *	          closed and another set has the same signal, the duty is passed
 *	          on: so the order in which they are closed does not matter
 */
#include "io/signal.h"

#include "rota/file.h"
#include "rota/signal.h"
#include "task/errand.h"
#include "task/operation.h"
#include "task/peers.h"
#include "task/scope.h"

#include <errno.h>
#include <poll.h>

static_assert(sizeof(struct rota_signals) == 168, "a scope and five words");

/* How many signals a close throws away at most. More than that are sent by
 * somebody who does not stop. */
#define DROPPED_MAX 65536

static uint64_t bit_of(int number)
{
	return (uint64_t)1 << (number - 1);
}

static bool can_be_awaited(int number)
{
	if (number < 1 || number > SIGRTMAX)
		return false;
	if (number == SIGKILL || number == SIGSTOP)
		return false;
	/* Between the old ones and SIGRTMIN are the C library's own. */
	return !ri_signal_is_synchronous(number) &&
	       (number < 32 || number >= SIGRTMIN);
}

/* As bits; 0 if one of them is wrong, or there is none. */
static uint64_t set_of(const int *numbers)
{
	uint64_t set = 0;

	for (; *numbers; numbers++) {
		if (!can_be_awaited(*numbers))
			return 0;
		set |= bit_of(*numbers);
	}
	return set;
}

/* In the frame of who opens or closes a set. */
struct errand {
	struct ri_errand errand;      /* to loop 0 */
	struct rota_signals *signals; /* the set */
};

static void hold(struct ri_tasks *tasks, struct ri_errand *errand)
{
	struct rota_signals *signals =
		ri_container(errand, struct errand, errand)->signals;
	const struct ri_kernel *kernel = tasks->loop.kernel;
	uint64_t before = 0;

	kernel->signals_mask(kernel, SIG_BLOCK, signals->set, &before);
	signals->blocked = signals->set & ~before;
	ri_list_append(&tasks->signals, &signals->link);
}

/* What others have open they will unblock. Returns the rest. */
static uint64_t pass_on(struct ri_tasks *tasks, uint64_t blocked)
{
	struct rota_node *link = tasks->signals.next;

	for (; link != &tasks->signals; link = link->next) {
		struct rota_signals *other =
			ri_container(link, struct rota_signals, link);

		other->blocked |= blocked & other->set;
		blocked &= ~other->set;
	}
	return blocked;
}

/* What nobody else has open is thrown away and unblocked, if it was not blocked
 * before. */
static void let_go(struct ri_tasks *tasks, struct ri_errand *errand)
{
	struct rota_signals *signals =
		ri_container(errand, struct errand, errand)->signals;
	const struct ri_kernel *kernel = tasks->loop.kernel;
	struct ri_signal dropped;
	uint64_t left;

	ri_list_remove(&signals->link);
	left = pass_on(tasks, signals->blocked);
	if (!left)
		return;
	kernel->signals_open(kernel, signals->fd, left);
	for (int i = 0; i < DROPPED_MAX; i++)
		if (kernel->signals_take(kernel, signals->fd, &dropped))
			break;
	kernel->signals_mask(kernel, SIG_UNBLOCK, left, NULL);
}

/* On loop 0: its thread is the only one of the engine's where a signal could
 * act, as it may be the program's own. So it keeps the list of all sets. */
static void run_on_first(struct ri_tasks *tasks, struct rota_signals *signals,
			 void (*act)(struct ri_tasks *, struct ri_errand *))
{
	struct errand errand = { .errand.act = act, .signals = signals };

	ri_errand_run(&errand.errand, tasks->peers->each[0],
		      "rota_signals_open (or close)");
}

int rota_signals_open_at(struct rota_signals *signals, const int *numbers,
			 const struct rota_site *site)
{
	struct rota_task *self = ri_scope_opener("rota_signals_open");
	struct ri_tasks *tasks = ri_tasks_here();
	const struct ri_kernel *kernel = tasks->loop.kernel;
	const uint64_t set = set_of(numbers);
	int fd;

	if (!set)
		return -EINVAL;
	fd = kernel->signals_open(kernel, -1, set);
	if (fd < 0)
		return fd;
	ri_scope_open(&signals->scope, RI_SCOPE_SIGNALS, self, site);
	signals->loop = &tasks->loop;
	signals->set = set;
	signals->fd = fd;
	run_on_first(tasks, signals, hold);
	return 0;
}

/* Waits until there is one for somebody. */
static int wait_for_any(int fd)
{
	struct io_uring_sqe *entry;
	int events = ri_verb_begin(&entry, "rota_signals_wait", 0);

	if (events)
		return events;
	io_uring_prep_poll_add(entry, fd, POLLIN);
	events = ri_verb_await(entry, "rota_signals_wait", fd);
	if (events < 0)
		return events;
	/* Closed meanwhile: the set may be gone, the number another's. */
	return ri_verb_again("rota_signals_wait");
}

static void tell(const struct ri_signal *taken, struct rota_signal *report)
{
	report->number = taken->number;
	report->code = taken->code;
	report->process = taken->process;
	report->user = taken->user;
	report->status = taken->status;
	report->value = taken->value;
}

int rota_signals_wait(struct rota_signals *signals, struct rota_signal *report)
{
	const struct rota_task *self = ri_scope_opener(__func__);
	const struct ri_kernel *kernel = ri_tasks_here()->loop.kernel;
	const int fd = signals->fd; /* others may close it while we wait */
	struct ri_signal taken;
	int error;

	ri_check(signals->loop == ri_loop_here,
		 "%s in task %s for what is not open, or not here", __func__,
		 ri_task_name(self));
	/* Another one may have been quicker. */
	do {
		error = wait_for_any(fd);
		if (!error)
			error = kernel->signals_take(kernel, fd, &taken);
	} while (error == -EAGAIN);
	if (error)
		return error;
	if (report)
		tell(&taken, report);
	return taken.number;
}

void rota_signals_close(struct rota_signals *signals)
{
	struct ri_tasks *tasks;

	ri_scope_holder(&signals->scope, RI_SCOPE_SIGNALS, __func__);
	tasks = ri_tasks_here();
	run_on_first(tasks, signals, let_go);
	signals->loop = NULL;
	rota_close(signals->fd);
	ri_scope_remove(tasks, &signals->scope);
}
