/* SPDX-License-Identifier: MIT */
/*
 * Members without a stack as members: slots, joins, results, and what they may
 * do while they are awake. Under a clock of the test's.
 */
#include "rota/rota.h"
#include "support/log.h"
#include "support/served.h"
#include "support/timed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	struct test_kernel kernel;
	struct rota_group group;
	struct rota_group second;
	struct test_served served;
	struct test_served other;
	struct rota_failures failures;
	struct rota_failure failure;
	unsigned ended; /* those of the two that have */
	int outcome;    /* of the group */
	int codes[8];
	int64_t times_ns[2];
};

/* Runs fn under the clock, and asserts that no descriptor is left. */
static void run(int (*fn)(void *), struct seen *seen)
{
	const struct rota_config config = { .log = test_log_nothing };

	test_run_timed_clean(&config, &seen->kernel, fn, seen);
}

static int end_at_once(void *value)
{
	(void)value;
	return 0;
}

/* Closes the peer of who sleeps, after a while. */
static int hang_up_later(void *value)
{
	struct seen *seen = *(struct seen **)value;

	return rota_sleep(9) | test_served_hang_up(&seen->served);
}

static int fill_slots(void *arg)
{
	const struct rota_group_options limit = { .limit = 1 };
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->second, NULL);
	rota_group_open(&seen->group, &limit);
	error = test_served_go(&seen->group, &seen->served);
	error |= test_settle();
	seen->codes[0] = rota_try_go(&seen->group, end_at_once, 0);
	error |= rota_go(&seen->second, hang_up_later, seen);
	error |= rota_go(&seen->group, end_at_once, 0);
	seen->times_ns[0] = test_now_ns();
	error |= rota_group_wait(&seen->group);
	return error | rota_group_wait(&seen->second);
}

static void who_sleeps_keeps_its_slot_until_it_ends(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(fill_slots, &seen);
	assert_int_equal(seen.codes[0], -EAGAIN);
	assert_int_equal(seen.times_ns[0], 3 + 9);
}

static int serve_at_the_limit(void *arg)
{
	const struct rota_group_options limit = { .limit = 1 };
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->second, NULL);
	rota_group_open(&seen->group, &limit);
	error = test_served_go(&seen->group, &seen->served);
	error |= rota_go(&seen->second, hang_up_later, seen);
	error |= test_served_go(&seen->group, &seen->other);
	seen->times_ns[0] = test_now_ns();
	error |= test_served_give(&seen->other, 2) | test_settle();
	error |= test_served_hang_up(&seen->other);
	error |= rota_group_wait(&seen->group);
	seen->times_ns[1] = test_now_ns();
	return error | rota_group_wait(&seen->second);
}

static void to_serve_waits_at_the_limit(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(serve_at_the_limit, &seen);
	assert_int_equal(seen.times_ns[0], 9);
	assert_int_equal(seen.other.bytes, 2);
}

static int join_late(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->second, NULL);
	rota_group_open(&seen->group, NULL);
	seen->served.served = &seen->ended;
	error = test_served_go(&seen->group, &seen->served);
	error |= rota_go(&seen->second, hang_up_later, seen);
	error |= rota_group_wait(&seen->group);
	seen->codes[0] = (int)seen->ended;
	seen->times_ns[0] = test_now_ns();
	return error | rota_group_wait(&seen->second);
}

static void a_join_waits_for_who_sleeps(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(join_late, &seen);
	assert_int_equal(seen.codes[0], 1);
	assert_int_equal(seen.times_ns[0], 9);
}

/* One of two ends with a result; the other one sleeps. */
static int end_one(struct seen *seen, const struct rota_group_options *options)
{
	int error;

	rota_group_open(&seen->group, options);
	seen->served.served = seen->other.served = &seen->ended;
	error = test_served_go(&seen->group, &seen->served);
	error |= test_served_go(&seen->group, &seen->other);
	error |= test_settle() | test_served_hang_up(&seen->served);
	return error;
}

static int fail_first(void *arg)
{
	struct seen *seen = arg;
	int error;

	seen->failures =
		(struct rota_failures){ .list = &seen->failure, .max = 1 };
	seen->served.result = -EIO;
	seen->other.result = -ECANCELED;
	error = end_one(seen, &(struct rota_group_options){
				      .failures = &seen->failures });
	seen->outcome = rota_group_wait(&seen->group);
	return error;
}

static void what_it_returns_at_last_is_its_failure(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(fail_first, &seen);
	assert_int_equal(seen.outcome, -EIO);
	assert_int_equal(seen.ended, 2);
	assert_int_equal(seen.served.codes[0], 0);
	assert_int_equal(seen.other.codes[0], -ECANCELED);
	assert_int_equal(seen.failures.count, 1);
	assert_int_equal(seen.failure.error, -EIO);
	assert_string_equal(seen.failure.site->function, "test_served_take");
	assert_non_null(strstr(seen.failure.site->file, "served.c"));
}

static int keep_going(void *arg)
{
	struct seen *seen = arg;
	int error;

	seen->served.result = -EIO;
	error = end_one(seen, &(struct rota_group_options){
				      .mode = ROTA_GROUP_KEEP_GOING });
	error |= test_settle();
	seen->codes[0] = (int)seen->ended;
	error |= test_served_give(&seen->other, 1) | test_settle();
	error |= test_served_hang_up(&seen->other);
	seen->outcome = rota_group_wait(&seen->group);
	return error;
}

static void in_a_group_that_keeps_going_the_others_sleep_on(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(keep_going, &seen);
	assert_int_equal(seen.codes[0], 1);
	assert_int_equal(seen.other.bytes, 1);
	assert_int_equal(seen.other.codes[0], 0);
	assert_int_equal(seen.outcome, -EIO);
}

static unsigned discarded;

static void count_discarded(int result, void *value)
{
	(void)value;
	discarded += (unsigned)result;
}

static int win(void *arg)
{
	struct seen *seen = arg;
	int error;

	discarded = 0;
	seen->served.result = 42;
	seen->other.result = 7;
	error = end_one(seen, &(struct rota_group_options){
				      .mode = ROTA_GROUP_FIRST_SUCCESS,
				      .discard = count_discarded });
	seen->outcome = rota_group_wait(&seen->group);
	return error;
}

static void
the_first_that_ends_well_wins_and_the_rest_is_discarded(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(win, &seen);
	assert_int_equal(seen.outcome, 42);
	assert_int_equal(seen.other.codes[0], -ECANCELED);
	assert_int_equal(discarded, 7);
}

static int sleep_and_count(void *value)
{
	struct seen *seen = *(struct seen **)value;

	seen->ended += !rota_sleep(5);
	return 0;
}

/* Everything that a task may do. */
static int work_inside(struct rota_stream *stream, void *arg)
{
	struct seen *seen = arg;
	struct rota_view view;
	struct rota_deadline deadline;
	struct rota_group group;
	struct rota_shield shield;

	if (rota_stream_view(stream, &view) <= 0) {
		rota_shield_begin(&shield, ROTA_SECOND);
		seen->codes[4] = rota_sleep(5);
		rota_shield_end(&shield);
		test_served_close(&seen->served);
		return 0;
	}
	rota_deadline_begin(&deadline, rota_after_ns(5));
	seen->codes[0] = rota_stream_view(stream, &view);
	seen->codes[1] = rota_deadline_end(&deadline);
	rota_group_open(&group, NULL);
	seen->codes[2] = rota_go(&group, sleep_and_count, seen);
	seen->codes[2] |= rota_go(&seen->group, sleep_and_count, seen);
	seen->codes[3] = rota_group_wait(&group);
	return 0;
}

static int work(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = test_served_open(&seen->served);
	error |= rota_stream_serve(&seen->group, &seen->served.stream,
				   work_inside, seen);
	error |= test_settle() | test_served_give(&seen->served, 1);
	error |= rota_sleep(100);
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0 });
	seen->outcome = rota_group_wait(&seen->group);
	return error;
}

static void awake_it_may_do_what_every_task_may(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(work, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.codes[1], true);
	assert_int_equal(seen.codes[2], 0);
	assert_int_equal(seen.codes[3], 0);
	assert_int_equal(seen.ended, 2);
	assert_int_equal(seen.codes[4], 0);
	assert_int_equal(seen.outcome, -ECANCELED);
}

/* Takes one byte a call, and notes how often the other one had its turn. */
static int take_byte(struct rota_stream *stream, void *arg)
{
	struct seen *seen = arg;
	char byte;

	if (rota_stream_recv(stream, &byte, 1) == 1) {
		seen->codes[++seen->served.bytes] = seen->codes[0];
		return 0;
	}
	test_served_close(&seen->served);
	return 0;
}

static int count_turns(void *value)
{
	struct seen *seen = *(struct seen **)value;

	for (seen->codes[0] = 0; seen->codes[0] < 20; seen->codes[0]++)
		rota_yield();
	return 0;
}

static int take_bytes(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = test_served_open(&seen->served);
	error |= test_served_give(&seen->served, 5) | test_settle();
	error |= rota_stream_serve(&seen->group, &seen->served.stream,
				   take_byte, seen);
	error |= rota_go(&seen->group, count_turns, seen);
	error |= test_settle() | test_served_hang_up(&seen->served);
	return error | rota_group_wait(&seen->group);
}

static void one_with_more_to_read_gives_others_their_turn(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(take_bytes, &seen);
	assert_int_equal(seen.served.bytes, 5);
	for (int i = 2; i < 5; i++)
		assert_int_equal(seen.codes[i + 1], seen.codes[i] + 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_sleeps_keeps_its_slot_until_it_ends),
		cmocka_unit_test(to_serve_waits_at_the_limit),
		cmocka_unit_test(a_join_waits_for_who_sleeps),
		cmocka_unit_test(what_it_returns_at_last_is_its_failure),
		cmocka_unit_test(
			in_a_group_that_keeps_going_the_others_sleep_on),
		cmocka_unit_test(
			the_first_that_ends_well_wins_and_the_rest_is_discarded),
		cmocka_unit_test(awake_it_may_do_what_every_task_may),
		cmocka_unit_test(one_with_more_to_read_gives_others_their_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
