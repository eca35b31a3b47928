/* SPDX-License-Identifier: MIT */
/*
 * Idle sections, and who counts as having failed in a group that drains. Under
 * a clock of the test's; times are counted from its start.
 */
#include "rota/rota.h"
#include "support/timed.h"

#include <liburing.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

struct seen {
	struct test_kernel kernel;
	struct rota_group group;
	int codes[6];
	bool over[3]; /* what ends said */
	int64_t times_ns[2];
	struct rota_cancellation cause;
	unsigned ran;
};

static void drain(struct seen *seen)
{
	rota_group_drain(&seen->group, 10);
}

static int drain_at_5(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const int code = rota_sleep(5);

	drain(seen);
	return code;
}

/* Opens the group, which one of the others drains at 5. */
static int open_drained(struct seen *seen)
{
	rota_group_open(&seen->group, NULL);
	return rota_go(&seen->group, drain_at_5, seen);
}

static int rest_undisturbed(void *arg)
{
	struct seen *seen = arg;
	struct rota_idle idle;

	rota_idle_begin(&idle);
	seen->codes[0] = rota_cancelled();
	seen->codes[1] = rota_sleep(5);
	seen->over[0] = rota_idle_end(&idle);
	return 0;
}

static void nothing_happens_to_who_is_idle_while_nobody_drains(void **state)
{
	struct seen seen = { .codes = { 1, 1 }, .over = { true } };

	(void)state;
	assert_int_equal(test_run_timed(rest_undisturbed, &seen), 0);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], 0);
	assert_false(seen.over[0]);
}

static int rest_as_owner(void *arg)
{
	struct seen *seen = arg;
	struct rota_idle idle;
	int error = open_drained(seen);

	rota_idle_begin(&idle);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	seen->codes[1] = rota_cancelled();
	seen->cause = rota_cause();
	seen->over[0] = rota_idle_end(&idle);
	seen->codes[2] = rota_sleep(1);
	seen->codes[3] = rota_group_wait(&seen->group);
	return error;
}

static void the_owner_can_be_idle_in_its_own_group(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(rest_as_owner, &seen), 0);
	assert_int_equal(seen.codes[0], -ESHUTDOWN);
	assert_int_equal(seen.times_ns[0], 5);
	assert_int_equal(seen.codes[1], -ESHUTDOWN);
	assert_int_equal(seen.cause.error, -ESHUTDOWN);
	assert_true(seen.over[0]);
	assert_int_equal(seen.codes[2], 0);
	assert_int_equal(seen.codes[3], 0);
}

static int rest_too_late(void *arg)
{
	struct seen *seen = arg;
	struct rota_idle idle;
	struct rota_group inner;

	rota_group_open(&seen->group, NULL);
	drain(seen);
	seen->codes[0] = rota_sleep(1);
	rota_group_open(&inner, NULL);
	rota_idle_begin(&idle);
	seen->codes[1] = rota_cancelled();
	seen->codes[2] = rota_sleep(1);
	seen->over[0] = rota_idle_end(&idle);
	seen->codes[3] = rota_group_wait(&inner);
	return rota_group_wait(&seen->group);
}

static void begun_after_the_drain_it_is_over_at_once(void **state)
{
	struct seen seen = { .codes = { 1 } };

	(void)state;
	assert_int_equal(test_run_timed(rest_too_late, &seen), 0);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], -ESHUTDOWN);
	assert_int_equal(seen.codes[2], -ESHUTDOWN);
	assert_true(seen.over[0]);
	assert_int_equal(seen.codes[3], 0);
}

static int rest_twice(void *arg)
{
	struct seen *seen = arg;
	struct rota_idle outer, inner;
	int error = open_drained(seen);

	rota_idle_begin(&outer);
	rota_idle_begin(&inner);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->over[0] = rota_idle_end(&inner);
	seen->codes[1] = rota_sleep(1);
	seen->over[1] = rota_idle_end(&outer);
	seen->codes[2] = rota_sleep(1);
	seen->codes[3] = rota_group_wait(&seen->group);
	return error;
}

static void sections_inside_one_another_end_together(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(rest_twice, &seen), 0);
	assert_int_equal(seen.codes[0], -ESHUTDOWN);
	assert_true(seen.over[0]);
	assert_int_equal(seen.codes[1], -ESHUTDOWN);
	assert_true(seen.over[1]);
	assert_int_equal(seen.codes[2], 0);
	assert_int_equal(seen.codes[3], 0);
}

static int shield_inside(void *arg)
{
	struct seen *seen = arg;
	struct rota_idle idle;
	struct rota_shield shield;
	int error = open_drained(seen);

	rota_idle_begin(&idle);
	rota_shield_begin(&shield, 3);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	seen->over[0] = rota_shield_end(&shield);
	seen->codes[1] = rota_sleep(1);
	seen->over[1] = rota_idle_end(&idle);
	seen->codes[2] = rota_group_wait(&seen->group);
	return error;
}

static void a_shield_inside_has_its_grace_from_the_drain(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(shield_inside, &seen), 0);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.times_ns[0], 8);
	assert_true(seen.over[0]);
	assert_int_equal(seen.codes[1], -ESHUTDOWN);
	assert_true(seen.over[1]);
	assert_int_equal(seen.codes[2], 0);
}

static int shield_around(void *arg)
{
	struct seen *seen = arg;
	struct rota_idle idle;
	struct rota_shield shield;
	int error = open_drained(seen);

	rota_shield_begin(&shield, ROTA_NEVER);
	rota_idle_begin(&idle);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	seen->over[0] = rota_idle_end(&idle);
	rota_idle_begin(&idle);
	seen->codes[1] = rota_cancelled();
	seen->over[1] = rota_idle_end(&idle);
	seen->codes[2] = rota_sleep(1);
	seen->over[2] = rota_shield_end(&shield);
	seen->codes[3] = rota_group_wait(&seen->group);
	return error;
}

static void a_shield_keeps_no_drain_from_who_is_idle(void **state)
{
	struct seen seen = { .over = { false, false, true } };

	(void)state;
	assert_int_equal(test_run_timed(shield_around, &seen), 0);
	assert_int_equal(seen.codes[0], -ESHUTDOWN);
	assert_int_equal(seen.times_ns[0], 5);
	assert_true(seen.over[0]);
	assert_int_equal(seen.codes[1], -ESHUTDOWN);
	assert_true(seen.over[1]);
	assert_int_equal(seen.codes[2], 0);
	assert_false(seen.over[2]);
	assert_int_equal(seen.codes[3], 0);
}

static int rest_long(void *value)
{
	struct seen *seen = *(struct seen **)value;

	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	return seen->codes[0];
}

static int group_inside(void *arg)
{
	struct seen *seen = arg;
	struct rota_group inner;
	struct rota_idle idle;
	int error = open_drained(seen);

	rota_idle_begin(&idle);
	rota_group_open(&inner, NULL);
	error |= rota_go(&inner, rest_long, seen);
	seen->codes[1] = rota_sleep(ROTA_SECOND);
	seen->codes[2] = rota_go(&seen->group, rest_long, seen);
	seen->codes[3] = rota_group_wait(&inner);
	rota_idle_end(&idle);
	seen->codes[4] = rota_group_wait(&seen->group);
	return error;
}

static void a_group_inside_ends_with_the_section(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(group_inside, &seen), 0);
	assert_int_equal(seen.codes[0], -ESHUTDOWN);
	assert_int_equal(seen.times_ns[0], 5);
	assert_int_equal(seen.codes[1], -ESHUTDOWN);
	assert_int_equal(seen.codes[2], -ESHUTDOWN);
	assert_int_equal(seen.codes[3], -ESHUTDOWN);
	assert_int_equal(seen.codes[4], 0);
}

/* The group outside, which does not drain, is asked by one that is idle. */
static int spawn_when_over(void *arg)
{
	struct seen *seen = arg;
	struct rota_group others;
	struct rota_idle idle;
	int error;

	rota_group_open(&others, NULL);
	error = open_drained(seen);
	rota_idle_begin(&idle);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->codes[1] = rota_go(&others, rest_long, seen);
	seen->codes[2] = rota_try_go(&others, rest_long, seen);
	seen->codes[3] = rota_go_background(&others, rest_long, seen);
	rota_idle_end(&idle);
	error |= rota_group_wait(&seen->group);
	return error | rota_group_wait(&others);
}

static void who_was_idle_spawns_nothing_before_its_section_ends(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(spawn_when_over, &seen), 0);
	for (int i = 1; i < 4; i++)
		assert_int_equal(seen.codes[i], -ESHUTDOWN);
}

static int rest_until_5(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_idle idle;

	rota_idle_begin(&idle);
	seen->codes[0] = rota_sleep(5);
	seen->codes[1] = rota_sleep(1);
	rota_idle_end(&idle);
	return 0;
}

/* The drain comes in the turn in which the sleep is over, but has not run. */
static int drain_beaten(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, drain_at_5, seen);
	error |= rota_go(&seen->group, rest_until_5, seen);
	return error | rota_group_wait(&seen->group);
}

static void a_sleep_that_beats_the_drain_has_ended_well(void **state)
{
	struct seen seen = { .codes = { 1 } };

	(void)state;
	assert_int_equal(test_run_timed(drain_beaten, &seen), 0);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], -ESHUTDOWN);
}

static int receive(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_idle idle;
	int pair[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	if (send(pair[1], "x", 1, 0) != 1)
		return -errno;
	rota_idle_begin(&idle);
	seen->codes[0] = rota_recv(pair[0], &byte, 1, 0);
	seen->codes[1] = rota_recv(pair[0], &byte, 1, 0);
	rota_idle_end(&idle);
	rota_close(pair[0]);
	rota_close(pair[1]);
	return 0;
}

/* The byte was received, its completion is not seen yet. */
static int drain_beaten_unseen(void *arg)
{
	static const int receives = IORING_OP_RECV;
	struct seen *seen = arg;
	int error;

	test_kernel_hold(&seen->kernel, test_hold_opcode,
			 (void *)(uintptr_t)&receives);
	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, receive, seen);
	error |= rota_sleep(5);
	drain(seen);
	error |= rota_sleep(1);
	test_kernel_hold(&seen->kernel, NULL, NULL);
	test_kernel_release_all(&seen->kernel);
	return error | rota_group_wait(&seen->group);
}

static void a_byte_that_beats_the_drain_is_delivered(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed_with(NULL, &seen.kernel,
					     drain_beaten_unseen, &seen),
			 0);
	assert_int_equal(seen.codes[0], 1);
	assert_int_equal(seen.codes[1], -ESHUTDOWN);
}

static int say_shutdown(void *value)
{
	(void)value;
	return -ESHUTDOWN;
}

static int fail_so(struct seen *seen, bool drained)
{
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, say_shutdown, 0);
	error |= rota_go(&seen->group, rest_long, seen);
	if (drained)
		rota_group_drain(&seen->group, 2 * ROTA_SECOND);
	seen->codes[1] = rota_group_wait(&seen->group);
	return error;
}

static int fail_drained(void *arg)
{
	return fail_so(arg, true);
}

static int fail_undrained(void *arg)
{
	return fail_so(arg, false);
}

static void eshutdown_is_no_failure_in_a_group_that_drains(void **state)
{
	struct seen seen = { .codes = { 1, 1 } };

	(void)state;
	assert_int_equal(test_run_timed(fail_drained, &seen), 0);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], 0);
}

static void in_another_group_it_is_one(void **state)
{
	struct seen seen = { .codes = { 1, 1 } };

	(void)state;
	assert_int_equal(test_run_timed(fail_undrained, &seen), 0);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[1], -ESHUTDOWN);
}

/* A group of a member, opened before the drain or after it. */
static int fail_below(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_group inner;
	int error;

	for (int i = 0; i < 2; i++) {
		rota_group_open(&inner, NULL);
		error = rota_sleep(i ? 0 : 7);
		error |= rota_go(&inner, say_shutdown, 0);
		seen->codes[i] = error ? error : rota_group_wait(&inner);
	}
	return 0;
}

static int drain_around(void *arg)
{
	struct seen *seen = arg;
	int error = open_drained(seen);

	error |= rota_go(&seen->group, fail_below, seen);
	return error | rota_group_wait(&seen->group);
}

static void nor_is_it_a_failure_in_groups_inside_one_that_drains(void **state)
{
	struct seen seen = { .codes = { 1, 1 } };

	(void)state;
	assert_int_equal(test_run_timed(drain_around, &seen), 0);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], 0);
}

static int rest_and_return(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_idle idle;
	int code;

	rota_idle_begin(&idle);
	code = rota_sleep(ROTA_SECOND);
	rota_idle_end(&idle);
	seen->ran++;
	return code;
}

static int drain_1000(void *arg)
{
	struct seen *seen = arg;
	int error = 0;

	rota_group_open(&seen->group, NULL);
	for (int i = 0; i < 1000; i++)
		error |= rota_go(&seen->group, rest_and_return, seen);
	error |= rota_sleep(5);
	drain(seen);
	error |= rota_group_wait(&seen->group);
	seen->times_ns[0] = test_now_ns();
	return error;
}

static void a_thousand_that_are_idle_end_together(void **state)
{
	struct seen seen = { .ran = 0 };

	(void)state;
	assert_int_equal(test_run_timed(drain_1000, &seen), 0);
	assert_int_equal(seen.ran, 1000);
	assert_int_equal(seen.times_ns[0], 5);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			nothing_happens_to_who_is_idle_while_nobody_drains),
		cmocka_unit_test(the_owner_can_be_idle_in_its_own_group),
		cmocka_unit_test(begun_after_the_drain_it_is_over_at_once),
		cmocka_unit_test(sections_inside_one_another_end_together),
		cmocka_unit_test(a_shield_inside_has_its_grace_from_the_drain),
		cmocka_unit_test(a_shield_keeps_no_drain_from_who_is_idle),
		cmocka_unit_test(a_group_inside_ends_with_the_section),
		cmocka_unit_test(
			who_was_idle_spawns_nothing_before_its_section_ends),
		cmocka_unit_test(a_sleep_that_beats_the_drain_has_ended_well),
		cmocka_unit_test(a_byte_that_beats_the_drain_is_delivered),
		cmocka_unit_test(
			eshutdown_is_no_failure_in_a_group_that_drains),
		cmocka_unit_test(in_another_group_it_is_one),
		cmocka_unit_test(
			nor_is_it_a_failure_in_groups_inside_one_that_drains),
		cmocka_unit_test(a_thousand_that_are_idle_end_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
