/* SPDX-License-Identifier: MIT */
/*
 * Spawning into a group of another loop: who asks gets an answer, and nobody
 * loses a slot, whatever ends meanwhile.
 */
#include "support/loops.h"
#include "task/task.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A group of loop 0, and those who ask for its slots on loop 1. */
struct desk {
	struct rota_group *group;
	struct rota_group *outer; /* around it */
	atomic_bool stands;       /* the question waits for a slot */
	atomic_bool answered;     /* ... and is answered */
	atomic_bool let_go;       /* who holds a slot */
	atomic_uint ran;          /* members that were accepted there */
	atomic_uint told;         /* askers that were answered */
	atomic_uint unaware;      /* refused, but not cancelled */
	atomic_uint refused;      /* askers that got `wanted` */
	int wanted;               /* an answer */
	int answer, code;         /* the asker's, and what it was after it */
	unsigned askers;          /* how many */
	int result;               /* of the group */
	int64_t patience_ns;      /* how long an asker waits; 0: for ever */
};

static int note(void *value)
{
	struct desk *desk = *(struct desk **)value;

	atomic_fetch_add(&desk->ran, 1);
	return 0;
}

/* Holds a slot on whichever loop it is. */
static int hold_slot(void *value)
{
	struct desk *desk = *(struct desk **)value;

	while (!atomic_load(&desk->let_go))
		if (rota_sleep(10000) < 0)
			break;
	return 0;
}

static int ask(void *value)
{
	struct desk *desk = *(struct desk **)value;

	desk->answer = rota_go(desk->group, note, desk);
	desk->code = rota_cancelled();
	atomic_store(&desk->answered, true);
	return desk->answer;
}

/* So many wait for a slot. */
static void await_questions(const struct rota_group *group, unsigned count)
{
	const struct rota_node *link;
	unsigned waiting;

	do {
		pass(10000);
		waiting = 0;
		for (link = group->waiters.next; link != &group->waiters;
		     link = link->next)
			waiting++;
	} while (waiting < count);
}

/* Its limit is 2, both are on loop 1, and one of them asks. */
static int begin_asking(struct desk *desk, struct rota_group *group)
{
	int error;

	rota_group_open(group, &(struct rota_group_options){ .limit = 2 });
	desk->group = group;
	error = rota_go_on(group, 1, hold_slot, desk);
	if (!error)
		error = rota_go_on(group, 1, ask, desk);
	if (!error)
		await_questions(group, 1);
	return error;
}

static int drain_under_a_question(void *arg)
{
	struct desk *desk = arg;
	struct rota_group group;
	const int error = begin_asking(desk, &group);

	rota_group_drain(&group, ROTA_NEVER);
	atomic_store(&desk->let_go, true);
	desk->result = rota_group_wait(&group);
	return error;
}

static void who_waits_elsewhere_for_a_slot_is_told_of_a_drain(void **state)
{
	struct desk desk = { .result = 1 };

	(void)state;
	assert_int_equal(test_run_loops(drain_under_a_question, &desk), 0);
	assert_int_equal(desk.answer, -ESHUTDOWN);
	assert_int_equal(desk.result, 0);
	assert_int_equal(atomic_load(&desk.ran), 0);
}

/* The order that tells the other loop of the drain is away for as long as this
 * loop does not look at its mail, so it is not told of the cancel. */
static int cancel_behind_a_drain(void *arg)
{
	struct desk *desk = arg;
	struct rota_group outer, group;
	int error;

	rota_group_open(&outer, NULL);
	error = begin_asking(desk, &group);
	rota_group_drain(&outer, ROTA_NEVER);
	rota_group_cancel(&group, (struct rota_cancellation){ -EINTR, NULL });
	spin(&desk->answered);
	desk->result = rota_group_wait(&group);
	rota_group_wait(&outer);
	return error;
}

static void an_answer_that_overtakes_its_cancel_is_no_failure(void **state)
{
	struct desk desk = { .result = 1 };

	(void)state;
	assert_int_equal(test_run_loops(cancel_behind_a_drain, &desk), 0);
	assert_int_equal(desk.answer, -ECANCELED);
	assert_int_equal(desk.code, 0);
	assert_int_equal(desk.result, -EINTR);
}

static int ask_among_many(void *value)
{
	struct desk *desk = *(struct desk **)value;
	const int answer = rota_go(desk->group, note, desk);

	if (answer == desk->wanted)
		atomic_fetch_add(&desk->refused, 1);
	/* The loop is full until all have been answered. */
	atomic_fetch_add(&desk->told, 1);
	while (atomic_load(&desk->told) < desk->askers)
		rota_yield();
	return 0;
}

/* Many on loop 1 wait for slots of a group. */
static int begin_crowd(struct desk *desk, struct rota_group *askers,
		       struct rota_group *group)
{
	int error;

	rota_group_open(group, &(struct rota_group_options){ .limit = 1 });
	rota_group_open(askers, NULL);
	desk->group = group;
	error = rota_go(group, hold_slot, desk);
	for (unsigned i = 0; i < desk->askers && !error; i++)
		error = rota_go_on(askers, 1, ask_among_many, desk);
	if (!error)
		await_questions(group, desk->askers);
	return error;
}

static int ask_inside(void *value)
{
	struct desk *desk = *(struct desk **)value;
	const int answer = rota_go(desk->group, note, desk);
	struct rota_idle idle;

	rota_idle_begin(&idle);
	if (answer == desk->wanted)
		atomic_fetch_add(&desk->refused, 1);
	if (rota_cancelled() != answer)
		atomic_fetch_add(&desk->unaware, 1);
	rota_idle_end(&idle);
	return 0;
}

/* Keeps its loop turning, so that it runs who is answered at once. */
static int turn_round(void *value)
{
	struct desk *desk = *(struct desk **)value;

	while (!atomic_load(&desk->let_go))
		if (rota_yield() < 0)
			break;
	return 0;
}

/* Members wait for slots of their own group when it ends. */
static int end_under_members(void *arg)
{
	struct desk *desk = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, &(struct rota_group_options){
					.limit = desk->askers + 1 });
	desk->group = &group;
	error = rota_go_on(&group, 1, turn_round, desk);
	for (unsigned i = 0; i < desk->askers && !error; i++)
		error = rota_go_on(&group, 1, ask_inside, desk);
	if (!error)
		await_questions(&group, desk->askers);
	if (desk->wanted == -ESHUTDOWN)
		rota_group_drain(&group, ROTA_NEVER);
	else
		rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	atomic_store(&desk->let_go, true);
	desk->result = rota_group_wait(&group);
	return error;
}

static void refuse_members(int wanted)
{
	struct desk desk = { .askers = 5000, .wanted = wanted };

	assert_int_equal(test_run_loops(end_under_members, &desk), 0);
	assert_int_equal(atomic_load(&desk.refused), desk.askers);
	assert_int_equal(atomic_load(&desk.unaware), 0);
}

static void who_is_refused_for_a_cancel_has_heard_of_it(void **state)
{
	(void)state;
	refuse_members(-ECANCELED);
}

static void who_is_refused_for_a_drain_has_heard_of_it(void **state)
{
	(void)state;
	refuse_members(-ESHUTDOWN);
}

static int release_to_many(void *arg)
{
	struct desk *desk = arg;
	struct rota_group askers, group;
	int error = begin_crowd(desk, &askers, &group);

	if (!error)
		error = let_them_tell();
	atomic_store(&desk->let_go, true);
	rota_group_wait(&askers);
	desk->result = rota_group_wait(&group);
	return error;
}

/* Loop 1 has no room for any of them, so the slot goes through all hands; it
 * is given back on the stack of the task that ends. */
static void a_slot_that_nobody_can_use_goes_on(void **state)
{
	struct desk desk = { .askers = 2000, .wanted = -EAGAIN };
	const struct rota_config config = { .loops = 2,
					    .tasks_max = desk.askers };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, release_to_many, &desk),
			 0);
	assert_int_equal(atomic_load(&desk.refused), desk.askers);
	assert_int_equal(atomic_load(&desk.ran), 0);
	assert_int_equal(desk.result, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			who_waits_elsewhere_for_a_slot_is_told_of_a_drain),
		cmocka_unit_test(
			an_answer_that_overtakes_its_cancel_is_no_failure),
		cmocka_unit_test(who_is_refused_for_a_cancel_has_heard_of_it),
		cmocka_unit_test(who_is_refused_for_a_drain_has_heard_of_it),
		cmocka_unit_test(a_slot_that_nobody_can_use_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
