/* SPDX-License-Identifier: MIT */
/*
 * What a task does about itself: yield, sleep, name. Time is the test's.
 */
#include "rota/rota.h"
#include "support/run.h"
#include "support/timed.h"
#include "support/trail.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct worker {
	struct test_trail *trail;
	const char *word;
	int64_t time_ns;
};

static int yield_twice(void *value)
{
	const struct worker *worker = value;
	int error = 0;

	for (int i = 0; i < 3 && !error; i++) {
		test_trail_add(worker->trail, worker->word);
		error = rota_yield();
	}
	return error;
}

static int three_yield(void *arg)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, yield_twice, ((struct worker){ arg, "a", 0 }));
	error |= rota_go(&group, yield_twice, ((struct worker){ arg, "b", 0 }));
	error |= rota_go(&group, yield_twice, ((struct worker){ arg, "c", 0 }));
	return error | rota_group_wait(&group);
}

static void a_yield_lets_every_other_ready_task_run_first(void **state)
{
	struct test_trail trail = { "" };

	(void)state;
	assert_int_equal(test_run(three_yield, &trail), 0);
	assert_string_equal(trail.text, "abcabcabc");
}

static int yield_alone(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++)
		if (rota_yield())
			return -EPROTO;
	return 0;
}

static void a_task_alone_yields_to_itself(void **state)
{
	(void)state;
	assert_int_equal(test_run(yield_alone, NULL), 0);
}

struct codes {
	int verbs[4];
};

static int yield_cancelled(void *arg)
{
	struct codes *codes = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	codes->verbs[0] = rota_yield();
	codes->verbs[1] = rota_sleep(0);
	codes->verbs[2] = rota_sleep(ROTA_SECOND);
	codes->verbs[3] = rota_cancelled();
	return rota_group_wait(&group);
}

static void in_a_cancelled_task_yield_and_sleep_return_at_once(void **state)
{
	struct codes codes = { { 0 } };

	(void)state;
	assert_int_equal(test_run(yield_cancelled, &codes), -ECANCELED);
	for (int i = 0; i < 4; i++)
		assert_int_equal(codes.verbs[i], -ECANCELED);
}

static int yield_then_ask(void *value)
{
	struct codes *codes = *(struct codes **)value;

	codes->verbs[0] = rota_yield();
	codes->verbs[1] = rota_yield();
	return codes->verbs[1];
}

static int cancel_while_it_yields(void *arg)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, yield_then_ask, (struct codes *)arg);
	rota_yield();
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	return error ? error : rota_group_wait(&group);
}

static void a_cancel_during_a_yield_is_told_by_the_next_verb(void **state)
{
	struct codes codes = { { 1, 1 } };

	(void)state;
	assert_int_equal(test_run(cancel_while_it_yields, &codes), -ECANCELED);
	assert_int_equal(codes.verbs[0], 0);
	assert_int_equal(codes.verbs[1], -ECANCELED);
}

static int sleep_and_note(void *value)
{
	const struct worker *worker = value;
	const int error = rota_sleep(worker->time_ns);

	test_trail_add(worker->trail, worker->word);
	return error;
}

static int sleep_three(void *arg)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, sleep_and_note,
			((struct worker){ arg, "c", 3 * ROTA_SECOND }));
	error |= rota_go(&group, sleep_and_note,
			 ((struct worker){ arg, "a", ROTA_MICROSECOND }));
	error |= rota_go(&group, sleep_and_note,
			 ((struct worker){ arg, "b", 2 * ROTA_SECOND }));
	error |= rota_go(&group, sleep_and_note,
			 ((struct worker){ arg, "d", 3 * ROTA_SECOND }));
	return error | rota_group_wait(&group);
}

static void sleepers_wake_in_the_order_of_their_times(void **state)
{
	struct test_kernel kernel;
	struct test_trail trail = { "" };

	(void)state;
	assert_int_equal(
		test_run_timed_with(NULL, &kernel, sleep_three, &trail), 0);
	assert_string_equal(trail.text, "abcd");
	assert_int_equal(kernel.clock_ns, TEST_START_NS + 3 * ROTA_SECOND);
}

static int sleep_a_year(void *arg)
{
	const int64_t year_ns = 365 * 24 * 3600 * ROTA_SECOND;
	const int64_t before_ns = rota_now_ns();
	const int error = rota_sleep(year_ns);

	*(int64_t *)arg = rota_now_ns() - before_ns - year_ns;
	return error;
}

static void a_sleep_lasts_exactly_as_long_as_the_clock_says(void **state)
{
	struct test_kernel kernel;
	int64_t late_ns = -1;

	(void)state;
	assert_int_equal(
		test_run_timed_with(NULL, &kernel, sleep_a_year, &late_ns), 0);
	assert_int_equal(late_ns, 0);
}

static int sleep_not_at_all(void *arg)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, sleep_and_note,
			((struct worker){ arg, "b", 0 }));
	error |= rota_go(&group, sleep_and_note,
			 ((struct worker){ arg, "c", -ROTA_SECOND }));
	error |= rota_go(&group, sleep_and_note,
			 ((struct worker){ arg, "d", INT64_MIN }));
	test_trail_add(arg, "a");
	error |= rota_sleep(0) | rota_sleep(0);
	test_trail_add(arg, "e");
	error |= rota_sleep_until(0) | rota_sleep_until(INT64_MIN) |
		 rota_sleep_until(rota_now_ns());
	return error | rota_group_wait(&group);
}

static void a_sleep_of_no_time_is_a_yield(void **state)
{
	struct test_kernel kernel;
	struct test_trail trail = { "" };

	(void)state;
	assert_int_equal(test_run_timed_with(NULL, &kernel, sleep_not_at_all,
					     &trail),
			 0);
	assert_string_equal(trail.text, "abcde");
	assert_int_equal(kernel.clock_ns, TEST_START_NS);
}

static int sleep_for_ever(void *value)
{
	const int64_t time_ns = *(int64_t *)value;
	const int error = time_ns == ROTA_NEVER ? rota_sleep_until(time_ns)
						: rota_sleep(time_ns);

	return error == -ECANCELED ? error : -EPROTO;
}

static int cancel_sleepers(void *arg)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, sleep_for_ever, ROTA_NEVER);
	error |= rota_go(&group, sleep_for_ever, ROTA_NEVER - 1);
	error |=
		rota_go(&group, sleep_for_ever, ROTA_NEVER - TEST_START_NS + 1);
	error |= rota_sleep(*(int64_t *)arg);
	rota_group_cancel(&group, (struct rota_cancellation){ -EPIPE, NULL });
	return error ? error : rota_group_wait(&group);
}

static void sleeps_past_the_end_of_time_last_until_cancelled(void **state)
{
	struct test_kernel kernel;
	int64_t century_ns = INT64_C(3155760000) * ROTA_SECOND;

	(void)state;
	assert_int_equal(test_run_timed_with(NULL, &kernel, cancel_sleepers,
					     &century_ns),
			 -EPIPE);
	assert_int_equal(kernel.clock_ns, TEST_START_NS + century_ns);
}

static int add_times(void *arg)
{
	int64_t *times_ns = arg;

	times_ns[0] = rota_after_ns(5);
	times_ns[1] = rota_after_ns(0);
	times_ns[2] = rota_after_ns(-5);
	times_ns[3] = rota_after_ns(INT64_MIN);
	times_ns[4] = rota_after_ns(INT64_MAX - TEST_START_NS);
	times_ns[5] = rota_after_ns(INT64_MAX - TEST_START_NS + 1);
	times_ns[6] = rota_after_ns(INT64_MAX);
	return 0;
}

static void points_in_time_saturate_at_now_and_never(void **state)
{
	struct test_kernel kernel;
	int64_t times_ns[7] = { 0 };

	(void)state;
	assert_int_equal(
		test_run_timed_with(NULL, &kernel, add_times, times_ns), 0);
	assert_int_equal(times_ns[0], TEST_START_NS + 5);
	for (int i = 1; i < 4; i++)
		assert_int_equal(times_ns[i], TEST_START_NS);
	for (int i = 4; i < 7; i++)
		assert_true(times_ns[i] == ROTA_NEVER);
}

static int one_sleeps(void *value)
{
	return rota_sleep(*(int64_t *)value);
}

static int wake_in_one_turn(void *arg)
{
	struct rota_group group;
	int error;

	(void)arg;
	rota_group_open(&group, NULL);
	error = rota_go(&group, one_sleeps, ROTA_SECOND);
	error |= rota_sleep(ROTA_SECOND);
	/* It fired in the same turn: there is nothing left to cancel. */
	rota_group_cancel(&group, (struct rota_cancellation){ -EPIPE, NULL });
	return error ? error : rota_group_wait(&group);
}

static void a_sleep_that_is_over_is_not_cancelled(void **state)
{
	struct test_kernel kernel;

	(void)state;
	assert_int_equal(test_run_timed_with(NULL, &kernel, wake_in_one_turn,
					     NULL),
			 -EPIPE);
}

struct names {
	const char *first, *member, *given, *after;
};

static int tell_names(void *value)
{
	struct names *names = *(struct names **)value;

	names->member = rota_task_name();
	rota_task_set_name("given");
	rota_yield();
	names->given = rota_task_name();
	return 0;
}

static int name_tasks(void *arg)
{
	struct names *names = arg;
	struct rota_group group;
	int error;

	rota_task_set_name("first");
	rota_group_open(&group, NULL);
	error = rota_go(&group, tell_names, names);
	error |= rota_group_wait(&group);
	names->first = rota_task_name();
	rota_task_set_name(NULL);
	names->after = rota_task_name();
	return error;
}

static void a_task_goes_by_its_function_until_it_is_named(void **state)
{
	struct names names = { 0 };

	(void)state;
	assert_int_equal(test_run(name_tasks, &names), 0);
	assert_string_equal(names.first, "first");
	assert_string_equal(names.member, "tell_names");
	assert_string_equal(names.given, "given");
	assert_string_equal(names.after, "main");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_yield_lets_every_other_ready_task_run_first),
		cmocka_unit_test(a_task_alone_yields_to_itself),
		cmocka_unit_test(
			in_a_cancelled_task_yield_and_sleep_return_at_once),
		cmocka_unit_test(
			a_cancel_during_a_yield_is_told_by_the_next_verb),
		cmocka_unit_test(sleepers_wake_in_the_order_of_their_times),
		cmocka_unit_test(
			a_sleep_lasts_exactly_as_long_as_the_clock_says),
		cmocka_unit_test(a_sleep_of_no_time_is_a_yield),
		cmocka_unit_test(
			sleeps_past_the_end_of_time_last_until_cancelled),
		cmocka_unit_test(points_in_time_saturate_at_now_and_never),
		cmocka_unit_test(a_sleep_that_is_over_is_not_cancelled),
		cmocka_unit_test(a_task_goes_by_its_function_until_it_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
