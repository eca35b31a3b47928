/* SPDX-License-Identifier: MIT */
/*
 * Several loops with one pool of threads: each call's answer finds its loop,
 * and no loop is taken down while a thread still wakes it.
 */
#include "cores/offload.h"
#include "rota/rota.h"
#include "support/random.h"
#include "support/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

#define LOOPS 3
#define MEMBERS 4
#define LAPS 1000u
#define LIVES 40u

struct crowd {
	atomic_uint ran;
	unsigned laps;    /* of each member */
	unsigned threads; /* that there were for all loops */
};

static int count_me(void *arg)
{
	struct crowd *crowd = arg;

	atomic_fetch_add(&crowd->ran, 1);
	return 7;
}

static int call_often(void *value)
{
	struct crowd *crowd = *(struct crowd **)value;

	for (unsigned lap = crowd->laps; lap; lap--)
		if (rota_offload(count_me, crowd) != 7)
			return -EPROTO;
	return 0;
}

static int call_on_each(void *arg)
{
	struct ri_offload *pool = ri_tasks_here()->offload;
	struct crowd *crowd = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < MEMBERS * LOOPS; i++)
		error |= rota_go_on(&group, i % LOOPS, call_often, crowd);
	error |= rota_group_wait(&group);
	pthread_mutex_lock(&pool->mutex);
	crowd->threads = pool->threads;
	pthread_mutex_unlock(&pool->mutex);
	return error;
}

static void run_crowd(unsigned laps)
{
	const struct rota_config config = { .loops = LOOPS,
					    .offload_threads = 2 };
	struct crowd crowd = { .laps = laps };

	assert_int_equal(test_run_with(&config, NULL, call_on_each, &crowd), 0);
	assert_int_equal(crowd.ran, laps * MEMBERS * LOOPS);
	assert_in_range(crowd.threads, 1, 2);
}

static void each_answer_finds_its_loop(void **state)
{
	(void)state;
	run_crowd(test_rounds(LAPS));
}

static void a_loop_may_end_right_after_its_last_answer(void **state)
{
	(void)state;
	for (unsigned life = test_rounds(LIVES); life; life--)
		run_crowd(1);
}

static int answer_late(void *arg)
{
	(void)arg;
	return 7;
}

static int call_once(void *arg)
{
	return rota_offload(answer_late, arg) == 7 ? 0 : -EPROTO;
}

static void the_only_loop_may_end_right_after_its_last_answer(void **state)
{
	(void)state;
	for (unsigned life = test_rounds(LIVES); life; life--)
		assert_int_equal(test_run(call_once, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_answer_finds_its_loop),
		cmocka_unit_test(a_loop_may_end_right_after_its_last_answer),
		cmocka_unit_test(
			the_only_loop_may_end_right_after_its_last_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
