/* SPDX-License-Identifier: MIT */
/*
 * What is done once: by whom, and who gets the result.
 */
#include "support/loops.h"
#include "support/random.h"
#include "support/timed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CALLERS 10
#define RESULT 42

struct play {
	struct rota_once *once;
	struct rota_once own;              /* where `once` points, mostly */
	atomic_uint runs;                  /* how often fn was called */
	int result;                        /* what it returns */
	struct rota_group groups[CALLERS]; /* a scope of each caller */
	int results[CALLERS + 1];          /* what its call returned */
};

struct caller {
	struct play *play;
	unsigned index;
};

static int make(void *arg)
{
	struct play *play = arg;
	int error;

	atomic_fetch_add(&play->runs, 1);
	error = rota_sleep(ROTA_MILLISECOND);
	return error ? error : play->result;
}

/* In a scope of its own, which the first task may cancel. */
static int call(void *value)
{
	const struct caller *caller = value;
	struct play *play = caller->play;
	const unsigned index = caller->index;

	rota_group_open(&play->groups[index], NULL);
	play->results[index] = rota_once_run(play->once, make, play);
	(void)rota_group_wait(&play->groups[index]);
	return 0;
}

static int go_all(struct rota_group *group, struct play *play)
{
	int error = 0;

	for (unsigned i = 0; i < CALLERS && !error; i++) {
		const struct caller caller = { play, i };

		error = rota_go_on(group, i % rota_loops(), call, caller);
	}
	return error;
}

static int call_by_all(void *arg)
{
	struct play *play = arg;
	struct rota_group group;
	int error;

	play->once = &play->own;
	rota_once_init(play->once, NULL);
	rota_group_open(&group, NULL);
	error = go_all(&group, play) | rota_group_wait(&group);
	play->results[CALLERS] = rota_once_run(play->once, make, play);
	rota_once_fini(play->once);
	return error;
}

static void assert_all_got(const struct play *play, int result)
{
	assert_int_equal(atomic_load(&play->runs), 1);
	for (unsigned i = 0; i <= CALLERS; i++)
		assert_int_equal(play->results[i], result);
}

static void one_runs_it_and_all_get_the_result(void **state)
{
	struct play play = { .result = RESULT };

	(void)state;
	assert_int_equal(test_run_timed(call_by_all, &play), 0);
	assert_all_got(&play, RESULT);
}

static void an_error_is_a_result_too(void **state)
{
	struct play play = { .result = -EACCES };

	(void)state;
	assert_int_equal(test_run_timed(call_by_all, &play), 0);
	assert_all_got(&play, -EACCES);
}

static void callers_of_all_loops_get_the_result_of_one(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct play play = { .result = RESULT };

		assert_int_equal(test_run_loops(call_by_all, &play), 0);
		assert_all_got(&play, RESULT);
	}
}

#define SHORT_ROUNDS 20000

/* Two loops that come at the same moment, again and again. */
struct race {
	struct rota_once once;
	atomic_uint arrived; /* at the meetings so far, both together */
	atomic_uint runs;    /* of all rounds */
	unsigned rounds;
};

static int count_run(void *arg)
{
	return (int)atomic_fetch_add((atomic_uint *)arg, 1) + 1;
}

/* Until both are there. */
static void meet(struct race *race, unsigned times)
{
	unsigned looks = 0;

	atomic_fetch_add(&race->arrived, 1);
	while (atomic_load(&race->arrived) < 2 * times)
		if (++looks % 1024 == 0)
			sched_yield();
}

static int race_on(void *value)
{
	struct race *race = *(struct race **)value;
	unsigned right = 0, times = 0;

	for (unsigned round = 1; round <= race->rounds; round++) {
		if (rota_loop() == 0)
			rota_once_init(&race->once, NULL);
		meet(race, ++times);
		right += rota_once_run(&race->once, count_run, &race->runs) ==
			 (int)round;
		meet(race, ++times);
	}
	return right == race->rounds ? 0 : -EBADMSG;
}

static int race_both(void *arg)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, race_on, arg);
	error |= rota_go_on(&group, 0, race_on, arg);
	return rota_group_wait(&group) | error;
}

static void of_two_that_come_at_the_same_moment_one_runs_it(void **state)
{
	const struct rota_config config = { .loops = 2 };
	struct race race = { .rounds = test_rounds(SHORT_ROUNDS) };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, race_both, &race), 0);
	assert_int_equal(atomic_load(&race.runs), race.rounds);
}

static struct rota_once at_file_scope = ROTA_ONCE_INIT(at_file_scope);

static int call_static(void *arg)
{
	struct play *play = arg;
	struct rota_group group;
	int error;

	play->once = &at_file_scope;
	rota_group_open(&group, NULL);
	error = go_all(&group, play) | rota_group_wait(&group);
	play->results[CALLERS] = rota_once_run(play->once, make, play);
	return error;
}

static void one_at_file_scope_needs_no_call_to_make_it(void **state)
{
	struct play play = { .result = RESULT };

	(void)state;
	assert_int_equal(test_run_loops(call_static, &play), 0);
	assert_all_got(&play, RESULT);
	at_file_scope = (struct rota_once)ROTA_ONCE_INIT(at_file_scope);
	play = (struct play){ .result = RESULT };
	assert_int_equal(test_run(call_static, &play), 0);
	assert_all_got(&play, RESULT);
	rota_once_fini(&at_file_scope);
}

static void cancel(struct rota_group *group)
{
	rota_group_cancel(group, (struct rota_cancellation){ 0, NULL });
}

static int cancel_one(struct play *play, unsigned index)
{
	struct rota_group group;
	int error;

	play->once = &play->own;
	rota_once_init(play->once, NULL);
	rota_group_open(&group, NULL);
	error = go_all(&group, play) | rota_sleep(1);
	cancel(&play->groups[index]);
	error |= rota_group_wait(&group);
	play->results[CALLERS] = rota_once_run(play->once, make, play);
	rota_once_fini(play->once);
	return error;
}

static int cancel_a_waiter(void *arg)
{
	return cancel_one(arg, 3);
}

static int cancel_the_runner(void *arg)
{
	return cancel_one(arg, 0);
}

static void a_cancelled_caller_does_not_wait_for_the_result(void **state)
{
	struct play play = { .result = RESULT };

	(void)state;
	assert_int_equal(test_run_timed(cancel_a_waiter, &play), 0);
	assert_int_equal(play.results[3], -ECANCELED);
	play.results[3] = RESULT;
	assert_all_got(&play, RESULT);
}

static void what_a_cancelled_fn_returns_is_the_result(void **state)
{
	struct play play = { .result = RESULT };

	(void)state;
	assert_int_equal(test_run_timed(cancel_the_runner, &play), 0);
	assert_all_got(&play, -ECANCELED);
}

static int call_when_cancelled(void *arg)
{
	struct play *play = arg;
	struct rota_group group;

	play->once = &play->own;
	rota_once_init(play->once, NULL);
	rota_group_open(&group, NULL);
	cancel(&group);
	play->results[0] = rota_once_run(play->once, make, play);
	(void)rota_group_wait(&group);
	play->results[1] = rota_once_run(play->once, make, play);
	rota_group_open(&group, NULL);
	cancel(&group);
	play->results[2] = rota_once_run(play->once, make, play);
	(void)rota_group_wait(&group);
	rota_once_fini(play->once);
	return 0;
}

static void a_cancelled_task_runs_nothing_but_gets_what_there_is(void **state)
{
	struct play play = { .result = RESULT };

	(void)state;
	assert_int_equal(test_run_timed(call_when_cancelled, &play), 0);
	assert_int_equal(play.results[0], -ECANCELED);
	assert_int_equal(play.results[1], RESULT);
	assert_int_equal(play.results[2], RESULT);
	assert_int_equal(atomic_load(&play.runs), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_runs_it_and_all_get_the_result),
		cmocka_unit_test(an_error_is_a_result_too),
		cmocka_unit_test(callers_of_all_loops_get_the_result_of_one),
		cmocka_unit_test(
			of_two_that_come_at_the_same_moment_one_runs_it),
		cmocka_unit_test(one_at_file_scope_needs_no_call_to_make_it),
		cmocka_unit_test(
			a_cancelled_caller_does_not_wait_for_the_result),
		cmocka_unit_test(what_a_cancelled_fn_returns_is_the_result),
		cmocka_unit_test(
			a_cancelled_task_runs_nothing_but_gets_what_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
