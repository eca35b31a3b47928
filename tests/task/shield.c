/* SPDX-License-Identifier: MIT */
/*
 * Shields: what they keep out, and for how long. Under a clock of the test's;
 * times are counted from its start.
 */
#include "rota/rota.h"
#include "support/shielded.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#define CENTURY_NS (INT64_C(3155760000) * ROTA_SECOND)

static int work_in_cancelled(void *arg)
{
	struct test_shielded *seen = arg;
	struct rota_shield shield;
	int pair[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	rota_group_open(&seen->group, NULL);
	test_shielded_cancel(seen);
	rota_shield_begin(&shield, ROTA_SECOND);
	seen->codes[0] = rota_send_all(pair[0], "x", 1, NULL);
	seen->codes[1] = rota_recv(pair[1], &byte, 1, 0);
	seen->codes[2] = rota_sleep(1);
	seen->codes[3] = rota_yield();
	seen->over[0] = rota_shield_end(&shield);
	rota_close(pair[0]);
	rota_close(pair[1]);
	return rota_group_wait(&seen->group) == -EPIPE ? 0 : -EPROTO;
}

static void in_a_cancelled_task_verbs_work_in_a_shield(void **state)
{
	struct test_shielded seen = { .over = { true } };

	(void)state;
	test_shielded_run(work_in_cancelled, &seen);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], 1);
	assert_int_equal(seen.codes[2], 0);
	assert_int_equal(seen.codes[3], 0);
	assert_false(seen.over[0]);
}

static int ask_inside(void *arg)
{
	struct test_shielded *seen = arg;
	struct rota_shield shield;

	rota_group_open(&seen->group, NULL);
	test_shielded_cancel(seen);
	rota_shield_begin(&shield, ROTA_SECOND);
	seen->codes[0] = rota_cancelled();
	seen->causes[0] = rota_cause();
	rota_shield_end(&shield);
	seen->codes[1] = rota_cancelled();
	seen->codes[2] = rota_yield();
	seen->causes[1] = rota_cause();
	return rota_group_wait(&seen->group) == -EPIPE ? 0 : -EPROTO;
}

static void a_cancel_is_kept_out_until_the_end_and_seen_after_it(void **state)
{
	struct test_shielded seen = { .codes = { 1, 1, 1 } };

	(void)state;
	test_shielded_run(ask_inside, &seen);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.causes[0].error, 0);
	assert_null(seen.causes[0].reason);
	assert_int_equal(seen.codes[1], -ECANCELED);
	assert_int_equal(seen.codes[2], -ECANCELED);
	assert_int_equal(seen.causes[1].error, -EPIPE);
	assert_string_equal(seen.causes[1].reason, "enough");
}

static int cancel_later(void *value)
{
	struct test_shielded *seen = *(struct test_shielded **)value;
	const int code = rota_sleep(5);

	test_shielded_cancel(seen);
	return code;
}

/* Waits in a shield, the group is cancelled at 5. */
static int wait_through(struct test_shielded *seen, int64_t grace_ns,
			int64_t sleep_ns)
{
	struct rota_shield shield;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, cancel_later, seen);
	rota_shield_begin(&shield, grace_ns);
	seen->codes[0] = rota_sleep(sleep_ns);
	seen->times_ns[0] = test_now_ns();
	seen->codes[1] = rota_cancelled();
	seen->causes[0] = rota_cause();
	seen->over[0] = rota_shield_end(&shield);
	seen->codes[2] = rota_sleep(1);
	seen->codes[3] = rota_group_wait(&seen->group);
	return error;
}

static int end_in_time(void *arg)
{
	return wait_through(arg, 10, 12);
}

static void a_wait_that_ends_within_the_grace_is_not_disturbed(void **state)
{
	struct test_shielded seen = { .over = { true } };

	(void)state;
	test_shielded_run(end_in_time, &seen);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.times_ns[0], 12);
	assert_int_equal(seen.codes[1], 0);
	assert_false(seen.over[0]);
	assert_int_equal(seen.codes[2], -ECANCELED);
	assert_int_equal(seen.codes[3], -EPIPE);
}

static int end_too_late(void *arg)
{
	return wait_through(arg, 10, ROTA_SECOND);
}

static void the_grace_runs_from_the_cancel_around(void **state)
{
	struct test_shielded seen = { .over = { false } };

	(void)state;
	test_shielded_run(end_too_late, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.times_ns[0], 15);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_int_equal(seen.causes[0].error, -ETIME);
	assert_true(seen.over[0]);
	assert_int_equal(seen.codes[2], -ECANCELED);
	assert_int_equal(seen.codes[3], -EPIPE);
}

static int end_at_the_cancel(void *arg)
{
	return wait_through(arg, 0, ROTA_SECOND);
}

static int end_at_the_cancel_below_0(void *arg)
{
	return wait_through(arg, INT64_MIN, ROTA_SECOND);
}

static void without_a_grace_it_is_over_with_the_scope_around(void **state)
{
	static int (*const cases[])(void *) = { end_at_the_cancel,
						end_at_the_cancel_below_0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct test_shielded seen = { .over = { false } };

		test_shielded_run(cases[i], &seen);
		assert_int_equal(seen.codes[0], -ETIME);
		/* With the turn in which the cancel came. */
		assert_in_range(seen.times_ns[0], 5, 6);
		assert_true(seen.over[0]);
	}
}

static int wait_a_century(void *arg)
{
	return wait_through(arg, ROTA_NEVER, CENTURY_NS);
}

static int wait_a_century_nearly(void *arg)
{
	return wait_through(arg, ROTA_NEVER - TEST_START_NS, CENTURY_NS);
}

static void a_grace_past_the_end_of_time_is_not_bounded(void **state)
{
	static int (*const cases[])(void *) = { wait_a_century,
						wait_a_century_nearly };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct test_shielded seen = { .over = { true } };

		test_shielded_run(cases[i], &seen);
		assert_int_equal(seen.codes[0], 0);
		assert_int_equal(seen.times_ns[0], CENTURY_NS);
		assert_false(seen.over[0]);
		assert_int_equal(seen.codes[2], -ECANCELED);
	}
}

static int begin_when_over(void *arg)
{
	struct test_shielded *seen = arg;
	struct rota_shield shield;

	rota_group_open(&seen->group, NULL);
	test_shielded_cancel(seen);
	seen->kernel.clock_ns += 5;
	rota_shield_begin(&shield, 10);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	seen->over[0] = rota_shield_end(&shield);
	return rota_group_wait(&seen->group) == -EPIPE ? 0 : -EPROTO;
}

static void begun_in_a_cancelled_scope_its_grace_runs_from_there(void **state)
{
	struct test_shielded seen = { .over = { false } };

	(void)state;
	test_shielded_run(begin_when_over, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.times_ns[0], 15);
	assert_true(seen.over[0]);
}

static int begin_without_grace(void *arg)
{
	static const int64_t graces_ns[] = { 0, -1, INT64_MIN };
	struct test_shielded *seen = arg;
	struct rota_shield shield;

	rota_group_open(&seen->group, NULL);
	test_shielded_cancel(seen);
	for (int i = 0; i < 3; i++) {
		rota_shield_begin(&shield, graces_ns[i]);
		seen->codes[i] = rota_cancelled();
		seen->over[i] = rota_shield_end(&shield);
	}
	return rota_group_wait(&seen->group) == -EPIPE ? 0 : -EPROTO;
}

static void begun_there_without_a_grace_it_is_over_at_once(void **state)
{
	struct test_shielded seen = { .over = { false } };

	(void)state;
	test_shielded_run(begin_without_grace, &seen);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(seen.codes[i], -ETIME);
		assert_true(seen.over[i]);
	}
}

/* The end of one in its grace takes the grace with it. */
static int begin_again(void *arg)
{
	struct test_shielded *seen = arg;
	struct rota_shield shield;

	rota_group_open(&seen->group, NULL);
	test_shielded_cancel(seen);
	rota_shield_begin(&shield, 10);
	seen->codes[0] = rota_sleep(5);
	rota_shield_end(&shield);
	rota_shield_begin(&shield, ROTA_NEVER);
	seen->codes[1] = rota_sleep(ROTA_SECOND);
	seen->over[0] = rota_shield_end(&shield);
	return rota_group_wait(&seen->group) == -EPIPE ? 0 : -EPROTO;
}

static void a_shield_that_was_ended_is_forgotten(void **state)
{
	struct test_shielded seen = { .codes = { 1, 1 }, .over = { true } };

	(void)state;
	test_shielded_run(begin_again, &seen);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], 0);
	assert_false(seen.over[0]);
}

static int expire_inside(void *arg)
{
	struct test_shielded *seen = arg;
	struct rota_shield shield;
	struct rota_deadline deadline;

	rota_group_open(&seen->group, NULL);
	test_shielded_cancel(seen);
	rota_shield_begin(&shield, 100);
	rota_deadline_begin(&deadline, rota_after_ns(10));
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	seen->over[0] = rota_deadline_end(&deadline);
	seen->codes[1] = rota_sleep(1);
	seen->over[1] = rota_shield_end(&shield);
	return rota_group_wait(&seen->group) == -EPIPE ? 0 : -EPROTO;
}

static void a_deadline_inside_comes_at_its_own_time(void **state)
{
	struct test_shielded seen = { .over = { false, true } };

	(void)state;
	test_shielded_run(expire_inside, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.times_ns[0], 10);
	assert_true(seen.over[0]);
	assert_int_equal(seen.codes[1], 0);
	assert_false(seen.over[1]);
}

static int expire_around(void *arg)
{
	struct test_shielded *seen = arg;
	struct rota_shield shield;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, rota_after_ns(10));
	rota_shield_begin(&shield, 7);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	seen->over[0] = rota_shield_end(&shield);
	seen->codes[1] = rota_sleep(1);
	seen->over[1] = rota_deadline_end(&deadline);
	return 0;
}

static void a_deadline_around_that_comes_begins_the_grace(void **state)
{
	struct test_shielded seen = { .over = { false } };

	(void)state;
	test_shielded_run(expire_around, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.times_ns[0], 17);
	assert_true(seen.over[0]);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_true(seen.over[1]);
}

/* Two scopes around end one after the other. */
static int end_twice_around(void *arg)
{
	struct test_shielded *seen = arg;
	struct rota_deadline deadline;
	int error;

	rota_deadline_begin(&deadline, rota_after_ns(8));
	error = wait_through(seen, 10, ROTA_SECOND);
	rota_deadline_end(&deadline);
	return error;
}

static void the_grace_runs_from_the_first_end_of_a_scope_around(void **state)
{
	struct test_shielded seen = { .over = { false } };

	(void)state;
	test_shielded_run(end_twice_around, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.times_ns[0], 15);
	assert_int_equal(seen.codes[2], -ETIME);
	assert_int_equal(seen.codes[3], -EPIPE);
}

static int recv_in_shield(void *value)
{
	struct test_shielded *seen = *(struct test_shielded **)value;
	struct rota_shield shield;
	int pair[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	rota_shield_begin(&shield, 10);
	seen->codes[0] = rota_recv(pair[0], &byte, 1, 0);
	seen->times_ns[0] = test_now_ns();
	seen->over[0] = rota_shield_end(&shield);
	rota_close(pair[0]);
	rota_close(pair[1]);
	return 0;
}

static int cancel_who_receives(void *arg)
{
	struct test_shielded *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, recv_in_shield, seen);
	error |= rota_sleep(5);
	test_shielded_cancel(seen);
	return rota_group_wait(&seen->group) == -EPIPE ? error : -EPROTO;
}

static void an_operation_in_the_kernel_has_the_grace_too(void **state)
{
	struct test_shielded seen = { .over = { false } };

	(void)state;
	test_shielded_run(cancel_who_receives, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.times_ns[0], 15);
	assert_true(seen.over[0]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_a_cancelled_task_verbs_work_in_a_shield),
		cmocka_unit_test(
			a_cancel_is_kept_out_until_the_end_and_seen_after_it),
		cmocka_unit_test(
			a_wait_that_ends_within_the_grace_is_not_disturbed),
		cmocka_unit_test(the_grace_runs_from_the_cancel_around),
		cmocka_unit_test(
			without_a_grace_it_is_over_with_the_scope_around),
		cmocka_unit_test(a_grace_past_the_end_of_time_is_not_bounded),
		cmocka_unit_test(
			begun_in_a_cancelled_scope_its_grace_runs_from_there),
		cmocka_unit_test(
			begun_there_without_a_grace_it_is_over_at_once),
		cmocka_unit_test(a_shield_that_was_ended_is_forgotten),
		cmocka_unit_test(a_deadline_inside_comes_at_its_own_time),
		cmocka_unit_test(a_deadline_around_that_comes_begins_the_grace),
		cmocka_unit_test(
			the_grace_runs_from_the_first_end_of_a_scope_around),
		cmocka_unit_test(an_operation_in_the_kernel_has_the_grace_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
