/* SPDX-License-Identifier: MIT */
#include "support/run.h"

#include "cores/engine.h"
#include "ring/linux.h"
#include "task/task.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define SECONDS 30

/* One run, and the thread that watches it. */
struct watch {
	int (*fn)(void *);
	void *arg;
	_Atomic(struct ri_tasks *) tasks; /* NULL while no task runs */
	pthread_t thread;
	pthread_mutex_t mutex; /* of `over` */
	pthread_cond_t ended;
	bool over;
};

unsigned test_seconds(void)
{
	const char *text = getenv("ROTA_TEST_SECONDS");
	const int seconds = text ? atoi(text) : 0;

	return seconds > 0 ? (unsigned)seconds : SECONDS;
}

void test_skip(const char *why)
{
	print_message("not tried: %s\n", why);
	skip();
	abort();
}

/* The loop goes on meanwhile: what is read may be half of this and half of
 * that, and is better than nothing. */
static void list_tasks(const struct ri_tasks *tasks)
{
	char line[RI_TASK_LINE_BYTES];

	for (unsigned i = 0; i < tasks->made; i++)
		if (ri_task_describe(tasks, &tasks->slab[i], line))
			fprintf(stderr, "  %s\n", line);
	fprintf(stderr, "  %u operations in flight, %u tasks parked\n",
		tasks->loop.in_flight, tasks->parked);
}

static void *watch_it(void *argument)
{
	struct watch *watch = argument;
	const struct ri_tasks *tasks;
	struct timespec until;
	int error = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += test_seconds();
	pthread_mutex_lock(&watch->mutex);
	while (!watch->over && !error)
		error = pthread_cond_timedwait(&watch->ended, &watch->mutex,
					       &until);
	pthread_mutex_unlock(&watch->mutex);
	if (!error)
		return NULL;
	tasks = atomic_load(&watch->tasks);
	fprintf(stderr, "the engine has not ended after %u s:\n",
		test_seconds());
	if (tasks)
		list_tasks(tasks);
	abort();
}

/* Signals of the test are for the loop's thread. */
static void watch_start(struct watch *watch)
{
	pthread_condattr_t monotonic;
	sigset_t all, before;

	pthread_mutex_init(&watch->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&watch->ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&watch->thread, NULL, watch_it, watch))
		abort();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void watch_stop(struct watch *watch)
{
	pthread_mutex_lock(&watch->mutex);
	watch->over = true;
	pthread_cond_signal(&watch->ended);
	pthread_mutex_unlock(&watch->mutex);
	pthread_join(watch->thread, NULL);
	pthread_cond_destroy(&watch->ended);
	pthread_mutex_destroy(&watch->mutex);
}

static int run_watched(void *argument)
{
	struct watch *watch = argument;
	int result;

	atomic_store(&watch->tasks, ri_tasks_here());
	result = watch->fn(watch->arg);
	atomic_store(&watch->tasks, NULL);
	return result;
}

int test_run_with(const struct rota_config *config,
		  const struct ri_kernel *kernel, int (*fn)(void *), void *arg)
{
	struct watch watch = { .fn = fn, .arg = arg };
	int result;

	watch_start(&watch);
	result = ri_engine_run(config, kernel ? kernel : &ri_kernel_linux,
			       run_watched, &watch);
	watch_stop(&watch);
	return result;
}

int test_run(int (*fn)(void *), void *arg)
{
	return test_run_with(NULL, NULL, fn, arg);
}
