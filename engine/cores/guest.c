/* SPDX-License-Identifier: MIT */
/*
 * Guests: a loop inside of another loop of its thread.
 *
 * Between steps the thread is not the loop's: it has its own signals, verbs
 * find no task, and the loop sleeps, as far as mail goes. What is one for each
 * thread (the alternate stack, who watches for overflows) stays the guest's
 * from its making to its end, so a thread has one at most.
 *
 * The ring's own descriptor is no use to poll: with DEFER_TASKRUN completions
 * wait for an enter, and who sleeps in a poll is not woken for them. The
 * eventfd is written to before that. What a step owes to it is in loop/loop.c.
 */
#include "rota/guest.h"

#include "cores/engine.h"
#include "ring/linux.h"
#include "rota/clock.h"
#include "task/operation.h"

#include <errno.h>

/* The turns of a step: bounds it to 8 * RI_TURN_SWITCHES switches, 20 us or so
 * besides what the tasks do. */
#define STEP_TURNS 8

_Thread_local const struct rota_engine *ri_guest_here;

static int refuse(const struct rota_config *config)
{
	const struct ri_log log = { config->log, config->context };

	if (config->loops > 1) {
		ri_log(&log, "config.loops is %u: a guest has one",
		       config->loops);
		return -EINVAL;
	}
	if (ri_loop_here || ri_guest_is_here()) {
		ri_log(&log, "this thread runs an engine already");
		return -EBUSY;
	}
	return 0;
}

int ri_guest_create(struct rota_engine **out, const struct rota_config *config,
		    const struct ri_kernel *kernel)
{
	static const struct rota_config defaults;
	struct rota_engine *engine;
	int error;

	if (!config)
		config = &defaults;
	error = refuse(config);
	if (!error)
		error = ri_engine_create(&engine, config, kernel, true);
	if (error)
		return error;
	engine->kind = RI_ENGINE_GUEST;
	engine->owner = pthread_self();
	error = ri_worker_start(&engine->workers[0]);
	if (error) {
		ri_engine_destroy(engine);
		return error;
	}
	ri_tasks_open(&engine->workers[0].tasks);
	/* From here on it is woken. */
	ri_loop_step(&engine->workers[0].tasks.loop, 1);
	ri_worker_leave(&engine->workers[0]);
	ri_loop_here = NULL;
	ri_guest_here = engine;
	*out = engine;
	return 0;
}

int rota_engine_create(struct rota_engine **out,
		       const struct rota_config *config)
{
	return ri_guest_create(out, config, &ri_kernel_linux);
}

static struct ri_tasks *guest_of(const struct rota_engine *engine,
				 const char *function)
{
	ri_check(engine->kind == RI_ENGINE_GUEST,
		 "%s of an engine that rota_engine_create has not made",
		 function);
	ri_check(pthread_equal(engine->owner, pthread_self()),
		 "%s on another thread than the one that made the engine",
		 function);
	return &engine->workers[0].tasks;
}

static void enter(struct rota_engine *engine)
{
	ri_worker_enter(&engine->workers[0]);
	ri_loop_here = &engine->workers[0].tasks.loop;
}

static void leave(struct rota_engine *engine)
{
	ri_loop_here = NULL;
	ri_worker_leave(&engine->workers[0]);
}

static bool has_jobs(const struct rota_engine *engine)
{
	return __atomic_load_n(&engine->jobs, __ATOMIC_ACQUIRE) &
	       ~RI_JOBS_CLOSED;
}

int rota_engine_fd(const struct rota_engine *engine)
{
	return guest_of(engine, __func__)->loop.event_fd;
}

int64_t rota_engine_deadline_ns(const struct rota_engine *engine)
{
	return ri_loop_step_ns(&guest_of(engine, __func__)->loop);
}

int rota_engine_step(struct rota_engine *engine)
{
	struct ri_tasks *tasks = guest_of(engine, __func__);

	if (ri_engine_forked(engine))
		return -EOWNERDEAD;
	ri_check(!ri_loop_here, "%s inside of a step", __func__);
	enter(engine);
	ri_loop_step(&tasks->loop, STEP_TURNS);
	leave(engine);
	return has_jobs(engine);
}

int rota_engine_drain(struct rota_engine *engine, int64_t grace_ns)
{
	guest_of(engine, __func__);
	if (ri_engine_forked(engine))
		return -EOWNERDEAD;
	ri_jobs_close(engine);
	ri_engine_drain(engine, grace_ns);
	return 0;
}

int rota_engine_destroy(struct rota_engine *engine)
{
	struct ri_tasks *tasks = guest_of(engine, __func__);
	uint32_t jobs = __atomic_load_n(&engine->jobs, __ATOMIC_ACQUIRE);

	if (ri_engine_forked(engine))
		return -EOWNERDEAD;
	ri_check(!ri_loop_here, "%s inside of a step", __func__);
	/* Those who come now are refused, or come first. */
	do {
		if (jobs & ~RI_JOBS_CLOSED)
			return -EBUSY;
	} while (!__atomic_compare_exchange_n(
		&engine->jobs, &jobs, RI_JOBS_CLOSED, true, __ATOMIC_ACQUIRE,
		__ATOMIC_ACQUIRE));
	enter(engine);
	/* The mail of a drain may still be there. */
	ri_loop_step(&tasks->loop, STEP_TURNS);
	ri_mailbox_rouse(&tasks->loop.mailbox);
	ri_operations_fini(tasks);
	ri_worker_stop(&engine->workers[0]);
	ri_engine_destroy(engine);
	ri_guest_here = NULL;
	return 0;
}

void ri_guest_abandon(const struct rota_engine *engine)
{
	/* Of a parent's engine the child has the memory alone. */
	if (!ri_engine_forked(engine))
		guest_of(engine, "rota_engine_abandon");
	if (ri_guest_here == engine)
		ri_guest_here = NULL;
}
