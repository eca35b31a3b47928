/* SPDX-License-Identifier: MIT */
#include "loop/loop.h"

#include "base/check.h"
#include "loop/mail.h"
#include "ring/features.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

/* How long the loop rests when the kernel has no memory for entries and
 * nothing completes: it must not spin. */
#define REST_NS ((int64_t)1000000)

/* What a turn is made of is there twice, for loops that run and for those that
 * are stepped: called, it would cost the turns of an echo 100 instructions. */
#define INLINE inline __attribute__((always_inline))

_Thread_local struct ri_loop *ri_loop_here;
_Thread_local bool ri_loop_forked;
unsigned ri_loop_forks;

/* In a child of fork(2), on the thread that forked: the ring is the parent's,
 * and so is every task. Verbs find no loop; who goes on without one is found
 * at the next look. */
static void forget(void)
{
	ri_loop_forks++;
	if (!ri_loop_here)
		return;
	ri_loop_here->fuel = 1;
	ri_loop_here = NULL;
	ri_loop_forked = true;
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, forget);
}

static void check_not_forked(const struct ri_loop *loop)
{
	ri_check(ri_loop_here == loop, "a task goes on " RI_LOOP_FORKED);
}

int ri_loop_init(struct ri_loop *loop, const struct ri_loop_options *options)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const bool guard = !(options->ring.masked & RI_FEATURE_GUARD);
	int error;

	pthread_once(&once, watch_forks);
	ri_check(!ri_loop_here, "this thread has a loop already");
	memset(loop, 0, sizeof(*loop));
	loop->kernel = options->kernel;
	loop->hooks = options->hooks;
	loop->log = options->log;
	error = ri_ring_open(&loop->ring, loop->kernel, &loop->log,
			     &options->ring);
	if (error)
		return error;
	ri_stacks_init(&loop->stacks, loop->kernel, &loop->log, guard);
	ri_fifo_init(&loop->ready);
	ri_wheel_init(&loop->wheel, ri_loop_now(loop));
	ri_fiber_init_thread(&loop->thread);
	ri_mailbox_init(&loop->mailbox);
	loop->event_fd = -1;
	loop->current = &loop->thread;
	loop->fresh_ns = INT64_MAX;
	loop->control = ri_switch_control();
	loop->hand_on = !RI_ASAN && !ri_sanitizer_on_valgrind();
	ri_loop_here = loop;
	return 0;
}

/* Somebody from outside has posted the last mail, but not yet looked whether
 * the loop sleeps. That takes them a call of the kernel, or however long they
 * do without a processor. */
static void see_strangers_off(const struct ri_loop *loop)
{
	const struct timespec moment = { .tv_nsec = 50000 };

	/* pairs with the release in ri_loop_post_from_outside */
	while (__atomic_load_n(&loop->strangers, __ATOMIC_ACQUIRE))
		nanosleep(&moment, NULL);
}

void ri_loop_fini(struct ri_loop *loop)
{
	ri_check(ri_loop_here == loop, "loop %p is another thread's",
		 (void *)loop);
	ri_check(loop->live == 0, "%u tasks are alive", loop->live);
	ri_check(loop->in_flight == 0, "%u operations are in flight",
		 loop->in_flight);
	ri_check(ri_wheel_empty(&loop->wheel), "timers are armed");
	ri_check(ri_fifo_empty(&loop->ready), "fibers are ready");
	ri_check(!ri_mailbox_has(&loop->mailbox), "mail was not taken");
	see_strangers_off(loop);
	if (loop->event_fd >= 0)
		loop->kernel->event_close(loop->kernel, loop->event_fd);
	ri_stacks_fini(&loop->stacks);
	ri_ring_close(&loop->ring);
	ri_loop_here = NULL;
}

bool ri_loop_look(struct ri_loop *loop)
{
	check_not_forked(loop);
	loop->fuel = RI_LOOK_SWITCHES;
	loop->turn_left -= RI_LOOK_SWITCHES;
	loop->turn_owed -= RI_LOOK_SWITCHES;
	return loop->turn_left <= 0 ||
	       (loop->turn_owed <= 0 &&
		(ri_ring_ready(&loop->ring) || ri_mailbox_has(&loop->mailbox)));
}

/* The next fiber of an ended one's stack, or none: then it was left. */
static bool hand_on(struct ri_loop *loop, unsigned class,
		    struct ri_stack *stack)
{
	struct ri_fiber *to;

	if (!loop->hand_on) {
		/* The frame that runs is on it: the loop gives it back. */
		loop->vacated = stack;
		loop->vacated_class = class;
		loop->current = &loop->thread;
		ri_fiber_switch(&loop->ended, &loop->thread, true);
	}
	to = ri_loop_pick(loop);
	loop->current = to;
	if (!to->sp && to->stack_class == class) {
		ri_fiber_mount(to, stack);
		/* A task may end with another rounding mode than it had. */
		ri_switch_control_restore(&loop->control);
		return true;
	}
	ri_stacks_give(&loop->stacks, class, stack);
	if (!to->sp)
		ri_loop_start(loop, &loop->ended, to);
	ri_fiber_switch(&loop->ended, to, true);
	return false;
}

/* The outermost frame on every stack: runs one task after the other. */
static void fiber_main(void *argument)
{
	struct ri_loop *loop = argument;
	bool more;

	ri_fiber_land(loop->current);
	do {
		struct ri_fiber *fiber = loop->current;
		struct ri_stack *stack = fiber->stack;
		const unsigned class = fiber->stack_class;

		loop->hooks->run(loop, fiber);
		loop->live--;
		more = hand_on(loop, class, stack);
	} while (more);
	ri_check(false, "an ended task was resumed");
}

void ri_loop_start(struct ri_loop *loop, struct ri_fiber *from,
		   struct ri_fiber *to)
{
	ri_fiber_mount(to, ri_stacks_take(&loop->stacks, to->stack_class));
	ri_fiber_start(from, to, fiber_main, loop, &loop->control,
		       from == &loop->ended);
}

/* Where stacks are not handed on, each end of a fiber comes by here. */
static __attribute__((noinline)) void take_back(struct ri_loop *loop)
{
	check_not_forked(loop);
	ri_stacks_give(&loop->stacks, loop->vacated_class, loop->vacated);
	loop->vacated = NULL;
}

/* Runs ready fibers until there is none or the turn's switches are used. */
static INLINE void run_ready(struct ri_loop *loop)
{
	bool ended;

	loop->fuel = RI_LOOK_SWITCHES;
	loop->turn_left = RI_TURN_SWITCHES;
	do {
		ri_loop_leave(loop, &loop->thread);
		ended = loop->vacated != NULL;
		if (__builtin_expect(ended, 0))
			take_back(loop);
	} while (ended && loop->turn_left > 0 && !ri_fifo_empty(&loop->ready));
}

static const void *named(const struct io_uring_cqe *cqe)
{
	return (const void *)(uintptr_t)(cqe->user_data & RI_LOOP_ADDRESS_MASK);
}

/* The top of a stack that was left: the switch's frame and a verb's are read,
 * which is what brings the page into the TLB, the caller's is fetched. All of
 * it is in use: fiber_main, a task, a verb and the switch are 256 bytes. */
static void touch_stack(const struct ri_fiber *fiber)
{
	const volatile char *sp = fiber->sp;

	if (!sp)
		return;
	for (unsigned line = 0; line < 3; line++)
		(void)sp[line * 64];
	for (unsigned line = 3; line < 6; line++)
		__builtin_prefetch((const char *)sp + line * 64, 1);
}

/* Who waits, where that has to be looked up; NULL: nobody. */
static const struct ri_fiber *fiber_of(const struct io_uring_cqe *cqe)
{
	const void *record = named(cqe);

	return cqe->user_data & RI_LOOP_SOURCE
		       ? *(const struct ri_fiber *const *)record
		       : record;
}

/* The same as below, one step further away. */
static __attribute__((noinline)) void
foresee_sources(const struct ri_loop *loop, unsigned count)
{
	const struct ri_ring *ring = &loop->ring;

	for (unsigned i = 0; i < count; i++)
		__builtin_prefetch(fiber_of(ri_ring_completion(ring, i)), 1);
	for (unsigned i = 0; loop->hand_on && i < count; i++) {
		const struct ri_fiber *fiber =
			fiber_of(ri_ring_completion(ring, i));

		if (fiber)
			touch_stack(fiber);
	}
}

/* With many connections each completion meets a record and a stack that fell
 * out of the caches, the stack's page out of the TLB too. One after the other,
 * as the tasks run, that is 360 ns each; asked for together, before any of it
 * is needed, it is 140. Prefetching alone did nothing: it is dropped where
 * there is no translation. */
static void foresee(const struct ri_loop *loop, unsigned count)
{
	const struct ri_ring *ring = &loop->ring;
	uint64_t names = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct io_uring_cqe *cqe = ri_ring_completion(ring, i);

		names |= cqe->user_data;
		__builtin_prefetch(named(cqe), 1);
	}
	if (names & RI_LOOP_SOURCE) {
		foresee_sources(loop, count);
		return;
	}
	/* A late cancel names a task that may have ended: harmless, but not to
	 * who watches for uses of dead stacks. */
	for (unsigned i = 0; loop->hand_on && i < count; i++)
		touch_stack(named(ri_ring_completion(ring, i)));
}

static INLINE unsigned reap(struct ri_loop *loop)
{
	const unsigned count = ri_ring_landed(&loop->ring);

	if (count > 1)
		foresee(loop, count);
	for (unsigned i = 0; i < count; i++)
		loop->hooks->complete(loop, ri_ring_completion(&loop->ring, i));
	ri_ring_reaped(&loop->ring, count);
	if (loop->turn_owed < 0)
		loop->turn_owed = 0;
	loop->turn_owed += (int)count;
	return count;
}

/* When timers are to wake the loop. Those that come soon after others have
 * fired are put off a little, until there are more: with many of them, each at
 * a moment of its own, the wakes would cost more than all else. But who has
 * just begun to wait for a moment is woken then. */
static int64_t wake_ns(const struct ri_loop *loop)
{
	const int64_t next_ns = ri_wheel_next_ns(&loop->wheel);
	const int64_t later_ns = loop->fired_ns + loop->kernel->slack_ns;

	if (next_ns >= later_ns || loop->fresh_ns <= next_ns)
		return next_ns;
	return loop->fresh_ns < later_ns ? loop->fresh_ns : later_ns;
}

static inline bool has_to_enter(const struct ri_ring *ring)
{
	return ri_ring_queued(ring) || ri_ring_ready(ring);
}

static inline int enter(struct ri_loop *loop, bool wait, int64_t until_ns)
{
	const unsigned expected = loop->expected;

	loop->expected = 0;
	if (expected)
		return ri_ring_harvest(&loop->ring, expected);
	return ri_ring_enter(&loop->ring, wait, until_ns);
}

static void submit_and_wait(struct ri_loop *loop, bool idle)
{
	struct ri_ring *ring = &loop->ring;
	int64_t next_ns = INT64_MAX;
	int error;

	/* A wait that is over already takes the kernel 10 us. */
	if (idle && !ri_wheel_empty(&loop->wheel)) {
		next_ns = wake_ns(loop);
		idle = next_ns > loop->now_ns;
	}
	if (idle && loop->listening)
		idle = ri_mail_sleep(loop);
	if (!idle && !has_to_enter(ring))
		return;
	error = enter(loop, idle, next_ns);
	if (idle && loop->listening)
		ri_mail_wake(loop);
	if (reap(loop) == 0 && error && ri_fifo_empty(&loop->ready))
		ri_ring_rest(ring, ri_loop_now(loop) + REST_NS);
}

/* The same for those whose timers fired: of many sleepers none is in the
 * caches. */
static void foresee_ready(const struct ri_loop *loop)
{
	const struct ri_fifo_node *node = loop->ready.head;
	unsigned left = RI_TURN_SWITCHES;

	for (; loop->hand_on && node && left; node = node->next, left--)
		touch_stack(ri_container(node, const struct ri_fiber, ready));
}

/* The clock is read once a turn, timers or not: what is asked for meanwhile is
 * judged by it. */
static INLINE unsigned fire_due(struct ri_loop *loop)
{
	struct rota_timer *timer;
	unsigned fired = 0;

	ri_loop_now(loop);
	while ((timer = ri_wheel_expire(&loop->wheel, loop->now_ns))) {
		timer->fire(timer);
		fired++;
	}
	if (fired)
		loop->fired_ns = loop->now_ns;
	if (fired > 1)
		foresee_ready(loop);
	return fired;
}

/* Is there nothing to do, as far as is known here? */
static INLINE bool is_idle(struct ri_loop *loop)
{
	const bool idle = !loop->hooks->submit(loop) &&
			  ri_fifo_empty(&loop->ready);

	/* What it sends itself comes although it does not listen. */
	if ((loop->listening || ri_mailbox_has(&loop->mailbox)) &&
	    ri_mail_look(loop))
		return false;
	if (idle && loop->live && !loop->outside && !loop->in_flight &&
	    ri_wheel_empty(&loop->wheel))
		loop->hooks->stuck(loop);
	return idle;
}

static void turn(struct ri_loop *loop)
{
	bool idle;

	run_ready(loop);
	idle = is_idle(loop);
	if (!loop->live && !loop->kept)
		return;
	submit_and_wait(loop, idle);
	fire_due(loop);
	loop->fresh_ns = INT64_MAX;
}

void ri_loop_run(struct ri_loop *loop)
{
	while (loop->live || loop->kept)
		turn(loop);
}

/* A turn without a wait. True: there may be more to do. */
static bool step(struct ri_loop *loop)
{
	bool more;

	run_ready(loop);
	more = !is_idle(loop);
	if (has_to_enter(&loop->ring)) {
		enter(loop, false, 0);
		more |= reap(loop) > 0;
	}
	more |= fire_due(loop) > 0;
	return more || !ri_fifo_empty(&loop->ready);
}

/* Nothing is left to do. From here on the eventfd is written to as soon as
 * there is something. False: there is, already.
 *
 * It is cleared first, and everything is looked for afterwards, so nothing is
 * missed whose sign was cleared:
 *
 *   A completion: the kernel first says so in the ring's flags, then writes to
 *	the eventfd, which takes the lock that reading it takes. Written after
 *	the read, it is readable. Written before, the flag is seen here.
 *   Mail: who posts it writes to the eventfd if the mailbox says that the loop
 *	sleeps, which it says after the read only. Mail from before makes
 *	ri_mailbox_sleep fail.
 *   Time: the next timer is asked for when all of this is over. */
static bool lie_down(struct ri_loop *loop)
{
	loop->kernel->event_clear(loop->kernel, loop->event_fd);
	if (!ri_mailbox_sleep(&loop->mailbox))
		return false;
	if (!ri_ring_ready(&loop->ring))
		return true;
	ri_mailbox_rouse(&loop->mailbox);
	return false;
}

bool ri_loop_step(struct ri_loop *loop, unsigned turns)
{
	ri_mail_wake(loop);
	ri_loop_now(loop);
	loop->fresh_ns = INT64_MAX;
	while (turns--)
		if (!step(loop) && lie_down(loop))
			return false;
	loop->kernel->event_signal(loop->kernel, loop->event_fd);
	return true;
}

int64_t ri_loop_step_ns(const struct ri_loop *loop)
{
	const int64_t next_ns = ri_wheel_empty(&loop->wheel) ? INT64_MAX
							     : wake_ns(loop);
	const int64_t rest_ns = loop->now_ns + REST_NS;

	/* The kernel had no memory for these. */
	if (ri_ring_queued(&loop->ring) && rest_ns < next_ns)
		return rest_ns;
	return next_ns;
}
