/* SPDX-License-Identifier: MIT */
/*
 * How often, and when, the kernel is asked to stop an operation: once, and
 * again if that missed (support/race.h). What verbs return in any order of
 * completion, cancel, deadline and close is for tests/races.
 */
#include "support/race.h"

#include "support/run.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The code that each interruption gives. */
static const int codes[] = { -ECANCELED, -ETIME, -EBADF };

static int interrupt_in_all_ways(struct race *race)
{
	const enum race_interruption first = race->by;
	int error;

	race->deadline_ns = RACE_DEADLINE_NS;
	error = race_settle();

	test_kernel_hold(&race->kernel, race_hold_victim, race);
	error |= race_interrupt(race) | race_settle();
	for (race->by = RACE_CANCEL; race->by <= RACE_CLOSE; race->by++)
		if (race->by != first)
			error |= race_interrupt(race) | race_settle();
	race->by = first;
	test_kernel_release_all(&race->kernel);
	return error | race_settle();
}

static void however_often_it_is_interrupted_one_cancel_goes_out(void **state)
{
	struct race race;

	(void)state;
	RACE_EACH(&race, interrupt_in_all_ways)
	{
		assert_int_equal(race.cancels, 1);
		/* The group is outermost, and a scope goes before a close. */
		assert_int_equal(race.result, -ECANCELED);
	}
}

static int spoil_three_cancels(struct race *race)
{
	int error = race_settle();

	race->sabotaged = 3;
	error |= race_interrupt(race) | race_settle();
	race->early = race->returned;
	race->held = race->misses;
	return error | rota_sleep(10 * ROTA_SECOND);
}

static void a_cancel_that_missed_is_tried_again(void **state)
{
	struct race race;

	(void)state;
	RACE_EACH(&race, spoil_three_cancels)
	{
		assert_false(race.early);
		assert_int_equal(race.held, 1);
		assert_int_equal(race.misses, 3);
		assert_int_equal(race.cancels, 4);
		assert_int_equal(race.result, codes[race.by]);
	}
}

/* Another operation's misses must not make a later retry come late. */
static int spoil_one(struct race *race)
{
	int error = race_settle();

	race->sabotaged = 1;
	error |= race_interrupt(race) | race_settle();
	error |= rota_sleep(ROTA_SECOND);
	race->early = race->returned;
	return error;
}

static void a_retry_comes_within_a_second(void **state)
{
	struct race race;

	(void)state;
	RACE_EACH(&race, spoil_one)
	assert_true(race.early);
}

static int miss_with_ealready(struct race *race)
{
	int error = race_settle();

	test_kernel_hold(&race->kernel, race_hold_everything, race);
	error |= race->verb->complete(race) | race_settle();
	error |= race_interrupt(race) | race_settle();
	race->held = test_kernel_held(&race->kernel);
	if (race->held == 2) {
		test_kernel_held_at(&race->kernel, 1)->res = -EALREADY;
		test_kernel_release(&race->kernel, 1);
	}
	error |= rota_sleep(ROTA_SECOND);
	/* It was asked again, as the completion has not come. */
	race->remained = race->cancels > 1;
	test_kernel_hold(&race->kernel, race_hold_nothing, race);
	test_kernel_release_all(&race->kernel);
	return error | race_settle();
}

static void an_operation_that_runs_is_asked_again_and_delivered(void **state)
{
	struct race race;

	(void)state;
	for (int v = 0; v < RACE_VERBS; v++) {
		race_run(&race, &race_verbs[v], RACE_CANCEL,
			 miss_with_ealready);
		assert_int_equal(race.held, 2);
		assert_true(race.remained);
		assert_true(race.result >= 0);
	}
}

static int recv_byte(struct race *race)
{
	char byte;

	return rota_recv(race->fd, &byte, 1, 0);
}

/* A late answer to a cancel meets the next operation of the same task. */
static int call_twice(struct race *race)
{
	struct rota_deadline deadline;
	int first;

	rota_deadline_begin(&deadline, RACE_DEADLINE_NS);
	first = recv_byte(race);
	rota_deadline_end(&deadline);
	race->rest_done = first == 1;
	return recv_byte(race);
}

static const struct race_verb recv_twice = { "recv twice",   race_open_pair,
					     call_twice,     race_send_byte,
					     NULL,           false,
					     IORING_OP_RECV, 0 };

static int answer_late(struct race *race)
{
	int error = race_settle();

	test_kernel_hold(&race->kernel, race_hold_everything, race);
	error |= race_send_byte(race) | race_settle();
	error |= rota_sleep_until(RACE_DEADLINE_NS) | race_settle();
	race->held = test_kernel_held(&race->kernel);
	test_kernel_release(&race->kernel, 0);
	error |= race_settle();
	/* It is in its second receive now. */
	test_kernel_release_all(&race->kernel);
	error |= rota_sleep(10 * ROTA_SECOND);
	race->early = race->returned;
	test_kernel_hold(&race->kernel, race_hold_nothing, race);
	return error | race_send_byte(race) | race_settle();
}

static void
a_late_answer_to_a_cancel_does_not_meet_the_next_operation(void **state)
{
	struct race race;

	(void)state;
	race_run(&race, &recv_twice, RACE_CANCEL, answer_late);
	assert_int_equal(race.held, 2);
	assert_true(race.rest_done);
	assert_false(race.early);
	assert_int_equal(race.result, 1);
	assert_int_equal(race.cancels, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			however_often_it_is_interrupted_one_cancel_goes_out),
		cmocka_unit_test(a_cancel_that_missed_is_tried_again),
		cmocka_unit_test(a_retry_comes_within_a_second),
		cmocka_unit_test(
			an_operation_that_runs_is_asked_again_and_delivered),
		cmocka_unit_test(
			a_late_answer_to_a_cancel_does_not_meet_the_next_operation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
