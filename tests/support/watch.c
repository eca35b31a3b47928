/* SPDX-License-Identifier: MIT */
#include "support/watch.h"

#include "stack/sanitizer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECONDS 30

unsigned test_seconds(void)
{
	const char *text = getenv("ROTA_TEST_SECONDS");
	const int seconds = text ? atoi(text) : 0;

	return seconds > 0 ? (unsigned)seconds : SECONDS;
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
	fprintf(stderr, " loop %u:\n", tasks->loop.index);
	for (unsigned i = 0; i < tasks->made; i++)
		if (ri_task_describe(tasks, &tasks->slab[i], line))
			fprintf(stderr, "  %s\n", line);
	fprintf(stderr, "  %u operations in flight, %u tasks parked\n",
		tasks->loop.in_flight, tasks->parked);
}

static void *watch_it(void *argument)
{
	struct test_watch *watch = argument;
	const struct ri_peers *peers;
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
	peers = atomic_load(&watch->peers);
	fprintf(stderr, "the engine has not ended after %u s:\n",
		test_seconds());
	for (unsigned i = 0; peers && i < peers->count; i++)
		list_tasks(peers->each[i]);
	abort();
}

/* Signals of the test are for the loop's thread. */
void test_watch_start(struct test_watch *watch)
{
	pthread_condattr_t monotonic;
	sigset_t all, before;

	watch->over = false;
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

void test_watch_stop(struct test_watch *watch)
{
	pthread_mutex_lock(&watch->mutex);
	watch->over = true;
	pthread_cond_signal(&watch->ended);
	pthread_mutex_unlock(&watch->mutex);
	pthread_join(watch->thread, NULL);
	pthread_cond_destroy(&watch->ended);
	pthread_mutex_destroy(&watch->mutex);
}
