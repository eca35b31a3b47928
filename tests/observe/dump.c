/* SPDX-License-Identifier: MIT */
#include "rota/observe.h"

#include "support/child.h"
#include "support/kernel.h"
#include "support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	struct test_kernel kernel;
	int pipe[2];
	int count;       /* what rota_dump returned */
	int error;       /* the same, for a bad descriptor */
	char text[4096]; /* what it wrote */
};

static int sleep_named(void *value)
{
	(void)value;
	rota_task_set_name("dreamer");
	return rota_sleep(10 * ROTA_SECOND);
}

static int read_nothing(void *value)
{
	char byte;

	return rota_read(*(int *)value, &byte, 1);
}

static int not_started(void *value)
{
	(void)value;
	return 0;
}

static int yield_once(void *value)
{
	(void)value;
	rota_yield();
	return 0;
}

static int dump(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	ssize_t n;
	int out[2];

	if (pipe(out))
		return -errno;
	rota_group_open(&group, NULL);
	if (rota_go(&group, sleep_named, 0) ||
	    rota_go(&group, read_nothing, seen->pipe[0]))
		return -EIO;
	if (rota_sleep(2 * ROTA_SECOND))
		return -EIO;
	if (rota_go(&group, yield_once, 0))
		return -EIO;
	rota_yield();
	if (rota_go(&group, not_started, 0))
		return -EIO;
	seen->count = rota_dump(out[1]);
	seen->error = rota_dump(-1);
	n = read(out[0], seen->text, sizeof(seen->text) - 1);
	close(out[0]);
	close(out[1]);
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	rota_group_wait(&group);
	return n > 0 ? 0 : -EIO;
}

static int setup(void **state)
{
	static struct seen seen;

	memset(&seen, 0, sizeof(seen));
	*state = &seen;
	test_kernel_init(&seen.kernel);
	test_kernel_clock(&seen.kernel, ROTA_SECOND);
	if (pipe(seen.pipe))
		return -1;
	return test_run_with(NULL, &seen.kernel.table, dump, &seen);
}

static int teardown(void **state)
{
	struct seen *seen = *state;

	close(seen->pipe[0]);
	close(seen->pipe[1]);
	return 0;
}

/* The line about a task has these words. */
static void line_has(const struct seen *seen, const char *task,
		     const char *words)
{
	const char *line = strstr(seen->text, task);
	char copy[512];

	assert_non_null(line);
	snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(line, "\n"), line);
	if (!strstr(copy, words))
		fail_msg("\"%s\" is not in: %s", words, copy);
}

static void each_task_is_one_line(void **state)
{
	const struct seen *seen = *state;
	int lines = 0;

	for (const char *c = seen->text; *c; c++)
		lines += *c == '\n';
	assert_int_equal(seen->count, 5);
	assert_int_equal(lines, 5);
}

static void a_task_that_waits_tells_in_what_and_how_long(void **state)
{
	line_has(*state, " read_nothing ", "waits in rota_read for 2000 ms");
	line_has(*state, " dreamer ", "waits in sleep for 2000 ms");
}

static void a_task_that_does_not_wait_tells_what_it_does(void **state)
{
	line_has(*state, "(spawned at rota_run:0)", " runs");
	line_has(*state, " yield_once ", " is ready");
	line_has(*state, " not_started ", " has not started");
}

static void every_task_tells_where_it_was_spawned(void **state)
{
	line_has(*state, " read_nothing ", "(spawned at " __FILE__ ":");
	line_has(*state, " dreamer ", "(spawned at " __FILE__ ":");
}

static void a_descriptor_that_takes_nothing_is_an_error(void **state)
{
	const struct seen *seen = *state;

	assert_int_equal(seen->error, -EBADF);
}

static int dump_outside(void *arg)
{
	(void)arg;
	return rota_dump(STDERR_FILENO);
}

static void outside_of_a_loop_it_aborts(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, dump_outside, NULL);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors, "rota_dump is called outside"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_task_is_one_line),
		CASE(a_task_that_waits_tells_in_what_and_how_long),
		CASE(a_task_that_does_not_wait_tells_what_it_does),
		CASE(every_task_tells_where_it_was_spawned),
		CASE(a_descriptor_that_takes_nothing_is_an_error),
		cmocka_unit_test(outside_of_a_loop_it_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
