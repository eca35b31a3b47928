/* SPDX-License-Identifier: MIT */
#include "support/run.h"

#include "cores/engine.h"
#include "ring/linux.h"
#include "support/watch.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/* How long, and in which steps, memory for a ring is waited for. */
#define PATIENCE_STEPS 200
#define PATIENCE_STEP_NS 10000000

/* One run, under watch. */
struct watched {
	int (*fn)(void *);
	void *arg;
	struct test_watch watch;
};

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

static int run_watched(void *argument)
{
	struct watched *watched = argument;
	int result;

	atomic_store(&watched->watch.peers, ri_tasks_here()->peers);
	result = watched->fn(watched->arg);
	atomic_store(&watched->watch.peers, NULL);
	return result;
}

int test_run_with(const struct rota_config *config,
		  const struct ri_kernel *kernel, int (*fn)(void *), void *arg)
{
	struct watched watched = { .fn = fn, .arg = arg };
	int result;

	test_watch_start(&watched.watch);
	result = ri_engine_run(config, kernel ? kernel : test_linux(),
			       run_watched, &watched);
	test_watch_stop(&watched.watch);
	return result;
}

int test_run(int (*fn)(void *), void *arg)
{
	return test_run_with(NULL, NULL, fn, arg);
}
