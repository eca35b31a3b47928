/* SPDX-License-Identifier: MIT */
/*
 * The end of an engine that was started: its jobs are counted down, then its
 * loops are told to end.
 *
 *	running -- closed --> no more jobs; each loop drains its root group
 *	        -- the count is 0 --> loops quit, threads are joined: freed
 *	        -- grace and a second are over --> loops are asked who is left:
 *	                               -EBUSY; stop again, or abandon
 *
 * Whoever stops only waits for words: a loop that a function does not give
 * back answers no mail, and nobody else may look at what is its own.
 */
#include "cores/engine.h"
#include "rota/clock.h"

#include <errno.h>
#include <limits.h>

/* How long after the cancel what was cancelled may take. */
#define PATIENCE_NS ROTA_SECOND
/* How long a loop has to name who is left, before it is named itself. */
#define ANSWER_NS (100 * ROTA_MILLISECOND)
/* How many of them a loop names. */
#define STRAGGLERS_TOLD 16

/* Engines that were given up: a list, so that what they have allocated is not
 * taken for lost. Atomic. */
static struct rota_engine *abandoned;

int ri_jobs_begin(struct rota_engine *engine)
{
	uint32_t jobs = __atomic_load_n(&engine->jobs, __ATOMIC_RELAXED);

	do {
		if (jobs & RI_JOBS_CLOSED)
			return -ESHUTDOWN;
		if (jobs >= engine->config.jobs_max)
			return -EAGAIN;
		/* relaxed: the mail that follows carries the rest */
	} while (!__atomic_compare_exchange_n(&engine->jobs, &jobs, jobs + 1,
					      true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return 0;
}

/* Once it is closed the count only falls, so one of them is the last. */
void ri_jobs_end(struct rota_engine *engine)
{
	const struct ri_kernel *kernel = engine->kernel;

	/* pairs with the acquire of who sees that it was the last one */
	if (__atomic_sub_fetch(&engine->jobs, 1, __ATOMIC_RELEASE) !=
	    RI_JOBS_CLOSED)
		return;
	if (engine->kind == RI_ENGINE_RUN)
		ri_worker_quit(&engine->workers[0]);
	else
		kernel->futex_wake(kernel, &engine->jobs, INT_MAX, false);
}

unsigned ri_jobs_close(struct rota_engine *engine)
{
	/* pairs with the release in ri_jobs_end */
	return __atomic_fetch_or(&engine->jobs, RI_JOBS_CLOSED,
				 __ATOMIC_ACQUIRE) &
	       ~RI_JOBS_CLOSED;
}

typedef void deliver_fn(void *place, struct rota_mail *mail);

/* Sends mail of a worker, unless it is under way: then it does what it is to
 * do when it arrives. */
static void dispatch(struct ri_worker *worker, struct rota_mail *mail,
		     bool *away, deliver_fn *deliver)
{
	/* pairs with the release of who has got it */
	if (__atomic_exchange_n(away, true, __ATOMIC_ACQUIRE))
		return;
	mail->deliver = deliver;
	ri_loop_post(&worker->tasks.loop, mail);
}

static void drain_arrived(void *place, struct rota_mail *mail)
{
	struct ri_tasks *tasks = place;
	struct ri_worker *worker = ri_worker_of(tasks);

	(void)mail;
	__atomic_store_n(&worker->drain_away, false, __ATOMIC_RELEASE);
	rota_group_drain(&tasks->root,
			 __atomic_load_n(&worker->grace_ns, __ATOMIC_RELAXED));
}

/* By mail, because that comes behind the jobs that were taken before. */
void ri_engine_drain(struct rota_engine *engine, int64_t grace_ns)
{
	for (unsigned i = 0; i < engine->peers.count; i++) {
		struct ri_worker *worker = &engine->workers[i];

		__atomic_store_n(&worker->grace_ns, grace_ns, __ATOMIC_RELAXED);
		dispatch(worker, &worker->drain, &worker->drain_away,
			 drain_arrived);
	}
}

static int64_t later_ns(int64_t point_ns, int64_t duration_ns)
{
	int64_t sum_ns;

	return __builtin_add_overflow(point_ns, duration_ns, &sum_ns)
		       ? ROTA_NEVER
		       : sum_ns;
}

static void name_tasks(const struct ri_tasks *tasks)
{
	const unsigned index = tasks->loop.index;
	char line[RI_TASK_LINE_BYTES];
	unsigned told = 0;

	for (unsigned i = 0; i < tasks->made; i++) {
		if (!ri_task_describe(tasks, &tasks->slab[i], line))
			continue;
		if (told++ < STRAGGLERS_TOLD)
			ri_log(&tasks->loop.log, "not stopped: on loop %u %s",
			       index, line);
	}
	if (told > STRAGGLERS_TOLD)
		ri_log(&tasks->loop.log,
		       "not stopped: on loop %u %u more tasks", index,
		       told - STRAGGLERS_TOLD);
}

static void tell_arrived(void *place, struct rota_mail *mail)
{
	struct ri_tasks *tasks = place;
	struct ri_worker *worker = ri_worker_of(tasks);
	struct rota_engine *engine = worker->engine;

	(void)mail;
	ri_loop_now(&tasks->loop);
	name_tasks(tasks);
	__atomic_store_n(&worker->tell_away, false, __ATOMIC_RELEASE);
	__atomic_fetch_add(&engine->answers, 1, __ATOMIC_RELEASE);
	engine->kernel->futex_wake(engine->kernel, &engine->answers, INT_MAX,
				   false);
}

/* Who has a loop that does not answer, because a function on it does not
 * return. Read from where the loop writes; it does not while that is so, and if
 * it does right now, another one is named. NULL: the loop itself. */
static __attribute__((no_sanitize("thread"))) const struct rota_site *
runner_of(const struct ri_tasks *tasks)
{
	struct ri_fiber *const volatile *current = &tasks->loop.current;
	const struct rota_task *task = ri_task_of(*current);
	const struct rota_site *const volatile *site = &task->site;

	return ri_tasks_have(tasks, task) ? *site : NULL;
}

static void name_runner(const struct rota_engine *engine, unsigned index)
{
	const struct rota_site *site = runner_of(&engine->workers[index].tasks);

	if (site)
		ri_log(&engine->log,
		       "not stopped: loop %u does not turn: task %s (spawned "
		       "at %s:%d) has it and does not return",
		       index, site->function, site->file, site->line);
	else
		ri_log(&engine->log, "not stopped: loop %u does not turn",
		       index);
}

static bool has_answered(const struct ri_worker *worker)
{
	return !__atomic_load_n(&worker->tell_away, __ATOMIC_ACQUIRE);
}

static bool have_answered(const struct rota_engine *engine)
{
	unsigned i = 0;

	while (i < engine->peers.count && has_answered(&engine->workers[i]))
		i++;
	return i == engine->peers.count;
}

/* Names who is left, by those who know. */
static void name_stragglers(struct rota_engine *engine)
{
	const struct ri_kernel *kernel = engine->kernel;
	const int64_t deadline_ns = kernel->now_ns(kernel) + ANSWER_NS;
	int error = 0;

	for (unsigned i = 0; i < engine->peers.count; i++) {
		struct ri_worker *worker = &engine->workers[i];

		dispatch(worker, &worker->tell, &worker->tell_away,
			 tell_arrived);
	}
	while (error != -ETIMEDOUT) {
		const uint32_t answers =
			__atomic_load_n(&engine->answers, __ATOMIC_ACQUIRE);

		if (have_answered(engine))
			return;
		error = kernel->futex_wait(kernel, &engine->answers, answers,
					   deadline_ns);
	}
	for (unsigned i = 0; i < engine->peers.count; i++)
		if (!has_answered(&engine->workers[i]))
			name_runner(engine, i);
}

/* Waits until the last job has ended. False: one has not, in time. */
static bool await_jobs(const struct rota_engine *engine, int64_t deadline_ns)
{
	const struct ri_kernel *kernel = engine->kernel;
	int error = 0;

	for (;;) {
		const uint32_t jobs =
			__atomic_load_n(&engine->jobs, __ATOMIC_ACQUIRE);

		if (jobs == RI_JOBS_CLOSED || error == -ETIMEDOUT)
			return jobs == RI_JOBS_CLOSED;
		error = kernel->futex_wait(kernel, &engine->jobs, jobs,
					   deadline_ns);
	}
}

int rota_engine_stop(struct rota_engine *engine, int64_t grace_ns)
{
	int64_t deadline_ns;

	if (ri_engine_forked(engine))
		return -EOWNERDEAD;
	ri_check(engine->kind == RI_ENGINE_STARTED,
		 "%s of an engine that was not started by rota_engine_start",
		 __func__);
	if (ri_peers_have(&engine->peers, ri_loop_here))
		return -EDEADLK;
	if (grace_ns < 0)
		grace_ns = 0;
	deadline_ns =
		later_ns(engine->kernel->now_ns(engine->kernel), grace_ns);
	ri_jobs_close(engine);
	ri_engine_drain(engine, grace_ns);
	if (!await_jobs(engine, later_ns(deadline_ns, PATIENCE_NS))) {
		name_stragglers(engine);
		return -EBUSY;
	}
	ri_engine_quit(engine, 0);
	ri_engine_join(engine, 0);
	ri_engine_destroy(engine);
	return 0;
}

/* Its threads are nobody's to join. */
static void detach(const struct rota_engine *engine)
{
	for (unsigned i = 0; i < engine->peers.count; i++)
		engine->kernel->thread_detach(engine->kernel,
					      &engine->workers[i].thread);
}

void rota_engine_abandon(struct rota_engine *engine)
{
	if (!ri_engine_forked(engine)) {
		ri_check(!ri_peers_have(&engine->peers, ri_loop_here),
			 "%s on a loop of the engine", __func__);
		ri_check(engine->kind != RI_ENGINE_RUN,
			 "%s of an engine that rota_run runs", __func__);
		ri_jobs_close(engine);
	}
	if (engine->kind == RI_ENGINE_GUEST)
		ri_guest_abandon(engine);
	else if (!ri_engine_forked(engine))
		detach(engine);
	engine->abandoned = __atomic_load_n(&abandoned, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&abandoned, &engine->abandoned,
					    engine, true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
}
