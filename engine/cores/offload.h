/* SPDX-License-Identifier: MIT */
/*
 * The threads of an engine that block so that its loops need not.
 *
 *	task ---- ri_offload_await ----> queue ----> helper
 *	  ^                                             |
 *	  '------ mail to the task's loop --------------'
 *
 * 1. A call is in the frame of the task that waits for it: queueing it needs no
 *    memory, so the queue has no bound but that of tasks. What is bounded is
 *    the number of threads.
 * 2. One mutex guards all of it. It is held for a few instructions, but for the
 *    start of a thread: whether one is there to take a call, and whether the
 *    call was refused, must not change in between.
 * 3. Who waits in the queue is taken back by a cancel. Who is with a helper
 *    stays until the helper is done; but for a look-up of a name, which hands
 *    over what it needs to the helper's own memory, and may be left behind.
 * 4. For each call in the queue that may run there is an idle helper that was
 *    woken for it, or a new one; or all helpers are busy, or none could be
 *    started, and those that end a call take the next.
 * 5. A helper that has posted mail may still be waking the loop: it counts as
 *    the loop's (`loop`) until it has the mutex again. No loop is taken down
 *    before ri_offload_leave has seen that none is.
 *
 * The pool itself is made before the loops of its engine and finished after
 * them. A helper ends when it was idle for long; each joins the one that ended
 * before it, so one at most is left to join at the end.
 */
#ifndef RI_CORES_OFFLOAD_H
#define RI_CORES_OFFLOAD_H

#include "cores/cpus.h"
#include "task/park.h"

#include <pthread.h>

/* What rota/engine.h says of config.offload_threads, and rota/offload.h of how
 * long an idle one stays. */
#define RI_OFFLOAD_THREADS_DEFAULT 16u
#define RI_OFFLOAD_THREADS_MAX 4096u
#define RI_OFFLOAD_IDLE_NS ((int64_t)10000000000)

/* A name of a host with its end: RFC 1035 has 255 bytes, two of which are not
 * seen in text. */
#define RI_HOST_BYTES 254

struct ri_helper;

/* In the frame of who waits. */
struct ri_call {
	struct rota_mail mail;    /* tells its loop that it is done */
	struct ri_wait wait;      /* of its task */
	struct rota_node link;    /* in the queue, until a helper has it */
	struct rota_task *task;   /* who waits */
	struct ri_loop *loop;     /* its loop */
	struct ri_helper *helper; /* who took it; NULL: it is in the queue */
	uint64_t ticket;          /* its turn */
	int result;               /* what the task is told */
	/* On the helper's thread. */
	void (*run)(struct ri_helper *helper);
	/* Gives the helper a copy of all that it needs, under the mutex: until
	 * the helper claims the call the task may leave. NULL: it may not. */
	void (*hand_over)(struct ri_call *call, struct ri_helper *helper);
};

/* In the frame of a helper's thread. */
struct ri_helper {
	struct ri_offload *pool; /* whose it is */
	struct rota_node link;   /* among the helpers */
	struct ri_call *call;    /* what it does; NULL: nothing, or nobody waits
				    for it any more */
	struct ri_loop *loop;    /* that it may be sending mail to, or NULL */
	void (*run)(struct ri_helper *helper); /* the call's */
	bool looks;                            /* it looks up a name */
	bool left;                             /* ... for nobody */
	struct ri_lookup lookup;               /* which one */
	char host[RI_HOST_BYTES];              /* ... what it is called */
};

struct ri_offload_options {
	const struct ri_kernel *kernel; /* how it asks Linux */
	struct ri_log log;              /* who hears what it cannot return */
	const struct ri_cpus *cpus; /* that its threads may use; NULL, or none:
				       those of who starts them */
	unsigned threads_max;       /* 0: the default */
	void (*on_abort)(void *context, const char *line); /* or NULL */
	void *context; /* the first argument of on_abort */
};

struct ri_offload {
	struct ri_offload_options options; /* as they were given */
	int64_t idle_ns;        /* how long a helper waits before it ends */
	unsigned lookups_max;   /* names that are looked up at a time */
	pthread_mutex_t mutex;  /* of all that follows */
	pthread_cond_t work;    /* there is a call, or the end */
	pthread_cond_t quiet;   /* a helper is done, for who asked to be told */
	struct rota_node calls; /* in the queue: that stay to the end */
	struct rota_node lookups; /* in the queue: that may be left */
	unsigned calls_queued;    /* how many */
	unsigned lookups_queued;  /* how many */
	uint64_t next_ticket;     /* of the next call */
	struct rota_node helpers; /* those that have begun */
	unsigned threads;         /* started and not ended */
	unsigned idle;            /* that wait for `work` */
	unsigned looking;         /* that look up names */
	unsigned left;            /* ... which nobody waits for any more */
	unsigned watchers;        /* who wait for `quiet` */
	bool stopping;            /* no call comes any more */
	bool refused;             /* no thread could be started; that is told */
	bool ended;               /* a helper has, and nobody has joined it: */
	struct ri_thread last;    /* this one */
};

void ri_offload_init(struct ri_offload *pool,
		     const struct ri_offload_options *options);

/* On the loop's thread, once its last task has ended: waits (not long) until no
 * helper touches the loop. */
void ri_offload_leave(struct ri_offload *pool, const struct ri_loop *loop);

/* Every loop has left: waits for look-ups that go on, telling which, and joins
 * the helpers. */
void ri_offload_fini(struct ri_offload *pool);

/* Runs a call of which `run`, `hand_over` and `wait.what` are filled in. What
 * it came to, the task's code, or an error. Suspends. */
int ri_offload_await(struct ri_call *call, const char *verb);

/* What a helper's thread runs; its argument is the pool. */
void *ri_helper_main(void *argument);

/* The helper, in `run` of a call whose task may leave: takes the call. From
 * here on the task stays. NULL: it has left. */
struct ri_call *ri_helper_claim(struct ri_helper *helper);

/* The helper, last in `run`: tells the task, to which the call belongs then. */
void ri_helper_answer(struct ri_call *call, int result);

/* The helper: aborts if it is in a child of a fork(2) by what it ran. */
void ri_helper_check_not_forked(void);

#endif
