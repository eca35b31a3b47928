/* SPDX-License-Identifier: MIT */
/*
 * One worker: its loop, from set-up to the last check, on the thread that runs
 * it. Each step that fails undoes those before it, in reverse.
 */
#include "cores/engine.h"
#include "cores/signals.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* For the fault handler: about the task that runs. */
static size_t describe_overflow(void *context, char *text, size_t bytes)
{
	const struct ri_tasks *tasks = context;
	const struct rota_task *task = ri_task_of(tasks->loop.current);
	const unsigned class = task->fiber.stack_class;
	int length;

	if (!ri_loop_in_fiber(&tasks->loop))
		return 0;
	length =
		snprintf(text, bytes,
			 "rota: stack overflow: task %s (spawned at %s:%d) "
			 "has used its %zu bytes; rota_group_options."
			 "stack_bytes gives it more\n",
			 ri_task_name(task), task->site->file, task->site->line,
			 tasks->loop.stacks.classes[class].usable_bytes);
	return (size_t)length < bytes ? (size_t)length : bytes - 1;
}

static int watch_overflow(struct ri_worker *worker)
{
	const struct rota_engine *engine = worker->engine;
	int error;

	if (engine->config.no_overflow_report)
		return 0;
	worker->overflow.stacks = &worker->tasks.loop.stacks;
	worker->overflow.describe = describe_overflow;
	worker->overflow.context = &worker->tasks;
	error = ri_overflow_watch(&worker->overflow, engine->kernel);
	if (error)
		ri_log(&engine->log,
		       "no memory for the alternate signal stack: %s",
		       strerror(-error));
	return error;
}

static int init_tasks(struct ri_worker *worker, unsigned index)
{
	struct rota_engine *engine = worker->engine;
	const struct rota_config *config = &engine->config;
	const struct ri_tasks_options options = {
		.kernel = engine->kernel,
		.log = engine->log,
		.ring = { .entries = config->entries,
			  .completions = config->completions,
			  .workers = config->workers,
			  .masked = engine->masked },
		.stack_bytes = config->stack_bytes,
		.tasks_max = config->tasks_max,
		.shots_max = config->streams_max,
		.buffers = { .count = config->stream_buffers,
			     .bytes = config->stream_buffer_bytes },
		.peers = &engine->peers,
		.offload = &engine->offload,
		.index = index,
		.seed = config->seed,
		.open = engine->open,
		.stepped = engine->kind == RI_ENGINE_GUEST,
	};

	return ri_tasks_init(&worker->tasks, &options);
}

/* Pinning is a wish: where it is refused the loop runs all the same. */
static void pin(struct ri_worker *worker, unsigned index)
{
	const struct rota_engine *engine = worker->engine;

	worker->pinned = engine->pinned &&
			 ri_cpus_get(&worker->cpus, engine->kernel) == 0 &&
			 ri_cpus_pin(&engine->cpus, engine->kernel,
				     engine->first_cpu + index) == 0;
}

static void unpin(struct ri_worker *worker)
{
	if (worker->pinned)
		ri_cpus_set(&worker->cpus, worker->engine->kernel);
}

static int start(struct ri_worker *worker, unsigned index)
{
	int error;

	pin(worker, index);
	error = init_tasks(worker, index);
	if (!error && (error = watch_overflow(worker)))
		ri_tasks_fini(&worker->tasks);
	if (error)
		unpin(worker);
	return error;
}

static void stop(struct ri_worker *worker)
{
	const struct rota_engine *engine = worker->engine;

	if (!engine->config.no_overflow_report)
		ri_overflow_unwatch(&worker->overflow, engine->kernel);
	ri_tasks_fini(&worker->tasks);
	unpin(worker);
}

void ri_worker_enter(struct ri_worker *worker)
{
	const struct rota_engine *engine = worker->engine;

	ri_abort_hook_set(engine->config.on_abort, engine->config.context);
	/* All of them, where it is not for long and to be cheap. */
	if (engine->kind == RI_ENGINE_GUEST)
		ri_signals_block_all(&worker->signals);
	else
		ri_signals_block(&worker->signals);
}

void ri_worker_leave(struct ri_worker *worker)
{
	ri_signals_restore(&worker->signals);
	ri_abort_hook_set(NULL, NULL);
}

/* One after the other, so that what stands in the way of all is told once. */
static int start_in_turn(struct ri_worker *worker)
{
	struct rota_engine *engine = worker->engine;
	const unsigned index = (unsigned)(worker - engine->workers);
	int error;

	pthread_mutex_lock(&engine->starting);
	error = engine->refused;
	if (!error) {
		error = engine->refused = start(worker, index);
		if (error && engine->peers.count > 1)
			ri_log(&engine->log,
			       "loop %u of %u could not start: %s", index,
			       engine->peers.count, strerror(-error));
	}
	pthread_mutex_unlock(&engine->starting);
	return error;
}

int ri_worker_start(struct ri_worker *worker)
{
	struct rota_engine *engine = worker->engine;
	const int error = start_in_turn(worker);
	int first;

	first = ri_barrier_pass(engine, &engine->started, error);
	if (first && !error)
		stop(worker);
	if (first)
		return first;
	ri_worker_enter(worker);
	return 0;
}

void ri_worker_stop(struct ri_worker *worker)
{
	ri_barrier_pass(worker->engine, &worker->engine->ended, 0);
	ri_offload_leave(&worker->engine->offload, &worker->tasks.loop);
	ri_worker_leave(worker);
	stop(worker);
}
