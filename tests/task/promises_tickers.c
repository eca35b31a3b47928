/* SPDX-License-Identifier: MIT */
/*
 * Broken promises about tickers end the program, and the message names the
 * line to mend.
 */
#include "rota/rota.h"
#include "support/broken.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PERIOD_NS ROTA_MILLISECOND

/* A function of its own, whose frame is gone when it returns. */
#define APART __attribute__((noinline))

static int leave(void *arg)
{
	struct rota_ticker ticker;

	(void)arg;
	TEST_NEXT_LINE();
	return rota_ticker_open(&ticker, PERIOD_NS);
}

static int leave_one_of_two(void *arg)
{
	struct rota_ticker first, second;
	int error = rota_ticker_open(&first, PERIOD_NS);

	(void)arg;
	TEST_NEXT_LINE();
	error |= rota_ticker_open(&second, PERIOD_NS);
	rota_ticker_close(&first);
	return error;
}

static void one_left_open_at_the_end_of_its_task_is_named(void **state)
{
	(void)state;
	test_expect_abort(leave, "the ticker opened here is still open");
	test_expect_abort(leave_one_of_two,
			  "the ticker opened here is still open");
}

APART static int open_in_a_function(void)
{
	struct rota_ticker ticker;

	TEST_NEXT_LINE();
	return rota_ticker_open(&ticker, PERIOD_NS);
}

/* What was opened lies well below the frame of the verb that is called next. */
APART static int return_past(void)
{
	char room[4096];
	const int error = open_in_a_function();

	/* Nor is the frame given up before. */
	__asm__ volatile("" : : "r"(room) : "memory");
	return error;
}

static int wait_after(void *arg)
{
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	(void)arg;
	error |= return_past();
	return error | rota_ticker_wait(&ticker, NULL);
}

static int close_after(void *arg)
{
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	(void)arg;
	error |= return_past();
	rota_ticker_close(&ticker);
	return error;
}

static int open_after(void *arg)
{
	struct rota_ticker ticker;

	(void)arg;
	return return_past() | rota_ticker_open(&ticker, PERIOD_NS);
}

static int yield_after(void *arg)
{
	(void)arg;
	return return_past() | rota_yield();
}

static void a_function_that_returned_past_one_is_found(void **state)
{
	static int (*const cases[])(void *) = { wait_after, close_after,
						open_after, yield_after };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_expect_abort(cases[i], "returned from the function");
}

static int end_deadline_around(void *arg)
{
	struct rota_deadline deadline;
	struct rota_ticker ticker;
	int error;

	(void)arg;
	rota_deadline_begin(&deadline, ROTA_NEVER);
	TEST_NEXT_LINE();
	error = rota_ticker_open(&ticker, PERIOD_NS);
	rota_deadline_end(&deadline);
	return error;
}

static int wait_for_group_around(void *arg)
{
	struct rota_group group;
	struct rota_ticker ticker;
	int error;

	(void)arg;
	rota_group_open(&group, NULL);
	TEST_NEXT_LINE();
	error = rota_ticker_open(&ticker, PERIOD_NS);
	return error | rota_group_wait(&group);
}

static void what_is_around_one_ends_after_it(void **state)
{
	(void)state;
	test_expect_abort(end_deadline_around,
			  "the ticker opened here is still open");
	test_expect_abort(wait_for_group_around,
			  "the ticker opened here is still open");
}

static int wait_closed(void *arg)
{
	struct rota_ticker ticker;
	int error;

	(void)arg;
	TEST_NEXT_LINE();
	error = rota_ticker_open(&ticker, PERIOD_NS);
	rota_ticker_close(&ticker);
	return error | rota_ticker_wait(&ticker, NULL);
}

static int reset_closed(void *arg)
{
	struct rota_ticker ticker;
	int error;

	(void)arg;
	TEST_NEXT_LINE();
	error = rota_ticker_open(&ticker, PERIOD_NS);
	rota_ticker_close(&ticker);
	return error | rota_ticker_reset(&ticker, PERIOD_NS);
}

static int close_closed(void *arg)
{
	struct rota_ticker ticker;
	int error;

	(void)arg;
	TEST_NEXT_LINE();
	error = rota_ticker_open(&ticker, PERIOD_NS);
	rota_ticker_close(&ticker);
	rota_ticker_close(&ticker);
	return error;
}

static void one_that_is_closed_is_no_ticker(void **state)
{
	(void)state;
	test_expect_abort(wait_closed,
			  "the ticker opened here has ended already");
	test_expect_abort(reset_closed,
			  "the ticker opened here has ended already");
	test_expect_abort(close_closed,
			  "the ticker opened here has ended already");
}

static int wait_refused(void *arg)
{
	struct rota_ticker ticker = { .period_ns = 0 };

	(void)arg;
	if (rota_ticker_open(&ticker, 0) != -EINVAL)
		return 0;
	return rota_ticker_wait(&ticker, NULL);
}

static int close_unopened(void *arg)
{
	struct rota_ticker ticker = { .period_ns = 0 };

	(void)arg;
	rota_ticker_close(&ticker);
	return 0;
}

static void nor_is_one_that_was_never_open(void **state)
{
	(void)state;
	test_expect_abort(wait_refused, "for what is not open");
	test_expect_abort(close_unopened, "for what is not open");
}

static int wait_for_it(void *value)
{
	return rota_ticker_wait(*(struct rota_ticker **)value, NULL);
}

static int reset_it(void *value)
{
	return rota_ticker_reset(*(struct rota_ticker **)value, PERIOD_NS);
}

static int close_it(void *value)
{
	rota_ticker_close(*(struct rota_ticker **)value);
	return 0;
}

/* The owner waits for it, too. */
static int let_another(rota_task_fn *fn)
{
	struct rota_group group;
	struct rota_ticker ticker;
	int error;

	TEST_NEXT_LINE();
	error = rota_ticker_open(&ticker, PERIOD_NS);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, fn, &ticker);
	error |= rota_ticker_wait(&ticker, NULL);
	return error | rota_group_wait(&group);
}

static int let_another_wait(void *arg)
{
	(void)arg;
	return let_another(wait_for_it);
}

static int let_another_reset_it(void *arg)
{
	(void)arg;
	return let_another(reset_it);
}

static int let_another_close_it(void *arg)
{
	(void)arg;
	return let_another(close_it);
}

static void it_is_for_the_task_that_opened_it(void **state)
{
	static int (*const cases[])(void *) = { let_another_wait,
						let_another_reset_it,
						let_another_close_it };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_expect_abort(cases[i],
				  "the ticker opened here is another task's");
}

static int open_twice(void *arg)
{
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD_NS);

	(void)arg;
	TEST_NEXT_LINE();
	return error | rota_ticker_open(&ticker, PERIOD_NS);
}

static void one_that_is_open_is_not_opened_again(void **state)
{
	(void)state;
	test_expect_abort(open_twice, "the ticker is open already");
}

static int wait_for_ever(void *arg)
{
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, ROTA_NEVER);

	(void)arg;
	return error | rota_ticker_wait(&ticker, NULL);
}

static void a_wait_for_what_never_comes_is_told(void **state)
{
	(void)state;
	test_expect_abort(wait_for_ever, "waits in rota_ticker_wait");
	test_expect_abort(wait_for_ever, "deadlock");
}

static struct rota_ticker outside;

static int open_outside(void *arg)
{
	(void)arg;
	return rota_ticker_open(&outside, PERIOD_NS);
}

static int close_outside(void *arg)
{
	(void)arg;
	rota_ticker_close(&outside);
	return 0;
}

static int every_outside(void *arg)
{
	return rota_every(PERIOD_NS, wait_for_ever, arg);
}

static void outside_of_a_task_there_is_none(void **state)
{
	static int (*const cases[])(void *) = { open_outside, close_outside,
						every_outside };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_expect_abort_outside(cases[i],
					  "is called outside of a task");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_left_open_at_the_end_of_its_task_is_named),
		cmocka_unit_test(a_function_that_returned_past_one_is_found),
		cmocka_unit_test(what_is_around_one_ends_after_it),
		cmocka_unit_test(one_that_is_closed_is_no_ticker),
		cmocka_unit_test(nor_is_one_that_was_never_open),
		cmocka_unit_test(it_is_for_the_task_that_opened_it),
		cmocka_unit_test(one_that_is_open_is_not_opened_again),
		cmocka_unit_test(a_wait_for_what_never_comes_is_told),
		cmocka_unit_test(outside_of_a_task_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
