/* SPDX-License-Identifier: MIT */
/*
 * Broken promises about sets of descriptors end the program, and the message
 * names the line to mend.
 */
#include "rota/rota.h"
#include "support/broken.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int leave(void *arg)
{
	struct rota_watch watch;

	(void)arg;
	TEST_NEXT_LINE();
	return rota_watch_open(&watch);
}

static int leave_one_of_two(void *arg)
{
	struct rota_watch first, second;
	int error = rota_watch_open(&first);

	(void)arg;
	TEST_NEXT_LINE();
	error |= rota_watch_open(&second);
	rota_watch_close(&first);
	return error;
}

static void one_left_open_at_the_end_of_its_task_is_named(void **state)
{
	(void)state;
	test_expect_abort(leave, "the watch opened here is still open");
	test_expect_abort(leave_one_of_two,
			  "the watch opened here is still open");
}

static int end_deadline_around(void *arg)
{
	struct rota_deadline deadline;
	struct rota_watch watch;
	int error;

	(void)arg;
	rota_deadline_begin(&deadline, ROTA_NEVER);
	TEST_NEXT_LINE();
	error = rota_watch_open(&watch);
	rota_deadline_end(&deadline);
	return error;
}

static void what_is_around_one_ends_after_it(void **state)
{
	(void)state;
	test_expect_abort(end_deadline_around,
			  "the watch opened here is still open");
}

static int wait_closed(void *arg)
{
	struct rota_ready ready;
	struct rota_watch watch;
	int error;

	(void)arg;
	TEST_NEXT_LINE();
	error = rota_watch_open(&watch);
	rota_watch_close(&watch);
	return error | rota_watch_wait(&watch, 0, &ready, 1);
}

static int close_closed(void *arg)
{
	struct rota_watch watch;
	int error;

	(void)arg;
	TEST_NEXT_LINE();
	error = rota_watch_open(&watch);
	rota_watch_close(&watch);
	rota_watch_close(&watch);
	return error;
}

static void one_that_is_closed_is_named_when_it_is_used(void **state)
{
	(void)state;
	test_expect_abort(wait_closed,
			  "the watch opened here has ended already");
	test_expect_abort(close_closed,
			  "the watch opened here has ended already");
}

static int set_closed(void *arg)
{
	struct rota_watch watch;
	const int error = rota_watch_open(&watch);

	(void)arg;
	rota_watch_close(&watch);
	return error | rota_watch_set(&watch, 0, 0, NULL);
}

static int take_closed(void *arg)
{
	struct rota_ready ready;
	struct rota_watch watch;
	const int error = rota_watch_open(&watch);

	(void)arg;
	rota_watch_close(&watch);
	return error | rota_watch_take(&watch, &ready, 1);
}

static int ask_closed(void *arg)
{
	struct rota_watch watch;
	const int error = rota_watch_open(&watch);

	(void)arg;
	rota_watch_close(&watch);
	return error | rota_watch_fd(&watch);
}

static int set_it(void *value)
{
	return rota_watch_set(*(struct rota_watch **)value, 0, 0, NULL);
}

static int set_elsewhere(void *arg)
{
	struct rota_group group;
	struct rota_watch watch;
	int error = rota_watch_open(&watch);

	(void)arg;
	rota_group_open(&group, NULL);
	error |= rota_go_on(&group, 1, set_it, &watch);
	error |= rota_group_wait(&group);
	rota_watch_close(&watch);
	return error;
}

static int run_on_two(void *arg)
{
	const struct rota_config config = { .loops = 2 };

	return rota_run(&config, set_elsewhere, arg);
}

static void it_is_there_while_it_is_open_and_on_its_loop_only(void **state)
{
	static int (*const cases[])(void *) = { set_closed, take_closed,
						ask_closed };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_expect_abort(cases[i],
				  "for what is not open, or not here");
	test_expect_abort_outside(run_on_two,
				  "for what is not open, or not here");
}

static int wait_for_it(void *value)
{
	struct rota_ready ready;

	return rota_watch_wait(*(struct rota_watch **)value, 0, &ready, 1);
}

static int close_it(void *value)
{
	rota_watch_close(*(struct rota_watch **)value);
	return 0;
}

static int let_another(rota_task_fn *fn)
{
	struct rota_group group;
	struct rota_watch watch;
	int error;

	TEST_NEXT_LINE();
	error = rota_watch_open(&watch);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, fn, &watch);
	return error | rota_group_wait(&group);
}

static int let_another_wait(void *arg)
{
	(void)arg;
	return let_another(wait_for_it);
}

static int let_another_close_it(void *arg)
{
	(void)arg;
	return let_another(close_it);
}

static void who_opened_it_waits_and_closes(void **state)
{
	(void)state;
	test_expect_abort(let_another_wait,
			  "the watch opened here is another task's");
	test_expect_abort(let_another_close_it,
			  "the watch opened here is another task's");
}

static int open_twice(void *arg)
{
	struct rota_watch watch;
	int error = rota_watch_open(&watch);

	(void)arg;
	TEST_NEXT_LINE();
	return error | rota_watch_open(&watch);
}

static void one_that_is_open_is_not_opened_again(void **state)
{
	(void)state;
	test_expect_abort(open_twice, "the watch is open already");
}

static int open_outside(void *arg)
{
	static struct rota_watch outside;

	(void)arg;
	return rota_watch_open(&outside);
}

static void outside_of_a_task_there_is_none(void **state)
{
	(void)state;
	test_expect_abort_outside(open_outside, "is called outside of a task");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_left_open_at_the_end_of_its_task_is_named),
		cmocka_unit_test(what_is_around_one_ends_after_it),
		cmocka_unit_test(one_that_is_closed_is_named_when_it_is_used),
		cmocka_unit_test(
			it_is_there_while_it_is_open_and_on_its_loop_only),
		cmocka_unit_test(who_opened_it_waits_and_closes),
		cmocka_unit_test(one_that_is_open_is_not_opened_again),
		cmocka_unit_test(outside_of_a_task_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
