/* SPDX-License-Identifier: MIT */
/*
 * rota_group_options.failures: which of them are kept, and how many there were.
 */
#include "rota/rota.h"
#include "support/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct stage {
	struct rota_group group;
	enum rota_group_mode mode;
	struct rota_failure list[4];
	struct rota_failures failures;
	unsigned counts[2];
	int line;
	int outcome;
};

static int fail_soon(void *value)
{
	rota_yield();
	return *(int *)value;
}

static void open_group(struct stage *stage)
{
	const struct rota_group_options options = { .mode = stage->mode,
						    .failures =
							    &stage->failures };

	rota_group_open(&stage->group, &options);
}

static int fail_in_order(void *arg)
{
	static const int results[] = { -EIO, 0, -EPIPE, 7, -EXDEV };
	struct stage *stage = arg;
	int error = 0;

	open_group(stage);
	for (int i = 0; i < 5; i++)
		error |= rota_go(&stage->group, fail_soon, results[i]);
	stage->line = __LINE__ - 1;
	stage->outcome = rota_group_wait(&stage->group);
	return error;
}

static struct stage stage_with(unsigned max)
{
	return (struct stage){ .mode = ROTA_GROUP_KEEP_GOING,
			       .failures = { .max = max, .count = 99 } };
}

static void failures_are_kept_in_order_with_their_sites(void **state)
{
	struct stage stage = stage_with(4);

	(void)state;
	stage.failures.list = stage.list;
	assert_int_equal(test_run(fail_in_order, &stage), 0);
	assert_int_equal(stage.outcome, -EIO);
	assert_int_equal(stage.failures.count, 3);
	assert_int_equal(stage.list[0].error, -EIO);
	assert_int_equal(stage.list[1].error, -EPIPE);
	assert_int_equal(stage.list[2].error, -EXDEV);
	for (int i = 0; i < 3; i++) {
		assert_string_equal(stage.list[i].site->function, "fail_soon");
		assert_string_equal(stage.list[i].site->file, __FILE__);
		assert_int_equal(stage.list[i].site->line, stage.line);
	}
	assert_null(stage.list[3].site);
}

static void beyond_the_most_they_are_counted_only(void **state)
{
	struct stage stage = stage_with(2);

	(void)state;
	stage.failures.list = stage.list;
	assert_int_equal(test_run(fail_in_order, &stage), 0);
	assert_int_equal(stage.failures.count, 3);
	assert_int_equal(stage.list[1].error, -EPIPE);
	assert_int_equal(stage.list[2].error, 0);
}

static void with_room_for_none_they_are_counted(void **state)
{
	struct stage stage = stage_with(0);

	(void)state;
	assert_int_equal(test_run(fail_in_order, &stage), 0);
	assert_int_equal(stage.failures.count, 3);
}

static void in_a_race_they_are_kept_too(void **state)
{
	struct stage stage = stage_with(4);

	(void)state;
	stage.mode = ROTA_GROUP_FIRST_SUCCESS;
	stage.failures.list = stage.list;
	assert_int_equal(test_run(fail_in_order, &stage), 0);
	assert_int_equal(stage.outcome, 0);
	assert_true(stage.failures.count >= 1);
	assert_int_equal(stage.list[0].error, -EIO);
}

static int sleep_long(void *value)
{
	(void)value;
	return rota_sleep_until(ROTA_NEVER);
}

static int fail_among_others(void *arg)
{
	struct stage *stage = arg;
	int error;

	open_group(stage);
	error = rota_go(&stage->group, sleep_long, 0);
	error |= rota_go(&stage->group, fail_soon, -EIO);
	error |= rota_go_background(&stage->group, sleep_long, 0);
	stage->outcome = rota_group_wait(&stage->group);
	return error;
}

static void who_was_cancelled_has_not_failed(void **state)
{
	struct stage stage = stage_with(4);

	(void)state;
	stage.mode = ROTA_GROUP_FIRST_ERROR;
	stage.failures.list = stage.list;
	assert_int_equal(test_run(fail_among_others, &stage), 0);
	assert_int_equal(stage.outcome, -EIO);
	assert_int_equal(stage.failures.count, 1);
	assert_int_equal(stage.list[0].error, -EIO);
}

static int fail_behind(void *arg)
{
	struct stage *stage = arg;
	int error;

	open_group(stage);
	error = rota_go_background(&stage->group, fail_soon, -EIO);
	error |= rota_yield();
	error |= rota_yield();
	stage->outcome = rota_group_wait(&stage->group);
	return error;
}

static void those_of_background_members_are_kept_too(void **state)
{
	struct stage stage = stage_with(4);

	(void)state;
	stage.failures.list = stage.list;
	assert_int_equal(test_run(fail_behind, &stage), 0);
	assert_int_equal(stage.outcome, -EIO);
	assert_int_equal(stage.failures.count, 1);
	assert_int_equal(stage.list[0].error, -EIO);
}

static int open_again(void *arg)
{
	struct stage *stage = arg;
	int error = fail_among_others(stage);

	stage->counts[0] = stage->failures.count;
	open_group(stage);
	stage->counts[1] = stage->failures.count;
	return error | rota_group_wait(&stage->group);
}

static void the_count_begins_anew_when_the_group_is_opened(void **state)
{
	struct stage stage = stage_with(0);

	(void)state;
	stage.mode = ROTA_GROUP_FIRST_ERROR;
	assert_int_equal(test_run(open_again, &stage), 0);
	assert_int_equal(stage.counts[0], 1);
	assert_int_equal(stage.counts[1], 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_are_kept_in_order_with_their_sites),
		cmocka_unit_test(beyond_the_most_they_are_counted_only),
		cmocka_unit_test(with_room_for_none_they_are_counted),
		cmocka_unit_test(in_a_race_they_are_kept_too),
		cmocka_unit_test(who_was_cancelled_has_not_failed),
		cmocka_unit_test(those_of_background_members_are_kept_too),
		cmocka_unit_test(
			the_count_begins_anew_when_the_group_is_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
