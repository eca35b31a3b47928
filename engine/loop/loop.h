/* SPDX-License-Identifier: MIT */
/*
 * One loop: one thread, one ring, one ready queue, one wheel of timers.
 *
 * A turn (turn() in loop.c) is: run what is ready, write what the floor above
 * has to cancel, deliver mail, submit and wait, reap, fire due timers. Mail,
 * reaping and firing only make fibers ready; they run in the next turn.
 *
 * A fiber that leaves switches straight to the next ready one. The loop's own
 * context, which is the thread's stack, is entered when nothing is ready, when
 * the turn has had RI_TURN_SWITCHES switches, or as many as there were
 * completions and the ring has something (looked at every RI_LOOK_SWITCHES).
 * To cut a turn shorter would let completions pile up, and what was received
 * fall out of the caches before it is sent.
 *
 * A fiber that ends hands its warm stack to the next one if that has not
 * started and wants one of the same size: a thousand short tasks, one after the
 * other, run on one stack without a switch.
 *
 * A loop turns until it has ended, and waits in between, or it is stepped by
 * another loop of its thread, which waits for both.
 *
 * Everything here is called on the loop's thread, but for ri_loop_post and
 * ri_loop_rouse: loops and foreign threads talk to a loop by mail only. It has
 * to be woken if it sleeps in the kernel, and only then: by a message to its
 * ring (Linux 6.13), or else by an eventfd that the ring polls.
 */
#ifndef RI_LOOP_LOOP_H
#define RI_LOOP_LOOP_H

#include "base/fifo.h"
#include "base/mailbox.h"
#include "base/wheel.h"
#include "ring/ring.h"
#include "stack/fiber.h"
#include "stack/overflow.h"
#include "stack/stacks.h"

#include <stdalign.h>

#define RI_TURN_SWITCHES 128
#define RI_LOOK_SWITCHES 16

/* What the floor above writes into user_data: the address of the fiber that
 * waits, in these bits. Everything that has a completion is named so, or, with
 * RI_LOOP_SOURCE, by the address of a pointer to the fiber that waits for it,
 * which may be NULL. */
#define RI_LOOP_ADDRESS_MASK (((uint64_t)1 << 48) - 64)
#define RI_LOOP_SOURCE 32u

/* ... or is the loop's own: it was woken. With the address of a fiber that is
 * none. */
#define RI_LOOP_WOKEN 2u

struct ri_loop;

/* What the floor above does when the loop says so. */
struct ri_loop_hooks {
	/* Runs a fiber's function to its end, on the fiber's stack. */
	void (*run)(struct ri_loop *loop, struct ri_fiber *fiber);
	/* A completion came. Makes fibers ready, no more. */
	void (*complete)(struct ri_loop *loop, const struct io_uring_cqe *cqe);
	/* About to submit: the one place where cancels are written. True: there
	 * is more to do, so the loop must not wait. */
	bool (*submit)(struct ri_loop *loop);
	/* Once a turn of a loop that listens: sends on what is to go to other
	 * loops and, if it is idle, takes work that any loop may do. True:
	 * there was some. */
	bool (*exchange)(struct ri_loop *loop, bool idle);
	/* Nothing is ready, in flight or timed, and tasks are left. */
	void (*stuck)(struct ri_loop *loop);
};

struct ri_loop {
	struct ri_fiber *current; /* who runs: a task's fiber, or `thread` */
	struct ri_fifo ready;     /* fibers that can run, the next one first */
	int fuel;                 /* switches until the ring is looked at */
	int turn_left;            /* switches left of this turn */
	int turn_owed;            /* ... to fibers whose operation completed */
	unsigned live;            /* fibers that have not ended */
	bool kept;                /* it goes on without any */
	unsigned outside;         /* who may send it mail that it waits for */
	unsigned index;           /* among the loops of its engine */
	unsigned in_flight;       /* operations whose last completion is due */
	unsigned expected; /* completions that the submit hook asked for */
	bool hand_on;      /* ended fibers hand their stacks on */
	int64_t now_ns;    /* the clock, as last read */
	int64_t fired_ns;  /* ... when timers fired last */
	int64_t fresh_ns;  /* the earliest of the waits for a point in time that
			      began since; INT64_MAX: none */
	const struct ri_loop_hooks *hooks;
	const struct ri_kernel *kernel;
	uint64_t control;         /* control words that fibers start with */
	struct ri_stack *vacated; /* left by a fiber that ended, to give back */
	unsigned vacated_class;   /* its class */
	struct ri_fiber thread;   /* the thread's own context */
	struct ri_fiber ended;    /* what an ended fiber saves: never read */
	struct ri_ring ring;
	struct ri_stacks stacks;
	struct ri_log log;
	struct ri_wheel wheel;
	alignas(64) struct ri_fiber none; /* what a wake names: never runs */
	uint64_t sleeps;                  /* how often it has waited */
	uint64_t mail;                    /* how much has been delivered */
	unsigned load;   /* `live`, for others to read: atomic */
	unsigned coming; /* tasks that others send, because it has few: atomic */
	bool listening;  /* mail may come */
	int deaf;        /* why it could not be made to: -errno */
	bool heard;      /* mail has come since it waited */
	bool event_armed; /* the ring polls `event_fd` */
	bool stepped;     /* it runs inside of another loop: ri_loop_step */
	int event_fd;     /* an eventfd that wakes it; < 0: its ring does */
	alignas(64) struct ri_mailbox mailbox; /* what other threads write */
	unsigned strangers; /* who are posting from outside: atomic */
};

struct ri_loop_options {
	const struct ri_kernel *kernel;
	const struct ri_loop_hooks *hooks;
	struct ri_log log;
	struct ri_ring_options ring;
};

/* The loop of this thread, NULL outside of one. */
extern _Thread_local struct ri_loop *ri_loop_here
	__attribute__((tls_model("initial-exec")));

#define RI_LOOP_FORKED                                                \
	"in a child of fork(2), where it may only execute a program " \
	"or _exit(2)"

/* This thread is in a child of fork(2) and had a loop in its parent. */
extern _Thread_local bool ri_loop_forked
	__attribute__((tls_model("initial-exec")));

/* How often this process has been forked from one that had loops: what was
 * made at another count is the parent's. Changed in a child only, before it
 * has a second thread. */
extern unsigned ri_loop_forks;

/* Sets a loop up on this thread. 0 or -errno, with a line in the log. */
int ri_loop_init(struct ri_loop *loop, const struct ri_loop_options *options);

/* Everything must have ended. */
void ri_loop_fini(struct ri_loop *loop);

/* From here on it may get mail: opens what wakes it. 0 or -errno. Again: does
 * nothing. */
int ri_loop_listen(struct ri_loop *loop);

/* Any thread: sends mail to a loop that listens, and wakes it if it sleeps.
 * The mail is the sender's until it is delivered, on the loop's thread; that
 * may be before this returns, and the loop has to live until it does: it is
 * woken after the mail was posted. */
void ri_loop_post(struct ri_loop *loop, struct rota_mail *mail);

/* The same by who cannot say that the loop lives for longer than until the mail
 * is delivered: a thread without a loop, or with one of another engine. */
void ri_loop_post_from_outside(struct ri_loop *loop, struct rota_mail *mail);

/* Any thread: makes a loop that sleeps have another turn. False: it does not
 * sleep. */
bool ri_loop_rouse(struct ri_loop *loop);

/* A completion with RI_LOOP_WOKEN. */
void ri_loop_woken(struct ri_loop *loop, const struct io_uring_cqe *cqe);

/* Turns until no fiber is alive. */
void ri_loop_run(struct ri_loop *loop);

/* Of a loop that is `stepped`: at most so many turns, without waiting. When it
 * returns the eventfd is readable if there is something to do, and will be as
 * soon as there is. True: there was, when the turns were used up. */
bool ri_loop_step(struct ri_loop *loop, unsigned turns);

/* ... and when it is to be called again at the latest; INT64_MAX: never. */
int64_t ri_loop_step_ns(const struct ri_loop *loop);

/* Reads the clock. */
static inline int64_t ri_loop_now(struct ri_loop *loop)
{
	return loop->now_ns = loop->kernel->now_ns(loop->kernel);
}

/* Puts a timer on the wheel. False if it is due already: then it is not. */
static inline bool ri_loop_arm(struct ri_loop *loop, struct rota_timer *timer)
{
	/* Time stands still on an empty wheel: it is brought up to date, which
	 * keeps timers on the low levels. */
	if (ri_wheel_empty(&loop->wheel) && loop->wheel.time_ns < loop->now_ns)
		loop->wheel.time_ns = loop->now_ns;
	return ri_wheel_add(&loop->wheel, timer);
}

/* The same for a wait that ends with it: a short one is not put off to be
 * woken with others. */
static inline bool ri_loop_arm_wait(struct ri_loop *loop,
				    struct rota_timer *timer)
{
	if (timer->deadline_ns < loop->fresh_ns)
		loop->fresh_ns = timer->deadline_ns;
	return ri_loop_arm(loop, timer);
}

/* Does a task of this loop run, or the loop itself? */
static inline bool ri_loop_in_fiber(const struct ri_loop *loop)
{
	return loop->current != &loop->thread;
}

/* A fiber can run from now on. */
static inline void ri_loop_ready(struct ri_loop *loop, struct ri_fiber *fiber)
{
	ri_fifo_push(&loop->ready, &fiber->ready);
}

/* Every RI_LOOK_SWITCHES switches: is it the loop's own turn? */
bool ri_loop_look(struct ri_loop *loop);

/* Starts a fiber that was never started. */
void ri_loop_start(struct ri_loop *loop, struct ri_fiber *from,
		   struct ri_fiber *to);

/* Whose turn it is now. */
static inline struct ri_fiber *ri_loop_pick(struct ri_loop *loop)
{
	struct ri_fifo_node *node;

	if (__builtin_expect(--loop->fuel == 0, 0) && ri_loop_look(loop))
		return &loop->thread;
	node = ri_fifo_take(&loop->ready);
	return node ? ri_container(node, struct ri_fiber, ready)
		    : &loop->thread;
}

/* Leaves the running fiber. Returns when somebody made it ready and its turn
 * came. The one way out of a task. */
static inline __attribute__((always_inline)) void
ri_loop_leave(struct ri_loop *loop, struct ri_fiber *from)
{
	struct ri_fiber *to = ri_loop_pick(loop);

	if (to == from)
		return;
	loop->current = to;
	if (__builtin_expect(to->sp != NULL, 1))
		ri_fiber_switch(from, to, false);
	else
		ri_loop_start(loop, from, to);
}

#endif
