/* SPDX-License-Identifier: MIT */
/*
 * rota_try_go, the edges of limits, and groups that end in unusual ways.
 */
#include "rota/rota.h"
#include "support/run.h"
#include "support/trail.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct rota_cancellation enough = { -EPIPE, "enough" };

struct stage {
	struct rota_group group;
	struct test_trail trail;
	unsigned limit;
	unsigned ran, accepted;
	int codes[5];
	int outcome;
};

static int run_two_turns(void *value)
{
	struct stage *stage = *(struct stage **)value;

	test_trail_add(&stage->trail, "m");
	stage->ran++;
	rota_yield();
	return 0;
}

static int try_at_the_limit(void *arg)
{
	struct stage *stage = arg;

	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 2 });
	for (int i = 0; i < 3; i++)
		stage->codes[i] =
			rota_try_go(&stage->group, run_two_turns, stage);
	test_trail_add(&stage->trail, "o");
	while (!stage->ran || stage->codes[3] == -EAGAIN) {
		rota_yield();
		stage->codes[3] =
			rota_try_go(&stage->group, run_two_turns, stage);
	}
	return rota_group_wait(&stage->group);
}

static void at_the_limit_it_is_refused_without_a_suspension(void **state)
{
	struct stage stage = { .codes = { 1, 1, 1, -EAGAIN } };

	(void)state;
	assert_int_equal(test_run(try_at_the_limit, &stage), 0);
	assert_int_equal(stage.codes[0], 0);
	assert_int_equal(stage.codes[1], 0);
	assert_int_equal(stage.codes[2], -EAGAIN);
	assert_int_equal(stage.codes[3], 0);
	assert_int_equal(stage.ran, 3);
	assert_string_equal(stage.trail.text, "ommm");
}

static int try_cancelled(void *arg)
{
	struct stage *stage = arg;
	struct rota_group outer;
	struct rota_deadline deadline;

	rota_group_open(&outer, NULL);
	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 1 });
	rota_deadline_begin(&deadline, 0);
	stage->codes[0] = rota_try_go(&stage->group, run_two_turns, stage);
	rota_deadline_end(&deadline);
	rota_group_cancel(&stage->group, enough);
	stage->codes[1] = rota_try_go(&stage->group, run_two_turns, stage);
	stage->codes[2] = rota_group_wait(&stage->group);
	return rota_group_wait(&outer);
}

static void in_a_cancelled_task_or_group_it_is_refused(void **state)
{
	struct stage stage = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run(try_cancelled, &stage), 0);
	assert_int_equal(stage.codes[0], -ETIME);
	assert_int_equal(stage.codes[1], -ECANCELED);
	assert_int_equal(stage.codes[2], -EPIPE);
	assert_int_equal(stage.ran, 0);
}

static int spawn_there(void *value)
{
	struct stage *stage = *(struct stage **)value;

	return rota_go(&stage->group, run_two_turns, stage);
}

static int end_at_once(void *value)
{
	(void)value;
	return 0;
}

/* The end of the first hands its slot to who waits, who has not run. */
static int try_to_overtake(void *arg)
{
	struct stage *stage = arg;
	struct rota_group others;
	int error;

	rota_group_open(&others, NULL);
	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 1 });
	error = rota_go(&others, spawn_there, stage);
	error |= rota_go(&stage->group, end_at_once, 0);
	error |= rota_yield();
	stage->codes[0] = rota_try_go(&stage->group, end_at_once, 0);
	error |= rota_group_wait(&stage->group);
	return error | rota_group_wait(&others);
}

static void it_overtakes_nobody_who_was_handed_a_slot(void **state)
{
	struct stage stage = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run(try_to_overtake, &stage), 0);
	assert_int_equal(stage.codes[0], -EAGAIN);
	assert_int_equal(stage.ran, 1);
}

static int reach_bound(void *arg)
{
	struct stage *stage = arg;

	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 9 });
	while (!(stage->codes[0] =
			 rota_try_go(&stage->group, run_two_turns, stage)))
		stage->accepted++;
	return rota_group_wait(&stage->group);
}

static void beyond_tasks_max_it_gives_its_slot_back(void **state)
{
	const struct rota_config config = { .tasks_max = 4 };
	struct stage stage = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, reach_bound, &stage), 0);
	assert_int_equal(stage.codes[0], -EAGAIN);
	assert_int_equal(stage.accepted, 3);
	assert_int_equal(stage.ran, 3);
}

static int try_500(void *arg)
{
	struct stage *stage = arg;
	int error = 0;

	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = stage->limit });
	for (int i = 0; i < 500; i++)
		error |= rota_try_go(&stage->group, run_two_turns, stage);
	return error | rota_group_wait(&stage->group);
}

static void a_limit_of_0_or_of_the_most_is_none(void **state)
{
	static const unsigned limits[] = { 0, UINT_MAX };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct stage stage = { .limit = limits[i] };

		assert_int_equal(test_run(try_500, &stage), 0);
		assert_int_equal(stage.ran, 500);
	}
}

static int cancel_and_end(void *value)
{
	struct stage *stage = *(struct stage **)value;

	rota_yield();
	rota_group_cancel(&stage->group, enough);
	return 0;
}

static int let_the_last_cancel(void *arg)
{
	struct stage *stage = arg;
	int error;

	rota_group_open(&stage->group, NULL);
	error = rota_go(&stage->group, cancel_and_end, stage);
	stage->outcome = rota_group_wait(&stage->group);
	stage->codes[0] = rota_cancelled();
	rota_group_open(&stage->group, NULL);
	error |= rota_go(&stage->group, run_two_turns, stage);
	stage->codes[1] = rota_group_wait(&stage->group);
	return error;
}

static void who_cancels_as_the_last_member_decides_the_outcome(void **state)
{
	struct stage stage = { .outcome = 0 };

	(void)state;
	assert_int_equal(test_run(let_the_last_cancel, &stage), 0);
	assert_int_equal(stage.outcome, -EPIPE);
	assert_int_equal(stage.codes[0], 0);
	assert_int_equal(stage.codes[1], 0);
	assert_int_equal(stage.ran, 1);
}

static int sleep_long(void *value)
{
	struct stage *stage = *(struct stage **)value;

	return stage->codes[0] = rota_sleep_until(ROTA_NEVER);
}

static int cancel_in_the_wait(void *arg)
{
	struct stage *stage = arg;
	struct rota_group others;
	int error;

	rota_group_open(&others, NULL);
	rota_group_open(&stage->group, NULL);
	error = rota_go(&stage->group, sleep_long, stage);
	error |= rota_go(&others, cancel_and_end, stage);
	stage->outcome = rota_group_wait(&stage->group);
	return error | rota_group_wait(&others);
}

static void an_outsiders_cancel_while_the_owner_waits_ends_all(void **state)
{
	struct stage stage = { .outcome = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_in_the_wait, &stage), 0);
	assert_int_equal(stage.codes[0], -ECANCELED);
	assert_int_equal(stage.outcome, -EPIPE);
}

/* The last member has ended and the owner is ready, but has not run. */
static int cancel_in_the_end(void *arg)
{
	struct stage *stage = arg;
	struct rota_group others;
	int error;

	rota_group_open(&others, NULL);
	rota_group_open(&stage->group, NULL);
	error = rota_go(&stage->group, run_two_turns, stage);
	error |= rota_go(&others, cancel_and_end, stage);
	stage->outcome = rota_group_wait(&stage->group);
	stage->codes[0] = rota_cancelled();
	return error | rota_group_wait(&others);
}

static void a_cancel_before_the_owner_goes_on_is_one_too(void **state)
{
	struct stage stage = { .outcome = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_in_the_end, &stage), 0);
	assert_int_equal(stage.outcome, -EPIPE);
	assert_int_equal(stage.codes[0], 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			at_the_limit_it_is_refused_without_a_suspension),
		cmocka_unit_test(in_a_cancelled_task_or_group_it_is_refused),
		cmocka_unit_test(it_overtakes_nobody_who_was_handed_a_slot),
		cmocka_unit_test(beyond_tasks_max_it_gives_its_slot_back),
		cmocka_unit_test(a_limit_of_0_or_of_the_most_is_none),
		cmocka_unit_test(
			who_cancels_as_the_last_member_decides_the_outcome),
		cmocka_unit_test(
			an_outsiders_cancel_while_the_owner_waits_ends_all),
		cmocka_unit_test(a_cancel_before_the_owner_goes_on_is_one_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
