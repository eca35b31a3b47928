/* SPDX-License-Identifier: MIT */
#include "support/valve.h"

#include <pthread.h>

/* Of all valves: there are few. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static unsigned pass(struct test_valve *valve)
{
	unsigned before;

	pthread_mutex_lock(&mutex);
	before = valve->entered++;
	pthread_cond_broadcast(&changed);
	while (!valve->open)
		pthread_cond_wait(&changed, &mutex);
	valve->passed++;
	pthread_mutex_unlock(&mutex);
	return before;
}

void test_valve_pass(struct test_valve *valve)
{
	pass(valve);
}

int test_valve_call(void *valve)
{
	return (int)pass(valve);
}

void test_valve_open(struct test_valve *valve)
{
	pthread_mutex_lock(&mutex);
	valve->open = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

void test_valve_await(struct test_valve *valve, unsigned entered)
{
	pthread_mutex_lock(&mutex);
	while (valve->entered < entered)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
}

unsigned test_valve_passed(struct test_valve *valve)
{
	unsigned passed;

	pthread_mutex_lock(&mutex);
	passed = valve->passed;
	pthread_mutex_unlock(&mutex);
	return passed;
}
