/* SPDX-License-Identifier: MIT */
/*
 * Who is left when the grace of a drain is over is named in the log.
 */
#include "rota/rota.h"
#include "stack/sanitizer.h"
#include "support/child.h"
#include "support/log.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct left {
	struct test_log log;
	struct rota_group group;
};

/* Runs fn under a clock of the test's. */
static void run_timed(int (*fn)(void *), struct left *left)
{
	const struct rota_config config = { .log = test_log_write,
					    .context = &left->log };

	assert_int_equal(test_run_timed_with(&config, NULL, fn, left),
			 -ESHUTDOWN);
}

static int work(void *value)
{
	return rota_sleep(*(int64_t *)value);
}

static int leave_20(void *arg)
{
	struct left *left = arg;
	int error = 0;

	rota_group_open(&left->group, NULL);
	for (int i = 0; i < 20; i++)
		error |= rota_go(&left->group, work, ROTA_SECOND);
	rota_group_drain(&left->group, 1);
	return error ? error : rota_group_wait(&left->group);
}

static unsigned count_words(const char *text, const char *words)
{
	unsigned count = 0;

	while ((text = strstr(text, words))) {
		count++;
		text++;
	}
	return count;
}

static void sixteen_who_are_left_are_named_and_the_others_counted(void **state)
{
	struct left left = { .log = { .lines = 0 } };

	(void)state;
	run_timed(leave_20, &left);
	assert_int_equal(left.log.lines, 17);
	assert_int_equal(count_words(left.log.text, " work (spawned at "), 16);
	assert_true(test_log_has(&left.log, "4 more tasks"));
}

static int leave_one_inside(void *value)
{
	struct rota_group inner;
	int error;

	(void)value;
	rota_group_open(&inner, &(struct rota_group_options){ .name = "in" });
	error = rota_go(&inner, work, ROTA_SECOND);
	return error | rota_group_wait(&inner);
}

static int leave_two(void *arg)
{
	struct left *left = arg;
	int error;

	rota_group_open(&left->group, NULL);
	error = rota_go(&left->group, leave_one_inside, left);
	rota_group_drain(&left->group, 1);
	return error ? error : rota_group_wait(&left->group);
}

static void members_of_groups_inside_are_named_too(void **state)
{
	struct left left = { .log = { .lines = 0 } };

	(void)state;
	run_timed(leave_two, &left);
	assert_int_equal(left.log.lines, 2);
	assert_true(test_log_has(&left.log, " leave_one_inside (spawned at "));
	assert_true(test_log_has(&left.log, ", group in) waits in sleep"));
	assert_false(test_log_has(&left.log, "more tasks"));
}

static int leave_one_in_front(void *arg)
{
	struct left *left = arg;
	int error;

	rota_group_open(&left->group, NULL);
	error = rota_go_background(&left->group, leave_one_inside, left);
	error |= rota_go(&left->group, work, ROTA_SECOND);
	rota_group_drain(&left->group, 1);
	return error ? error : rota_group_wait(&left->group);
}

static void
who_is_in_the_background_is_not_named_but_its_members_are(void **state)
{
	struct left left = { .log = { .lines = 0 } };

	(void)state;
	run_timed(leave_one_in_front, &left);
	assert_int_equal(left.log.lines, 2);
	assert_int_equal(count_words(left.log.text, " work (spawned at "), 2);
}

/* It outlives the cancel, and the time at which the grace would be over. */
static int work_shielded(void *value)
{
	struct rota_shield shield;
	int code;

	rota_shield_begin(&shield, ROTA_NEVER);
	code = work(value);
	rota_shield_end(&shield);
	return code;
}

static int cancel_in_the_grace(void *arg)
{
	struct left *left = arg;
	int error;

	rota_group_open(&left->group, NULL);
	error = rota_go(&left->group, work_shielded, ROTA_SECOND);
	rota_group_drain(&left->group, 10);
	error |= rota_sleep(5);
	rota_group_cancel(&left->group,
			  (struct rota_cancellation){ -ESHUTDOWN, NULL });
	return error ? error : rota_group_wait(&left->group);
}

static void nobody_is_named_after_a_cancel_within_the_grace(void **state)
{
	struct left left = { .log = { .lines = 0 } };

	(void)state;
	run_timed(cancel_in_the_grace, &left);
	assert_int_equal(left.log.lines, 0);
}

/* Half of its stack is in use when it has to name somebody. */
static int drain_deep(void *value)
{
	char room[9000];

	__asm__ volatile("" : : "r"(room) : "memory");
	rota_group_drain(*(struct rota_group **)value, 0);
	__asm__ volatile("" : : "r"(room) : "memory");
	return 0;
}

static int drain_on_a_small_stack(void *arg)
{
	struct rota_group group, small;
	int error;

	(void)arg;
	rota_group_open(&group, NULL);
	rota_group_open(&small,
			&(struct rota_group_options){ .stack_bytes = 16384 });
	error = rota_go(&group, work, ROTA_SECOND);
	error |= rota_go(&small, drain_deep, &group);
	error |= rota_group_wait(&small);
	rota_group_wait(&group);
	return error == -ESHUTDOWN ? 0 : 1;
}

static int run_engine(void *arg)
{
	return rota_run(NULL, drain_on_a_small_stack, arg);
}

static void to_name_them_takes_little_stack(void **state)
{
	struct test_child child;

	(void)state;
	if (RI_SANITIZED)
		skip();
	test_child_run(&child, run_engine, NULL);
	assert_int_equal(child.signal, 0);
	assert_int_equal(child.status, 0);
	assert_non_null(strstr(child.errors, "the grace is over: task"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			sixteen_who_are_left_are_named_and_the_others_counted),
		cmocka_unit_test(members_of_groups_inside_are_named_too),
		cmocka_unit_test(
			who_is_in_the_background_is_not_named_but_its_members_are),
		cmocka_unit_test(
			nobody_is_named_after_a_cancel_within_the_grace),
		cmocka_unit_test(to_name_them_takes_little_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
