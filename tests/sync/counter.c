/* SPDX-License-Identifier: MIT */
/*
 * Counters: whoever adds, from wherever, nothing is lost.
 */
#include "support/loops.h"
#include "support/random.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define TIMES 100000

struct stage {
	struct rota_counter counter;
	unsigned times;      /* that each adds */
	int64_t sums[4];     /* at some moments */
	atomic_uint started; /* engines that have */
};

static struct stage *new_stage(void)
{
	static struct stage stage;

	stage.times = 1000;
	memset(stage.sums, 0, sizeof(stage.sums));
	atomic_store(&stage.started, 0);
	rota_counter_init(&stage.counter);
	return &stage;
}

static void add_often(struct stage *stage)
{
	for (unsigned i = 0; i < stage->times; i++)
		rota_counter_add(&stage->counter, 1);
}

static int add_here(void *value)
{
	add_often(*(struct stage **)value);
	return 0;
}

static int add_and_ask(void *arg)
{
	struct stage *stage = arg;

	stage->sums[0] = rota_counter_sum(&stage->counter);
	rota_counter_add(&stage->counter, 5);
	stage->sums[1] = rota_counter_sum(&stage->counter);
	rota_counter_add(&stage->counter, -7);
	stage->sums[2] = rota_counter_sum(&stage->counter);
	rota_counter_add(&stage->counter, INT64_MIN);
	rota_counter_add(&stage->counter, INT64_MIN);
	stage->sums[3] = rota_counter_sum(&stage->counter);
	return 0;
}

static void what_is_added_is_in_the_sum(void **state)
{
	struct stage *stage = new_stage();

	(void)state;
	assert_int_equal(test_run(add_and_ask, stage), 0);
	assert_int_equal(stage->sums[0], 0);
	assert_int_equal(stage->sums[1], 5);
	assert_int_equal(stage->sums[2], -2);
	assert_int_equal(stage->sums[3], -2);
}

static void *add_outside(void *arg)
{
	add_often(arg);
	return NULL;
}

static int add_on_each(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 2 * rota_loops() && !error; i++)
		error = rota_go_on(&group, i % rota_loops(), add_here, stage);
	return error | rota_group_wait(&group);
}

static void count_on(unsigned loops)
{
	const struct rota_config config = { .loops = loops };
	struct stage *stage = new_stage();
	pthread_t threads[2];

	stage->times = TIMES / loops;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_outside,
						stage),
				 0);
	assert_int_equal(test_run_with(&config, NULL, add_on_each, stage), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(rota_counter_sum(&stage->counter),
			 stage->times * (2 * loops + 2));
}

static void three_loops_and_threads_lose_nothing(void **state)
{
	(void)state;
	count_on(3);
}

static void loops_past_the_slots_lose_nothing(void **state)
{
	(void)state;
	count_on(ROTA_COUNTER_SLOTS + 2);
}

static void *add_outside_together(void *arg)
{
	struct stage *stage = arg;

	atomic_fetch_add(&stage->started, 1);
	while (atomic_load(&stage->started) < 2)
		sched_yield();
	add_often(stage);
	return NULL;
}

static void two_threads_lose_nothing(void **state)
{
	struct stage *stage = new_stage();
	pthread_t thread;

	(void)state;
	stage->times = test_rounds(100 * TIMES);
	assert_int_equal(
		pthread_create(&thread, NULL, add_outside_together, stage), 0);
	add_outside_together(stage);
	pthread_join(thread, NULL);
	assert_int_equal(rota_counter_sum(&stage->counter), 2 * stage->times);
}

static int add_beside(void *arg)
{
	struct stage *stage = arg;

	atomic_fetch_add(&stage->started, 1);
	while (atomic_load(&stage->started) < 2)
		sched_yield();
	add_often(stage);
	return 0;
}

static void *run_engine(void *arg)
{
	return (void *)(intptr_t)rota_run(NULL, add_beside, arg);
}

/* Both loops have the number 0. To lose something they would have to meet,
 * which takes luck, so it is asked who wrote where, too. */
static void two_engines_at_a_time_lose_nothing(void **state)
{
	struct stage *stage = new_stage();
	pthread_t thread;
	void *result;

	(void)state;
	stage->times = TIMES;
	assert_int_equal(pthread_create(&thread, NULL, run_engine, stage), 0);
	assert_int_equal(test_run(add_beside, stage), 0);
	pthread_join(thread, &result);
	assert_null(result);
	assert_int_equal(rota_counter_sum(&stage->counter), 2 * stage->times);
	assert_int_equal(stage->counter.slots[0].count, stage->times);
}

static int add_a_thousand(void *arg)
{
	add_often(arg);
	return 0;
}

static void one_engine_after_another_loses_nothing(void **state)
{
	struct stage *stage = new_stage();

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(test_run(add_a_thousand, stage), 0);
	assert_int_equal(rota_counter_sum(&stage->counter), 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_added_is_in_the_sum),
		cmocka_unit_test(three_loops_and_threads_lose_nothing),
		cmocka_unit_test(two_threads_lose_nothing),
		cmocka_unit_test(loops_past_the_slots_lose_nothing),
		cmocka_unit_test(two_engines_at_a_time_lose_nothing),
		cmocka_unit_test(one_engine_after_another_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
