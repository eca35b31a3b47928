/* SPDX-License-Identifier: MIT */
/*
 * Pools on one loop: what is worked on, what ends them, and that each item is
 * worked on, discarded or refused, one of these and once.
 */
#include "support/kernel.h"
#include "support/pooled.h"

static void each_item_is_worked_on_once(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 5; capacity++) {
		struct pooled seen = pooled_make(3, capacity);

		assert_int_equal(test_run(pooled_play, &seen), 0);
		assert_int_equal(seen.result, 0);
		pooled_assert_each_once(&seen);
		assert_int_equal(pooled_sum(seen.worked), POOLED_ITEMS);
		assert_int_equal(seen.most, 3);
	}
}

static void an_error_ends_the_pool_and_is_what_it_comes_to(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		const unsigned workers = 1 + i % 2, capacity = i / 2;
		struct pooled seen = pooled_make(workers, capacity);

		seen.failing = 10;
		assert_int_equal(test_run(pooled_play, &seen), 0);
		assert_int_equal(seen.result, -EIO);
		assert_int_equal(seen.submitted, -ECANCELED);
		pooled_assert_each_once(&seen);
		assert_in_range(pooled_sum(seen.worked), 11, 9 + 2 * workers);
		assert_int_equal(pooled_sum(seen.discarded), capacity);
	}
}

/* All workers die while it waits for one of them to take an item. */
static int feed(void *value)
{
	pooled_submit_all(*(struct pooled **)value);
	return 0;
}

static int feed_by_another(void *arg)
{
	struct pooled *seen = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = pooled_open(seen);
	if (!error) {
		error = rota_go(&group, feed, seen);
		while (!error && rota_yield() == 0)
			;
		seen->result = rota_pool_close(&seen->pool);
	}
	return error | rota_group_wait(&group);
}

static void
another_task_that_waits_to_submit_is_told_when_no_worker_is_left(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 3; capacity++) {
		struct pooled seen = pooled_make(1, capacity);

		seen.failing = 5;
		assert_int_equal(test_run(feed_by_another, &seen), 0);
		assert_int_equal(seen.result, -EIO);
		assert_int_equal(seen.submitted, -EPIPE);
		pooled_assert_each_once(&seen);
		assert_int_equal(pooled_sum(seen.worked), 6);
	}
}

static int close_at_once(void *arg)
{
	struct pooled *seen = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = pooled_open(seen);
	if (!error) {
		error = rota_go(&group, feed, seen);
		rota_yield();
		seen->result = rota_pool_close(&seen->pool);
	}
	return error | rota_group_wait(&group);
}

static void who_waits_to_submit_when_it_closes_is_not_sent_away(void **state)
{
	struct pooled seen = pooled_make(1, 2);

	(void)state;
	assert_int_equal(test_run(close_at_once, &seen), 0);
	assert_int_equal(seen.result, 0);
	assert_int_equal(seen.submitted, -EPIPE);
	pooled_assert_each_once(&seen);
	assert_int_equal(pooled_sum(seen.discarded), 0);
	assert_in_range(pooled_sum(seen.worked), 3, 5);
}

/* Waits until the cancel, and then goes on. */
static int work_long(void *item, void *arg)
{
	struct pooled *seen = arg;

	seen->worked[*(int *)item]++;
	seen->inner = rota_sleep(ROTA_SECOND);
	seen->finished = true;
	return seen->inner;
}

static int cancel_it(void *arg)
{
	struct pooled *seen = arg;
	int item = 0, error;

	seen->options.fn = work_long;
	error = pooled_open(seen);
	if (error)
		return error;
	error = rota_pool_submit(&seen->pool, &item);
	rota_yield();
	item++;
	error |= rota_pool_submit(&seen->pool, &item);
	rota_pool_cancel(&seen->pool,
			 (struct rota_cancellation){ -EINTR, "enough" });
	item++;
	seen->submitted = rota_pool_submit(&seen->pool, &item);
	seen->result = rota_pool_close(&seen->pool);
	return error;
}

static void a_cancel_lets_workers_come_to_their_end_and_no_more(void **state)
{
	struct pooled seen = pooled_make(1, 4);

	(void)state;
	assert_int_equal(test_run(cancel_it, &seen), 0);
	assert_int_equal(seen.result, -EINTR);
	assert_int_equal(seen.submitted, -ECANCELED);
	assert_int_equal(seen.inner, -ECANCELED);
	assert_true(seen.finished);
	assert_int_equal(seen.worked[0], 1);
	assert_int_equal(seen.worked[1], 0);
	assert_int_equal(seen.discarded[1], 1);
	assert_int_equal(pooled_sum(seen.discarded), 1);
}

/* It is handed an item, and cancelled before it goes on. */
static int cancel_between(void *arg)
{
	struct pooled *seen = arg;
	int item = 7, error = pooled_open(seen);

	if (error)
		return error;
	rota_yield();
	error = rota_pool_submit(&seen->pool, &item);
	rota_pool_cancel(&seen->pool,
			 (struct rota_cancellation){ -EINTR, NULL });
	seen->result = rota_pool_close(&seen->pool);
	return error;
}

static void an_item_that_was_handed_over_before_a_cancel_is_discarded(void **s)
{
	struct pooled seen = pooled_make(1, 0);

	(void)s;
	assert_int_equal(test_run(cancel_between, &seen), 0);
	assert_int_equal(seen.result, -EINTR);
	assert_int_equal(seen.worked[7], 0);
	assert_int_equal(seen.discarded[7], 1);
}

static int with_deadline(void *arg)
{
	struct pooled *seen = arg;

	seen->options.fn = work_long;
	seen->options.deadline_ns = rota_now_ns() + ROTA_MILLISECOND;
	return pooled_play(arg);
}

static void its_deadline_wakes_who_submits_and_who_works(void **state)
{
	struct pooled seen = pooled_make(2, 3);
	struct test_kernel kernel;

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, ROTA_SECOND);
	assert_int_equal(
		test_run_with(NULL, &kernel.table, with_deadline, &seen), 0);
	assert_int_equal(seen.result, -ETIME);
	assert_int_equal(seen.submitted, -ETIME);
	assert_int_equal(seen.inner, -ETIME);
	pooled_assert_each_once(&seen);
	assert_int_equal(pooled_sum(seen.worked), 2);
	assert_int_equal(pooled_sum(seen.discarded), 3);
	assert_int_equal(test_kernel_left(&kernel), 0);
}

static int submit_late(void *item, void *arg)
{
	struct pooled *seen = arg;

	seen->worked[*(int *)item]++;
	rota_yield();
	seen->submitted = rota_pool_submit(&seen->pool, item);
	seen->inner = rota_pool_try_submit(&seen->pool, item);
	return 0;
}

static int close_under_it(void *arg)
{
	struct pooled *seen = arg;
	int item = 0, error;

	seen->options.fn = submit_late;
	error = pooled_open(seen);
	if (error)
		return error;
	error = rota_pool_submit(&seen->pool, &item);
	seen->result = rota_pool_close(&seen->pool);
	return error;
}

static void a_worker_that_submits_to_a_pool_that_closes_is_refused(void **state)
{
	struct pooled seen = pooled_make(1, 4);

	(void)state;
	assert_int_equal(test_run(close_under_it, &seen), 0);
	assert_int_equal(seen.result, 0);
	assert_int_equal(seen.submitted, -EPIPE);
	assert_int_equal(seen.inner, -EPIPE);
	assert_int_equal(seen.worked[0], 1);
}

static int try_two(void *arg)
{
	struct pooled *seen = arg;
	struct rota_channel_state state;
	int item = 0, error = pooled_open(seen);

	if (error)
		return error;
	error = rota_pool_try_submit(&seen->pool, &item);
	item++;
	seen->submitted = rota_pool_try_submit(&seen->pool, &item);
	state = rota_pool_inspect(&seen->pool);
	seen->inner = (int)state.depth;
	seen->result = rota_pool_close(&seen->pool);
	return error;
}

static void a_full_pool_refuses_who_does_not_wait(void **state)
{
	struct pooled seen = pooled_make(1, 1);

	(void)state;
	assert_int_equal(test_run(try_two, &seen), 0);
	assert_int_equal(seen.submitted, -EAGAIN);
	assert_int_equal(seen.inner, 1);
	assert_int_equal(pooled_sum(seen.worked), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_item_is_worked_on_once),
		cmocka_unit_test(
			an_error_ends_the_pool_and_is_what_it_comes_to),
		cmocka_unit_test(
			another_task_that_waits_to_submit_is_told_when_no_worker_is_left),
		cmocka_unit_test(
			who_waits_to_submit_when_it_closes_is_not_sent_away),
		cmocka_unit_test(
			a_cancel_lets_workers_come_to_their_end_and_no_more),
		cmocka_unit_test(
			an_item_that_was_handed_over_before_a_cancel_is_discarded),
		cmocka_unit_test(its_deadline_wakes_who_submits_and_who_works),
		cmocka_unit_test(
			a_worker_that_submits_to_a_pool_that_closes_is_refused),
		cmocka_unit_test(a_full_pool_refuses_who_does_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
