/* SPDX-License-Identifier: MIT */
/*
 * Tickers, under a clock of the test's: when ticks come, and how many are
 * missed.
 */
#include "rota/rota.h"
#include "support/ticks.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PERIOD_NS (10 * ROTA_MILLISECOND)
static void hold_up(struct ticks *seen, int64_t duration_ns)
{
	seen->kernel.clock_ns += duration_ns;
}

static int work_between_ticks(void *arg)
{
	struct ticks *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	for (int i = 0; i < 4; i++) {
		error |= ticks_note(seen, &ticker);
		hold_up(seen, i * PERIOD_NS / 4);
	}
	rota_ticker_close(&ticker);
	return error;
}

static void ticks_come_at_whole_periods_from_the_start(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(work_between_ticks, &seen);
	for (unsigned i = 0; i < 4; i++)
		ticks_assert(&seen, i, (i + 1) * PERIOD_NS, 0);
}

static int hold_up_half(void *arg)
{
	struct ticks *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	hold_up(seen, 10 * PERIOD_NS + PERIOD_NS / 2);
	error |= ticks_note(seen, &ticker) | ticks_note(seen, &ticker);
	rota_ticker_close(&ticker);
	return error;
}

static void
held_up_for_10_periods_one_tick_is_pending_9_are_missed(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(hold_up_half, &seen);
	ticks_assert(&seen, 0, 10 * PERIOD_NS + PERIOD_NS / 2, 9);
	ticks_assert(&seen, 1, 11 * PERIOD_NS, 0);
}

static int hold_up_exactly(void *arg)
{
	struct ticks *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	hold_up(seen, 10 * PERIOD_NS);
	error |= ticks_note(seen, &ticker) | ticks_note(seen, &ticker);
	hold_up(seen, 10 * PERIOD_NS - 1);
	error |= ticks_note(seen, &ticker) | ticks_note(seen, &ticker);
	rota_ticker_close(&ticker);
	return error;
}

static void the_tick_that_is_due_just_now_is_not_missed(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(hold_up_exactly, &seen);
	ticks_assert(&seen, 0, 10 * PERIOD_NS, 9);
	ticks_assert(&seen, 1, 11 * PERIOD_NS, 0);
	ticks_assert(&seen, 2, 21 * PERIOD_NS - 1, 8);
	ticks_assert(&seen, 3, 21 * PERIOD_NS, 0);
}

static int two_ticks(void *value)
{
	struct ticks *seen = *(struct ticks **)value;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	error |= ticks_note(seen, &ticker) | ticks_note(seen, &ticker);
	rota_ticker_close(&ticker);
	return error;
}

static int hold_up_the_loop(void *arg)
{
	struct ticks *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, two_ticks, seen) | rota_sleep(1);
	hold_up(seen, 10 * PERIOD_NS + PERIOD_NS / 2);
	return error | rota_group_wait(&seen->group);
}

static void a_task_that_waits_while_the_loop_is_held_up_gets_one(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(hold_up_the_loop, &seen);
	ticks_assert(&seen, 0, 10 * PERIOD_NS + PERIOD_NS / 2 + 1, 9);
	ticks_assert(&seen, 1, 11 * PERIOD_NS, 0);
}

/* The tick has fired, and its task is ready but has to wait for its turn. */
static int hold_up_the_ready(void *arg)
{
	struct ticks *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, two_ticks, seen);
	error |= rota_sleep(PERIOD_NS);
	hold_up(seen, 10 * PERIOD_NS);
	rota_now_ns();
	return error | rota_group_wait(&seen->group);
}

static void ticks_due_before_it_goes_on_are_no_second_one(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(hold_up_the_ready, &seen);
	ticks_assert(&seen, 0, 11 * PERIOD_NS, 10);
	ticks_assert(&seen, 1, 12 * PERIOD_NS, 0);
}

static int consume_slowly(void *arg)
{
	struct ticks *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	for (int i = 0; i < 5; i++) {
		error |= ticks_note(seen, &ticker);
		hold_up(seen, PERIOD_NS + PERIOD_NS / 2);
	}
	rota_ticker_close(&ticker);
	return error;
}

static void a_slow_consumer_gets_every_other_one_late(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(consume_slowly, &seen);
	ticks_assert(&seen, 0, PERIOD_NS, 0);
	ticks_assert(&seen, 1, PERIOD_NS * 5 / 2, 0);
	ticks_assert(&seen, 2, PERIOD_NS * 4, 1);
	ticks_assert(&seen, 3, PERIOD_NS * 11 / 2, 0);
	ticks_assert(&seen, 4, PERIOD_NS * 7, 1);
}

#define OPERATIONS 8

static unsigned turns; /* of others */

static int operate(void *value)
{
	(void)value;
	for (int i = 0; i < OPERATIONS; i++) {
		rota_close(-1);
		turns++;
	}
	return 0;
}

/* It knows that it is late, too. */
static int be_always_late(void *arg)
{
	struct ticks *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	turns = 0;
	rota_group_open(&seen->group, NULL);
	error |= rota_go(&seen->group, operate, 0) | rota_yield();
	while (turns < OPERATIONS && !error && seen->count < 99) {
		hold_up(seen, PERIOD_NS + PERIOD_NS / 2);
		rota_now_ns();
		error = rota_ticker_wait(&ticker, NULL);
		seen->count++;
	}
	error |= rota_group_wait(&seen->group);
	rota_ticker_close(&ticker);
	return error;
}

static void who_is_always_late_starves_nobody(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(be_always_late, &seen);
	assert_int_equal(turns, OPERATIONS);
	assert_in_range(seen.count, 1, OPERATIONS + 1);
}

static int reset_early(void *arg)
{
	struct ticks *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	error |= ticks_note(seen, &ticker) | rota_sleep(PERIOD_NS / 2);
	error |= rota_ticker_reset(&ticker, 3 * PERIOD_NS);
	error |= ticks_note(seen, &ticker) | ticks_note(seen, &ticker);
	rota_ticker_close(&ticker);
	return error;
}

static void a_reset_restarts_the_period_from_now(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(reset_early, &seen);
	ticks_assert(&seen, 0, PERIOD_NS, 0);
	ticks_assert(&seen, 1, PERIOD_NS * 9 / 2, 0);
	ticks_assert(&seen, 2, PERIOD_NS * 15 / 2, 0);
}

static int reset_pending(void *arg)
{
	struct ticks *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	hold_up(seen, 5 * PERIOD_NS);
	error |= rota_ticker_reset(&ticker, PERIOD_NS / 2);
	error |= ticks_note(seen, &ticker);
	rota_ticker_close(&ticker);
	return error;
}

static void a_reset_drops_the_tick_that_is_pending(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(reset_pending, &seen);
	ticks_assert(&seen, 0, PERIOD_NS * 11 / 2, 0);
}

static const int64_t bad_periods_ns[] = { 0, -1, INT64_MIN };

static int open_badly(void *arg)
{
	struct ticks *seen = arg;
	struct rota_ticker ticker;

	for (int i = 0; i < 3; i++)
		seen->codes[i] = rota_ticker_open(&ticker, bad_periods_ns[i]);
	return rota_yield();
}

static void a_period_of_nothing_or_less_opens_nothing(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(open_badly, &seen);
	for (int i = 0; i < 3; i++)
		assert_int_equal(seen.codes[i], -EINVAL);
}

static int reset_badly(void *arg)
{
	struct ticks *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	hold_up(seen, PERIOD_NS + 1);
	for (int i = 0; i < 3; i++)
		if (rota_ticker_reset(&ticker, bad_periods_ns[i]) != -EINVAL)
			error = -EPROTO;
	error |= ticks_note(seen, &ticker) | ticks_note(seen, &ticker);
	rota_ticker_close(&ticker);
	return error;
}

static void a_reset_to_nothing_or_less_changes_nothing(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(reset_badly, &seen);
	ticks_assert(&seen, 0, PERIOD_NS + 1, 0);
	ticks_assert(&seen, 1, 2 * PERIOD_NS, 0);
}

static int wait_under(struct ticks *seen, int64_t period_ns,
		      int64_t deadline_ns)
{
	struct rota_deadline deadline;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, period_ns);

	rota_deadline_begin(&deadline, deadline_ns);
	ticks_note(seen, &ticker);
	rota_deadline_end(&deadline);
	rota_ticker_close(&ticker);
	return error;
}

static int wait_for_never(void *arg)
{
	struct ticks *seen = arg;
	const int64_t century_ns = INT64_C(3155760000) * ROTA_SECOND;

	return wait_under(seen, ROTA_NEVER, century_ns) |
	       wait_under(seen, ROTA_NEVER - TEST_START_NS, 2 * century_ns);
}

static void a_period_past_the_end_of_time_never_ticks(void **state)
{
	const int64_t century_ns = INT64_C(3155760000) * ROTA_SECOND;
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(wait_for_never, &seen);
	ticks_assert_end(&seen, 0, -ETIME, century_ns - TEST_START_NS);
	ticks_assert_end(&seen, 1, -ETIME, 2 * century_ns - TEST_START_NS);
}

#define VAST_NS (INT64_MAX / 3 * 2)

static int wait_past_the_end(void *arg)
{
	struct ticks *seen = arg;
	struct rota_deadline deadline;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, VAST_NS);

	error |= ticks_note(seen, &ticker);
	rota_deadline_begin(&deadline, ROTA_NEVER - 1);
	ticks_note(seen, &ticker);
	rota_deadline_end(&deadline);
	rota_ticker_close(&ticker);
	return error;
}

static void after_the_last_one_before_the_end_of_time_none_comes(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(wait_past_the_end, &seen);
	ticks_assert(&seen, 0, VAST_NS, 0);
	ticks_assert_end(&seen, 1, -ETIME, ROTA_NEVER - 1 - TEST_START_NS);
}

static int open_again(void *arg)
{
	struct ticks *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	hold_up(seen, 5 * PERIOD_NS);
	rota_ticker_close(&ticker);
	error |= rota_ticker_open(&ticker, PERIOD_NS);
	error |= ticks_note(seen, &ticker);
	rota_ticker_close(&ticker);
	return error;
}

static void nothing_is_left_of_one_that_was_closed(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(open_again, &seen);
	ticks_assert(&seen, 0, 6 * PERIOD_NS, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ticks_come_at_whole_periods_from_the_start),
		cmocka_unit_test(
			held_up_for_10_periods_one_tick_is_pending_9_are_missed),
		cmocka_unit_test(the_tick_that_is_due_just_now_is_not_missed),
		cmocka_unit_test(
			a_task_that_waits_while_the_loop_is_held_up_gets_one),
		cmocka_unit_test(ticks_due_before_it_goes_on_are_no_second_one),
		cmocka_unit_test(a_slow_consumer_gets_every_other_one_late),
		cmocka_unit_test(who_is_always_late_starves_nobody),
		cmocka_unit_test(a_reset_restarts_the_period_from_now),
		cmocka_unit_test(a_reset_drops_the_tick_that_is_pending),
		cmocka_unit_test(a_period_of_nothing_or_less_opens_nothing),
		cmocka_unit_test(a_reset_to_nothing_or_less_changes_nothing),
		cmocka_unit_test(a_period_past_the_end_of_time_never_ticks),
		cmocka_unit_test(
			after_the_last_one_before_the_end_of_time_none_comes),
		cmocka_unit_test(nothing_is_left_of_one_that_was_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
