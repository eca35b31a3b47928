/* SPDX-License-Identifier: MIT */
/*
 * The record of a task, and what the task floor keeps for one loop.
 *
 * A record is three cache lines in a slab that is never given back while the
 * loop lives: so its address, with a generation, can name an operation to the
 * kernel, and a late completion never meets freed memory. Spawning and running
 * a task with a small value touches the first two lines only.
 *
 * What a wait needs beyond `wait` lives in the frame that waits (task/park.h).
 *
 * A task is
 *
 *	free -> ready (unstarted) -> running <-> ready
 *	                             running <-> parked (wait != NULL)
 *	                             running  -> free
 */
#ifndef RI_TASK_TASK_H
#define RI_TASK_TASK_H

#include "base/check.h"
#include "base/list.h"
#include "loop/loop.h"
#include "rota/group.h"
#include "rota/scope.h"
#include "task/shot.h"

#include <assert.h>
#include <stdalign.h>

struct ri_offload;
struct ri_wait;

enum ri_task_flag {
	RI_TASK_ALIVE = 1,       /* accepted and not ended */
	RI_TASK_IN_FLIGHT = 2,   /* its operation is the kernel's */
	RI_TASK_RELEASE = 4,     /* ... and is not to be cancelled */
	RI_TASK_INTERRUPTED = 8, /* ... a cancel of it was asked for */
	RI_TASK_CLOSED = 12,     /* (both) ... its descriptor is closed */
	RI_TASK_BACKGROUND = 16, /* its group does not wait for it */
	RI_TASK_QUEUED = 32,     /* the record is among those to cancel */
	RI_TASK_RETRIED = 64,    /* ... or among those to cancel again */
	RI_TASK_NAMED = 128,     /* `name` was given */
};

/* These stay when an operation begins. */
#define RI_TASK_KEPT \
	(RI_TASK_ALIVE | RI_TASK_BACKGROUND | RI_TASK_NAMED | RI_TASK_LISTED)

/* These stay when a task ends: its record is on a list until that is walked. */
#define RI_TASK_LISTED (RI_TASK_QUEUED | RI_TASK_RETRIED)

struct rota_task {
	/* First line: what a switch, a completion and a cancel touch. */
	alignas(64) struct ri_fiber fiber; /* with flags, generation and id */
	struct rota_scope *scope;          /* the innermost one it is in */
	struct ri_wait *wait; /* what it is parked on; NULL: nothing */
	uintptr_t stack_low;  /* lowest address of its stack */
	int result;           /* of its wait, written by who wakes it */
	int fd;               /* what its operation is about, or < 0 */
	/* Second line: what a spawn adds. */
	struct rota_group *group; /* whose member it is */
	struct rota_node member;  /* among the members of its group */
	union {
		rota_task_fn *fn; /* until it starts: what it runs */
		const char *name; /* then: given by rota_task_set_name */
	};
	const struct rota_site *site; /* where it was spawned */
	void *inherited;              /* from who spawned it, for its own */
	alignas(16) unsigned char value[ROTA_VALUE_BYTES]; /* fn's argument */
	/* Third line, with most of the value. */
	struct rota_chain sharing;  /* with operations of the same bucket */
	struct ri_fifo_node cancel; /* its place among those to cancel */
	const struct rota_site *scope_site; /* where `scope` was opened, if it
					       was the task: known also when
					       its frame is gone */
};

#if !RI_SANITIZED
static_assert(sizeof(struct rota_task) == 192, "three cache lines");
#endif

/* How many members a turn tells of a cancel, and how many operations it asks
 * to end. Those go on in the next turn: with more than it can run they would
 * pile up and fall out of the caches (a quarter slower). */
#define RI_CANCEL_SLICE ((unsigned)RI_TURN_SWITCHES)

/* One bucket for each low part of a descriptor's number. */
#define RI_DESCRIPTOR_BUCKETS 65536u

/* After so many in a row it is not tried again on that descriptor. */
#define RI_COPIED_MAX 4

struct ri_parcel;
struct ri_peers;
struct ri_remote;
struct ri_share;

/* Parcels of this loop (task/parcel.h), and others' on their way home. */
struct ri_parcels {
	struct ri_parcel *slab;            /* all of them, used or not */
	struct rota_mail *free;            /* pile of those that were used */
	unsigned made;                     /* parcels of the slab used so far */
	struct rota_mail *newest, *oldest; /* a chain for one home; or NULL */
	struct ri_tasks *home;             /* whose */
	alignas(64) struct ri_mailbox returned; /* other loops put them here */
};

/* Blocks of proxies (task/remote.h). */
struct ri_remotes {
	char *slab;             /* all of them, used or not */
	struct ri_remote *free; /* pile of those that were used */
	unsigned made;          /* blocks of the slab used so far */
};

/* Names of groups (task/share.h). */
struct ri_shares {
	struct ri_share *slab; /* all of them, used or not; NULL: none was */
	unsigned made;         /* names of the slab used so far */
	uint32_t free; /* the number, from 1 on, of one that was; 0: none */
};

struct ri_tasks {
	struct ri_loop loop;       /* first: the loop is this, seen below */
	struct rota_task *slab;    /* all records, used or not */
	struct ri_fifo_node *free; /* pile of records that were used */
	unsigned made;             /* records of the slab used so far */
	unsigned max;              /* the bound */
	size_t slab_bytes;         /* of all records */
	struct rota_timer *timers; /* one for each record, behind them */
	uint64_t next_id;        /* the id of the next task; it is cut there */
	unsigned parked;         /* tasks in a wait, for counters */
	unsigned blocked;        /* ... for a slot of a group */
	unsigned searches;       /* for circles of them, so far */
	uint8_t stack_class;     /* the default size of stacks */
	struct rota_node sweeps; /* ended scopes of which somebody has still
				      to be told */
	struct ri_fifo cancels;  /* operations whose cancel is to write */
	struct ri_fifo retries;  /* those whose cancel missed */
	unsigned missed;         /* how many of those are in flight */
	struct rota_timer retry; /* when they are tried again */
	struct rota_chain **descriptors; /* operations, by descriptor */
	uint8_t *copied; /* by descriptor: sends in a row that were to be
			    without a copy, and were not */
	struct rota_node signals; /* sets of them that are open */
	struct rota_node starved; /* tasks that wait for a descriptor */
	int64_t starved_told_ns;  /* when that was last told */
	struct ri_shots shots;    /* the operations of streams */
	struct rota_group root;   /* the group of the first task, and of jobs */
	struct ri_peers *peers;   /* the loops of the engine, this one too */
	struct ri_offload *offload; /* the engine's threads that may block */
	struct ri_fifo waiting; /* parcels that found no room, by their mail */
	struct rota_timer room; /* when they are tried again */
	uint64_t dice;          /* what is left to chance: xorshift */
	unsigned at_once; /* what tasks did without a wait, so far, of what they
			     mostly wait for (sync/waiter.h) */
	uint64_t arrived; /* tasks that came from other loops, so far */
	struct ri_shares shares;   /* names of its groups */
	struct ri_remotes remotes; /* proxies of its groups, on other loops */
	struct ri_parcels parcels; /* for tasks that it sends to them */
};

/* This thread's, which must be a loop's. */
static inline struct ri_tasks *ri_tasks_here(void)
{
	return (struct ri_tasks *)(void *)ri_loop_here;
}

static inline struct ri_tasks *ri_tasks_of(struct ri_loop *loop)
{
	return (struct ri_tasks *)(void *)loop;
}

static inline struct rota_task *ri_task_of(struct ri_fiber *fiber)
{
	return (struct rota_task *)(void *)fiber;
}

/* Aborts, naming the function that is for tasks only. */
__attribute__((cold, noreturn)) void ri_task_missing(const char *function);

/* The task that runs. Aborts outside of one. */
static inline struct rota_task *ri_task_self(const char *function)
{
	struct ri_loop *loop = ri_loop_here;

	if (__builtin_expect(!loop || !ri_loop_in_fiber(loop), 0))
		ri_task_missing(function);
	return ri_task_of(loop->current);
}

/* This thread's, for what tasks and callbacks may call. Aborts elsewhere. */
struct ri_tasks *ri_tasks_caller(const char *function);

/* True once in so many times, by chance; always for 1. */
static inline bool ri_tasks_chance(struct ri_tasks *tasks, unsigned times)
{
	if (times == 1)
		return true;
	tasks->dice ^= tasks->dice << 13;
	tasks->dice ^= tasks->dice >> 7;
	tasks->dice ^= tasks->dice << 17;
	return (uint32_t)(tasks->dice >> 32) < UINT32_MAX / times;
}

/* Is this a record of this loop? */
static inline bool ri_tasks_have(const struct ri_tasks *tasks,
				 const struct rota_task *task)
{
	return (uintptr_t)task - (uintptr_t)tasks->slab < tasks->slab_bytes;
}

/* What ends the sleep of a task. Not in the frame that sleeps: a timer moves
 * from slot to slot while time passes, and would bring a stack into the caches
 * and the TLB each time. Beside the others it is half a line. */
static inline struct rota_timer *ri_task_timer(const struct ri_tasks *tasks,
					       const struct rota_task *task)
{
	return &tasks->timers[task - tasks->slab];
}

/* What it is called in dumps. */
const char *ri_task_name(const struct rota_task *task);

struct ri_tasks_options {
	const struct ri_kernel *kernel;
	struct ri_log log;
	struct ri_ring_options ring;
	size_t stack_bytes; /* usable; 0: the default */
	unsigned tasks_max; /* 0: the default */
	unsigned shots_max; /* 0: the default */
	struct ri_buffers_options buffers;
	struct ri_peers *peers;     /* the loops of the engine */
	struct ri_offload *offload; /* its threads that may block */
	unsigned index;             /* which one this is */
	uint64_t seed;              /* of its dice; 0: by the clock */
	bool open;                  /* others may send it mail at any time */
	bool stepped;               /* it runs inside of another loop */
};

#define RI_TASKS_MAX_DEFAULT 1048576u

/* Sets up a loop that runs tasks, on this thread. 0, or -errno with a line in
 * the log. */
int ri_tasks_init(struct ri_tasks *tasks,
		  const struct ri_tasks_options *options);

/* From here on it may be sent work: opens the group of that. */
void ri_tasks_open(struct ri_tasks *tasks);

/* The same, and runs what others send, until `loop.kept` is false and no task
 * is left. */
void ri_tasks_serve(struct ri_tasks *tasks);

/* Runs fn(arg) as the first task, and every task that comes of it. Returns
 * what fn returned, or why it could not be spawned. */
int ri_tasks_run(struct ri_tasks *tasks, rota_task_fn *fn, void *arg);

/* Every task must have ended. */
void ri_tasks_fini(struct ri_tasks *tasks);

/* One line about a task, for people. Its length; 0: the record is not in use.
 * Reads only, and allocates nothing: for signal handlers too. */
#define RI_TASK_LINE_BYTES 512
size_t ri_task_describe(const struct ri_tasks *tasks,
			const struct rota_task *task,
			char line[RI_TASK_LINE_BYTES]);

/* Makes a member of a group and readies it: the slot is taken already. 0, or
 * -EAGAIN, -ENOMEM. */
int ri_task_accept(struct ri_tasks *tasks, struct rota_group *group,
		   rota_task_fn *fn, const void *value,
		   const struct rota_site *site, void *inherited);

#endif
