/* SPDX-License-Identifier: MIT */
/*
 * Workers that submit, and pools inside of workers: who waits for what can
 * never come is told, and nobody else.
 */
#include "support/pooled.h"

/* Each item makes two more, up to the last one. */
static int work_tree(void *item, void *arg)
{
	struct pooled *seen = arg;
	const int index = *(int *)item;

	seen->worked[index]++;
	for (int child = 2 * index + 1; child <= 2 * index + 2; child++) {
		const int error =
			child < POOLED_ITEMS
				? rota_pool_submit(&seen->pool, &child)
				: 0;

		if (error)
			seen->submitted = error;
	}
	return 0;
}

static int grow_tree(void *arg)
{
	struct pooled *seen = arg;
	int root = 0, error;

	seen->options.fn = work_tree;
	error = pooled_open(seen);
	if (error)
		return error;
	error = rota_pool_submit(&seen->pool, &root);
	for (int i = 0; i < 10 * POOLED_ITEMS; i++)
		rota_yield();
	seen->result = rota_pool_close(&seen->pool);
	return error;
}

static void workers_may_submit_to_their_own_pool(void **state)
{
	struct pooled seen = pooled_make(4, POOLED_ITEMS);

	(void)state;
	assert_int_equal(test_run(grow_tree, &seen), 0);
	assert_int_equal(seen.result, 0);
	assert_int_equal(seen.submitted, 0);
	for (int i = 0; i < POOLED_ITEMS; i++)
		assert_int_equal(seen.worked[i], 1);
}

static void workers_that_all_wait_for_each_other_are_told(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers < 5; workers++) {
		struct pooled seen = pooled_make(workers, workers - 1);

		assert_int_equal(test_run(grow_tree, &seen), 0);
		assert_int_equal(seen.result, 0);
		assert_int_equal(seen.submitted, -EDEADLK);
	}
}

/* One waits to submit, another one is about to be free. */
static int work_some(void *item, void *arg)
{
	struct pooled *seen = arg;
	const int index = *(int *)item;
	int more = index + 2;

	seen->worked[index]++;
	if (index % 2)
		rota_yield();
	else if (more < POOLED_ITEMS)
		seen->submitted |= rota_pool_submit(&seen->pool, &more);
	return 0;
}

static int feed_some(void *arg)
{
	struct pooled *seen = arg;
	int error;

	seen->options.fn = work_some;
	error = pooled_open(seen);
	for (int i = 0; i < POOLED_ITEMS && !error; i += i ? 2 : 1)
		error = rota_pool_submit(&seen->pool, &i);
	for (int i = 0; i < POOLED_ITEMS; i++)
		rota_yield();
	seen->result = rota_pool_close(&seen->pool);
	return error;
}

static void who_waits_for_a_worker_that_goes_on_is_not_told(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 3; capacity++) {
		struct pooled seen = pooled_make(2, capacity);

		assert_int_equal(test_run(feed_some, &seen), 0);
		assert_int_equal(seen.result, 0);
		assert_int_equal(seen.submitted, 0);
		for (int i = 0; i < POOLED_ITEMS; i++)
			assert_int_equal(seen.worked[i], 1);
	}
}

static int submit_one(void *value)
{
	struct pooled *seen = *(struct pooled **)value;
	int item = 1;

	return rota_pool_submit(&seen->pool, &item);
}

static int work_by_another(void *item, void *arg)
{
	struct pooled *seen = arg;
	struct rota_group group;

	if (*(int *)item)
		return 0;
	rota_group_open(&group, NULL);
	seen->submitted = rota_go(&group, submit_one, seen);
	seen->inner = rota_group_wait(&group);
	return 0;
}

static int feed_one(void *arg)
{
	struct pooled *seen = arg;
	int item = 0, error;

	seen->options.fn = work_by_another;
	error = pooled_open(seen);
	if (error)
		return error;
	error = rota_pool_submit(&seen->pool, &item);
	rota_yield();
	rota_yield();
	seen->result = rota_pool_close(&seen->pool);
	return error;
}

static void a_task_that_a_worker_joins_is_told_too(void **state)
{
	struct pooled seen = pooled_make(1, 0);

	(void)state;
	assert_int_equal(test_run(feed_one, &seen), 0);
	assert_int_equal(seen.result, 0);
	assert_int_equal(seen.submitted, 0);
	assert_int_equal(seen.inner, -EDEADLK);
}

struct level {
	struct pooled *seen;
	int left;
};

/* A pool in each worker of a pool, each with one worker and no queue. */
static int work_level(void *item, void *arg)
{
	const struct level *level = item;
	struct rota_pool pool;
	struct level below = { level->seen, level->left - 1 };
	int error;

	(void)arg;
	level->seen->worked[level->left]++;
	if (!level->left)
		return 0;
	error = rota_pool_open(
		&pool, &(struct rota_pool_options){ .workers = 1,
						    .item_bytes = sizeof(below),
						    .fn = work_level });
	if (error)
		return error;
	for (int i = 0; i < 2 && !error; i++)
		error = rota_pool_submit(&pool, &below);
	return error | rota_pool_close(&pool);
}

static int nest(void *arg)
{
	const struct level top = { arg, 6 };

	return work_level((void *)(uintptr_t)&top, NULL);
}

static void pools_in_workers_of_pools_do_not_wait_for_each_other(void **state)
{
	struct pooled seen = pooled_make(1, 0);

	(void)state;
	assert_int_equal(test_run(nest, &seen), 0);
	for (int i = 0; i <= 6; i++)
		assert_int_equal(seen.worked[i], 1 << (6 - i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_may_submit_to_their_own_pool),
		cmocka_unit_test(workers_that_all_wait_for_each_other_are_told),
		cmocka_unit_test(
			who_waits_for_a_worker_that_goes_on_is_not_told),
		cmocka_unit_test(a_task_that_a_worker_joins_is_told_too),
		cmocka_unit_test(
			pools_in_workers_of_pools_do_not_wait_for_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
