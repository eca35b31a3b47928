/* SPDX-License-Identifier: MIT */
/*
 * Corners of drains: what they end in while something else is under way.
 */
#include "rota/rota.h"
#include "support/run.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int be_idle(void *value)
{
	struct rota_idle idle;
	int code;

	(void)value;
	rota_idle_begin(&idle);
	code = rota_sleep_until(ROTA_NEVER);
	rota_idle_end(&idle);
	return code;
}

static int drain_a_race(void *arg)
{
	struct rota_group race;
	int error;

	(void)arg;
	rota_group_open(&race, &(struct rota_group_options){
				       .mode = ROTA_GROUP_FIRST_SUCCESS });
	error = rota_go(&race, be_idle, 0);
	rota_yield();
	rota_group_drain(&race, ROTA_NEVER);
	return error ? error : rota_group_wait(&race);
}

static void a_race_that_drains_before_anybody_wins_is_not_won(void **state)
{
	(void)state;
	assert_int_equal(test_run(drain_a_race, NULL), -ESHUTDOWN);
}

struct late {
	struct test_kernel kernel;
	int code; /* right after the drain */
};

static int drain_behind_the_clock(void *arg)
{
	struct late *late = arg;
	struct rota_deadline other;
	struct rota_group group;

	rota_deadline_begin(&other, rota_after_ns(ROTA_SECOND));
	late->kernel.clock_ns += ROTA_MILLISECOND;
	rota_group_open(&group, NULL);
	rota_group_drain(&group, 0);
	late->code = rota_cancelled();
	(void)rota_group_wait(&group);
	rota_deadline_end(&other);
	return 0;
}

static void a_drain_without_grace_ends_at_once_whatever_is_armed(void **state)
{
	struct late late = { .code = 0 };

	(void)state;
	assert_int_equal(test_run_timed_with(NULL, &late.kernel,
					     drain_behind_the_clock, &late),
			 0);
	assert_int_equal(late.code, -ECANCELED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_race_that_drains_before_anybody_wins_is_not_won),
		cmocka_unit_test(
			a_drain_without_grace_ends_at_once_whatever_is_armed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
