/* SPDX-License-Identifier: MIT */
#include "base/check.h"

#include "support/child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int break_a_promise(void *arg)
{
	const int answer = *(int *)arg;

	ri_check(answer == 42, "the answer is %d", answer);
	return 0;
}

static void a_broken_promise_aborts_with_file_line_and_values(void **state)
{
	struct test_child child;
	int answer = 43, line = 0;
	char *file;

	(void)state;
	test_child_run(&child, break_a_promise, &answer);
	assert_int_equal(child.signal, SIGABRT);
	assert_memory_equal(child.errors, "rota: ", 6);
	file = strstr(child.errors, __FILE__ ":");
	assert_non_null(file);
	assert_int_equal(sscanf(file + strlen(__FILE__), ":%d:", &line), 1);
	assert_in_range(line, 20, 30);
	assert_non_null(strstr(file, ": the answer is 43\n"));
	/* one line */
	assert_ptr_equal(strchr(child.errors, '\n'),
			 child.errors + strlen(child.errors) - 1);
}

static void a_promise_that_is_kept_costs_nothing(void **state)
{
	struct test_child child;
	int answer = 42;

	(void)state;
	test_child_run(&child, break_a_promise, &answer);
	assert_int_equal(child.status, 0);
	assert_string_equal(child.errors, "");
}

static void tell_hook(void *context, const char *text)
{
	dprintf(STDERR_FILENO, "%s[%s]", (const char *)context, text);
}

static int break_with_a_hook(void *arg)
{
	static char name[] = "hook:";

	ri_abort_hook_set(tell_hook, name);
	return break_a_promise(arg);
}

static void a_hook_gets_the_line_instead_of_stderr(void **state)
{
	struct test_child child;
	int answer = 43;

	(void)state;
	test_child_run(&child, break_with_a_hook, &answer);
	assert_int_equal(child.signal, SIGABRT);
	assert_memory_equal(child.errors, "hook:[rota: ", 12);
	assert_non_null(strstr(child.errors, "the answer is 43]"));
}

static int break_after_the_hook(void *arg)
{
	ri_abort_hook_set(tell_hook, NULL);
	ri_abort_hook_set(NULL, NULL);
	return break_a_promise(arg);
}

static void no_hook_goes_back_to_stderr(void **state)
{
	struct test_child child;
	int answer = 43;

	(void)state;
	test_child_run(&child, break_after_the_hook, &answer);
	assert_int_equal(child.signal, SIGABRT);
	assert_memory_equal(child.errors, "rota: ", 6);
}

static int abort_at_length(void *arg)
{
	char text[3000];

	(void)arg;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ri_abort("file.c", 1, "%s", text);
}

static void a_line_that_is_too_long_is_cut_off(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, abort_at_length, NULL);
	assert_int_equal(child.signal, SIGABRT);
	assert_int_equal(strlen(child.errors), 1023 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_broken_promise_aborts_with_file_line_and_values),
		cmocka_unit_test(a_promise_that_is_kept_costs_nothing),
		cmocka_unit_test(a_hook_gets_the_line_instead_of_stderr),
		cmocka_unit_test(no_hook_goes_back_to_stderr),
		cmocka_unit_test(a_line_that_is_too_long_is_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
