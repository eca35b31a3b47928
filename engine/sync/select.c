/* SPDX-License-Identifier: MIT */
/*
 * A select looks at all of its arms at one moment: it enters the guards of what
 * they are about, all of them, in the order of their addresses, so that two
 * selects never wait for each other's. What is ready then is done then. If
 * nothing is, the select stands in all lines before it leaves the guards:
 * nothing can come in between.
 *
 * From there on `won`, one word, decides: who comes to serve a place claims it
 * by changing that from NULL, and so does whatever else ends the wait: the
 * timer, the poll, a cancel. Who comes second finds that it is none of his, and
 * takes the dead place off his line. So there is one arm, or none.
 *
 * The poll is the task's operation. It is only asked to end when another arm
 * has won, and the task goes on when it has (law 1): who has won on another loop
 * sends mail, which is awaited too, as it lies in the frame.
 */
#include "rota/select.h"

#include "sync/channel.h"
#include "sync/holder.h"
#include "task/operation.h"
#include "task/scope.h"
#include "task/ticker.h"

#include <poll.h>

struct ri_select {
	struct rota_waiter waiter;  /* first: what its task is parked on */
	struct rota_arm *arms;      /* the user's */
	unsigned count;             /* how many */
	struct rota_arm *guarded;   /* one for each shared guard, by `next` */
	struct rota_arm *timed;     /* the one that is due first, or NULL */
	struct rota_arm *polls;     /* the one that polls, or NULL */
	struct rota_waiter *served; /* to be served when the guards are left */
	int served_result;          /* ... with this */
	struct rota_place none;     /* claimed by a cancel */
	bool waits;                 /* if nothing can be done at once */
	bool in_poll;               /* its task waits for the poll too */
	bool told;                  /* its loop knows that it was won */
};

static const char verb[] = "rota_select";

static int64_t due_ns(const struct rota_arm *arm)
{
	const struct rota_ticker *ticker = arm->object;

	if (arm->kind == ROTA_ARM_DEADLINE)
		return arm->deadline_ns;
	return arm->kind == ROTA_ARM_TICK ? ticker->next_ns : INT64_MAX;
}

/* Where it would stand, and what it is about. */
static void find_line(struct rota_arm *arm)
{
	struct rota_channel *channel = arm->object;
	struct rota_event *event = arm->object;

	switch (arm->kind) {
	case ROTA_ARM_SEND:
	case ROTA_ARM_RECEIVE:
		ri_channel_check(channel, verb);
		arm->place.guard = &channel->guard;
		arm->place.line = arm->kind == ROTA_ARM_SEND
					  ? &channel->sending
					  : &channel->receiving;
		break;
	case ROTA_ARM_EVENT:
		ri_sync_check(event->state, verb, "event");
		arm->place.guard = &event->guard;
		arm->place.line = &event->line;
		break;
	case ROTA_ARM_TICK:
		ri_scope_holder(&((struct rota_ticker *)arm->object)->scope,
				RI_SCOPE_TICKER, verb);
		break;
	case ROTA_ARM_NEVER:
	case ROTA_ARM_DEADLINE:
	case ROTA_ARM_POLL:
		break;
	}
}

/* Among the shared guards, each once, by address. */
static void add_guard(struct ri_select *select, struct rota_arm *arm)
{
	struct rota_arm **link = &select->guarded;

	while (*link &&
	       (uintptr_t)(*link)->place.guard < (uintptr_t)arm->place.guard)
		link = &(*link)->next;
	if (*link && (*link)->place.guard == arm->place.guard)
		return;
	arm->next = *link;
	*link = arm;
}

/* The others are checked only: this loop alone comes by. */
static void enter_all(const struct ri_select *select)
{
	for (unsigned i = 0; i < select->count; i++)
		if (select->arms[i].place.guard &&
		    !ri_guard_is_shared(select->arms[i].place.guard))
			ri_guard_enter(select->arms[i].place.guard, verb);
	for (struct rota_arm *arm = select->guarded; arm; arm = arm->next)
		ri_guard_enter(arm->place.guard, verb);
}

static void leave_all(const struct ri_select *select)
{
	for (struct rota_arm *arm = select->guarded; arm; arm = arm->next)
		ri_guard_leave(arm->place.guard);
}

/* Can it be done, as far as is known? Under the guards; a poll, which would
 * have to be asked for, is not. */
static bool is_ready(const struct rota_arm *arm, int64_t now_ns)
{
	switch (arm->kind) {
	case ROTA_ARM_SEND:
		return ri_channel_can_put(arm->object);
	case ROTA_ARM_RECEIVE:
		return ri_channel_can_take(arm->object);
	case ROTA_ARM_EVENT:
		return ((const struct rota_event *)arm->object)->set;
	case ROTA_ARM_TICK:
	case ROTA_ARM_DEADLINE:
		return due_ns(arm) <= now_ns && due_ns(arm) != INT64_MAX;
	case ROTA_ARM_NEVER:
	case ROTA_ARM_POLL:
		break;
	}
	return false;
}

/* One of those that are ready, each as likely as the others; NULL: none. The
 * poll is one that may be: it costs a call to know, which it is not worth if
 * the select would wait for it anyway. */
static struct rota_arm *choose(const struct ri_select *select, bool may_poll)
{
	struct ri_tasks *tasks = select->waiter.tasks;
	struct rota_arm *chosen = NULL;
	unsigned ready = 0;

	for (unsigned i = 0; i < select->count; i++) {
		struct rota_arm *arm = &select->arms[i];

		if (is_ready(arm, tasks->loop.now_ns) &&
		    ri_tasks_chance(tasks, ++ready))
			chosen = arm;
	}
	if (may_poll && select->polls && (ready || !select->waits) &&
	    ri_tasks_chance(tasks, ++ready))
		chosen = select->polls;
	return chosen;
}

/* Does what can be done at once; the guards are entered. -EAGAIN: the one that
 * would have been served has gone elsewhere. */
static int do_now(struct ri_select *select, struct rota_arm *arm)
{
	switch (arm->kind) {
	case ROTA_ARM_SEND:
		select->served_result = RI_CHANNEL_RECEIVED;
		return ri_channel_put(arm->object, arm->place.item,
				      &select->served);
	case ROTA_ARM_RECEIVE:
		select->served_result = RI_CHANNEL_SENT;
		return ri_channel_take(arm->object, arm->place.item,
				       &select->served);
	case ROTA_ARM_TICK:
		arm->missed = ri_ticker_take(arm->object,
					     select->waiter.tasks->loop.now_ns);
		return 0;
	case ROTA_ARM_EVENT:
	case ROTA_ARM_DEADLINE:
	case ROTA_ARM_NEVER:
	case ROTA_ARM_POLL:
		break;
	}
	return 0;
}

static int poll_now(const struct ri_select *select)
{
	const struct ri_kernel *kernel = select->waiter.tasks->loop.kernel;

	return kernel->poll_now(kernel, select->polls->fd,
				select->polls->events);
}

/* Does one arm at once, if one can be done: then the guards are left. NULL: none
 * can, and they are entered. */
static struct rota_arm *do_one(struct ri_select *select)
{
	bool may_poll = true;
	struct rota_arm *arm;
	int polled;

	enter_all(select);
	while ((arm = choose(select, may_poll))) {
		if (arm != select->polls) {
			arm->result = do_now(select, arm);
			if (arm->result == -EAGAIN)
				continue;
			break;
		}
		leave_all(select);
		polled = poll_now(select);
		if (polled) {
			arm->result = polled;
			return arm;
		}
		may_poll = false;
		enter_all(select);
	}
	if (!arm)
		return NULL;
	leave_all(select);
	if (select->served)
		ri_waiter_serve(select->served, select->served_result);
	return arm;
}

/* Its loop hears that a place was claimed. */
static void tell(struct rota_waiter *waiter)
{
	struct ri_select *select = (struct ri_select *)(void *)waiter;
	struct rota_task *task = waiter->task;

	select->told = true;
	if (task->wait != &waiter->wait)
		return; /* its poll has ended, it goes on anyway */
	if (select->in_poll)
		ri_operation_interrupt(waiter->tasks, task);
	else
		ri_wake(waiter->tasks, task, 0);
}

/* On its loop: claims a place that is not in a line. */
static bool claim(struct ri_select *select, struct rota_place *place)
{
	place->waiter = &select->waiter;
	return ri_place_claim(place);
}

static void select_interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	struct ri_select *select =
		ri_container(task->wait, struct ri_select, waiter.wait);

	(void)tasks;
	if (claim(select, &select->none))
		tell(&select->waiter);
}

static void select_due(struct rota_timer *timer)
{
	struct ri_tasks *tasks = ri_tasks_here();
	const struct rota_task *task = &tasks->slab[timer - tasks->timers];
	struct ri_select *select;

	if (!task->wait)
		return; /* what came in this turn before goes on with that */
	select = ri_container(task->wait, struct ri_select, waiter.wait);
	if (claim(select, &select->timed->place))
		tell(&select->waiter);
}

/* 0, or -EINVAL. */
static int begin(struct ri_select *select)
{
	int64_t first_ns = INT64_MAX;

	select->guarded = select->timed = select->polls = NULL;
	select->served = NULL;
	select->in_poll = select->told = false;
	select->waiter.wait.interrupt = select_interrupt;
	select->waiter.tell = tell;
	select->waiter.won = NULL;
	select->waiter.result = 0;
	if (select->count > ROTA_ARMS_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < select->count; i++) {
		struct rota_arm *arm = &select->arms[i];

		arm->place.guard = NULL;
		find_line(arm);
		if (arm->place.guard && ri_guard_is_shared(arm->place.guard))
			add_guard(select, arm);
		if (arm->kind == ROTA_ARM_POLL && select->polls)
			return -EINVAL;
		if (arm->kind == ROTA_ARM_POLL)
			select->polls = arm;
		if (due_ns(arm) < first_ns) {
			first_ns = due_ns(arm);
			select->timed = arm;
		}
	}
	return 0;
}

/* The guards are entered. */
static void stand(struct ri_select *select)
{
	for (unsigned i = 0; i < select->count; i++) {
		struct rota_arm *arm = &select->arms[i];

		if (!arm->place.guard)
			continue;
		arm->place.waiter = &select->waiter;
		ri_line_append(arm->place.line, &arm->place);
	}
	leave_all(select);
}

/* Once this is over nobody else claims anything. */
static void leave_lines(struct ri_select *select)
{
	struct rota_timer *timer =
		ri_task_timer(select->waiter.tasks, select->waiter.task);

	for (unsigned i = 0; i < select->count; i++) {
		struct rota_arm *arm = &select->arms[i];

		if (!arm->place.guard)
			continue;
		ri_guard_enter(arm->place.guard, verb);
		if (ri_list_linked(&arm->place.link))
			ri_line_remove(arm->place.line, &arm->place);
		else
			ri_guard_count_away(arm->place.guard, -1);
		ri_guard_leave(arm->place.guard);
	}
	if (ri_timer_armed(timer))
		ri_wheel_remove(&select->waiter.tasks->loop.wheel, timer);
}

/* False: it is due. */
static bool arm_timer(const struct ri_select *select)
{
	struct ri_tasks *tasks = select->waiter.tasks;
	struct rota_timer *timer = ri_task_timer(tasks, select->waiter.task);

	if (!select->timed)
		return true;
	timer->deadline_ns = due_ns(select->timed);
	timer->fire = select_due;
	return ri_loop_arm_wait(&tasks->loop, timer);
}

/* Waits for the poll too. Returns what came of it. */
static int park_in_poll(struct ri_select *select)
{
	struct rota_waiter *waiter = &select->waiter;
	struct io_uring_sqe *entry = ri_ring_entry(&waiter->tasks->loop.ring);
	int result;

	if (!entry)
		return -EAGAIN;
	waiter->wait.interrupt = NULL;
	select->in_poll = true;
	io_uring_prep_poll_add(entry, select->polls->fd, select->polls->events);
	result = ri_wait_await(entry, &waiter->wait, select->polls->fd);
	select->in_poll = false;
	return result;
}

/* Stands in all lines until a place is claimed, or the poll ends. Returns what
 * came of that. */
static int wait(struct ri_select *select)
{
	struct rota_waiter *waiter = &select->waiter;
	int polled = 0;

	stand(select);
	if (!arm_timer(select))
		select->told = claim(select, &select->timed->place);
	else if (select->polls)
		polled = park_in_poll(select);
	else
		ri_park(waiter->tasks, waiter->task, &waiter->wait);
	leave_lines(select);
	/* Claimed on another loop, and the news is on its way. */
	waiter->wait.interrupt = NULL;
	if (__atomic_load_n(&waiter->won, __ATOMIC_ACQUIRE) && !select->told)
		ri_park(waiter->tasks, waiter->task, &waiter->wait);
	return polled;
}

/* What has come of it: the arm that is done, or NULL and *error. */
static struct rota_arm *decode(const struct ri_select *select, int polled,
			       int *error)
{
	const struct rota_waiter *waiter = &select->waiter;
	struct rota_place *won = waiter->won;
	struct rota_arm *arm = select->polls;

	*error = waiter->task->scope->code;
	if (won == &select->none)
		return NULL;
	if (!won) {
		if (polled == -EAGAIN)
			*error = polled;
		if (polled < 0 && polled == *error)
			return NULL;
		arm->result = polled;
		return arm;
	}
	arm = ri_container(won, struct rota_arm, place);
	arm->result = waiter->result;
	if (arm->kind == ROTA_ARM_TICK)
		arm->missed =
			ri_ticker_take(arm->object, waiter->tasks->loop.now_ns);
	return arm;
}

/* Nothing can be done at once; the guards are entered. */
static __attribute__((noinline)) int wait_for_one(struct ri_select *select)
{
	struct ri_tasks *tasks = select->waiter.tasks;
	const bool shared = select->guarded != NULL;
	struct rota_arm *arm;
	int polled, error = 0;

	if (shared)
		error = ri_waiter_listen(tasks);
	if (error) {
		leave_all(select);
		return error;
	}
	polled = wait(select);
	tasks->loop.outside -= shared;
	arm = decode(select, polled, &error);
	return arm ? (int)(arm - select->arms) : error;
}

static int run(struct rota_arm *arms, unsigned count, bool waits)
{
	struct rota_task *self = ri_task_self(verb);
	struct ri_select select;
	struct rota_arm *arm;
	int error;

	ri_task_check_scope(self);
	if (waits && self->scope->code)
		return self->scope->code;
	select.arms = arms;
	select.count = count;
	select.waits = waits;
	ri_waiter_init(&select.waiter, ri_tasks_here(), self, verb);
	error = begin(&select);
	if (error)
		return error;
	if (waits && select.guarded)
		ri_guard_listen(select.guarded->place.guard);
	arm = do_one(&select);
	if (arm && waits && select.guarded)
		ri_breathe(select.waiter.tasks);
	if (arm)
		return (int)(arm - arms);
	if (waits)
		return wait_for_one(&select);
	leave_all(&select);
	return -EAGAIN;
}

int rota_select(struct rota_arm *arms, unsigned count)
{
	return run(arms, count, true);
}

int rota_try_select(struct rota_arm *arms, unsigned count)
{
	return run(arms, count, false);
}
