/* SPDX-License-Identifier: MIT */
/*
 * Jobs: work that foreign threads submit to an engine, and wait for.
 *
 *	struct rota_job job = { .engine = engine };
 *
 *	error = rota_submit(&job, fetch, url);     (a copy, as rota_go's)
 *	...
 *	result = rota_job_wait(&job);              (blocks this thread)
 *
 * A job is a task of its loop's own group, or of a group that a task has named
 * for it (where it waits for a slot, if that is at its limit). The structure is
 * the caller's, and the engine's until the wait has returned: that is how
 * nobody forgets one.
 */
#ifndef ROTA_JOB_H
#define ROTA_JOB_H

#include "rota/engine.h"
#include "rota/group.h"
#include "rota/loop.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* A group by name, for those who cannot know whether it is still open. */
typedef uint64_t rota_group_id;

/* One job. Zero, but for the engine, before it is submitted. */
struct rota_job {
	struct rota_engine *engine; /* where it runs */
	rota_group_id group;        /* 0: the engine's own; else one that has a
	                               name, and it runs on that one's loop */
	unsigned loop;              /* on which loop, or ROTA_LOOP_LEAST; of no
	                               account with a group */
	/* All below is private. */
	uint32_t state;                 /* how far it is, as bits; a futex */
	struct rota_mail mail;          /* to the loop */
	struct rota_mail cancel;        /* the same, to cancel it */
	struct ri_loop *place;          /* the loop */
	rota_task_fn *fn;               /* what it runs */
	const struct rota_site *site;   /* where it was submitted */
	struct rota_scope *scope;       /* what a cancel ends, while it runs */
	struct rota_cancellation cause; /* why it is cancelled */
	int result;     /* what fn returned, or why it did not run */
	unsigned forks; /* in which process it was submitted */
#ifdef __cplusplus
	alignas(16)
#else
	_Alignas(16)
#endif
		unsigned char value[ROTA_VALUE_BYTES]; /* a copy, for fn */
};

/* Submits fn(value) to the job's engine. 0: accepted, it will run, or the wait
 * tells why it could not. Otherwise nothing has happened:
 *
 *	-EAGAIN      the bound is reached: rota_config.jobs_max
 *	-EINVAL      there is no such loop
 *	-ESHUTDOWN   the engine stops, or the first task of rota_run has ended
 *	-EOWNERDEAD  in a child of fork(2)
 *
 * What it inherits (task.h) is NULL. The structure is new, so zero but for what
 * is filled in, or was waited for (one that is under way aborts). Never blocks.
 * Any thread, tasks too. The engine must live until then. */
int rota_job_submit(struct rota_job *job, rota_task_fn *fn, const void *value,
		    const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_submit(job, fn, ...) \
	ROTA_SPAWN_(rota_job_submit, job, fn, __VA_ARGS__)

/* Waits until a job that was accepted has ended; afterwards its structure can
 * be used again. Returns what fn returned, or why it was not run: -ESRCH, its
 * group is closed; -ESHUTDOWN, it drains; the group's code, if that is
 * cancelled; -EAGAIN or -ENOMEM from the bounds of its loop; -ECANCELED, the
 * job was cancelled while it waited for a slot of a group at its limit.
 *
 * Blocks the thread, so not for tasks of an engine: unless it has ended,
 * -EDEADLK on a loop's thread, whichever engine's, also on one that steps an
 * engine (guest.h). -EOWNERDEAD in a child of fork(2). A job that was not
 * accepted aborts. */
int rota_job_wait(struct rota_job *job) __attribute__((warn_unused_result));

/* Has it ended? Then rota_job_wait does not block. Never blocks. Any thread. */
bool rota_job_ended(const struct rota_job *job);

/* Cancels a job: the verbs in it return -ECANCELED. A second call does nothing,
 * nor does one for a job that has ended. Never blocks. For the thread that
 * waits for it, before it does, or another one while that is sure to wait. */
void rota_job_cancel(struct rota_job *job, struct rota_cancellation cause);

/* Names an open group for foreign threads, until rota_group_wait closes it. The
 * same name each time. 0 if too many have one (65,536 a loop), or there is no
 * memory for the first. Never suspends. For the tasks of its loop. */
rota_group_id rota_group_share(struct rota_group *group);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
