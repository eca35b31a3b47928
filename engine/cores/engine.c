/* SPDX-License-Identifier: MIT */
/*
 * One engine: its loop, from set-up to the last check. Each step that fails
 * undoes those before it, in reverse.
 */
#include "cores/engine.h"

#include "cores/signals.h"
#include "ring/features.h"
#include "ring/linux.h"
#include "task/task.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct engine {
	struct ri_tasks tasks;       /* the loop and all that runs on it */
	struct ri_overflow overflow; /* names tasks whose stack overflows */
	sigset_t signals;            /* the thread's mask before */
};

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

static int refuse(const struct ri_log *log, const struct rota_config *config)
{
	if (config->loops > 1) {
		ri_log(log, "config.loops is %u: this version runs one",
		       config->loops);
		return -EINVAL;
	}
	if (config->stream_buffers > RI_BUFFERS_MAX ||
	    config->stream_buffer_bytes > RI_BUFFER_BYTES_MAX) {
		ri_log(log,
		       "config.stream_buffers is %u of %u bytes: at most %u "
		       "of %u",
		       config->stream_buffers, config->stream_buffer_bytes,
		       RI_BUFFERS_MAX, RI_BUFFER_BYTES_MAX);
		return -EINVAL;
	}
	if (ri_loop_here) {
		ri_log(log, "this thread runs an engine already");
		return -EBUSY;
	}
	if (ri_switch_shadowed()) {
		ri_log(log,
		       "this thread has a shadow stack (CET): tasks cannot "
		       "run; glibc.cpu.x86_shstk=off in GLIBC_TUNABLES "
		       "switches it off");
		return -ENOTSUP;
	}
	return 0;
}

static int start(struct engine *engine, const struct rota_config *config,
		 const struct ri_kernel *kernel, const struct ri_log *log)
{
	struct ri_tasks_options options = {
		.kernel = kernel,
		.log = *log,
		.ring = { .entries = config->entries,
			  .completions = config->completions },
		.stack_bytes = config->stack_bytes,
		.tasks_max = config->tasks_max,
		.shots_max = config->streams_max,
		.buffers = { .count = config->stream_buffers,
			     .bytes = config->stream_buffer_bytes },
	};
	int error = refuse(log, config);

	if (!error)
		error = ri_features_masked(log, &options.ring.masked);
	if (!error)
		error = ri_tasks_init(&engine->tasks, &options);
	if (error || config->no_overflow_report)
		return error;
	engine->overflow.stacks = &engine->tasks.loop.stacks;
	engine->overflow.describe = describe_overflow;
	engine->overflow.context = &engine->tasks;
	error = ri_overflow_watch(&engine->overflow, kernel);
	if (error) {
		ri_log(log, "no memory for the alternate signal stack: %s",
		       strerror(-error));
		ri_tasks_fini(&engine->tasks);
	}
	return error;
}

int ri_engine_run(const struct rota_config *config,
		  const struct ri_kernel *kernel, int (*fn)(void *), void *arg)
{
	static const struct rota_config defaults;
	struct engine engine;
	struct ri_log log;
	int result;

	if (!config)
		config = &defaults;
	log = (struct ri_log){ config->log, config->context };
	memset(&engine.overflow, 0, sizeof(engine.overflow));
	result = start(&engine, config, kernel, &log);
	if (result < 0)
		return result;
	ri_abort_hook_set(config->on_abort, config->context);
	ri_signals_block(&engine.signals);
	result = ri_tasks_run(&engine.tasks, fn, arg);
	ri_signals_restore(&engine.signals);
	ri_abort_hook_set(NULL, NULL);
	if (!config->no_overflow_report)
		ri_overflow_unwatch(&engine.overflow, kernel);
	ri_tasks_fini(&engine.tasks);
	return result;
}

int rota_run(const struct rota_config *config, int (*fn)(void *arg), void *arg)
{
	return ri_engine_run(config, &ri_kernel_linux, fn, arg);
}
