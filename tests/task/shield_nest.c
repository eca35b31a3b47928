/* SPDX-License-Identifier: MIT */
/*
 * Shields in shields, and what is opened inside of one. Under a clock of the
 * test's; times are counted from its start.
 */
#include "rota/rota.h"
#include "support/shielded.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SHIELDS 1000

/* The group is cancelled at 0, and sleeps in two shields. */
static int nest(struct test_shielded *seen, int64_t outer_ns, int64_t inner_ns)
{
	struct rota_shield outer, inner;

	rota_group_open(&seen->group, NULL);
	rota_shield_begin(&outer, outer_ns);
	rota_shield_begin(&inner, inner_ns);
	test_shielded_cancel(seen);
	seen->codes[0] = rota_sleep(50);
	seen->times_ns[0] = test_now_ns();
	seen->over[0] = rota_shield_end(&inner);
	seen->codes[1] = rota_sleep(50);
	seen->times_ns[1] = test_now_ns();
	seen->over[1] = rota_shield_end(&outer);
	return rota_group_wait(&seen->group) == -EPIPE ? 0 : -EPROTO;
}

static int nest_10_and_7(void *arg)
{
	return nest(arg, 10, 7);
}

static void the_grace_of_an_inner_one_runs_from_the_outer_ones_end(void **state)
{
	struct test_shielded seen = { .over = { false } };

	(void)state;
	test_shielded_run(nest_10_and_7, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.times_ns[0], 17);
	assert_true(seen.over[0]);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_int_equal(seen.times_ns[1], 17);
	assert_true(seen.over[1]);
}

static int nest_10_and_never(void *arg)
{
	return nest(arg, 10, ROTA_NEVER);
}

static void an_inner_one_keeps_the_end_of_the_outer_one_out(void **state)
{
	struct test_shielded seen = { .over = { true, false } };

	(void)state;
	test_shielded_run(nest_10_and_never, &seen);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.times_ns[0], 50);
	assert_false(seen.over[0]);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_int_equal(seen.times_ns[1], 50);
	assert_true(seen.over[1]);
}

static int begin_in_one_that_is_over(void *arg)
{
	struct test_shielded *seen = arg;
	struct rota_shield outer, inner;

	rota_group_open(&seen->group, NULL);
	test_shielded_cancel(seen);
	rota_shield_begin(&outer, 10);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->kernel.clock_ns += 5;
	rota_shield_begin(&inner, 7);
	seen->codes[1] = rota_sleep(ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	seen->over[0] = rota_shield_end(&inner);
	seen->over[1] = rota_shield_end(&outer);
	return rota_group_wait(&seen->group) == -EPIPE ? 0 : -EPROTO;
}

static void begun_in_a_shield_that_is_over_its_grace_runs_too(void **state)
{
	struct test_shielded seen = { .over = { false } };

	(void)state;
	test_shielded_run(begin_in_one_that_is_over, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_int_equal(seen.times_ns[0], 22);
	assert_true(seen.over[0]);
	assert_true(seen.over[1]);
}

static int sleep_a_while(void *value)
{
	struct test_shielded *seen = *(struct test_shielded **)value;

	seen->codes[0] = rota_sleep(30);
	seen->times_ns[0] = test_now_ns();
	seen->causes[0] = rota_cause();
	return seen->codes[0];
}

/* A group in a shield of this grace; around it everything is over. */
static int open_inside(struct test_shielded *seen, int64_t grace_ns)
{
	struct rota_shield shield;
	struct rota_group inner;
	int error;

	rota_group_open(&seen->group, NULL);
	test_shielded_cancel(seen);
	rota_shield_begin(&shield, grace_ns);
	rota_group_open(&inner, NULL);
	error = rota_go(&inner, sleep_a_while, seen);
	seen->codes[1] = rota_group_wait(&inner);
	seen->over[0] = rota_shield_end(&shield);
	seen->codes[2] = rota_group_wait(&seen->group);
	return error;
}

static int open_inside_100(void *arg)
{
	return open_inside(arg, 100);
}

static int open_inside_10(void *arg)
{
	return open_inside(arg, 10);
}

static void a_group_inside_lives_as_long_as_the_shield(void **state)
{
	struct test_shielded seen = { .codes = { 1, 1 } },
			     late = { .codes = { 1 } };

	(void)state;
	test_shielded_run(open_inside_100, &seen);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], 0);
	assert_false(seen.over[0]);
	test_shielded_run(open_inside_10, &late);
	assert_int_equal(late.codes[0], -ETIME);
	assert_int_equal(late.times_ns[0], 10);
	assert_int_equal(late.causes[0].error, -ETIME);
	assert_int_equal(late.codes[1], -ETIME);
	assert_true(late.over[0]);
	assert_int_equal(late.codes[2], -EPIPE);
}

static int say_cancelled(void *value)
{
	(void)value;
	return -ECANCELED;
}

static int fail_inside(void *arg)
{
	struct test_shielded *seen = arg;
	struct rota_shield shield;
	struct rota_group inner;
	int error;

	rota_group_open(&seen->group, NULL);
	test_shielded_cancel(seen);
	rota_shield_begin(&shield, ROTA_NEVER);
	rota_group_open(&inner, NULL);
	error = rota_go(&inner, say_cancelled, 0);
	error |= rota_go(&inner, sleep_a_while, seen);
	seen->codes[1] = rota_group_wait(&inner);
	rota_shield_end(&shield);
	return rota_group_wait(&seen->group) == -EPIPE ? error : -EPROTO;
}

/* Its own tasks were told of nothing. */
static void the_code_of_what_is_kept_out_is_a_failure_inside(void **state)
{
	struct test_shielded seen = { .codes = { 1, 1 } };

	(void)state;
	test_shielded_run(fail_inside, &seen);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[1], -ECANCELED);
}

static int shield_yourself(void *value)
{
	struct test_shielded *seen = *(struct test_shielded **)value;
	struct rota_shield shield;

	rota_shield_begin(&shield, 7);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	seen->over[0] = rota_shield_end(&shield);
	return rota_cancelled();
}

static int expire_around_the_owner(void *arg)
{
	struct test_shielded *seen = arg;
	struct rota_deadline deadline;
	int error;

	rota_deadline_begin(&deadline, rota_after_ns(10));
	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, shield_yourself, seen);
	seen->codes[1] = rota_group_wait(&seen->group);
	rota_deadline_end(&deadline);
	return error;
}

static void what_ends_around_the_owner_begins_the_members_grace(void **state)
{
	struct test_shielded seen = { .over = { false } };

	(void)state;
	test_shielded_run(expire_around_the_owner, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.times_ns[0], 17);
	assert_true(seen.over[0]);
	assert_int_equal(seen.codes[1], -ETIME);
}

static int shields_deep(void *arg)
{
	static struct rota_shield shields[SHIELDS];
	struct test_shielded *seen = arg;

	rota_group_open(&seen->group, NULL);
	for (int i = 0; i < SHIELDS; i++)
		rota_shield_begin(&shields[i], 0);
	test_shielded_cancel(seen);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	for (int i = SHIELDS - 1; i >= 0; i--) {
		seen->codes[1] += rota_cancelled() == -ETIME;
		seen->codes[2] += rota_shield_end(&shields[i]);
	}
	return rota_group_wait(&seen->group) == -EPIPE ? 0 : -EPROTO;
}

static void a_thousand_without_a_grace_end_without_recursion(void **state)
{
	struct test_shielded seen = { .codes = { 0 } };

	(void)state;
	test_shielded_run(shields_deep, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.codes[1], SHIELDS);
	assert_int_equal(seen.codes[2], SHIELDS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_grace_of_an_inner_one_runs_from_the_outer_ones_end),
		cmocka_unit_test(
			an_inner_one_keeps_the_end_of_the_outer_one_out),
		cmocka_unit_test(
			begun_in_a_shield_that_is_over_its_grace_runs_too),
		cmocka_unit_test(a_group_inside_lives_as_long_as_the_shield),
		cmocka_unit_test(
			the_code_of_what_is_kept_out_is_a_failure_inside),
		cmocka_unit_test(
			what_ends_around_the_owner_begins_the_members_grace),
		cmocka_unit_test(
			a_thousand_without_a_grace_end_without_recursion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
