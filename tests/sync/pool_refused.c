/* SPDX-License-Identifier: MIT */
/*
 * Pools that cannot be opened, and promises about them that are broken.
 */
#include "support/broken.h"
#include "support/pooled.h"

static void options_that_cannot_be_are_refused(void **state)
{
	struct pooled seen = pooled_make(0, 1);

	(void)state;
	assert_int_equal(test_run(pooled_play, &seen), -EINVAL);
	seen = pooled_make(1, 1);
	seen.options.fn = NULL;
	assert_int_equal(test_run(pooled_play, &seen), -EINVAL);
	seen = pooled_make(1, 1);
	seen.options.item_bytes = 0;
	assert_int_equal(test_run(pooled_play, &seen), -EINVAL);
	seen = pooled_make(1, SIZE_MAX / 4);
	assert_int_equal(test_run(pooled_play, &seen), -EINVAL);
	seen = pooled_make(2, 1);
	seen.options.item_bytes = SIZE_MAX / 3;
	assert_int_equal(test_run(pooled_play, &seen), -EINVAL);
	seen = pooled_make(1, 1);
	seen.options.spread = true;
	seen.options.local = true;
	assert_int_equal(test_run(pooled_play, &seen), -EINVAL);
}

static void with_too_few_tasks_it_is_not_open(void **state)
{
	const struct rota_config config = { .tasks_max = 4 };
	struct pooled seen = pooled_make(4, 1);

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, pooled_play, &seen),
			 -EAGAIN);
	seen = pooled_make(3, 1);
	assert_int_equal(test_run_with(&config, NULL, pooled_play, &seen), 0);
	assert_int_equal(pooled_sum(seen.worked), POOLED_ITEMS);
}

static int open_cancelled(void *arg)
{
	struct pooled *seen = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_cancel(&group, (struct rota_cancellation){ -EINTR, NULL });
	seen->result = pooled_open(seen);
	rota_group_wait(&group);
	return 0;
}

static void a_cancelled_task_opens_none(void **state)
{
	struct pooled seen = pooled_make(1, 1);

	(void)state;
	assert_int_equal(test_run(open_cancelled, &seen), 0);
	assert_int_equal(seen.result, -ECANCELED);
}

static int work_nothing(void *item, void *arg)
{
	(void)item;
	(void)arg;
	return 0;
}

static const struct rota_pool_options simple = { .workers = 1,
						 .item_bytes = 1,
						 .fn = work_nothing };

static int leave_open(void *arg)
{
	struct rota_pool pool;

	(void)arg;
	TEST_NEXT_LINE();
	if (rota_pool_open(&pool, &simple))
		return 1;
	return 0;
}

static void a_pool_that_is_left_open_is_named(void **state)
{
	(void)state;
	test_expect_abort(leave_open, "the pool opened here is still open");
}

static int submit_closed(void *arg)
{
	struct rota_pool pool;

	(void)arg;
	if (rota_pool_open(&pool, &simple) || rota_pool_close(&pool))
		return 1;
	return rota_pool_submit(&pool, "");
}

static void a_submit_to_a_pool_that_was_closed_aborts(void **state)
{
	(void)state;
	test_expect_abort(submit_closed,
			  "rota_pool_submit: the pool is not open");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_that_cannot_be_are_refused),
		cmocka_unit_test(with_too_few_tasks_it_is_not_open),
		cmocka_unit_test(a_cancelled_task_opens_none),
		cmocka_unit_test(a_pool_that_is_left_open_is_named),
		cmocka_unit_test(a_submit_to_a_pool_that_was_closed_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
