/* SPDX-License-Identifier: MIT */
/*
 * Bounds of an engine that are not with what they bound (spawn.c, try_go.c,
 * background.c, remote_bounds.c, stream_limits.c, jobs.c, share.c, offload.c):
 * each is reached, refuses as its header says, and holds nobody up afterwards.
 */
#include "rota/job.h"
#include "support/kernel.h"
#include "support/loops.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define TASKS 8u

struct seen {
	atomic_uint ran;
	unsigned accepted;
	int refused, try_again;
};

static int count_me(void *value)
{
	atomic_fetch_add(&(*(struct seen **)value)->ran, 1);
	return 0;
}

/* The other loop takes nothing meanwhile. */
static int spread_too_many(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	struct hold hold;

	hold_begin(&hold, 1);
	rota_group_open(&group,
			&(struct rota_group_options){ .limit = TASKS + 1 });
	while (!(seen->refused = rota_go_spread(&group, count_me, seen)))
		seen->accepted++;
	seen->try_again = rota_try_go(&group, count_me, seen);
	hold_end(&hold);
	return rota_group_wait(&group);
}

static void no_more_members_are_queued_than_a_loop_may_have_tasks(void **state)
{
	const struct rota_config config = { .loops = 2, .tasks_max = TASKS };
	struct seen seen = { .refused = 0 };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, spread_too_many, &seen),
			 0);
	assert_int_equal(seen.accepted, TASKS);
	assert_int_equal(seen.refused, -EAGAIN);
	assert_int_equal(seen.try_again, 0);
	assert_int_equal(seen.ran, TASKS + 1);
}

struct poor {
	struct test_kernel kernel;
	rota_group_id first, second;
};

static int share_without_memory(void *arg)
{
	const struct test_fault fault = { .call = TEST_MAP, .error = -ENOMEM };
	struct poor *poor = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	test_kernel_fail(&poor->kernel, &fault);
	poor->first = rota_group_share(&group);
	poor->second = rota_group_share(&group);
	return rota_group_wait(&group);
}

static void without_memory_for_names_a_group_gets_one_later(void **state)
{
	struct poor poor;

	(void)state;
	test_kernel_init(&poor.kernel);
	assert_int_equal(test_run_with(NULL, &poor.kernel.table,
				       share_without_memory, &poor),
			 0);
	assert_true(poor.first == 0);
	assert_true(poor.second != 0);
	assert_int_equal(test_kernel_left(&poor.kernel), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			no_more_members_are_queued_than_a_loop_may_have_tasks),
		cmocka_unit_test(
			without_memory_for_names_a_group_gets_one_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
