/* SPDX-License-Identifier: MIT */
/*
 * When timers wake the loop, under a clock of the test's and a kernel that has
 * some slack: many at once, if they come soon after each other.
 */
#include "rota/rota.h"
#include "support/kernel.h"
#include "support/run.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SLACK_NS 1000
#define SLEEPERS 10

struct seen {
	struct test_kernel kernel;
	int64_t times_ns[SLEEPERS]; /* when each wait ended */
	unsigned enters;            /* of the kernel meanwhile */
};

static void run(int (*fn)(void *), struct seen *seen)
{
	test_kernel_init(&seen->kernel);
	test_kernel_clock(&seen->kernel, TEST_START_NS);
	seen->kernel.table.slack_ns = SLACK_NS;
	assert_int_equal(test_run_with(NULL, &seen->kernel.table, fn, seen), 0);
	assert_int_equal(test_kernel_left(&seen->kernel), 0);
}

struct sleeper {
	struct seen *seen;
	int index;
	int64_t duration_ns;
};

static int sleep_once(void *value)
{
	const struct sleeper *sleeper = value;
	const int error = rota_sleep(sleeper->duration_ns);

	sleeper->seen->times_ns[sleeper->index] = test_now_ns();
	return error;
}

/* Sleepers that end 100 ns after each other. */
static int sleep_densely(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (int i = 0; i < SLEEPERS && !error; i++)
		error = rota_go(
			&group, sleep_once,
			((struct sleeper){ seen, i, 10 * SLACK_NS + i * 100 }));
	seen->enters = seen->kernel.calls[TEST_ENTER];
	error |= rota_group_wait(&group);
	seen->enters = seen->kernel.calls[TEST_ENTER] - seen->enters;
	return error;
}

static void those_that_come_soon_after_others_are_woken_together(void **state)
{
	struct seen seen = { .enters = 0 };

	(void)state;
	run(sleep_densely, &seen);
	assert_int_equal(seen.times_ns[0], 10 * SLACK_NS);
	for (int i = 1; i < SLEEPERS; i++)
		assert_int_equal(seen.times_ns[i], 11 * SLACK_NS);
	assert_in_range(seen.enters, 2, 3);
}

static int sleep_sparsely(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (int i = 0; i < SLEEPERS && !error; i++)
		error = rota_go(
			&group, sleep_once,
			((struct sleeper){ seen, i, (i + 1) * SLACK_NS }));
	return error | rota_group_wait(&group);
}

static void those_that_do_not_are_woken_to_the_point(void **state)
{
	struct seen seen = { .enters = 0 };

	(void)state;
	run(sleep_sparsely, &seen);
	for (int i = 0; i < SLEEPERS; i++)
		assert_int_equal(seen.times_ns[i], (i + 1) * SLACK_NS);
}

/* The second sleep begins when the first has ended, and others wait. */
static int sleep_again(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, sleep_once, ((struct sleeper){ seen, 0, 505 }));
	error |=
		rota_go(&group, sleep_once, ((struct sleeper){ seen, 1, 530 }));
	error |= rota_sleep(500);
	seen->times_ns[2] = test_now_ns();
	error |= rota_sleep(20);
	seen->times_ns[3] = test_now_ns();
	return error | rota_group_wait(&group);
}

static void a_short_sleep_that_has_just_begun_is_not_put_off(void **state)
{
	struct seen seen = { .enters = 0 };

	(void)state;
	run(sleep_again, &seen);
	assert_int_equal(seen.times_ns[2], 500);
	assert_int_equal(seen.times_ns[3], 520);
	assert_int_equal(seen.times_ns[0], 520);
	assert_int_equal(seen.times_ns[1], 520 + SLACK_NS);
}

static int tick_quickly(void *arg)
{
	struct seen *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, SLACK_NS / 10);

	for (int i = 0; i < SLEEPERS && !error; i++) {
		error = rota_ticker_wait(&ticker, NULL);
		seen->times_ns[i] = test_now_ns();
	}
	rota_ticker_close(&ticker);
	return error;
}

static void nor_is_a_quick_ticker(void **state)
{
	struct seen seen = { .enters = 0 };

	(void)state;
	run(tick_quickly, &seen);
	for (int i = 0; i < SLEEPERS; i++)
		assert_int_equal(seen.times_ns[i], (i + 1) * SLACK_NS / 10);
}

/* A deadline that is put off comes all the same. */
static int expire_late(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;
	int code;

	rota_deadline_begin(&deadline, rota_after_ns(510));
	if (rota_sleep(500))
		return -EPROTO;
	seen->times_ns[0] = test_now_ns();
	code = rota_sleep(ROTA_SECOND);
	seen->times_ns[1] = test_now_ns();
	return rota_deadline_end(&deadline) && code == -ETIME ? 0 : -EPROTO;
}

static void a_deadline_may_be_that_much_late(void **state)
{
	struct seen seen = { .enters = 0 };

	(void)state;
	run(expire_late, &seen);
	assert_int_equal(seen.times_ns[0], 500);
	assert_int_equal(seen.times_ns[1], 500 + SLACK_NS);
}

static int cancel_it(void *value)
{
	rota_group_cancel(*(struct rota_group **)value,
			  (struct rota_cancellation){ 0 });
	return 0;
}

/* All in the turn in which others have fired. */
static int give_up_and_sleep(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int code, error = rota_sleep(500);

	rota_group_open(&group, NULL);
	error |= rota_go(&group, cancel_it, &group);
	code = rota_sleep(5);
	if (rota_group_wait(&group) != -ECANCELED || code != -ECANCELED)
		return -EPROTO;
	seen->enters = seen->kernel.calls[TEST_ENTER];
	error |= rota_sleep(100);
	seen->enters = seen->kernel.calls[TEST_ENTER] - seen->enters;
	seen->times_ns[0] = test_now_ns();
	return error;
}

static void nobody_is_woken_for_a_sleep_that_was_given_up(void **state)
{
	struct seen seen = { .enters = 0 };

	(void)state;
	run(give_up_and_sleep, &seen);
	assert_int_equal(seen.times_ns[0], 600);
	assert_int_equal(seen.enters, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			those_that_come_soon_after_others_are_woken_together),
		cmocka_unit_test(those_that_do_not_are_woken_to_the_point),
		cmocka_unit_test(
			a_short_sleep_that_has_just_begun_is_not_put_off),
		cmocka_unit_test(nor_is_a_quick_ticker),
		cmocka_unit_test(a_deadline_may_be_that_much_late),
		cmocka_unit_test(nobody_is_woken_for_a_sleep_that_was_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
