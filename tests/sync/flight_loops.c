/* SPDX-License-Identifier: MIT */
/*
 * Flights that several loops share: each key is worked on by one at a time, and
 * everybody gets a whole value of its own key, whoever is cancelled when.
 */
#include "support/loops.h"
#include "support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define CROWD 10000
#define KEYS 5
#define TASKS 24
#define TIMES 2000
#define WORDS 8

struct stage {
	struct rota_flights flights;
	atomic_uint executions;    /* works that were begun */
	atomic_uint working[KEYS]; /* ... and are going on */
	atomic_uint together;      /* two worked on one key */
	atomic_uint right;         /* callers that got a value of their key */
	atomic_uint cancelled;     /* ... their code */
	atomic_uint failed;        /* ... what the work said */
	atomic_uint wrong;         /* ... anything else */
	atomic_uint shared;        /* values that others got too */
	unsigned times;            /* that each task asks */
	uint64_t seed;             /* of all of it */
	struct rota_flights_state end;
};

struct member {
	struct stage *stage;
	unsigned number;
};

static int work_for_crowd(void *arg, void *value)
{
	struct stage *stage = arg;

	atomic_fetch_add(&stage->executions, 1);
	while (rota_flights_inspect(&stage->flights).waiting < CROWD - 1)
		if (rota_yield())
			return -ECANCELED;
	*(unsigned *)value = 4711;
	return 3;
}

static int join_crowd(void *value)
{
	struct stage *stage = *(struct stage **)value;
	unsigned got = 0;
	struct rota_flight flight = {
		.key = "key",
		.key_bytes = 3,
		.fn = work_for_crowd,
		.arg = stage,
		.value = &got,
		.value_bytes = sizeof(got),
	};
	const int result = rota_flight_run(&stage->flights, &flight);

	atomic_fetch_add(&stage->right,
			 result == 3 && got == 4711 && flight.shared);
	return 0;
}

static int gather(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error = 0;

	rota_flights_init(&stage->flights, NULL);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < CROWD && !error; i++)
		error = rota_go_on(&group, i % 2, join_crowd, stage);
	error |= rota_group_wait(&group);
	rota_flights_fini(&stage->flights);
	return error;
}

static void ten_thousand_callers_on_two_loops_are_one_execution(void **state)
{
	const struct rota_config config = { .loops = 2 };
	struct stage stage = { .times = 0 };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, gather, &stage), 0);
	assert_int_equal(atomic_load(&stage.executions), 1);
	assert_int_equal(atomic_load(&stage.right), CROWD);
}

struct asking {
	struct stage *stage;
	struct test_random *random;
	uint64_t key;
};

/* A value is so many words of the key and the execution. */
static int work(void *arg, void *value)
{
	const struct asking *asking = arg;
	struct stage *stage = asking->stage;
	uint64_t *words = value;
	uint64_t naps = test_random_below(asking->random, 4);
	int error = 0;
	const unsigned number = atomic_fetch_add(&stage->executions, 1);

	if (atomic_fetch_add(&stage->working[asking->key], 1))
		atomic_fetch_add(&stage->together, 1);
	while (naps-- && !error)
		error = rota_yield();
	for (unsigned i = 0; i < WORDS; i++)
		words[i] = asking->key << 32 | number;
	if (!error && test_random_below(asking->random, 8) == 0)
		error = -EPIPE;
	atomic_fetch_sub(&stage->working[asking->key], 1);
	return error;
}

static bool is_whole(const uint64_t *words, uint64_t key)
{
	for (unsigned i = 0; i < WORDS; i++)
		if (words[i] != words[0])
			return false;
	return words[0] >> 32 == key;
}

static void ask_once(struct stage *stage, struct test_random *random)
{
	struct asking asking = { stage, random,
				 test_random_below(random, KEYS) };
	uint64_t words[WORDS] = { 0 };
	struct rota_flight flight = {
		.key = &asking.key,
		.key_bytes = sizeof(asking.key),
		.fn = work,
		.arg = &asking,
		.value = words,
		.value_bytes = sizeof(words),
	};
	struct rota_deadline deadline;
	int result;

	rota_deadline_begin(&deadline,
			    test_random_below(random, 3)
				    ? ROTA_NEVER
				    : rota_after_ns((int64_t)test_random_below(
					      random, 20000)));
	result = rota_flight_run(&stage->flights, &flight);
	rota_deadline_end(&deadline);
	atomic_fetch_add(&stage->shared, flight.shared);
	if (result == 0 && is_whole(words, asking.key))
		atomic_fetch_add(&stage->right, 1);
	else if (result == -ETIME)
		atomic_fetch_add(&stage->cancelled, 1);
	else if (result == -EPIPE)
		atomic_fetch_add(&stage->failed, 1);
	else
		atomic_fetch_add(&stage->wrong, 1);
}

static int ask_often(void *value)
{
	const struct member *member = value;
	struct test_random random;

	test_random_seed(&random, member->stage->seed + member->number);
	for (unsigned i = 0; i < member->stage->times; i++)
		ask_once(member->stage, &random);
	return 0;
}

static int ask_everywhere(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error = 0;

	rota_flights_init(&stage->flights, NULL);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < TASKS && !error; i++)
		error = rota_go_on(&group, i % rota_loops(), ask_often,
				   ((struct member){ stage, i }));
	error |= rota_group_wait(&group);
	stage->end = rota_flights_inspect(&stage->flights);
	rota_flights_fini(&stage->flights);
	return error;
}

static void ask_on(unsigned loops)
{
	const struct rota_config config = { .loops = loops };
	struct stage stage = { .times = test_rounds(TIMES) };
	struct test_random random;

	test_random_init(&random);
	stage.seed = test_random_next(&random);
	assert_int_equal(test_run_with(&config, NULL, ask_everywhere, &stage),
			 0);
	assert_int_equal(atomic_load(&stage.wrong), 0);
	assert_int_equal(atomic_load(&stage.together), 0);
	assert_int_equal(stage.right + stage.cancelled + stage.failed,
			 TASKS * stage.times);
	assert_true(stage.shared > 0);
	assert_int_equal(stage.end.running, 0);
	assert_int_equal(stage.end.waiting, 0);
}

static void on_one_loop_each_key_is_worked_on_by_one_at_a_time(void **state)
{
	(void)state;
	ask_on(1);
}

static void on_two_loops_each_key_is_worked_on_by_one_at_a_time(void **state)
{
	(void)state;
	ask_on(2);
}

static void on_three_loops_each_key_is_worked_on_by_one_at_a_time(void **state)
{
	(void)state;
	ask_on(3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			ten_thousand_callers_on_two_loops_are_one_execution),
		cmocka_unit_test(
			on_one_loop_each_key_is_worked_on_by_one_at_a_time),
		cmocka_unit_test(
			on_two_loops_each_key_is_worked_on_by_one_at_a_time),
		cmocka_unit_test(
			on_three_loops_each_key_is_worked_on_by_one_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
