/* SPDX-License-Identifier: MIT */
/*
 * A lock of one word: one thread at a time, whatever the threads are told to do
 * meanwhile.
 */
#include "base/lock.h"

#include "support/random.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#define THREADS 4
#define ROUNDS 300000u

/* What the lock is for: not atomic. */
static struct {
	unsigned lock;
	unsigned inside;  /* who are */
	bool crowded;     /* there were two */
	uint64_t count;   /* times that somebody was */
	unsigned rounds;  /* of each thread */
	atomic_bool held; /* somebody has it */
	double used_s;    /* processor time of who waited */
} room;

/* Long enough for others to come meanwhile, and to look for when it is over. */
static void visit(void)
{
	ri_lock_take(&room.lock);
	room.crowded |= room.inside++ != 0;
	room.count++;
	for (volatile int i = 0; i < 50; i++)
		;
	room.inside--;
	ri_lock_give(&room.lock);
}

static void *visit_often(void *arg)
{
	for (unsigned i = 0; i < room.rounds; i++)
		visit();
	return arg;
}

/* Somebody is put to sleep inside, as who loses its processor is. */
static void *visit_and_linger(void *arg)
{
	const struct timespec moment = { .tv_nsec = 200000 };

	for (unsigned i = 0; i < room.rounds; i++) {
		ri_lock_take(&room.lock);
		room.crowded |= room.inside++ != 0;
		room.count++;
		if (i % 16 == 0)
			nanosleep(&moment, NULL);
		room.inside--;
		ri_lock_give(&room.lock);
	}
	return arg;
}

static void run_threads(void *(*fn)(void *))
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fn, NULL),
				 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void one_at_a_time_is_inside(void **state)
{
	(void)state;
	room.count = 0;
	room.rounds = test_rounds(ROUNDS);
	run_threads(visit_often);
	assert_false(room.crowded);
	assert_int_equal(room.count, (uint64_t)THREADS * room.rounds);
	assert_int_equal(room.lock, 0);
}

static void all_come_in_though_somebody_sleeps_inside(void **state)
{
	(void)state;
	room.count = 0;
	room.rounds = test_rounds(2000);
	run_threads(visit_and_linger);
	assert_false(room.crowded);
	assert_int_equal(room.count, (uint64_t)THREADS * room.rounds);
	assert_int_equal(room.lock, 0);
}

static double processor_time_s(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void *wait_for_it(void *arg)
{
	double start_s;

	while (!atomic_load(&room.held))
		sched_yield();
	start_s = processor_time_s();
	ri_lock_take(&room.lock);
	room.used_s = processor_time_s() - start_s;
	ri_lock_give(&room.lock);
	return arg;
}

/* However long it takes: a processor that is given away may be what the holder
 * needs. */
static void who_waits_long_leaves_the_processor_alone(void **state)
{
	const struct timespec long_time = { .tv_nsec = 400000000 };
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, wait_for_it, NULL), 0);
	ri_lock_take(&room.lock);
	atomic_store(&room.held, true);
	nanosleep(&long_time, NULL);
	ri_lock_give(&room.lock);
	pthread_join(thread, NULL);
	assert_true(room.used_s < 0.15);
}

static void a_lock_that_is_free_is_a_word_of_0(void **state)
{
	unsigned lock = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		ri_lock_take(&lock);
		assert_int_equal(lock, 1);
		ri_lock_give(&lock);
		assert_int_equal(lock, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lock_that_is_free_is_a_word_of_0),
		cmocka_unit_test(one_at_a_time_is_inside),
		cmocka_unit_test(all_come_in_though_somebody_sleeps_inside),
		cmocka_unit_test(who_waits_long_leaves_the_processor_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
