/* SPDX-License-Identifier: MIT */
/*
 * An engine as a guest: one loop, on the caller's own thread, that never waits
 * by itself but is stepped by a loop that the program has already: poll(2),
 * epoll(7), GLib, libuv.
 *
 *	error = rota_engine_create(&engine, NULL);
 *	(watch rota_engine_fd(engine) for reading)
 *	error = rota_submit(&job, fetch, url);
 *
 *	do {
 *		(wait until the descriptor is readable, or until
 *		 rota_engine_deadline_ns(engine))
 *	} while (rota_engine_step(engine) > 0);
 *	error = rota_engine_destroy(engine);
 *
 * Its tasks are jobs (job.h), from this thread or others, and what comes of
 * them. All of this is for the thread that created it, between steps; any other
 * aborts.
 */
#ifndef ROTA_GUEST_H
#define ROTA_GUEST_H

#include "rota/engine.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Makes one: 0 and *out, or as rota_run does (-EINVAL: it asks for more than
 * one loop; -EBUSY: this thread runs an engine, or has a guest already). What
 * each field of the config means is the same; a guest is pinned with
 * ROTA_PIN_ALWAYS only. */
int rota_engine_create(struct rota_engine **out,
		       const struct rota_config *config)
	__attribute__((warn_unused_result));

/* A descriptor that is readable when there is something to do, until the next
 * step; to be polled for that (level-triggered), and for nothing else. The same
 * one each time. */
int rota_engine_fd(const struct rota_engine *engine);

/* The point in time (rota_now_ns) at which it wants to be stepped at the
 * latest, although its descriptor is not readable; ROTA_NEVER: there is none.
 * To be asked after each step and each rota_engine_drain, just before
 * waiting. */
int64_t rota_engine_deadline_ns(const struct rota_engine *engine);

/* Runs what can run, submits, fetches what has completed. Never blocks, and
 * does no more than some hundred switches between tasks: if there is more, the
 * descriptor stays readable. When nothing was to do it costs a few system
 * calls. 1: there are jobs left; 0: there are none now. -EOWNERDEAD in a child
 * of fork(2). A task or callback must not step (it aborts).
 *
 * Meanwhile signals are blocked, as on all loops; and rota_job_wait would block
 * for ever, so it returns -EDEADLK on this thread unless the job has ended. */
int rota_engine_step(struct rota_engine *engine)
	__attribute__((warn_unused_result));

/* No more jobs are taken; those that there are drain, as rota_group_drain has
 * it: it goes on being stepped, until that returns 0. For this thread, tasks of
 * the engine too. Again: can only shorten the grace. -EOWNERDEAD in a child of
 * fork(2). */
int rota_engine_drain(struct rota_engine *engine, int64_t grace_ns);

/* Frees it. -EBUSY, and nothing happens, while there are jobs: drain them, or
 * give it up (rota_engine_abandon). -EOWNERDEAD in a child of fork(2). */
int rota_engine_destroy(struct rota_engine *engine)
	__attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
