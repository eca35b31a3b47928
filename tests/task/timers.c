/* SPDX-License-Identifier: MIT */
/*
 * Many timers: what they do not cost, and where they do not drift to.
 */
#include "rota/rota.h"
#include "support/mask.h"
#include "support/random.h"
#include "support/run.h"
#include "support/timed.h"
#include "task/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 1000000u

struct seen {
	struct test_kernel kernel;
	struct test_random random;
	unsigned count;     /* of what is done */
	unsigned wrong;     /* times that something was not as it should be */
	unsigned enters;    /* of the kernel meanwhile */
	uint64_t submitted; /* entries meanwhile */
	unsigned maps;      /* of memory meanwhile */
	size_t bytes;       /* mapped at the end, more than at the start */
};

static uint64_t submitted_by_now(void)
{
	return ri_tasks_here()->loop.ring.submitted;
}

/* Called before, and again after: what came in between. */
static void count_costs(struct seen *seen)
{
	seen->enters = seen->kernel.calls[TEST_ENTER] - seen->enters;
	seen->submitted = submitted_by_now() - seen->submitted;
	seen->maps = seen->kernel.calls[TEST_MAP] - seen->maps;
	seen->bytes = seen->kernel.mapped_bytes - seen->bytes;
}

static void run(int (*fn)(void *), struct seen *seen)
{
	assert_int_equal(test_run_timed_with(NULL, &seen->kernel, fn, seen), 0);
}

#define PERIOD_NS 1000

/* The loop is held up between two waits, so ticks come late, up to a period,
 * or are missed. */
static int tick_late(void *arg)
{
	struct seen *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);
	int64_t passed = 0;

	count_costs(seen);
	for (unsigned i = 0; i < seen->count && !error; i++) {
		uint64_t missed = 0;

		error = rota_ticker_wait(&ticker, &missed);
		passed += 1 + (int64_t)missed;
		seen->wrong += test_now_ns() / PERIOD_NS != passed;
		seen->kernel.clock_ns += (int64_t)test_random_below(
			&seen->random, 2 * PERIOD_NS);
		rota_now_ns();
	}
	count_costs(seen);
	rota_ticker_close(&ticker);
	return error;
}

static void a_million_ticks_do_not_drift(void **state)
{
	struct seen seen = { .count = test_rounds(MANY) };

	(void)state;
	test_random_init(&seen.random);
	run(tick_late, &seen);
	assert_int_equal(seen.wrong, 0);
}

static void a_tick_submits_and_allocates_nothing(void **state)
{
	struct seen seen = { .count = 1000 };

	(void)state;
	test_random_init(&seen.random);
	run(tick_late, &seen);
	assert_int_equal(seen.submitted, 0);
	assert_int_equal(seen.maps, 0);
	assert_true(seen.enters <= seen.count);
}

/* Late, and known to be so. */
static int tick_overdue(void *arg)
{
	struct seen *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	count_costs(seen);
	for (unsigned i = 0; i < 1000 && !error; i++) {
		seen->kernel.clock_ns += 2 * PERIOD_NS;
		rota_now_ns();
		error = rota_ticker_wait(&ticker, NULL);
	}
	count_costs(seen);
	rota_ticker_close(&ticker);
	return error;
}

static void what_is_due_already_is_not_waited_for(void **state)
{
	struct seen seen = { .count = 0 };

	(void)state;
	run(tick_overdue, &seen);
	assert_int_equal(seen.enters, 0);
}

static int sleep_beside_ticker(void *arg)
{
	struct seen *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	error |= rota_ticker_wait(&ticker, NULL);
	count_costs(seen);
	error |= rota_sleep(1000 * PERIOD_NS);
	count_costs(seen);
	rota_ticker_close(&ticker);
	return error;
}

static void nothing_fires_while_nobody_waits(void **state)
{
	struct seen seen = { .count = 0 };

	(void)state;
	run(sleep_beside_ticker, &seen);
	assert_true(seen.enters <= 2);
}

/* Deadlines that are moved, and waits for ticks that a deadline ends. */
static int arm_and_leave(void *arg)
{
	struct seen *seen = arg;

	for (unsigned i = 0; i < seen->count; i++) {
		struct rota_deadline deadline;

		rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND + i));
		rota_deadline_move(&deadline, rota_after_ns(2 * ROTA_SECOND));
		if (i % 16 == 0)
			rota_deadline_move(&deadline,
					   rota_after_ns(ROTA_SECOND / 2));
		seen->wrong += rota_deadline_end(&deadline);
	}
	return rota_yield();
}

static int tick_and_leave(void *arg)
{
	struct seen *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, ROTA_SECOND);

	for (unsigned i = 0; i < seen->count / 10; i++) {
		struct rota_deadline deadline;

		rota_deadline_begin(&deadline, rota_after_ns(1));
		error |= rota_ticker_reset(&ticker, ROTA_SECOND + i);
		seen->wrong += rota_ticker_wait(&ticker, NULL) != -ETIME;
		seen->wrong += !rota_deadline_end(&deadline);
	}
	rota_ticker_close(&ticker);
	return error;
}

static int arm_many(void *arg)
{
	struct seen *seen = arg;
	int error;

	count_costs(seen);
	error = arm_and_leave(seen) | tick_and_leave(seen);
	count_costs(seen);
	seen->wrong += !ri_wheel_empty(&ri_tasks_here()->loop.wheel);
	return error;
}

static void a_million_that_were_armed_and_left_take_no_memory(void **state)
{
	struct seen seen = { .count = test_rounds(MANY) };

	(void)state;
	run(arm_many, &seen);
	assert_int_equal(seen.wrong, 0);
	assert_int_equal(seen.maps, 0);
	assert_int_equal(seen.bytes, 0);
}

#define REAL_TICKS 50u
#define REAL_PERIOD_NS ROTA_MILLISECOND

/* By the machine's own clock: none is early, and all are counted. */
static int tick_really(void *arg)
{
	struct seen *seen = arg;
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, REAL_PERIOD_NS);
	const int64_t start_ns = ticker.next_ns - REAL_PERIOD_NS;
	int64_t passed = 0;

	for (unsigned i = 0; i < REAL_TICKS && !error; i++) {
		uint64_t missed = 0;

		error = rota_ticker_wait(&ticker, &missed);
		passed += 1 + (int64_t)missed;
		seen->wrong +=
			rota_now_ns() < start_ns + passed * REAL_PERIOD_NS;
		seen->wrong += ticker.next_ns !=
			       start_ns + (passed + 1) * REAL_PERIOD_NS;
		seen->count++;
	}
	rota_ticker_close(&ticker);
	return error;
}

static void ticks_keep_their_phase_on_a_kernel_with_relative_waits(void **state)
{
	(void)state;
	for (int masked = 0; masked < 2; masked++) {
		struct seen seen = { .count = 0 };

		if (masked)
			setenv("ROTA_MASK", "abs_timer", 1);
		assert_int_equal(test_run(tick_really, &seen), 0);
		assert_int_equal(seen.count, REAL_TICKS);
		assert_int_equal(seen.wrong, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_ticks_do_not_drift),
		cmocka_unit_test(a_tick_submits_and_allocates_nothing),
		cmocka_unit_test(what_is_due_already_is_not_waited_for),
		cmocka_unit_test(nothing_fires_while_nobody_waits),
		cmocka_unit_test(
			a_million_that_were_armed_and_left_take_no_memory),
		cmocka_unit_test_setup_teardown(
			ticks_keep_their_phase_on_a_kernel_with_relative_waits,
			test_mask_keep, test_mask_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
