/* SPDX-License-Identifier: MIT */
/*
 * Deadlines inside a task, under a clock of the test's.
 */
#include "rota/rota.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	struct test_kernel kernel;
	struct rota_group group;
	int codes[8];
	bool ended[4];
	int64_t times_ns[4];
};

static int recv_late(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;
	int pair[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	rota_deadline_begin(&deadline, rota_after_ns(5 * ROTA_SECOND));
	seen->codes[0] = rota_recv(pair[0], &byte, 1, 0);
	seen->times_ns[0] = rota_now_ns();
	seen->codes[1] = rota_recv(pair[0], &byte, 1, 0);
	seen->codes[2] = rota_sleep(1);
	seen->ended[0] = rota_deadline_end(&deadline);
	seen->codes[3] = rota_sleep(1);
	return rota_close(pair[0]) | rota_close(pair[1]);
}

static void an_operation_in_the_kernel_ends_with_etime(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(recv_late, &seen), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(seen.codes[i], -ETIME);
	assert_int_equal(seen.codes[3], 0);
	assert_true(seen.ended[0]);
	assert_int_equal(seen.times_ns[0], TEST_START_NS + 5 * ROTA_SECOND);
}

static int begin_past(void *arg)
{
	static const int64_t points_ns[] = { 0, -1, INT64_MIN,
					     TEST_START_NS - 1, TEST_START_NS };
	struct seen *seen = arg;
	struct rota_deadline deadline;

	for (int i = 0; i < 5; i++) {
		rota_deadline_begin(&deadline, points_ns[i]);
		seen->codes[i] = rota_cancelled();
		if (rota_yield() != -ETIME || !rota_deadline_end(&deadline))
			return -EPROTO;
	}
	return rota_cancelled();
}

static void a_point_in_time_that_is_past_ends_everything_at_once(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(begin_past, &seen), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(seen.codes[i], -ETIME);
}

/* The timers' own time stands still while the loop is busy. */
static int begin_past_in_a_long_turn(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline later, past;

	rota_deadline_begin(&later, rota_after_ns(ROTA_SECOND));
	seen->kernel.clock_ns += 10;
	rota_deadline_begin(&past, rota_now_ns());
	seen->codes[0] = rota_cancelled();
	seen->ended[0] = rota_deadline_end(&past);
	rota_deadline_begin(&past, rota_after_ns(1));
	seen->codes[1] = rota_cancelled();
	rota_deadline_end(&past);
	rota_deadline_end(&later);
	return 0;
}

static void what_is_past_is_past_in_the_middle_of_a_turn_too(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed_with(NULL, &seen.kernel,
					     begin_past_in_a_long_turn, &seen),
			 0);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_true(seen.ended[0]);
	assert_int_equal(seen.codes[1], 0);
}

/* No timer is armed, so nothing but the turn itself brings the time. */
static int begin_past_after_a_wait(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;

	seen->kernel.clock_ns += ROTA_SECOND;
	(void)rota_close(-1);
	rota_deadline_begin(&deadline, TEST_START_NS + 1);
	seen->codes[0] = rota_cancelled();
	seen->ended[0] = rota_deadline_end(&deadline);
	return 0;
}

static void the_time_of_a_wait_counts_also_without_timers(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed_with(NULL, &seen.kernel,
					     begin_past_after_a_wait, &seen),
			 0);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_true(seen.ended[0]);
}

static int begin_never(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, ROTA_NEVER);
	seen->codes[0] = rota_sleep(INT64_C(3155760000) * ROTA_SECOND);
	seen->ended[0] = rota_deadline_end(&deadline);
	rota_deadline_begin(&deadline, ROTA_NEVER - 1);
	seen->codes[1] = rota_sleep(ROTA_SECOND);
	seen->ended[1] = rota_deadline_end(&deadline);
	return 0;
}

static void never_and_nearly_never_do_not_come(void **state)
{
	struct seen seen = { .codes = { 1, 1 }, .ended = { true, true } };

	(void)state;
	assert_int_equal(test_run_timed(begin_never, &seen), 0);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], 0);
	assert_false(seen.ended[0]);
	assert_false(seen.ended[1]);
}

static int end_in_time(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, rota_after_ns(5));
	seen->codes[0] = rota_sleep(4);
	seen->ended[0] = rota_deadline_end(&deadline);
	seen->codes[1] = rota_sleep(ROTA_SECOND);
	return 0;
}

static void a_deadline_that_was_ended_in_time_is_forgotten(void **state)
{
	struct seen seen = { .codes = { 1, 1 }, .ended = { true } };

	(void)state;
	assert_int_equal(test_run_timed(end_in_time, &seen), 0);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], 0);
	assert_false(seen.ended[0]);
}

static int nest(struct seen *seen, int64_t outer_ns, int64_t inner_ns)
{
	struct rota_deadline outer, inner;

	rota_deadline_begin(&outer, rota_after_ns(outer_ns));
	rota_deadline_begin(&inner, rota_after_ns(inner_ns));
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	seen->ended[0] = rota_deadline_end(&inner);
	seen->codes[1] = rota_sleep(20);
	seen->times_ns[1] = test_now_ns();
	seen->ended[1] = rota_deadline_end(&outer);
	return rota_cancelled();
}

static int nest_inner_first(void *arg)
{
	return nest(arg, 30, 10);
}

static int nest_outer_first(void *arg)
{
	return nest(arg, 10, 30);
}

static void of_nested_deadlines_the_earlier_inner_one_ends_itself(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(nest_inner_first, &seen), 0);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.times_ns[0], 10);
	assert_true(seen.ended[0]);
	/* The sleep of 20 and the outer deadline are due at once. */
	assert_int_equal(seen.times_ns[1], 30);
}

static void of_nested_deadlines_the_earlier_outer_one_ends_both(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(nest_outer_first, &seen), 0);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_int_equal(seen.times_ns[1], 10);
	assert_false(seen.ended[0]);
	assert_true(seen.ended[1]);
}

static int cancel_now(void *value)
{
	struct seen *seen = *(struct seen **)value;

	rota_group_cancel(&seen->group,
			  (struct rota_cancellation){ -EPIPE, NULL });
	return 0;
}

/* The group is around the deadline. */
static int cancel_around(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;
	int error;

	rota_group_open(&seen->group, NULL);
	rota_deadline_begin(&deadline, rota_after_ns(10));
	error = rota_go(&seen->group, cancel_now, seen);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	seen->ended[0] = rota_deadline_end(&deadline);
	seen->codes[1] = rota_group_wait(&seen->group);
	return error;
}

static void a_cancel_around_it_before_its_time_is_not_the_deadline(void **state)
{
	struct seen seen = { .ended = { true } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_around, &seen), 0);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.times_ns[0], 0);
	assert_false(seen.ended[0]);
	assert_int_equal(seen.codes[1], -EPIPE);
}

static int expire_then_cancel(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;

	rota_group_open(&seen->group, NULL);
	rota_deadline_begin(&deadline, rota_after_ns(10));
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	rota_group_cancel(&seen->group,
			  (struct rota_cancellation){ -EPIPE, NULL });
	/* The outermost scope that is over decides the code. */
	seen->codes[1] = rota_sleep(ROTA_SECOND);
	seen->codes[2] = rota_cause().error;
	seen->ended[0] = rota_deadline_end(&deadline);
	seen->codes[3] = rota_group_wait(&seen->group);
	return 0;
}

static void
a_cancel_around_it_after_its_time_changes_the_code_only(void **state)
{
	struct seen seen = { .ended = { false } };

	(void)state;
	assert_int_equal(test_run_timed(expire_then_cancel, &seen), 0);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.codes[1], -ECANCELED);
	assert_int_equal(seen.codes[2], -ETIME);
	assert_true(seen.ended[0]);
	assert_int_equal(seen.codes[3], -EPIPE);
}

static int cancel_later(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const int code = rota_sleep(10);

	rota_group_cancel(&seen->group,
			  (struct rota_cancellation){ -EPIPE, NULL });
	return code;
}

/* Both are due in one turn, the canceller's timer was armed before or after
 * the deadline's. */
static int race_in_one_turn(struct seen *seen, bool canceller_first)
{
	struct rota_deadline deadline;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, cancel_later, seen);
	if (canceller_first)
		rota_yield();
	rota_deadline_begin(&deadline, rota_after_ns(10));
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->ended[0] = rota_deadline_end(&deadline);
	seen->codes[1] = rota_group_wait(&seen->group);
	return error;
}

static int race_canceller_first(void *arg)
{
	return race_in_one_turn(arg, true);
}

static int race_deadline_first(void *arg)
{
	return race_in_one_turn(arg, false);
}

static void of_expiry_and_cancel_in_one_turn_one_wins(void **state)
{
	struct seen seen = { .ended = { false } };

	(void)state;
	/* Timers fire before tasks run: the deadline is first either way; the
	 * code is the outer scope's if that is over when the verb returns. */
	assert_int_equal(test_run_timed(race_canceller_first, &seen), 0);
	assert_true(seen.ended[0]);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.codes[1], -EPIPE);
	assert_int_equal(test_run_timed(race_deadline_first, &seen), 0);
	assert_true(seen.ended[0]);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.codes[1], -EPIPE);
}

static int member_sleeps(void *value)
{
	struct seen *seen = *(struct seen **)value;

	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->codes[4] = rota_cause().error;
	return seen->codes[0];
}

static int group_inside(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;
	int error;

	rota_deadline_begin(&deadline, rota_after_ns(10));
	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, member_sleeps, seen);
	seen->codes[1] = rota_group_wait(&seen->group);
	seen->ended[0] = rota_deadline_end(&deadline);
	seen->times_ns[0] = test_now_ns();
	return error;
}

static void a_deadline_ends_the_groups_that_were_opened_in_it(void **state)
{
	struct seen seen = { .ended = { false } };

	(void)state;
	assert_int_equal(test_run_timed(group_inside, &seen), 0);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_int_equal(seen.codes[4], -ETIME);
	assert_true(seen.ended[0]);
	assert_int_equal(seen.times_ns[0], 10);
}

static int expire_in_wait(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;
	int error;

	rota_group_open(&seen->group,
			&(struct rota_group_options){
				.deadline_ns = rota_after_ns(30) });
	rota_deadline_begin(&deadline, rota_after_ns(10));
	error = rota_go(&seen->group, member_sleeps, seen);
	seen->codes[1] = rota_sleep(20);
	seen->ended[0] = rota_deadline_end(&deadline);
	seen->codes[2] = rota_group_wait(&seen->group);
	seen->times_ns[0] = test_now_ns();
	return error;
}

static void a_deadline_does_not_reach_members_of_a_group_around_it(void **state)
{
	struct seen seen = { .ended = { false } };

	(void)state;
	assert_int_equal(test_run_timed(expire_in_wait, &seen), 0);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_true(seen.ended[0]);
	assert_int_equal(seen.codes[0], -ETIME); /* by the group's own */
	assert_int_equal(seen.codes[2], -ETIME);
	assert_int_equal(seen.times_ns[0], 30);
}

static int release_late(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, 0);
	seen->codes[0] = rota_close(dup(STDIN_FILENO));
	seen->codes[1] = rota_shutdown(STDIN_FILENO, SHUT_RD);
	rota_deadline_end(&deadline);
	return 0;
}

static void release_verbs_work_after_the_deadline(void **state)
{
	struct seen seen = { .codes = { 1, 1 } };

	(void)state;
	assert_int_equal(test_run_timed(release_late, &seen), 0);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], -ENOTSOCK);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_operation_in_the_kernel_ends_with_etime),
		cmocka_unit_test(
			a_point_in_time_that_is_past_ends_everything_at_once),
		cmocka_unit_test(
			what_is_past_is_past_in_the_middle_of_a_turn_too),
		cmocka_unit_test(the_time_of_a_wait_counts_also_without_timers),
		cmocka_unit_test(never_and_nearly_never_do_not_come),
		cmocka_unit_test(
			a_deadline_that_was_ended_in_time_is_forgotten),
		cmocka_unit_test(
			of_nested_deadlines_the_earlier_inner_one_ends_itself),
		cmocka_unit_test(
			of_nested_deadlines_the_earlier_outer_one_ends_both),
		cmocka_unit_test(
			a_cancel_around_it_before_its_time_is_not_the_deadline),
		cmocka_unit_test(
			a_cancel_around_it_after_its_time_changes_the_code_only),
		cmocka_unit_test(of_expiry_and_cancel_in_one_turn_one_wins),
		cmocka_unit_test(
			a_deadline_ends_the_groups_that_were_opened_in_it),
		cmocka_unit_test(
			a_deadline_does_not_reach_members_of_a_group_around_it),
		cmocka_unit_test(release_verbs_work_after_the_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
