/* SPDX-License-Identifier: MIT */
/*
 * A function for each item of an array: how many at a time, in which order, and
 * what becomes of the rest after an error.
 */
#include "rota/rota.h"
#include "support/kernel.h"
#include "support/loops.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ITEMS 200

struct item {
	int index;
	atomic_int calls; /* of fn */
};

struct seen {
	struct rota_each each;
	struct item items[ITEMS];
	atomic_uint at_work;        /* calls that have not returned */
	atomic_uint most;           /* ... at a time, at most */
	int failing;                /* the item that fails; -1: none */
	size_t begun;               /* what it told */
	int result;                 /* what it returned */
	bool in_order;              /* each was begun after the one before */
	int last;                   /* the one that was begun last */
	unsigned nested;            /* calls of nested ones */
	bool other;                 /* another task has run meanwhile */
	atomic_bool on[TEST_LOOPS]; /* where one has begun */
};

static void begin(struct seen *seen, struct item *item)
{
	const unsigned now = atomic_fetch_add(&seen->at_work, 1) + 1;
	unsigned most = atomic_load(&seen->most);

	while (now > most &&
	       !atomic_compare_exchange_weak(&seen->most, &most, now))
		;
	atomic_fetch_add(&item->calls, 1);
}

static int call(void *value, void *arg)
{
	struct item *item = value;
	struct seen *seen = arg;
	int code;

	begin(seen, item);
	if (!seen->each.spread) {
		seen->in_order &= item->index == seen->last + 1;
		seen->last = item->index;
	}
	code = rota_sleep(ROTA_MICROSECOND * (1 + item->index % 7));
	atomic_fetch_sub(&seen->at_work, 1);
	return item->index == seen->failing ? -EIO : code;
}

static void make(struct seen *seen, size_t count, unsigned limit)
{
	*seen = (struct seen){
		.each = { .items = seen->items,
			  .count = count,
			  .item_bytes = sizeof(seen->items[0]),
			  .limit = limit,
			  .fn = call,
			  .arg = seen },
		.failing = -1,
		.in_order = true,
		.last = -1,
	};
	for (int i = 0; i < ITEMS; i++)
		seen->items[i].index = i;
}

static int play(void *arg)
{
	struct seen *seen = arg;

	seen->result = rota_for_each(&seen->each, &seen->begun);
	return 0;
}

/* The first ones were begun, once each; the others were not touched. */
static void assert_begun(struct seen *seen)
{
	for (size_t i = 0; i < ITEMS; i++)
		assert_int_equal(atomic_load(&seen->items[i].calls),
				 i < seen->begun);
	assert_int_equal(atomic_load(&seen->at_work), 0);
}

static void
each_item_has_its_call_and_no_more_than_the_limit_at_a_time(void **s)
{
	static const unsigned limits[] = { 1, 2, 7, ITEMS, ITEMS + 5, 0 };
	struct seen seen;

	(void)s;
	for (unsigned i = 0; i < 6; i++) {
		const unsigned limit = limits[i];

		make(&seen, ITEMS, limit);
		assert_int_equal(test_run(play, &seen), 0);
		assert_int_equal(seen.result, 0);
		assert_int_equal(seen.begun, ITEMS);
		assert_begun(&seen);
		assert_true(seen.in_order);
		assert_int_equal(seen.most,
				 limit && limit < ITEMS ? limit : ITEMS);
	}
}

static void there_may_be_none(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, 0, 3);
	seen.each.items = NULL;
	assert_int_equal(test_run(play, &seen), 0);
	assert_int_equal(seen.result, 0);
	assert_int_equal(seen.begun, 0);
}

static void the_first_error_is_returned_and_what_was_not_begun_is_left(void **s)
{
	struct seen seen;

	(void)s;
	for (unsigned limit = 1; limit < 6; limit++) {
		make(&seen, ITEMS, limit);
		seen.failing = 50;
		assert_int_equal(test_run(play, &seen), 0);
		assert_int_equal(seen.result, -EIO);
		assert_in_range(seen.begun, 51, 51 + 8 * limit);
		assert_begun(&seen);
	}
}

static int fail_at_once(void *value, void *arg)
{
	struct item *item = value;
	struct seen *seen = arg;

	atomic_fetch_add(&item->calls, 1);
	return item->index == seen->failing ? -EIO : 0;
}

static void after_an_error_not_one_more_is_begun(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, ITEMS, 4);
	seen.each.fn = fail_at_once;
	seen.failing = 50;
	assert_int_equal(test_run(play, &seen), 0);
	assert_int_equal(seen.result, -EIO);
	assert_int_equal(seen.begun, 51);
	assert_begun(&seen);
}

/* It stands behind the one that calls fn. */
static int note_that_it_ran(void *value)
{
	rota_yield();
	(*(struct seen **)value)->other = true;
	return 0;
}

/* Ends it when the other task has run. */
static int call_without_a_wait(void *value, void *arg)
{
	struct seen *seen = arg;

	atomic_fetch_add(&((struct item *)value)->calls, 1);
	return seen->other ? -EINTR : 0;
}

static int play_beside_another(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	seen->each.fn = call_without_a_wait;
	error = rota_go(&group, note_that_it_ran, seen);
	play(seen);
	return rota_group_wait(&group) | error;
}

static void others_have_their_turn_beside_calls_that_never_wait(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, ITEMS, 1);
	assert_int_equal(test_run(play_beside_another, &seen), 0);
	assert_int_equal(seen.result, -EINTR);
}

static int until_deadline(void *arg)
{
	struct seen *seen = arg;

	seen->each.deadline_ns = rota_after_ns(50 * ROTA_MICROSECOND);
	return play(arg);
}

static void its_deadline_ends_it(void **state)
{
	struct seen seen;
	struct test_kernel kernel;

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, ROTA_SECOND);
	make(&seen, ITEMS, 2);
	assert_int_equal(
		test_run_with(NULL, &kernel.table, until_deadline, &seen), 0);
	assert_int_equal(seen.result, -ETIME);
	assert_in_range(seen.begun, 2, ITEMS - 1);
	assert_begun(&seen);
}

/* Does not mind a cancel. */
static int call_heedlessly(void *value, void *arg)
{
	(void)call(value, arg);
	return 0;
}

static void what_does_not_heed_its_deadline_is_begun_no_more(void **state)
{
	struct seen seen;
	struct test_kernel kernel;

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, ROTA_SECOND);
	make(&seen, ITEMS, 2);
	seen.each.fn = call_heedlessly;
	assert_int_equal(
		test_run_with(NULL, &kernel.table, until_deadline, &seen), 0);
	assert_int_equal(seen.result, -ETIME);
	assert_in_range(seen.begun, 2, ITEMS - 1);
	assert_begun(&seen);
}

static int in_a_cancelled_task(void *arg)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_cancel(&group, (struct rota_cancellation){ -EINTR, NULL });
	play(arg);
	rota_group_wait(&group);
	return 0;
}

static void in_a_cancelled_task_none_is_begun(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, ITEMS, 2);
	assert_int_equal(test_run(in_a_cancelled_task, &seen), 0);
	assert_int_equal(seen.result, -ECANCELED);
	assert_int_equal(seen.begun, 0);
	assert_begun(&seen);
}

/* Levels of it inside each other, one at a time each. */
static int call_nested(void *value, void *arg)
{
	struct item *item = value;
	struct seen *seen = arg;
	struct item below[2] = { { .index = item->index - 1 },
				 { .index = item->index - 1 } };

	seen->nested++;
	if (!item->index)
		return 0;
	return rota_for_each(&(struct rota_each){ .items = below,
						  .count = 2,
						  .item_bytes =
							  sizeof(below[0]),
						  .limit = 1,
						  .fn = call_nested,
						  .arg = seen },
			     NULL);
}

static int nest(void *arg)
{
	struct item top = { .index = 6 };

	return call_nested(&top, arg);
}

static void nested_ones_do_not_wait_for_each_other(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, ITEMS, 1);
	assert_int_equal(test_run(nest, &seen), 0);
	assert_int_equal(seen.nested, (1 << 7) - 1);
}

static void with_too_few_tasks_it_is_only_slower(void **state)
{
	const struct rota_config few = { .tasks_max = 4 };
	const struct rota_config none = { .tasks_max = 1 };
	struct seen seen;

	(void)state;
	make(&seen, ITEMS, 10);
	assert_int_equal(test_run_with(&few, NULL, play, &seen), 0);
	assert_int_equal(seen.result, 0);
	assert_int_equal(seen.begun, ITEMS);
	assert_begun(&seen);
	assert_int_equal(seen.most, 3);
	make(&seen, ITEMS, 10);
	assert_int_equal(test_run_with(&none, NULL, play, &seen), 0);
	assert_int_equal(seen.result, -EAGAIN);
	assert_int_equal(seen.begun, 0);
	assert_begun(&seen);
}

static void arguments_that_cannot_be_are_refused(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, ITEMS, 1);
	seen.each.fn = NULL;
	assert_int_equal(test_run(play, &seen), 0);
	assert_int_equal(seen.result, -EINVAL);
	make(&seen, ITEMS, 1);
	seen.each.items = NULL;
	assert_int_equal(test_run(play, &seen), 0);
	assert_int_equal(seen.result, -EINVAL);
	make(&seen, ITEMS, 1);
	seen.each.item_bytes = 0;
	assert_int_equal(test_run(play, &seen), 0);
	assert_int_equal(seen.result, -EINVAL);
}

/* Not before workers on all loops have begun. */
static int call_with_all(void *value, void *arg)
{
	struct seen *seen = arg;

	atomic_store(&seen->on[rota_loop()], true);
	for (unsigned i = 0; i < TEST_LOOPS; i++)
		await(&seen->on[i]);
	return call(value, arg);
}

static void spread_over_loops_each_item_has_its_call_too(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, ITEMS, 6);
	seen.each.spread = true;
	seen.each.fn = call_with_all;
	assert_int_equal(test_run_loops(play, &seen), 0);
	assert_int_equal(seen.result, 0);
	assert_int_equal(seen.begun, ITEMS);
	assert_begun(&seen);
	assert_in_range(atomic_load(&seen.most), 1, 6);
}

static void spread_over_loops_an_error_ends_it_on_all(void **state)
{
	struct seen seen;

	(void)state;
	for (int failing = 0; failing < 20; failing++) {
		make(&seen, ITEMS, 6);
		seen.each.spread = true;
		seen.each.fn = failing % 2 ? call : fail_at_once;
		seen.failing = failing;
		assert_int_equal(test_run_loops(play, &seen), 0);
		assert_int_equal(seen.result, -EIO);
		assert_in_range(seen.begun, failing + 1, ITEMS);
		assert_begun(&seen);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			each_item_has_its_call_and_no_more_than_the_limit_at_a_time),
		cmocka_unit_test(there_may_be_none),
		cmocka_unit_test(
			the_first_error_is_returned_and_what_was_not_begun_is_left),
		cmocka_unit_test(after_an_error_not_one_more_is_begun),
		cmocka_unit_test(
			others_have_their_turn_beside_calls_that_never_wait),
		cmocka_unit_test(its_deadline_ends_it),
		cmocka_unit_test(
			what_does_not_heed_its_deadline_is_begun_no_more),
		cmocka_unit_test(in_a_cancelled_task_none_is_begun),
		cmocka_unit_test(nested_ones_do_not_wait_for_each_other),
		cmocka_unit_test(with_too_few_tasks_it_is_only_slower),
		cmocka_unit_test(arguments_that_cannot_be_are_refused),
		cmocka_unit_test(spread_over_loops_each_item_has_its_call_too),
		cmocka_unit_test(spread_over_loops_an_error_ends_it_on_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
