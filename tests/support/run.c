/* SPDX-License-Identifier: MIT */
#include "support/run.h"

#include "cores/engine.h"
#include "ring/linux.h"
#include "task/task.h"

#include <errno.h>
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

/* How long, and in which steps, memory for a ring is waited for. */
#define PATIENCE_STEPS 200
#define PATIENCE_STEP_NS 10000000

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

static int ring_open(const struct ri_kernel *kernel, unsigned entries,
		     struct io_uring *ring, struct io_uring_params *params)
{
	const struct timespec step = { .tv_nsec = PATIENCE_STEP_NS };
	int error = -ENOMEM;

	for (int i = 0; i < PATIENCE_STEPS && error == -ENOMEM; i++) {
		if (i)
			nanosleep(&step, NULL);
		error = ri_kernel_linux.ring_open(kernel, entries, ring,
						  params);
	}
	return error;
}

static struct ri_kernel patient;

static void make_patient(void)
{
	patient = ri_kernel_linux;
	patient.ring_open = ring_open;
}

const struct ri_kernel *test_linux(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_patient);
	return &patient;
}

void test_skip(const char *why)
{
	print_message("not tried: %s\n", why);
	skip();
	abort();
}

#if RI_TSAN
void AnnotateIgnoreReadsBegin(const char *file, int line);
#else
#define AnnotateIgnoreReadsBegin(file, line)
#endif

/* The loop goes on meanwhile: what is read may be half of this and half of
 * that, and is better than nothing. */
static void list_tasks(const struct ri_tasks *tasks)
{
	char line[RI_TASK_LINE_BYTES];

	AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
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
	result = ri_engine_run(config, kernel ? kernel : test_linux(),
			       run_watched, &watch);
	watch_stop(&watch);
	return result;
}

int test_run(int (*fn)(void *), void *arg)
{
	return test_run_with(NULL, NULL, fn, arg);
}
