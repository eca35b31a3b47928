/* SPDX-License-Identifier: MIT */
/*
 * What ends the program, said of limits: permits that nobody has, limits that
 * end too early, and who may not wait.
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct rota_limit small;

static int release_too_many(void *arg)
{
	(void)arg;
	rota_limit_init(&small, 3, NULL);
	if (rota_limit_acquire(&small, 1))
		return -EPROTO;
	rota_limit_release(&small, 2);
	return 0;
}

static int end_while_held(void *arg)
{
	int error;

	(void)arg;
	rota_limit_init(&small, 3, NULL);
	TEST_NEXT_LINE();
	error = rota_limit_acquire(&small, 1);
	error |= rota_limit_acquire(&small, 2);
	rota_limit_release(&small, 2);
	rota_limit_fini(&small);
	return error;
}

static int acquire_small(void *value)
{
	(void)value;
	return rota_limit_acquire(&small, 3);
}

static int end_while_waited_for(void *arg)
{
	struct rota_group group;
	int error;

	(void)arg;
	rota_limit_init(&small, 3,
			&(struct rota_sync_options){ .name = "of threes" });
	error = rota_limit_acquire(&small, 1);
	rota_group_open(&group, NULL);
	TEST_NEXT_LINE();
	error |= rota_go(&group, acquire_small, 0);
	error |= rota_yield() | rota_yield();
	rota_limit_fini(&small);
	return error | rota_group_wait(&group);
}

static int use_afterwards(void *arg)
{
	(void)arg;
	rota_limit_init(&small, 3, NULL);
	rota_limit_fini(&small);
	return rota_limit_acquire(&small, 1);
}

static int acquire_nothing(void *arg)
{
	struct rota_limit none;

	(void)arg;
	memset(&none, 0, sizeof(none));
	return rota_limit_acquire(&none, 1);
}

static void more_cannot_be_released_than_are_acquired(void **state)
{
	(void)state;
	test_expect_abort(release_too_many, "release of 2 permits, but only 1");
}

static void one_that_ends_while_it_is_held_names_who_holds_it(void **state)
{
	(void)state;
	test_expect_abort(end_while_held, "1 of the 3 permits");
}

static void one_that_ends_while_somebody_waits_names_the_task(void **state)
{
	(void)state;
	test_expect_abort(end_while_waited_for,
			  "waits for it in rota_limit_acquire");
}

static void one_that_is_not_there_is_found(void **state)
{
	(void)state;
	test_expect_abort(use_afterwards, "has had its fini");
	test_expect_abort(acquire_nothing, "was never initialised");
}

static int acquire_outside(void *arg)
{
	(void)arg;
	rota_limit_init(&small, 3, NULL);
	return rota_limit_acquire(&small, 1);
}

static void only_tasks_wait(void **state)
{
	(void)state;
	test_expect_abort_outside(acquire_outside, "outside of a task");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_cannot_be_released_than_are_acquired),
		cmocka_unit_test(
			one_that_ends_while_it_is_held_names_who_holds_it),
		cmocka_unit_test(
			one_that_ends_while_somebody_waits_names_the_task),
		cmocka_unit_test(one_that_is_not_there_is_found),
		cmocka_unit_test(only_tasks_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
