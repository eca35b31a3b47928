/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include "support/child.h"
#include "support/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_line_goes_to_the_hook_without_a_newline(void **state)
{
	struct test_log kept = { 0 };
	const struct ri_log log = { test_log_write, &kept };

	(void)state;
	ri_log(&log, "%s is %d", "it", 7);
	assert_int_equal(kept.lines, 1);
	assert_string_equal(kept.text, "it is 7\n");
}

static void a_line_that_is_too_long_is_cut_off(void **state)
{
	struct test_log kept = { 0 };
	const struct ri_log log = { test_log_write, &kept };
	char text[3000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ri_log(&log, "%s", text);
	assert_int_equal(kept.lines, 1);
	assert_int_equal(strlen(kept.text), 1017 + 1);
}

static int say(void *arg)
{
	const struct ri_log log = { 0 };

	(void)arg;
	ri_log(&log, "no %s", "hook");
	return 0;
}

static void without_a_hook_it_goes_to_stderr(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, say, NULL);
	assert_int_equal(child.status, 0);
	assert_string_equal(child.errors, "rota: no hook\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_goes_to_the_hook_without_a_newline),
		cmocka_unit_test(a_line_that_is_too_long_is_cut_off),
		cmocka_unit_test(without_a_hook_it_goes_to_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
