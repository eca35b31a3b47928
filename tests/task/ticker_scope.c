/* SPDX-License-Identifier: MIT */
/*
 * Tickers and scopes: what ends a wait for a tick, and that one left open is
 * found.
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/ticks.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PERIOD_NS 100
static int tick_until_ended(void *value)
{
	struct ticks *seen = *(struct ticks **)value;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	while (!error)
		error = ticks_note(seen, &ticker);
	ticks_note(seen, &ticker);
	rota_ticker_close(&ticker);
	return error;
}

static int cancel_at(struct ticks *seen, int64_t time_ns)
{
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, tick_until_ended, seen);
	error |= rota_sleep(time_ns);
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0 });
	return rota_group_wait(&seen->group) == -ECANCELED ? error : -EPROTO;
}

static int cancel_between(void *arg)
{
	return cancel_at(arg, PERIOD_NS + 50);
}

static void a_cancel_ends_the_wait(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(cancel_between, &seen);
	ticks_assert(&seen, 0, PERIOD_NS, 0);
	ticks_assert_end(&seen, 1, -ECANCELED, PERIOD_NS + 50);
	ticks_assert_end(&seen, 2, -ECANCELED, PERIOD_NS + 50);
	assert_int_equal(seen.count, 3);
}

/* The owner's sleep is due with the tick, and was on the wheel before: the
 * ticker's task is ready when it is cancelled. */
static int cancel_with(void *arg)
{
	return cancel_at(arg, PERIOD_NS);
}

static void a_tick_that_came_before_the_cancel_is_delivered(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(cancel_with, &seen);
	ticks_assert(&seen, 0, PERIOD_NS, 0);
	ticks_assert_end(&seen, 1, -ECANCELED, PERIOD_NS);
	assert_int_equal(seen.count, 3);
}

/* The deadline is on the wheel first. */
static int end_with_the_tick(void *arg)
{
	struct ticks *seen = arg;
	struct rota_deadline deadline;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	rota_deadline_begin(&deadline, rota_after_ns(PERIOD_NS));
	ticks_note(seen, &ticker);
	seen->ended = rota_deadline_end(&deadline);
	error |= ticks_note(seen, &ticker);
	rota_ticker_close(&ticker);
	return error;
}

static void a_tick_that_the_deadline_forestalls_stays_pending(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(end_with_the_tick, &seen);
	ticks_assert_end(&seen, 0, -ETIME, PERIOD_NS);
	assert_true(seen.ended);
	ticks_assert(&seen, 1, PERIOD_NS, 0);
}

static int wait_in_the_past(void *arg)
{
	struct ticks *seen = arg;
	struct rota_deadline deadline;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	error |= rota_sleep(PERIOD_NS * 5 / 2);
	rota_deadline_begin(&deadline, 0);
	ticks_note(seen, &ticker);
	rota_deadline_end(&deadline);
	error |= ticks_note(seen, &ticker) | ticks_note(seen, &ticker);
	rota_ticker_close(&ticker);
	return error;
}

static void in_a_scope_that_is_over_no_tick_is_taken(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(wait_in_the_past, &seen);
	ticks_assert_end(&seen, 0, -ETIME, PERIOD_NS * 5 / 2);
	ticks_assert(&seen, 1, PERIOD_NS * 5 / 2, 1);
	ticks_assert(&seen, 2, PERIOD_NS * 3, 0);
}

static int end_around(void *arg)
{
	struct ticks *seen = arg;
	struct rota_deadline deadline;
	struct rota_ticker ticker;
	int error;

	rota_deadline_begin(&deadline, rota_after_ns(PERIOD_NS + 50));
	error = rota_ticker_open(&ticker, PERIOD_NS);
	ticks_note(seen, &ticker);
	ticks_note(seen, &ticker);
	rota_ticker_close(&ticker);
	seen->ended = rota_deadline_end(&deadline);
	return error;
}

static void a_deadline_around_the_ticker_ends_the_wait(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(end_around, &seen);
	ticks_assert(&seen, 0, PERIOD_NS, 0);
	ticks_assert_end(&seen, 1, -ETIME, PERIOD_NS + 50);
	assert_true(seen.ended);
}

static int keep_phase(void *arg)
{
	struct ticks *seen = arg;
	struct rota_deadline deadline;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	rota_deadline_begin(&deadline, rota_after_ns(30));
	ticks_note(seen, &ticker);
	rota_deadline_end(&deadline);
	error |= ticks_note(seen, &ticker);
	rota_ticker_close(&ticker);
	return error;
}

static void a_wait_that_was_ended_leaves_the_schedule_alone(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(keep_phase, &seen);
	ticks_assert_end(&seen, 0, -ETIME, 30);
	ticks_assert(&seen, 1, PERIOD_NS, 0);
}

static int tick_idly(void *value)
{
	struct ticks *seen = *(struct ticks **)value;
	struct rota_idle idle;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	rota_idle_begin(&idle);
	while (!error)
		error = ticks_note(seen, &ticker);
	rota_idle_end(&idle);
	error = ticks_note(seen, &ticker);
	rota_ticker_close(&ticker);
	return error;
}

static int drain(void *arg)
{
	struct ticks *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, tick_idly, seen);
	error |= rota_sleep(PERIOD_NS + 50);
	rota_group_drain(&seen->group, ROTA_NEVER);
	return error | rota_group_wait(&seen->group);
}

static void a_drain_ends_a_wait_in_an_idle_section(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(drain, &seen);
	ticks_assert(&seen, 0, PERIOD_NS, 0);
	ticks_assert_end(&seen, 1, -ESHUTDOWN, PERIOD_NS + 50);
	ticks_assert(&seen, 2, 2 * PERIOD_NS, 0);
}

static int tick_shielded(void *arg)
{
	struct ticks *seen = arg;
	struct rota_deadline deadline;
	struct rota_shield shield;
	struct rota_ticker ticker;
	int error;

	rota_deadline_begin(&deadline, 0);
	rota_shield_begin(&shield, PERIOD_NS + 50);
	error = rota_ticker_open(&ticker, PERIOD_NS);
	ticks_note(seen, &ticker);
	ticks_note(seen, &ticker);
	rota_ticker_close(&ticker);
	rota_shield_end(&shield);
	rota_deadline_end(&deadline);
	return error;
}

static void in_a_shield_it_ticks_until_the_grace_is_over(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(tick_shielded, &seen);
	ticks_assert(&seen, 0, PERIOD_NS, 0);
	ticks_assert_end(&seen, 1, -ETIME, PERIOD_NS + 50);
}

static int close_in_opening_order(void *arg)
{
	struct ticks *seen = arg;
	struct rota_deadline deadline;
	struct rota_ticker first, second;
	int error = rota_ticker_open(&first, PERIOD_NS);

	error |= rota_ticker_open(&second, 3 * PERIOD_NS);
	rota_deadline_begin(&deadline, rota_after_ns(4 * PERIOD_NS));
	ticks_note(seen, &first);
	rota_ticker_close(&first);
	ticks_note(seen, &second);
	rota_ticker_close(&second);
	error |= rota_ticker_open(&first, 2 * PERIOD_NS);
	ticks_note(seen, &first);
	rota_ticker_close(&first);
	seen->ended = rota_deadline_end(&deadline);
	return error;
}

static void two_are_closed_in_any_order(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(close_in_opening_order, &seen);
	ticks_assert(&seen, 0, PERIOD_NS, 0);
	ticks_assert(&seen, 1, 3 * PERIOD_NS, 0);
	ticks_assert_end(&seen, 2, -ETIME, 4 * PERIOD_NS);
	assert_true(seen.ended);
}

/* What rota_every is given. */
struct calls {
	struct ticks *seen;
	unsigned until;   /* the call that returns */
	int result;       /* this */
	int64_t lasts_ns; /* each of them */
};

static int called(void *arg)
{
	struct calls *calls = arg;
	struct ticks *seen = calls->seen;

	seen->times_ns[seen->count++] = test_now_ns();
	seen->kernel.clock_ns += calls->lasts_ns;
	return seen->count == calls->until ? calls->result : 0;
}

static int call_every(void *arg)
{
	struct calls calls = { arg, 3, 7, 0 };

	return rota_every(PERIOD_NS, called, &calls) == 7 ? 0 : -EPROTO;
}

static void every_calls_until_it_is_told_something(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(call_every, &seen);
	assert_int_equal(seen.count, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(seen.times_ns[i], (i + 1) * PERIOD_NS);
}

static int call_slow(void *arg)
{
	struct calls calls = { arg, 2, -EPIPE, PERIOD_NS * 5 / 2 };

	return rota_every(PERIOD_NS, called, &calls) == -EPIPE ? 0 : -EPROTO;
}

static void every_leaves_out_what_a_slow_function_misses(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(call_slow, &seen);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.times_ns[0], PERIOD_NS);
	assert_int_equal(seen.times_ns[1], PERIOD_NS * 7 / 2);
}

static int call_under_deadline(void *arg)
{
	struct calls calls = { arg, 0, 0, 0 };
	struct rota_deadline deadline;
	int result;

	rota_deadline_begin(&deadline, rota_after_ns(3 * PERIOD_NS + 1));
	result = rota_every(PERIOD_NS, called, &calls);
	calls.seen->ended = rota_deadline_end(&deadline);
	return result == -ETIME ? 0 : -EPROTO;
}

static void every_ends_with_the_scope_around_it(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(call_under_deadline, &seen);
	assert_int_equal(seen.count, 3);
	assert_true(seen.ended);
}

static int call_badly(void *arg)
{
	struct calls calls = { arg, 1, 0, 0 };

	return rota_every(0, called, &calls) == -EINVAL &&
			       rota_every(-1, called, &calls) == -EINVAL
		       ? rota_yield()
		       : -EPROTO;
}

static void every_wants_a_period(void **state)
{
	struct ticks seen = { .count = 0 };

	(void)state;
	ticks_run(call_badly, &seen);
	assert_int_equal(seen.count, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cancel_ends_the_wait),
		cmocka_unit_test(
			a_tick_that_came_before_the_cancel_is_delivered),
		cmocka_unit_test(
			a_tick_that_the_deadline_forestalls_stays_pending),
		cmocka_unit_test(in_a_scope_that_is_over_no_tick_is_taken),
		cmocka_unit_test(a_deadline_around_the_ticker_ends_the_wait),
		cmocka_unit_test(
			a_wait_that_was_ended_leaves_the_schedule_alone),
		cmocka_unit_test(a_drain_ends_a_wait_in_an_idle_section),
		cmocka_unit_test(in_a_shield_it_ticks_until_the_grace_is_over),
		cmocka_unit_test(two_are_closed_in_any_order),
		cmocka_unit_test(every_calls_until_it_is_told_something),
		cmocka_unit_test(every_leaves_out_what_a_slow_function_misses),
		cmocka_unit_test(every_ends_with_the_scope_around_it),
		cmocka_unit_test(every_wants_a_period),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
