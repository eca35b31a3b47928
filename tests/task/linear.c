/* SPDX-License-Identifier: MIT */
/*
 * What must not take the square of a number. These have so many scopes in each
 * other that the square would take minutes: the watch over each run ends it.
 */
#include "rota/rota.h"
#include "support/run.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define DEEP 200000

/* Opens groups in each other, does something to them, closes them. */
struct nest {
	struct rota_group *groups;
	void (*act)(struct rota_group *groups);
	int result; /* of the innermost */
};

static int nest(void *arg)
{
	struct nest *nest = arg;

	for (int i = 0; i < DEEP; i++)
		rota_group_open(&nest->groups[i], NULL);
	nest->act(nest->groups);
	for (int i = DEEP - 1; i >= 0; i--) {
		const int result = rota_group_wait(&nest->groups[i]);

		if (i == DEEP - 1)
			nest->result = result;
	}
	return 0;
}

static int run_nest(void (*act)(struct rota_group *groups))
{
	struct nest deep = { malloc(DEEP * sizeof(*deep.groups)), act, 0 };

	assert_non_null(deep.groups);
	assert_int_equal(test_run(nest, &deep), 0);
	free(deep.groups);
	return deep.result;
}

static void cancel_from_inside(struct rota_group *groups)
{
	for (int i = DEEP - 1; i >= 0; i--)
		rota_group_cancel(&groups[i],
				  (struct rota_cancellation){ -EPIPE, NULL });
}

static void scopes_can_be_cancelled_from_the_inside_out(void **state)
{
	(void)state;
	assert_int_equal(run_nest(cancel_from_inside), -EPIPE);
}

static void drain_from_inside(struct rota_group *groups)
{
	for (int i = DEEP - 1; i >= 0; i--)
		rota_group_drain(&groups[i], ROTA_NEVER);
}

static void groups_can_be_drained_from_the_inside_out(void **state)
{
	(void)state;
	assert_int_equal(run_nest(drain_from_inside), 0);
}

static void drain_from_outside(struct rota_group *groups)
{
	for (int i = 0; i < DEEP; i++)
		rota_group_drain(&groups[i], ROTA_NEVER);
}

static void groups_can_be_drained_from_the_outside_in(void **state)
{
	(void)state;
	assert_int_equal(run_nest(drain_from_outside), 0);
}

/* The clock is the test's: it goes past all of them in one step. */
struct lines {
	struct test_kernel kernel;
	struct rota_deadline *list;
	unsigned came; /* how many say that they did */
};

static int let_all_come(void *arg)
{
	struct lines *lines = arg;
	const int64_t now_ns = rota_now_ns();

	for (int i = 0; i < DEEP; i++)
		rota_deadline_begin(&lines->list[i], now_ns + DEEP - i);
	lines->kernel.clock_ns += DEEP;
	while (!rota_cancelled())
		rota_yield();
	for (int i = DEEP - 1; i >= 0; i--)
		lines->came += rota_deadline_end(&lines->list[i]);
	return 0;
}

static void deadlines_can_come_from_the_inside_out(void **state)
{
	struct lines lines = { .list = malloc(DEEP * sizeof(*lines.list)) };

	(void)state;
	assert_non_null(lines.list);
	assert_int_equal(test_run_timed_with(NULL, &lines.kernel, let_all_come,
					     &lines),
			 0);
	assert_int_equal(lines.came, DEEP);
	free(lines.list);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(scopes_can_be_cancelled_from_the_inside_out),
		cmocka_unit_test(groups_can_be_drained_from_the_inside_out),
		cmocka_unit_test(groups_can_be_drained_from_the_outside_in),
		cmocka_unit_test(deadlines_can_come_from_the_inside_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
