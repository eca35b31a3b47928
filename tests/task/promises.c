/* SPDX-License-Identifier: MIT */
/*
 * Broken promises end the program, and the message names the line to mend.
 *
 * Each runs in a child. Those of shields, idle sections and callbacks are in
 * promises_scopes.c.
 */
#include "rota/rota.h"
#include "support/broken.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A function of its own, whose frame is gone when it returns. */
#define APART __attribute__((noinline))

static int leave_group(void *arg)
{
	struct rota_group group;

	(void)arg;
	TEST_NEXT_LINE();
	rota_group_open(&group, NULL);
	return 0;
}

static void a_group_left_open_at_the_end_of_its_task_is_named(void **state)
{
	(void)state;
	test_expect_abort(leave_group, "the group opened here is still open");
}

static int leave_deadline(void *arg)
{
	struct rota_deadline deadline;

	(void)arg;
	TEST_NEXT_LINE();
	rota_deadline_begin(&deadline, ROTA_NEVER);
	return 0;
}

static void a_deadline_left_open_at_the_end_of_its_task_is_named(void **state)
{
	(void)state;
	test_expect_abort(leave_deadline, "the deadline opened here is still "
					  "open");
}

static int spawn_the_careless(void *arg)
{
	struct rota_group group;
	int error;

	(void)arg;
	rota_group_open(&group, NULL);
	error = rota_go(&group, leave_deadline, 0);
	return error | rota_group_wait(&group);
}

static int open_twice(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	TEST_NEXT_LINE();
	rota_group_open(&group, NULL);
	return 0;
}

static int open_around_again(void *arg)
{
	struct rota_deadline deadline;
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	rota_deadline_begin(&deadline, ROTA_NEVER);
	TEST_NEXT_LINE();
	rota_group_open(&group, NULL);
	return 0;
}

static void a_group_that_is_open_is_not_opened_again(void **state)
{
	(void)state;
	test_expect_abort(open_twice, "the group is open already, since");
	test_expect_abort(open_around_again,
			  "the group is open already, since");
}

static void the_message_names_the_task_that_left_it_open(void **state)
{
	(void)state;
	test_expect_abort(spawn_the_careless,
			  "task leave_deadline (spawned at ");
}

APART static void open_group(void)
{
	struct rota_group group;

	TEST_NEXT_LINE();
	rota_group_open(&group, NULL);
}

APART static void open_deadline(void)
{
	struct rota_deadline deadline;

	TEST_NEXT_LINE();
	rota_deadline_begin(&deadline, ROTA_NEVER);
}

/* What was opened lies well below the frame of any verb that is called next:
 * what lies within that is found too, but not in every build. */
APART static void return_past(void (*open)(void))
{
	char room[4096];

	open();
	/* Nor is the frame given up before. */
	__asm__ volatile("" : : "r"(room) : "memory");
}

static int yield_after_group(void *arg)
{
	(void)arg;
	return_past(open_group);
	rota_yield();
	_exit(4);
}

static int yield_after_deadline(void *arg)
{
	(void)arg;
	return_past(open_deadline);
	rota_yield();
	_exit(4);
}

static int sleep_after_deadline(void *arg)
{
	(void)arg;
	return_past(open_deadline);
	if (rota_sleep(1))
		_exit(5);
	_exit(4);
}

static int read_after_deadline(void *arg)
{
	char byte;

	(void)arg;
	return_past(open_deadline);
	if (rota_read(-1, &byte, 1))
		_exit(5);
	_exit(4);
}

static int close_after_group(void *arg)
{
	(void)arg;
	return_past(open_group);
	rota_close(-1);
	_exit(4);
}

static void a_function_that_returned_past_a_scope_is_found(void **state)
{
	(void)state;
	test_expect_abort(yield_after_group, "returned from the function");
	test_expect_abort(yield_after_deadline, "returned from the function");
	test_expect_abort(sleep_after_deadline, "returned from the function");
	test_expect_abort(read_after_deadline, "returned from the function");
	test_expect_abort(close_after_group, "returned from the function");
}

static int sleep_long(void *value)
{
	(void)value;
	return rota_sleep_until(ROTA_NEVER);
}

static int wait_as_a_stranger(void *value)
{
	return rota_group_wait(*(struct rota_group **)value);
}

static int let_a_stranger_wait(void *arg)
{
	struct rota_group mine, group;
	int error;

	(void)arg;
	rota_group_open(&mine, NULL);
	rota_group_open(&group, NULL);
	error = rota_go(&mine, wait_as_a_stranger, &group);
	error |= rota_go(&group, sleep_long, 0);
	return error | rota_group_wait(&group) | rota_group_wait(&mine);
}

static void only_the_owner_waits_for_a_group(void **state)
{
	(void)state;
	test_expect_abort(let_a_stranger_wait, "is waited for by another task");
}

static int wait_with_deadline_open(void *arg)
{
	struct rota_deadline deadline;
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	TEST_NEXT_LINE();
	rota_deadline_begin(&deadline, ROTA_NEVER);
	return rota_group_wait(&group);
}

static int wait_with_group_open(void *arg)
{
	struct rota_group group, inner;

	(void)arg;
	rota_group_open(&group, NULL);
	TEST_NEXT_LINE();
	rota_group_open(&inner, NULL);
	return rota_group_wait(&group);
}

static void a_group_is_not_waited_for_with_a_scope_open_inside(void **state)
{
	(void)state;
	test_expect_abort(wait_with_deadline_open,
			  "waits for a group around it");
	test_expect_abort(wait_with_group_open, "waits for a group around it");
}

static int end_out_of_order(void *arg)
{
	struct rota_deadline outer, inner;

	(void)arg;
	rota_deadline_begin(&outer, ROTA_NEVER);
	TEST_NEXT_LINE();
	rota_deadline_begin(&inner, ROTA_NEVER);
	return rota_deadline_end(&outer);
}

static int end_past_group(void *arg)
{
	struct rota_deadline deadline;
	struct rota_group group;

	(void)arg;
	rota_deadline_begin(&deadline, ROTA_NEVER);
	TEST_NEXT_LINE();
	rota_group_open(&group, NULL);
	return rota_deadline_end(&deadline);
}

static int end_twice(void *arg)
{
	struct rota_deadline deadline;

	(void)arg;
	TEST_NEXT_LINE();
	rota_deadline_begin(&deadline, ROTA_NEVER);
	rota_deadline_end(&deadline);
	return rota_deadline_end(&deadline);
}

static void a_deadline_is_ended_once_and_in_order(void **state)
{
	(void)state;
	test_expect_abort(end_out_of_order, "the deadline opened here");
	test_expect_abort(end_past_group, "the group opened here");
	test_expect_abort(end_twice,
			  "the deadline opened here has ended already");
}

static int do_nothing(void *value)
{
	(void)value;
	return 0;
}

static int spawn_into_closed(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	(void)rota_group_wait(&group);
	TEST_NEXT_LINE();
	return rota_go(&group, do_nothing, 0);
}

static int cancel_closed(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	(void)rota_group_wait(&group);
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	return 0;
}

static int cancel_with_success(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	rota_group_cancel(&group, (struct rota_cancellation){ EPIPE, NULL });
	return 0;
}

static void a_cause_above_0_is_no_error(void **state)
{
	(void)state;
	test_expect_abort(cancel_with_success, "the cause is 32");
}

static int wait_twice(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	(void)rota_group_wait(&group);
	return rota_group_wait(&group);
}

static void a_group_that_is_not_open_is_no_group(void **state)
{
	(void)state;
	test_expect_abort(spawn_into_closed, "the group is not open");
	test_expect_abort(cancel_closed, "the group is not open");
	test_expect_abort(wait_twice, "the group is not open");
}

static int spawn_too_much(void *arg)
{
	static const struct rota_site site = { __FILE__, "f", __LINE__, 49 };
	struct rota_group group;
	char value[49] = "";

	(void)arg;
	rota_group_open(&group, NULL);
	return rota_group_spawn(&group, do_nothing, value, &site);
}

static void a_value_over_48_bytes_is_found_without_the_macro_too(void **state)
{
	(void)state;
	test_expect_abort(spawn_too_much, "a value of 49 bytes");
}

static int ask_for_a_huge_stack(void *arg)
{
	struct rota_group group;
	const struct rota_group_options options = { .stack_bytes = 1ul << 40 };

	(void)arg;
	TEST_NEXT_LINE();
	rota_group_open(&group, &options);
	return 0;
}

static void a_stack_size_out_of_range_is_found_at_the_open(void **state)
{
	(void)state;
	test_expect_abort(ask_for_a_huge_stack, "stack_bytes is 1099511627776");
}

static struct rota_group outside_group;

static int outside_open(void *arg)
{
	(void)arg;
	rota_group_open(&outside_group, NULL);
	return 0;
}

static int outside_go(void *arg)
{
	(void)arg;
	return rota_go(&outside_group, do_nothing, 0);
}

static int outside_cancel(void *arg)
{
	(void)arg;
	rota_group_cancel(&outside_group,
			  (struct rota_cancellation){ 0, NULL });
	return 0;
}

static int outside_wait(void *arg)
{
	(void)arg;
	return rota_group_wait(&outside_group);
}

static int outside_sleep(void *arg)
{
	(void)arg;
	return rota_sleep(1);
}

static int outside_recv(void *arg)
{
	char byte;

	(void)arg;
	return rota_recv(0, &byte, 1, 0);
}

static int outside_close(void *arg)
{
	(void)arg;
	return rota_close(-1);
}

static int outside_cancelled(void *arg)
{
	(void)arg;
	return rota_cancelled();
}

static int outside_deadline(void *arg)
{
	struct rota_deadline deadline;

	(void)arg;
	rota_deadline_begin(&deadline, 0);
	return 0;
}

static void verbs_are_for_tasks_only(void **state)
{
	static int (*const cases[])(void *) = {
		outside_open,  outside_go,        outside_cancel,
		outside_wait,  outside_sleep,     outside_recv,
		outside_close, outside_cancelled, outside_deadline,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_expect_abort_outside(cases[i],
					  "is called outside of a task");
}

static int wait_for_nothing(void *arg)
{
	(void)arg;
	return rota_sleep_until(ROTA_NEVER);
}

static void a_loop_on_which_nothing_can_happen_lists_its_tasks(void **state)
{
	(void)state;
	test_expect_abort(wait_for_nothing, "deadlock: 1 tasks");
	test_expect_abort(wait_for_nothing, "waits in sleep");
}

static int wait_for_nothing_until_never(void *arg)
{
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, ROTA_NEVER);
	return wait_for_nothing(arg);
}

static void a_deadline_that_never_comes_hides_no_deadlock(void **state)
{
	(void)state;
	test_expect_abort(wait_for_nothing_until_never, "deadlock: 1 tasks");
}

static void tell_hook(void *context, const char *line)
{
	dprintf(STDERR_FILENO, "%s got: %s\n", (const char *)context, line);
}

static int run_hooked(void *arg)
{
	const struct rota_config config = {
		.on_abort = tell_hook,
		.context = (void *)(uintptr_t) "the hook",
	};

	return rota_run(&config, leave_group, arg);
}

static void the_hook_gets_the_line_instead_of_stderr(void **state)
{
	(void)state;
	test_expect_abort_outside(run_hooked, "the hook got: rota: ");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_group_left_open_at_the_end_of_its_task_is_named),
		cmocka_unit_test(
			a_deadline_left_open_at_the_end_of_its_task_is_named),
		cmocka_unit_test(a_group_that_is_open_is_not_opened_again),
		cmocka_unit_test(the_message_names_the_task_that_left_it_open),
		cmocka_unit_test(
			a_function_that_returned_past_a_scope_is_found),
		cmocka_unit_test(only_the_owner_waits_for_a_group),
		cmocka_unit_test(
			a_group_is_not_waited_for_with_a_scope_open_inside),
		cmocka_unit_test(a_deadline_is_ended_once_and_in_order),
		cmocka_unit_test(a_cause_above_0_is_no_error),
		cmocka_unit_test(a_group_that_is_not_open_is_no_group),
		cmocka_unit_test(
			a_value_over_48_bytes_is_found_without_the_macro_too),
		cmocka_unit_test(
			a_stack_size_out_of_range_is_found_at_the_open),
		cmocka_unit_test(verbs_are_for_tasks_only),
		cmocka_unit_test(
			a_loop_on_which_nothing_can_happen_lists_its_tasks),
		cmocka_unit_test(a_deadline_that_never_comes_hides_no_deadlock),
		cmocka_unit_test(the_hook_gets_the_line_instead_of_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
