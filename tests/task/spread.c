/* SPDX-License-Identifier: MIT */
/*
 * Work that any loop may do: the queue, and who takes from it.
 */
#include "support/loops.h"
#include "task/spread.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MANY 100u

static void it_is_taken_in_order_and_less_the_less_there_is(void **state)
{
	struct ri_spread spread;
	struct rota_mail mail[MANY], *next = NULL;
	unsigned taken = 0, before = MANY;

	(void)state;
	ri_spread_init(&spread);
	for (unsigned i = 0; i < MANY; i++)
		ri_spread_put(&spread, &mail[i]);
	while ((next = ri_spread_take(&spread, 2))) {
		unsigned now = 0;

		for (; next; next = next->next, now++)
			assert_ptr_equal(next, &mail[taken + now]);
		assert_in_range(now, 1, before);
		assert_in_range(now, 1, RI_SPREAD_TAKEN_MAX);
		before = now;
		taken += now;
	}
	assert_int_equal(taken, MANY);
	assert_int_equal(before, 1);
	ri_spread_put(&spread, &mail[0]);
	assert_ptr_equal(ri_spread_take(&spread, 2), &mail[0]);
	assert_null(ri_spread_take(&spread, 2));
	ri_spread_fini(&spread);
}

/* Members that are spread while loops are busy. */
struct work {
	struct hold holds[TEST_LOOPS];
	atomic_uint on[TEST_LOOPS]; /* members that ran */
	atomic_uint together;       /* ... run now */
	int result;
};

static int note_loop(void *value)
{
	struct work *work = *(struct work **)value;

	atomic_fetch_add(&work->on[rota_loop()], 1);
	return 0;
}

/* Loop 1 is the only one that has nothing to do. */
static int spread_to_one(void *arg)
{
	struct work *work = arg;
	struct rota_group group;
	unsigned left = MANY;
	int error = 0;

	hold_begin(&work->holds[2], 2);
	rota_group_open(&group, NULL);
	while (left-- && !error)
		error = rota_go_spread(&group, note_loop, work);
	while (!error && atomic_load(&work->on[1]) < MANY)
		sched_yield();
	hold_end(&work->holds[2]);
	work->result = rota_group_wait(&group);
	return error;
}

static void what_is_spread_goes_where_nothing_else_is_done(void **state)
{
	struct work work = { .result = 1 };

	(void)state;
	assert_int_equal(test_run_loops(spread_to_one, &work), 0);
	assert_int_equal(work.result, 0);
	assert_int_equal(atomic_load(&work.on[1]), MANY);
}

/* The others are held: who waits takes it itself. */
static int spread_to_self(void *arg)
{
	struct work *work = arg;
	struct rota_group group;
	unsigned left = MANY;
	int error = 0;

	hold_begin(&work->holds[1], 1);
	hold_begin(&work->holds[2], 2);
	rota_group_open(&group, NULL);
	while (left-- && !error)
		error = rota_go_spread(&group, note_loop, work);
	work->result = rota_group_wait(&group);
	hold_end(&work->holds[1]);
	hold_end(&work->holds[2]);
	return error;
}

static void who_spreads_takes_it_when_all_others_are_busy(void **state)
{
	struct work work = { .result = 1 };

	(void)state;
	assert_int_equal(test_run_loops(spread_to_self, &work), 0);
	assert_int_equal(work.result, 0);
	assert_int_equal(atomic_load(&work.on[0]), MANY);
}

/* Until as many run as there are loops, each on one of its own. */
static int run_together(void *value)
{
	struct work *work = *(struct work **)value;

	atomic_fetch_add(&work->on[rota_loop()], 1);
	atomic_fetch_add(&work->together, 1);
	while (atomic_load(&work->together) < TEST_LOOPS)
		sched_yield();
	return 0;
}

static int wake_all(void *arg)
{
	struct work *work = arg;
	struct rota_group group;
	int error = 0;

	/* Both sleep by now, mostly. */
	pass(ROTA_MILLISECOND);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < TEST_LOOPS && !error; i++)
		error = rota_go_spread(&group, run_together, work);
	work->result = rota_group_wait(&group);
	return error;
}

static void each_that_is_spread_wakes_another_loop(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		struct work work = { .result = 1 };

		assert_int_equal(test_run_loops(wake_all, &work), 0);
		assert_int_equal(work.result, 0);
		for (unsigned i = 0; i < TEST_LOOPS; i++)
			assert_int_equal(atomic_load(&work.on[i]), 1);
	}
}

static int note_cancel(void *value)
{
	struct work *work = *(struct work **)value;

	if (rota_cancelled() == -ECANCELED ||
	    rota_sleep(INT64_MAX) == -ECANCELED)
		atomic_fetch_add(&work->on[rota_loop()], 1);
	return 0;
}

static int cancel_spread(void *arg)
{
	struct work *work = arg;
	struct rota_group group;
	unsigned left = MANY;
	int error = 0;

	hold_begin(&work->holds[1], 1);
	hold_begin(&work->holds[2], 2);
	rota_group_open(&group, NULL);
	while (left-- && !error)
		error = rota_go_spread(&group, note_cancel, work);
	rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	hold_end(&work->holds[1]);
	hold_end(&work->holds[2]);
	work->result = rota_group_wait(&group);
	return error;
}

/* On whichever loop takes it, before it has heard of the cancel or after: a
 * message that took its time may lie between. */
static void what_was_spread_before_a_cancel_runs_cancelled(void **state)
{
	struct work work = { .result = 1 };
	unsigned all = 0;

	(void)state;
	assert_int_equal(test_run_loops(cancel_spread, &work), 0);
	assert_int_equal(work.result, -ECANCELED);
	for (unsigned i = 0; i < TEST_LOOPS; i++)
		all += atomic_load(&work.on[i]);
	assert_int_equal(all, MANY);
}

static int spread_alone(void *arg)
{
	struct work *work = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go_spread(&group, note_loop, work);
	work->result = rota_group_wait(&group);
	return error;
}

static void the_only_loop_spreads_to_itself(void **state)
{
	struct work work = { .result = 1 };

	(void)state;
	assert_int_equal(test_run(spread_alone, &work), 0);
	assert_int_equal(work.result, 0);
	assert_int_equal(atomic_load(&work.on[0]), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			it_is_taken_in_order_and_less_the_less_there_is),
		cmocka_unit_test(
			what_is_spread_goes_where_nothing_else_is_done),
		cmocka_unit_test(who_spreads_takes_it_when_all_others_are_busy),
		cmocka_unit_test(each_that_is_spread_wakes_another_loop),
		cmocka_unit_test(
			what_was_spread_before_a_cancel_runs_cancelled),
		cmocka_unit_test(the_only_loop_spreads_to_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
