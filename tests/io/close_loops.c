/* SPDX-License-Identifier: MIT */
/*
 * Descriptors go from loop to loop by their numbers: one that a loop has closed
 * is the next that another one opens. That is no race, and none is reported
 * where races are looked for.
 */
#include "support/loops.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#define PAIRS 50

static int open_and_close(void *value)
{
	int pair[2], error = 0;

	(void)value;
	for (int i = 0; i < PAIRS && !error; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
			return -errno;
		if (rota_send(pair[0], "x", 1, 0) != 1)
			error = -EPROTO;
		error |= rota_close(pair[0]);
		error |= rota_close(pair[1]);
	}
	return error;
}

static int open_on_each(void *arg)
{
	struct rota_group group;
	int error = 0;

	(void)arg;
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 4 * TEST_LOOPS; i++)
		error |= rota_go_on(&group, i % TEST_LOOPS, open_and_close, 0);
	return error | rota_group_wait(&group);
}

static void what_one_loop_closes_another_may_open(void **state)
{
	(void)state;
	assert_int_equal(test_run_loops(open_on_each, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_one_loop_closes_another_may_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
