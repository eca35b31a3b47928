/* SPDX-License-Identifier: MIT */
/*
 * An engine: its loops, each of them a worker with a thread of its own, or, for
 * loop 0 of rota_run, the caller's.
 *
 *	starting   each worker sets itself up on its thread, which the kernel
 *	           wants (SINGLE_ISSUER), and says how that went; the last one
 *	           lets all go on, or, if one failed, undo what they did
 *	running
 *	ending     no worker unmaps anything before all have left their loops:
 *	           others' parcels may be on their way home
 */
#ifndef RI_CORES_ENGINE_H
#define RI_CORES_ENGINE_H

#include "cores/cpus.h"
#include "cores/offload.h"
#include "rota/engine.h"
#include "task/peers.h"

#include <signal.h>

/* One loop. */
struct ri_worker {
	struct ri_tasks tasks;       /* the loop and all that runs on it */
	struct rota_engine *engine;  /* whose it is */
	struct ri_overflow overflow; /* names tasks whose stack overflows */
	struct ri_thread thread;     /* what runs it, if it has its own */
	struct ri_cpus cpus;         /* the thread's processors before */
	sigset_t signals;            /* ... and its mask of signals */
	struct rota_mail quit;       /* ends the loop, once it is empty */
	struct rota_mail drain; /* ... makes its tasks end, within the grace */
	struct rota_mail tell;  /* ... names those that are left */
	int64_t grace_ns;       /* for `drain` */
	bool drain_away;        /* that mail is under way; atomic */
	bool tell_away;         /* ... and that; atomic */
	bool pinned;            /* it stays on one processor */
};

/* A place that every worker passes once, when all have come to it; the end,
 * also who told them to quit. */
struct ri_barrier {
	unsigned wanted; /* how many are to come */
	unsigned count;  /* how many have come */
	int error;       /* the first that one brought, or 0 */
};

/* How many jobs an engine may have by default. */
#define RI_JOBS_MAX_DEFAULT 65536u
/* Beside their count: no more are taken. */
#define RI_JOBS_CLOSED (1u << 31)

/* Whose threads its loops have. */
enum ri_engine_kind {
	RI_ENGINE_RUN,     /* rota_run's, for loop 0 */
	RI_ENGINE_STARTED, /* their own */
	RI_ENGINE_GUEST,   /* its one loop: that of who steps it */
};

struct rota_engine {
	struct rota_config config;
	const struct ri_kernel *kernel; /* Linux, or what a test has made */
	struct ri_kernel own; /* the same, with memory of the user's */
	struct ri_log log;
	unsigned masked;           /* features to leave out */
	size_t bytes;              /* of this, with its workers */
	struct ri_peers peers;     /* the loops, as they know each other */
	struct ri_offload offload; /* threads for calls that block */
	struct ri_cpus cpus;       /* what the process may use */
	unsigned first_cpu;        /* where loop 0 is pinned */
	bool pinned;               /* the threads stay on one processor each */
	bool open;                 /* loops may get mail at any time */
	enum ri_engine_kind kind;
	pthread_t owner;               /* of a guest: the thread that made it */
	unsigned forks;                /* ri_loop_forks when it was made */
	struct rota_engine *abandoned; /* the one given up before it */
	pthread_mutex_t starting;      /* held while a worker sets itself up */
	int refused;                   /* why one could not; then none tries */
	pthread_mutex_t mutex;         /* of the barriers */
	pthread_cond_t moved;          /* one of them was passed */
	struct ri_barrier started, ended;
	struct ri_worker *workers; /* by number */
	/* How many jobs there are, and RI_JOBS_CLOSED; atomic, a futex. One
	 * word, so that whoever takes the last one off it knows. */
	alignas(64) uint32_t jobs;
	uint32_t answers; /* mail `tell` that was answered; atomic, a futex */
};

/* rota_run over another kernel than Linux: for tests. */
int ri_engine_run(const struct rota_config *config,
		  const struct ri_kernel *kernel, int (*fn)(void *), void *arg);

/* Makes an engine, of which nothing runs; `config` is complete. `open`: its
 * loops may get mail at any time. 0 or -errno, with a line in the log. */
int ri_engine_create(struct rota_engine **out, const struct rota_config *config,
		     const struct ri_kernel *kernel, bool open);

/* No thread of it is left. */
void ri_engine_destroy(struct rota_engine *engine);

/* Starts the threads of the workers from number `first` on. Afterwards each of
 * them, and whoever runs the others, comes to ri_worker_start. -errno, after
 * all that had started has been undone. */
int ri_engine_spawn(struct rota_engine *engine, unsigned first);

/* Waits for those threads to end. */
void ri_engine_join(struct rota_engine *engine, unsigned first);

/* Waits until every worker has come here. Returns the first error that one
 * brought, or 0. */
int ri_barrier_pass(struct rota_engine *engine, struct ri_barrier *barrier,
		    int error);

/* Sets the loop of a worker up, on this thread, and waits until all have done
 * so. 0, or why one could not: then this one is undone. */
int ri_worker_start(struct ri_worker *worker);

/* The thread becomes the loop's, as far as hooks and signals go, and is its own
 * again. Between ri_worker_start and _stop it is the loop's; a guest's is not
 * between its steps. */
void ri_worker_enter(struct ri_worker *worker);
void ri_worker_leave(struct ri_worker *worker);

/* Waits until all have left their loops, and gives everything back. */
void ri_worker_stop(struct ri_worker *worker);

/* Ends the loops from number `first` on, once they are empty. */
void ri_engine_quit(struct rota_engine *engine, unsigned first);

/* The same for one of them. Any thread. */
void ri_worker_quit(struct ri_worker *worker);

/* rota_engine_start over another kernel than Linux: for tests. */
int ri_engine_start(struct rota_engine **out, const struct rota_config *config,
		    const struct ri_kernel *kernel);

/* rota_engine_create over another kernel than Linux: for tests. */
int ri_guest_create(struct rota_engine **out, const struct rota_config *config,
		    const struct ri_kernel *kernel);

/* The guest of this thread; NULL: it has none. */
extern _Thread_local const struct rota_engine *ri_guest_here;

/* A guest is given up. */
void ri_guest_abandon(const struct rota_engine *engine);

/* Any thread: counts one more job. 0, -EAGAIN, -ESHUTDOWN. */
int ri_jobs_begin(struct rota_engine *engine);

/* On a loop of it: one has ended. */
void ri_jobs_end(struct rota_engine *engine);

/* No more jobs are taken from here on. Returns how many there are. */
unsigned ri_jobs_close(struct rota_engine *engine);

/* Any thread: has each loop drain what it runs for others, with this grace,
 * from when it hears of it. */
void ri_engine_drain(struct rota_engine *engine, int64_t grace_ns);

/* Is it of the process that this one was forked from? */
static inline bool ri_engine_forked(const struct rota_engine *engine)
{
	return engine->forks != ri_loop_forks;
}

/* Does this thread step an engine now and then? */
static inline bool ri_guest_is_here(void)
{
	return ri_guest_here && !ri_engine_forked(ri_guest_here);
}

static inline struct ri_worker *ri_worker_of(struct ri_tasks *tasks)
{
	return ri_container(tasks, struct ri_worker, tasks);
}

#endif
