/* SPDX-License-Identifier: MIT */
/*
 * Broken promises about shields, idle sections, callbacks and groups' options
 * end the program, and the message names the line to mend.
 */
#include "rota/rota.h"
#include "support/broken.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A function of its own, whose frame is gone when it returns. */
#define APART __attribute__((noinline))

static void nothing(void *arg)
{
	(void)arg;
}

static int do_nothing(void *value)
{
	(void)value;
	return 0;
}

static int leave_shield(void *arg)
{
	struct rota_shield shield;

	(void)arg;
	TEST_NEXT_LINE();
	rota_shield_begin(&shield, ROTA_SECOND);
	return 0;
}

static int leave_idle(void *arg)
{
	struct rota_idle idle;

	(void)arg;
	TEST_NEXT_LINE();
	rota_idle_begin(&idle);
	return 0;
}

static int leave_callback(void *arg)
{
	struct rota_callback callback;

	(void)arg;
	TEST_NEXT_LINE();
	rota_callback_begin(&callback, nothing, NULL);
	return 0;
}

static void one_left_open_at_the_end_of_its_task_is_named(void **state)
{
	(void)state;
	test_expect_abort(leave_shield, "the shield opened here is still open");
	test_expect_abort(leave_idle,
			  "the idle section opened here is still open");
	test_expect_abort(leave_callback,
			  "the callback opened here is still open");
}

APART static void open_shield(void)
{
	struct rota_shield shield;

	TEST_NEXT_LINE();
	rota_shield_begin(&shield, ROTA_SECOND);
}

APART static void open_idle(void)
{
	struct rota_idle idle;

	TEST_NEXT_LINE();
	rota_idle_begin(&idle);
}

APART static void open_callback(void)
{
	struct rota_callback callback;

	TEST_NEXT_LINE();
	rota_callback_begin(&callback, nothing, NULL);
}

/* What was opened lies well below the frame of the verb that is called next. */
APART static void return_past(void (*open)(void))
{
	char room[4096];

	open();
	/* Nor is the frame given up before. */
	__asm__ volatile("" : : "r"(room) : "memory");
}

static int yield_after_shield(void *arg)
{
	(void)arg;
	return_past(open_shield);
	rota_yield();
	_exit(4);
}

static int yield_after_idle(void *arg)
{
	(void)arg;
	return_past(open_idle);
	rota_yield();
	_exit(4);
}

static int yield_after_callback(void *arg)
{
	(void)arg;
	return_past(open_callback);
	rota_yield();
	_exit(4);
}

static int drain_after_shield(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	return_past(open_shield);
	rota_group_drain(&group, 0);
	_exit(4);
}

static int background_after_shield(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	return_past(open_shield);
	_exit(rota_go_background(&group, do_nothing, 0) ? 5 : 4);
}

static void a_function_that_returned_past_one_is_found(void **state)
{
	(void)state;
	test_expect_abort(yield_after_shield, "returned from the function");
	test_expect_abort(yield_after_idle, "returned from the function");
	test_expect_abort(yield_after_callback, "returned from the function");
	test_expect_abort(drain_after_shield, "returned from the function");
	test_expect_abort(background_after_shield,
			  "returned from the function");
}

static int end_shield_past_deadline(void *arg)
{
	struct rota_shield shield;
	struct rota_deadline deadline;

	(void)arg;
	rota_shield_begin(&shield, ROTA_SECOND);
	TEST_NEXT_LINE();
	rota_deadline_begin(&deadline, ROTA_NEVER);
	return rota_shield_end(&shield);
}

static int end_idle_past_shield(void *arg)
{
	struct rota_idle idle;
	struct rota_shield shield;

	(void)arg;
	rota_idle_begin(&idle);
	TEST_NEXT_LINE();
	rota_shield_begin(&shield, ROTA_SECOND);
	return rota_idle_end(&idle);
}

static int end_callback_past_idle(void *arg)
{
	struct rota_callback callback;
	struct rota_idle idle;

	(void)arg;
	rota_callback_begin(&callback, nothing, NULL);
	TEST_NEXT_LINE();
	rota_idle_begin(&idle);
	return rota_callback_end(&callback);
}

static int wait_past_callback(void *arg)
{
	struct rota_group group;
	struct rota_callback callback;

	(void)arg;
	rota_group_open(&group, NULL);
	TEST_NEXT_LINE();
	rota_callback_begin(&callback, nothing, NULL);
	return rota_group_wait(&group);
}

static void they_are_ended_in_order(void **state)
{
	(void)state;
	test_expect_abort(end_shield_past_deadline,
			  "the deadline opened here is still open");
	test_expect_abort(end_idle_past_shield,
			  "the shield opened here is still open");
	test_expect_abort(end_callback_past_idle,
			  "the idle section opened here is still open");
	test_expect_abort(wait_past_callback,
			  "the callback opened here is still open");
}

static int end_shield_twice(void *arg)
{
	struct rota_shield shield;

	(void)arg;
	TEST_NEXT_LINE();
	rota_shield_begin(&shield, ROTA_SECOND);
	rota_shield_end(&shield);
	return rota_shield_end(&shield);
}

static int end_idle_twice(void *arg)
{
	struct rota_idle idle;

	(void)arg;
	TEST_NEXT_LINE();
	rota_idle_begin(&idle);
	rota_idle_end(&idle);
	return rota_idle_end(&idle);
}

static int end_callback_twice(void *arg)
{
	struct rota_callback callback;

	(void)arg;
	TEST_NEXT_LINE();
	rota_callback_begin(&callback, nothing, NULL);
	rota_callback_end(&callback);
	return rota_callback_end(&callback);
}

static void they_are_ended_once(void **state)
{
	(void)state;
	test_expect_abort(end_shield_twice, "has ended already");
	test_expect_abort(end_idle_twice, "has ended already");
	test_expect_abort(end_callback_twice, "has ended already");
}

static int begin_shield_twice(void *arg)
{
	struct rota_shield shield;

	(void)arg;
	rota_shield_begin(&shield, ROTA_SECOND);
	TEST_NEXT_LINE();
	rota_shield_begin(&shield, ROTA_SECOND);
	return 0;
}

static void one_that_is_open_is_not_begun_again(void **state)
{
	(void)state;
	test_expect_abort(begin_shield_twice, "the shield is open already");
}

static int end_of_another(void *value)
{
	return rota_shield_end(*(struct rota_shield **)value);
}

static int let_another_end_it(void *arg)
{
	struct rota_group group;
	struct rota_shield shield;
	int error;

	(void)arg;
	TEST_NEXT_LINE();
	rota_shield_begin(&shield, ROTA_SECOND);
	rota_group_open(&group, NULL);
	error = rota_go(&group, end_of_another, &shield);
	return error | rota_group_wait(&group);
}

static void only_the_task_that_began_it_ends_it(void **state)
{
	(void)state;
	test_expect_abort(
		let_another_end_it,
		"the shield opened here is another task's, but task end_of_another");
}

/* A callback is called by the loop, not in a task. */
static int call_it(rota_callback_fn *fn)
{
	struct rota_callback callback;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, 0);
	rota_callback_begin(&callback, fn, NULL);
	rota_close(-1);
	_exit(4);
}

static struct rota_group group_outside;

static void yield(void *arg)
{
	(void)arg;
	rota_yield();
}

static void ask(void *arg)
{
	(void)arg;
	rota_cancelled();
}

static void spawn(void *arg)
{
	(void)arg;
	if (rota_try_go(&group_outside, do_nothing, 0))
		_exit(5);
}

static void close_something(void *arg)
{
	(void)arg;
	rota_close(-1);
}

static void begin_shield(void *arg)
{
	struct rota_shield shield;

	(void)arg;
	rota_shield_begin(&shield, ROTA_SECOND);
}

static int call_yield(void *arg)
{
	(void)arg;
	return call_it(yield);
}

static int call_ask(void *arg)
{
	(void)arg;
	return call_it(ask);
}

static int call_spawn(void *arg)
{
	(void)arg;
	return call_it(spawn);
}

static int call_close(void *arg)
{
	(void)arg;
	return call_it(close_something);
}

static int call_begin_shield(void *arg)
{
	(void)arg;
	return call_it(begin_shield);
}

static void verbs_in_a_callback_are_outside_of_a_task(void **state)
{
	static int (*const cases[])(void *) = { call_yield, call_ask,
						call_spawn, call_close,
						call_begin_shield };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_expect_abort(cases[i], "is called outside of a task");
}

static int outside_idle(void *arg)
{
	struct rota_idle idle;

	(void)arg;
	rota_idle_begin(&idle);
	return 0;
}

static int outside_callback(void *arg)
{
	struct rota_callback callback;

	(void)arg;
	rota_callback_begin(&callback, nothing, NULL);
	return 0;
}

static int outside_shield(void *arg)
{
	begin_shield(arg);
	return 0;
}

static int outside_background(void *arg)
{
	(void)arg;
	return rota_go_background(&group_outside, do_nothing, 0);
}

static int outside_drain(void *arg)
{
	(void)arg;
	rota_group_drain(&group_outside, 0);
	return 0;
}

static int outside_inherited(void *arg)
{
	(void)arg;
	return rota_task_inherited() != NULL;
}

static void so_they_are_in_no_engine(void **state)
{
	static int (*const cases[])(void *) = {
		outside_idle,       outside_callback, outside_shield,
		outside_background, outside_drain,    outside_inherited,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_expect_abort_outside(cases[i],
					  "is called outside of a task");
}

static int drain_closed(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	rota_group_wait(&group);
	rota_group_drain(&group, 0);
	return 0;
}

static int background_into_closed(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	rota_group_wait(&group);
	TEST_NEXT_LINE();
	return rota_go_background(&group, do_nothing, 0);
}

static int try_into_closed(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	rota_group_wait(&group);
	TEST_NEXT_LINE();
	return rota_try_go(&group, do_nothing, 0);
}

static void a_group_that_was_waited_for_is_no_group(void **state)
{
	(void)state;
	test_expect_abort(drain_closed, "the group is not open");
	test_expect_abort(background_into_closed, "the group is not open");
	test_expect_abort(try_into_closed, "the group is not open");
}

static void leave_deadline(int result, void *value)
{
	static struct rota_deadline deadline;

	(void)result, (void)value;
	TEST_NEXT_LINE();
	rota_deadline_begin(&deadline, ROTA_NEVER);
}

static int discard_carelessly(void *arg)
{
	const struct rota_group_options options = {
		.mode = ROTA_GROUP_FIRST_SUCCESS,
		.discard = leave_deadline
	};
	struct rota_group group;
	int error;

	(void)arg;
	rota_group_open(&group, &options);
	error = rota_go(&group, do_nothing, 0);
	error |= rota_go(&group, do_nothing, 0);
	return error | rota_group_wait(&group);
}

static void a_discard_that_leaves_one_open_is_found(void **state)
{
	(void)state;
	test_expect_abort(discard_carelessly,
			  "the deadline opened here is still open");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_left_open_at_the_end_of_its_task_is_named),
		cmocka_unit_test(a_function_that_returned_past_one_is_found),
		cmocka_unit_test(they_are_ended_in_order),
		cmocka_unit_test(they_are_ended_once),
		cmocka_unit_test(one_that_is_open_is_not_begun_again),
		cmocka_unit_test(only_the_task_that_began_it_ends_it),
		cmocka_unit_test(verbs_in_a_callback_are_outside_of_a_task),
		cmocka_unit_test(so_they_are_in_no_engine),
		cmocka_unit_test(a_group_that_was_waited_for_is_no_group),
		cmocka_unit_test(a_discard_that_leaves_one_open_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
