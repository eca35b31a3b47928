/* SPDX-License-Identifier: MIT */
/*
 * Flights on one loop: who works, who shares, and who leads when the one that
 * did is cancelled.
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CALLERS 6
#define CROWD 10000

struct stage;

/* One who asks. */
struct caller {
	struct stage *stage;
	struct rota_group group; /* in which it asks */
	char key[16];
	int value[4]; /* the first one is looked at */
	struct rota_flight flight;
	int result; /* it was told; 1: nothing yet */
};

struct stage {
	struct rota_flights flights;
	struct rota_group all;
	struct rota_event gate; /* works wait for it */
	unsigned executions;    /* works that were begun */
	int returns;            /* what they return once the gate is open */
	bool stubborn;          /* they return that if they are cancelled too */
	struct caller callers[CALLERS];
	struct rota_flights_state seen[2];
	int codes[4]; /* of what a test tries itself */
};

/* The value tells in which execution it was got. */
static int work(void *arg, void *value)
{
	struct stage *stage = arg;
	const unsigned number = ++stage->executions;
	const int error = rota_event_wait(&stage->gate);

	*(int *)value = (int)number;
	return error && !stage->stubborn ? error : stage->returns;
}

static int ask(void *value)
{
	struct caller *caller = *(struct caller **)value;

	rota_group_open(&caller->group, NULL);
	caller->result =
		rota_flight_run(&caller->stage->flights, &caller->flight);
	rota_group_wait(&caller->group);
	return 0;
}

/* Somebody asks, and works or waits when this returns. */
static int let_ask(struct stage *stage, int index, const char *key)
{
	struct caller *caller = &stage->callers[index];

	caller->stage = stage;
	caller->result = 1;
	snprintf(caller->key, sizeof(caller->key), "%s", key);
	caller->flight = (struct rota_flight){
		.key = caller->key,
		.key_bytes = strlen(key),
		.fn = work,
		.arg = stage,
		.value = caller->value,
		.value_bytes = sizeof(caller->value),
	};
	return rota_go(&stage->all, ask, caller) | rota_yield() | rota_yield();
}

static int settle(void)
{
	int error = 0;

	for (int i = 0; i < 8; i++)
		error |= rota_yield();
	return error;
}

static void cancel(struct stage *stage, int index)
{
	rota_group_cancel(&stage->callers[index].group,
			  (struct rota_cancellation){ 0, NULL });
}

static int open_stage(struct stage *stage)
{
	rota_flights_init(&stage->flights, NULL);
	rota_event_init(&stage->gate, NULL);
	rota_group_open(&stage->all, NULL);
	return 0;
}

static int close_stage(struct stage *stage)
{
	int error;

	rota_event_set(&stage->gate);
	error = rota_group_wait(&stage->all);
	rota_event_fini(&stage->gate);
	rota_flights_fini(&stage->flights);
	return error;
}

static struct stage *new_stage(void)
{
	static struct stage stage;

	memset(&stage, 0, sizeof(stage));
	return &stage;
}

static void assert_got(const struct stage *stage, int index, int number)
{
	assert_int_equal(stage->callers[index].result, stage->returns);
	assert_int_equal(stage->callers[index].value[0], number);
}

static int ask_the_same(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	for (int i = 0; i < 4; i++)
		error |= let_ask(stage, i, "same");
	stage->seen[0] = rota_flights_inspect(&stage->flights);
	return error | close_stage(stage);
}

static void who_asks_the_same_shares_what_the_first_one_gets(void **state)
{
	struct stage *stage = new_stage();

	(void)state;
	stage->returns = 7;
	assert_int_equal(test_run(ask_the_same, stage), 0);
	assert_int_equal(stage->executions, 1);
	assert_int_equal(stage->seen[0].running, 1);
	assert_int_equal(stage->seen[0].waiting, 3);
	for (int i = 0; i < 4; i++) {
		assert_got(stage, i, 1);
		assert_true(stage->callers[i].flight.shared);
	}
}

static void an_error_is_shared_too(void **state)
{
	struct stage *stage = new_stage();

	(void)state;
	stage->returns = -EPIPE;
	assert_int_equal(test_run(ask_the_same, stage), 0);
	assert_int_equal(stage->executions, 1);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(stage->callers[i].result, -EPIPE);
		assert_int_equal(stage->callers[i].value[0], i == 0);
	}
}

static void a_code_that_no_cancel_explains_is_an_error(void **state)
{
	struct stage *stage = new_stage();

	(void)state;
	stage->returns = -ECANCELED;
	assert_int_equal(test_run(ask_the_same, stage), 0);
	assert_int_equal(stage->executions, 1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(stage->callers[i].result, -ECANCELED);
}

static int ask_for_others(void *arg)
{
	static const char *const keys[] = { "", "a", "ab", "b", "aa" };
	struct stage *stage = arg;
	int error = open_stage(stage);

	for (int i = 0; i < 5; i++)
		error |= let_ask(stage, i, keys[i]);
	return error | close_stage(stage);
}

static void different_keys_share_nothing(void **state)
{
	struct stage *stage = new_stage();

	(void)state;
	assert_int_equal(test_run(ask_for_others, stage), 0);
	for (int i = 0; i < 5; i++) {
		assert_got(stage, i, i + 1);
		assert_false(stage->callers[i].flight.shared);
	}
}

static int ask_again(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	rota_event_set(&stage->gate);
	error |= let_ask(stage, 0, "key") | settle();
	error |= let_ask(stage, 1, "key") | settle();
	return error | close_stage(stage);
}

static void nothing_is_remembered(void **state)
{
	struct stage *stage = new_stage();

	(void)state;
	assert_int_equal(test_run(ask_again, stage), 0);
	assert_got(stage, 0, 1);
	assert_got(stage, 1, 2);
	assert_false(stage->callers[1].flight.shared);
}

struct crowd {
	struct stage *stage;
	unsigned right; /* that got it, and shared it */
};

static int join_crowd(void *value)
{
	struct crowd *crowd = *(struct crowd **)value;
	int got = 0;
	struct rota_flight flight = {
		.key = "the key",
		.key_bytes = 7,
		.fn = work,
		.arg = crowd->stage,
		.value = &got,
		.value_bytes = sizeof(got),
	};
	const int result = rota_flight_run(&crowd->stage->flights, &flight);

	crowd->right += result == 7 && got == 1 && flight.shared;
	return 0;
}

static int gather(void *arg)
{
	struct crowd *crowd = arg;
	struct stage *stage = crowd->stage;
	int error = open_stage(stage);

	for (int i = 0; i < CROWD && !error; i++)
		error = rota_go(&stage->all, join_crowd, crowd);
	while (!error &&
	       rota_flights_inspect(&stage->flights).waiting < CROWD - 1)
		error = rota_yield();
	return error | close_stage(stage);
}

static void ten_thousand_callers_are_one_execution(void **state)
{
	struct crowd crowd = { .stage = new_stage() };

	(void)state;
	crowd.stage->returns = 7;
	assert_int_equal(test_run(gather, &crowd), 0);
	assert_int_equal(crowd.stage->executions, 1);
	assert_int_equal(crowd.right, CROWD);
}

static int cancel_one_that_waits(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	for (int i = 0; i < 4; i++)
		error |= let_ask(stage, i, "key");
	cancel(stage, 2);
	error |= settle();
	stage->codes[0] = stage->callers[2].result;
	stage->seen[0] = rota_flights_inspect(&stage->flights);
	return error | close_stage(stage);
}

static void one_that_is_cancelled_goes_without_alone(void **state)
{
	struct stage *stage = new_stage();

	(void)state;
	assert_int_equal(test_run(cancel_one_that_waits, stage), 0);
	assert_int_equal(stage->codes[0], -ECANCELED);
	assert_int_equal(stage->seen[0].waiting, 2);
	assert_int_equal(stage->executions, 1);
	assert_got(stage, 0, 1);
	assert_got(stage, 1, 1);
	assert_got(stage, 3, 1);
}

static int cancel_leader(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	for (int i = 0; i < 4; i++)
		error |= let_ask(stage, i, "key");
	cancel(stage, 0);
	error |= settle();
	stage->seen[0] = rota_flights_inspect(&stage->flights);
	error |= let_ask(stage, 4, "key");
	return error | close_stage(stage);
}

static void
when_the_leader_is_cancelled_the_first_that_waits_leads(void **state)
{
	struct stage *stage = new_stage();

	(void)state;
	assert_int_equal(test_run(cancel_leader, stage), 0);
	assert_int_equal(stage->executions, 2);
	assert_int_equal(stage->callers[0].result, -ECANCELED);
	assert_int_equal(stage->seen[0].running, 1);
	assert_int_equal(stage->seen[0].waiting, 2);
	for (int i = 1; i < 5; i++) {
		assert_got(stage, i, 2);
		assert_true(stage->callers[i].flight.shared);
	}
}

static void what_a_cancelled_leader_got_anyway_is_shared(void **state)
{
	struct stage *stage = new_stage();

	(void)state;
	stage->stubborn = true;
	assert_int_equal(test_run(cancel_leader, stage), 0);
	assert_int_equal(stage->executions, 2);
	for (int i = 0; i < 4; i++)
		assert_got(stage, i, 1);
	assert_got(stage, 4, 2); /* it came later */
}

static int cancel_all(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	for (int i = 0; i < 4; i++)
		error |= let_ask(stage, i, "key");
	for (int i = 0; i < 4; i++)
		cancel(stage, i);
	error |= settle();
	stage->seen[0] = rota_flights_inspect(&stage->flights);
	error |= let_ask(stage, 4, "key");
	return error | close_stage(stage);
}

static void when_all_are_cancelled_nothing_is_left(void **state)
{
	struct stage *stage = new_stage();

	(void)state;
	assert_int_equal(test_run(cancel_all, stage), 0);
	assert_int_equal(stage->seen[0].running, 0);
	assert_int_equal(stage->seen[0].waiting, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(stage->callers[i].result, -ECANCELED);
	assert_got(stage, 4, 2);
}

/* Goes on in the same turn as the one that gave up, before the heir does. */
static int cancel_heir(void *value)
{
	struct stage *stage = *(struct stage **)value;

	cancel(stage, 1);
	return 0;
}

static int cancel_leader_and_heir(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	for (int i = 0; i < 4; i++)
		error |= let_ask(stage, i, "key");
	cancel(stage, 0);
	error |= rota_go(&stage->all, cancel_heir, stage);
	error |= settle();
	stage->seen[0] = rota_flights_inspect(&stage->flights);
	return error | close_stage(stage);
}

static void an_heir_cancelled_before_it_goes_on_passes_the_lead_on(void **state)
{
	struct stage *stage = new_stage();

	(void)state;
	assert_int_equal(test_run(cancel_leader_and_heir, stage), 0);
	assert_int_equal(stage->callers[0].result, -ECANCELED);
	assert_int_equal(stage->callers[1].result, -ECANCELED);
	assert_int_equal(stage->executions, 2);
	assert_int_equal(stage->seen[0].waiting, 1);
	assert_got(stage, 2, 2);
	assert_got(stage, 3, 2);
}

static int forget_one(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	error |= let_ask(stage, 0, "key") | let_ask(stage, 1, "key");
	rota_flight_forget(&stage->flights, "other", 5);
	error |= let_ask(stage, 2, "key");
	rota_flight_forget(&stage->flights, "key", 3);
	rota_flight_forget(&stage->flights, "key", 3);
	error |= let_ask(stage, 3, "key") | let_ask(stage, 4, "key");
	stage->seen[0] = rota_flights_inspect(&stage->flights);
	return error | close_stage(stage);
}

static void once_forgotten_a_key_is_asked_for_anew(void **state)
{
	struct stage *stage = new_stage();

	(void)state;
	assert_int_equal(test_run(forget_one, stage), 0);
	assert_int_equal(stage->seen[0].running, 2);
	assert_int_equal(stage->seen[0].waiting, 3);
	for (int i = 0; i < 5; i++)
		assert_got(stage, i, i < 3 ? 1 : 2);
}

static int forget_and_cancel(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	error |= let_ask(stage, 0, "key") | let_ask(stage, 1, "key");
	rota_flight_forget(&stage->flights, "key", 3);
	error |= let_ask(stage, 2, "key");
	cancel(stage, 0);
	error |= settle();
	error |= let_ask(stage, 3, "key");
	return error | close_stage(stage);
}

static void an_heir_of_a_forgotten_one_is_not_found(void **state)
{
	struct stage *stage = new_stage();

	(void)state;
	assert_int_equal(test_run(forget_and_cancel, stage), 0);
	assert_int_equal(stage->callers[0].result, -ECANCELED);
	assert_got(stage, 1, 3);
	assert_got(stage, 2, 2);
	assert_got(stage, 3, 2);
}

static int ask_oneself(void *arg, void *value)
{
	struct stage *stage = arg;
	struct rota_flight flight = { .key = "key", .key_bytes = 3 };

	flight.fn = work;
	stage->codes[0] = rota_flight_run(&stage->flights, &flight);
	(void)value;
	return 0;
}

static int ask_badly(void *arg)
{
	struct stage *stage = arg;
	struct rota_flight flight = { .key = "key",
				      .key_bytes = 3,
				      .fn = ask_oneself,
				      .arg = stage };
	struct rota_deadline deadline;
	int error = open_stage(stage);

	stage->codes[1] = rota_flight_run(&stage->flights, &flight);
	error |= let_ask(stage, 0, "key");
	stage->codes[2] = rota_flight_run(&stage->flights, &flight);
	rota_deadline_begin(&deadline, 0);
	stage->codes[3] = rota_flight_run(&stage->flights, &flight);
	rota_deadline_end(&deadline);
	return error | close_stage(stage);
}

static void what_cannot_be_asked_is_refused(void **state)
{
	static const int codes[] = { -EDEADLK, 0, -EINVAL, -ETIME };
	struct stage *stage = new_stage();

	(void)state;
	assert_int_equal(test_run(ask_badly, stage), 0);
	assert_memory_equal(stage->codes, codes, sizeof(codes));
}

static int end_too_early(void *arg)
{
	struct stage *stage = new_stage();
	int error = open_stage(stage) | let_ask(stage, 0, "key");

	(void)arg;
	rota_flights_fini(&stage->flights);
	return error;
}

static int use_afterwards(void *arg)
{
	struct stage *stage = new_stage();
	int error = open_stage(stage) | close_stage(stage);

	(void)arg;
	rota_flight_forget(&stage->flights, "key", 3);
	return error;
}

static void broken_promises_are_named(void **state)
{
	(void)state;
	test_expect_abort(end_too_early, "are under way when they end");
	test_expect_abort(use_afterwards, "has had its fini");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			who_asks_the_same_shares_what_the_first_one_gets),
		cmocka_unit_test(an_error_is_shared_too),
		cmocka_unit_test(a_code_that_no_cancel_explains_is_an_error),
		cmocka_unit_test(different_keys_share_nothing),
		cmocka_unit_test(nothing_is_remembered),
		cmocka_unit_test(ten_thousand_callers_are_one_execution),
		cmocka_unit_test(one_that_is_cancelled_goes_without_alone),
		cmocka_unit_test(
			when_the_leader_is_cancelled_the_first_that_waits_leads),
		cmocka_unit_test(what_a_cancelled_leader_got_anyway_is_shared),
		cmocka_unit_test(when_all_are_cancelled_nothing_is_left),
		cmocka_unit_test(
			an_heir_cancelled_before_it_goes_on_passes_the_lead_on),
		cmocka_unit_test(once_forgotten_a_key_is_asked_for_anew),
		cmocka_unit_test(an_heir_of_a_forgotten_one_is_not_found),
		cmocka_unit_test(what_cannot_be_asked_is_refused),
		cmocka_unit_test(broken_promises_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
