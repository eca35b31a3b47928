/* SPDX-License-Identifier: MIT */
#include "cores/engine.h"

#include "cores/signals.h"
#include "ring/features.h"
#include "ring/linux.h"
#include "task/park.h"

#include <errno.h>
#include <string.h>

/* The next processor that nobody was pinned to: engines of one process begin
 * where the last one ended. Atomic. */
static unsigned next_cpu;

static int refuse(const struct ri_log *log, const struct rota_config *config)
{
	if (config->loops > ROTA_LOOPS_MAX && config->loops != ROTA_LOOPS_ALL) {
		ri_log(log, "config.loops is %u: at most %u", config->loops,
		       ROTA_LOOPS_MAX);
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
	if (config->offload_threads > RI_OFFLOAD_THREADS_MAX) {
		ri_log(log, "config.offload_threads is %u, the most is %u",
		       config->offload_threads, RI_OFFLOAD_THREADS_MAX);
		return -EINVAL;
	}
	if (config->jobs_max >= RI_JOBS_CLOSED) {
		ri_log(log, "config.jobs_max is %u: at most %u",
		       config->jobs_max, RI_JOBS_CLOSED - 1);
		return -EINVAL;
	}
	if (!config->allocate != !config->release) {
		ri_log(log, "config.allocate and config.release: both or none");
		return -EINVAL;
	}
	if (ri_switch_shadowed()) {
		ri_log(log,
		       "this thread has a shadow stack (CET, GCS): tasks cannot "
		       "run; " RI_SWITCH_TUNABLE " in GLIBC_TUNABLES "
		       "switches it off");
		return -ENOTSUP;
	}
	return 0;
}

/* The table of an engine with the user's memory. */
static const struct rota_config *config_of(const struct ri_kernel *kernel)
{
	return &ri_container(kernel, struct rota_engine, own)->config;
}

static int map_by_user(const struct ri_kernel *kernel, size_t bytes, void **out)
{
	const struct rota_config *config = config_of(kernel);
	void *start = config->allocate(config->context, bytes);

	if (!start)
		return -ENOMEM;
	*out = start;
	return 0;
}

static int unmap_by_user(const struct ri_kernel *kernel, void *start,
			 size_t bytes)
{
	const struct rota_config *config = config_of(kernel);

	config->release(config->context, start, bytes);
	return 0;
}

/* The engine itself, before it has a table. */
static struct rota_engine *allocate(const struct rota_config *config,
				    const struct ri_kernel *kernel,
				    size_t bytes)
{
	void *start = NULL;

	if (config->allocate)
		return config->allocate(config->context, bytes);
	return kernel->map(kernel, bytes, &start) < 0 ? NULL : start;
}

static void set_kernel(struct rota_engine *engine,
		       const struct ri_kernel *kernel)
{
	engine->kernel = kernel;
	if (!engine->config.allocate)
		return;
	engine->own = *kernel;
	engine->own.map = map_by_user;
	engine->own.unmap = unmap_by_user;
	engine->kernel = &engine->own;
}

/* How many loops that makes, and whether they are pinned. */
static unsigned count_loops(const struct rota_config *config,
			    const struct ri_kernel *kernel,
			    const struct ri_cpus *cpus)
{
	if (config->loops == ROTA_LOOPS_ALL) {
		const unsigned usable = ri_cpus_usable(cpus, kernel);

		return usable < ROTA_LOOPS_MAX ? usable : ROTA_LOOPS_MAX;
	}
	return config->loops ? config->loops : 1;
}

/* With fewer loops than processors nobody but the kernel knows which of them
 * other programs leave free: several programs of two loops would all be pinned
 * to the same two. */
static void place(struct rota_engine *engine, unsigned count)
{
	const unsigned usable = engine->cpus.count;

	engine->pinned = engine->config.pin == ROTA_PIN_ALWAYS ||
			 (engine->config.pin == ROTA_PIN_AUTO && count > 1 &&
			  count == usable);
	if (!usable)
		engine->pinned = false;
	if (engine->pinned)
		engine->first_cpu =
			__atomic_fetch_add(&next_cpu, count, __ATOMIC_RELAXED);
}

static void set_offload(struct rota_engine *engine)
{
	const struct rota_config *config = &engine->config;

	ri_offload_init(&engine->offload,
			&(struct ri_offload_options){
				.kernel = engine->kernel,
				.log = engine->log,
				.cpus = &engine->cpus,
				.threads_max = config->offload_threads,
				.on_abort = config->on_abort,
				.context = config->context });
}

static void set_peers(struct rota_engine *engine, unsigned count)
{
	engine->peers.count = count;
	engine->started.wanted = count;
	engine->ended.wanted = count;
	engine->peers.each =
		(struct ri_tasks **)(void *)&engine->workers[count];
	for (unsigned i = 0; i < count; i++) {
		engine->workers[i].engine = engine;
		engine->peers.each[i] = &engine->workers[i].tasks;
	}
	ri_spread_init(&engine->peers.spread);
}

int ri_engine_create(struct rota_engine **out, const struct rota_config *config,
		     const struct ri_kernel *kernel, bool open)
{
	const struct ri_log log = { config->log, config->context };
	struct rota_engine *engine;
	struct ri_cpus cpus;
	unsigned masked = 0, count;
	size_t bytes;
	int error = refuse(&log, config);

	if (!error)
		error = ri_features_masked(&log, &masked);
	if (error)
		return error;
	/* Where that is refused nothing is pinned. */
	if (ri_cpus_get(&cpus, kernel) < 0)
		cpus.count = 0;
	count = count_loops(config, kernel, &cpus);
	bytes = sizeof(*engine) +
		count * (sizeof(struct ri_worker) + sizeof(struct ri_tasks *));
	engine = allocate(config, kernel, bytes);
	if (!engine) {
		ri_log(&log, "no memory for an engine of %u loops", count);
		return -ENOMEM;
	}
	engine->config = *config;
	if (!config->jobs_max)
		engine->config.jobs_max = RI_JOBS_MAX_DEFAULT;
	engine->forks = ri_loop_forks;
	engine->log = log;
	engine->masked = masked;
	engine->bytes = bytes;
	engine->cpus = cpus;
	engine->open = open || count > 1;
	engine->workers = (struct ri_worker *)(void *)(engine + 1);
	set_kernel(engine, kernel);
	set_offload(engine);
	set_peers(engine, count);
	place(engine, count);
	pthread_mutex_init(&engine->starting, NULL);
	pthread_mutex_init(&engine->mutex, NULL);
	pthread_cond_init(&engine->moved, NULL);
	*out = engine;
	return 0;
}

void ri_engine_destroy(struct rota_engine *engine)
{
	const struct rota_config config = engine->config;
	const struct ri_kernel *kernel = engine->kernel;
	const size_t bytes = engine->bytes;

	ri_offload_fini(&engine->offload);
	ri_spread_fini(&engine->peers.spread);
	pthread_cond_destroy(&engine->moved);
	pthread_mutex_destroy(&engine->mutex);
	pthread_mutex_destroy(&engine->starting);
	if (config.allocate)
		config.release(config.context, engine, bytes);
	else
		kernel->unmap(kernel, engine, bytes);
}

/* With the mutex: until all have come. Returns the first error. */
static int await(struct rota_engine *engine, const struct ri_barrier *barrier)
{
	while (barrier->count < barrier->wanted)
		pthread_cond_wait(&engine->moved, &engine->mutex);
	return barrier->error;
}

int ri_barrier_pass(struct rota_engine *engine, struct ri_barrier *barrier,
		    int error)
{
	pthread_mutex_lock(&engine->mutex);
	barrier->count++;
	if (!barrier->error)
		barrier->error = error;
	error = await(engine, barrier);
	pthread_cond_broadcast(&engine->moved);
	pthread_mutex_unlock(&engine->mutex);
	return error;
}

static void *worker_main(void *argument)
{
	struct ri_worker *worker = argument;

	if (ri_worker_start(worker) < 0)
		return NULL;
	worker->tasks.loop.kept = true;
	ri_tasks_serve(&worker->tasks);
	ri_worker_stop(worker);
	return NULL;
}

/* Those that were not started bring this error, so that the others undo what
 * they did. */
static void give_up(struct rota_engine *engine, unsigned missing, int error)
{
	pthread_mutex_lock(&engine->mutex);
	engine->started.count += missing;
	engine->started.error = error;
	pthread_cond_broadcast(&engine->moved);
	pthread_mutex_unlock(&engine->mutex);
}

/* With every signal blocked: handlers would run on tasks' stacks. */
static int start_threads(struct rota_engine *engine, unsigned first,
			 unsigned *started)
{
	const struct ri_kernel *kernel = engine->kernel;
	sigset_t before;
	int error = 0;

	ri_signals_block_all(&before);
	for (*started = first; *started < engine->peers.count && !error;) {
		struct ri_worker *worker = &engine->workers[*started];

		worker->thread.main = worker_main;
		worker->thread.argument = worker;
		error = kernel->thread_start(kernel, &worker->thread);
		*started += !error;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

int ri_engine_spawn(struct rota_engine *engine, unsigned first)
{
	const unsigned count = engine->peers.count;
	unsigned started;
	const int error = start_threads(engine, first, &started);

	if (!error)
		return 0;
	ri_log(&engine->log, "no thread for loop %u of %u: %s", started, count,
	       strerror(-error));
	give_up(engine, count - started + first, error);
	while (started > first)
		engine->kernel->thread_join(engine->kernel,
					    &engine->workers[--started].thread);
	return error;
}

void ri_engine_join(struct rota_engine *engine, unsigned first)
{
	for (unsigned i = first; i < engine->peers.count; i++)
		engine->kernel->thread_join(engine->kernel,
					    &engine->workers[i].thread);
}

static void quit_arrived(void *place, struct rota_mail *mail)
{
	struct ri_tasks *tasks = place;

	(void)mail;
	tasks->loop.kept = false;
}

void ri_worker_quit(struct ri_worker *worker)
{
	worker->quit.deliver = quit_arrived;
	/* Who stops an engine has no loop of it. */
	ri_loop_post_from_outside(&worker->tasks.loop, &worker->quit);
}

void ri_engine_quit(struct rota_engine *engine, unsigned first)
{
	for (unsigned i = first; i < engine->peers.count; i++)
		ri_worker_quit(&engine->workers[i]);
}

/* The first task of rota_run. */
struct first {
	struct rota_engine *engine;
	int (*fn)(void *arg);
	void *arg;
};

/* Jobs go on after it, but there will be no more of them. */
static int run_first(void *arg)
{
	const struct first *first = arg;
	const int result = first->fn(first->arg);

	if (ri_jobs_close(first->engine) == 0)
		ri_loop_here->kept = false;
	return result;
}

int ri_engine_run(const struct rota_config *config,
		  const struct ri_kernel *kernel, int (*fn)(void *), void *arg)
{
	static const struct rota_config defaults;
	struct first first = { .fn = fn, .arg = arg };
	struct rota_engine *engine;
	int result;

	if (!config)
		config = &defaults;
	if (ri_loop_here || ri_guest_is_here()) {
		ri_log(&(struct ri_log){ config->log, config->context },
		       "this thread runs an engine already");
		return -EBUSY;
	}
	result = ri_engine_create(&engine, config, kernel, false);
	if (result < 0)
		return result;
	result = ri_engine_spawn(engine, 1);
	if (result < 0)
		goto out_destroy;
	result = ri_worker_start(&engine->workers[0]);
	if (result < 0)
		goto out_join;
	first.engine = engine;
	/* With several loops any task may ask for jobs (rota_engine_here). */
	engine->workers[0].tasks.loop.kept = engine->open;
	result = ri_tasks_run(&engine->workers[0].tasks, run_first, &first);
	ri_engine_quit(engine, 1);
	ri_worker_stop(&engine->workers[0]);
out_join:
	ri_engine_join(engine, 1);
out_destroy:
	ri_engine_destroy(engine);
	return result;
}

int rota_run(const struct rota_config *config, int (*fn)(void *arg), void *arg)
{
	return ri_engine_run(config, &ri_kernel_linux, fn, arg);
}

struct rota_engine *rota_engine_here(void)
{
	const struct rota_task *self = ri_task_self(__func__);
	struct ri_tasks *tasks = ri_tasks_here();
	struct rota_engine *engine = ri_worker_of(tasks)->engine;

	ri_task_check_scope(self);
	if (engine->open)
		return engine;
	if (ri_loop_listen(&tasks->loop) < 0)
		return NULL;
	engine->open = true;
	tasks->loop.outside++;
	tasks->loop.kept = true;
	return engine;
}

/* How the start went, once all loops have told. */
static int await_start(struct rota_engine *engine)
{
	int error;

	pthread_mutex_lock(&engine->mutex);
	error = await(engine, &engine->started);
	pthread_mutex_unlock(&engine->mutex);
	return error;
}

int ri_engine_start(struct rota_engine **out, const struct rota_config *config,
		    const struct ri_kernel *kernel)
{
	static const struct rota_config defaults;
	struct rota_engine *engine;
	int error = ri_engine_create(&engine, config ? config : &defaults,
				     kernel, true);

	if (error)
		return error;
	engine->kind = RI_ENGINE_STARTED;
	error = ri_engine_spawn(engine, 0);
	if (!error) {
		error = await_start(engine);
		if (error)
			ri_engine_join(engine, 0);
	}
	if (error) {
		ri_engine_destroy(engine);
		return error;
	}
	*out = engine;
	return 0;
}

int rota_engine_start(struct rota_engine **out,
		      const struct rota_config *config)
{
	return ri_engine_start(out, config, &ri_kernel_linux);
}
