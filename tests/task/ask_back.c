/* SPDX-License-Identifier: MIT */
/*
 * Spawning into a group of another loop: a question is taken back at each point
 * of its way, waits its turn, or is told that it would wait for ever.
 */
#include "support/loops.h"
#include "task/task.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Somebody on loop 1 asks for a slot of loop 0, and is cancelled. */
struct quest {
	struct rota_group *group;
	atomic_bool asked;  /* the question is on its way */
	atomic_bool late;   /* ... and so is what takes it back */
	atomic_bool let_go; /* who holds the slot */
	atomic_uint ran;    /* members */
	atomic_bool done;   /* it has an answer: */
	int answer;
	int after; /* of a spawn when all is over */
	int result;
};

static int note(void *value)
{
	struct quest *quest = *(struct quest **)value;

	atomic_fetch_add(&quest->ran, 1);
	return 0;
}

static int hold_slot(void *value)
{
	struct quest *quest = *(struct quest **)value;

	await(&quest->let_go);
	return 0;
}

static int ask_for_slot(void *value)
{
	struct quest *quest = *(struct quest **)value;

	quest->answer = rota_go(quest->group, note, quest);
	return 0;
}

/* Behind it on the same loop: starts when it has asked, and is told of the
 * cancel when that has been told. */
static int watch(void *value)
{
	struct quest *quest = *(struct quest **)value;

	atomic_store(&quest->asked, true);
	pass(100 * ROTA_SECOND);
	atomic_store(&quest->late, true);
	return 0;
}

static int send_askers(struct quest *quest, struct rota_group *askers)
{
	int error;

	rota_group_open(askers, NULL);
	error = rota_go_on(askers, 1, ask_for_slot, quest);
	if (!error)
		error = rota_go_on(askers, 1, watch, quest);
	return error;
}

/* All slots are free again. */
static void finish(struct quest *quest, struct rota_group *group)
{
	while (group->live)
		pass(1000);
	quest->after = rota_try_go(group, note, quest);
	quest->result = rota_group_wait(group);
}

/* This loop hears of both at once. */
static int hear_both(void *arg)
{
	struct quest *quest = arg;
	struct rota_group askers, group;
	int error;

	rota_group_open(&group, &(struct rota_group_options){ .limit = 1 });
	quest->group = &group;
	error = send_askers(quest, &askers);
	spin(&quest->asked);
	rota_group_cancel(&askers, (struct rota_cancellation){ 0 });
	spin(&quest->late);
	rota_group_wait(&askers);
	finish(quest, &group);
	return error;
}

static void what_is_taken_back_on_its_way_may_be_accepted(void **state)
{
	struct quest quest = { .after = 1 };

	(void)state;
	assert_int_equal(test_run_loops(hear_both, &quest), 0);
	assert_int_equal(quest.answer, 0);
	assert_int_equal(quest.after, 0);
	assert_int_equal(quest.result, 0);
	assert_int_equal(atomic_load(&quest.ran), 2);
}

static int refuse(void *arg)
{
	struct quest *quest = arg;
	struct rota_group askers, group;
	int error;

	rota_group_open(&group, &(struct rota_group_options){ .limit = 1 });
	quest->group = &group;
	error = rota_go(&group, hold_slot, quest);
	if (!error)
		error = send_askers(quest, &askers);
	while (group.waiters.next == &group.waiters)
		rota_yield();
	rota_group_cancel(&askers, (struct rota_cancellation){ 0 });
	rota_group_wait(&askers);
	atomic_store(&quest->let_go, true);
	finish(quest, &group);
	return error;
}

static void what_is_taken_back_while_it_waits_is_refused(void **state)
{
	struct quest quest = { .after = 1 };

	(void)state;
	assert_int_equal(test_run_loops(refuse, &quest), 0);
	assert_int_equal(quest.answer, -ECANCELED);
	assert_int_equal(quest.after, 0);
	assert_int_equal(quest.result, 0);
	assert_int_equal(atomic_load(&quest.ran), 1);
}

/* The question stands, then loses patience, then is handed the slot. */
static int hand_over_late(void *arg)
{
	struct quest *quest = arg;
	struct rota_group askers, group;
	int error;

	rota_group_open(&group, &(struct rota_group_options){ .limit = 1 });
	quest->group = &group;
	error = rota_go(&group, hold_slot, quest);
	if (!error)
		error = send_askers(quest, &askers);
	while (group.waiters.next == &group.waiters)
		rota_yield();
	rota_group_cancel(&askers, (struct rota_cancellation){ 0 });
	spin(&quest->late);
	atomic_store(&quest->let_go, true);
	rota_group_wait(&askers);
	finish(quest, &group);
	return error;
}

static void what_is_taken_back_after_the_answer_was_accepted(void **state)
{
	struct quest quest = { .after = 1 };

	(void)state;
	assert_int_equal(test_run_loops(hand_over_late, &quest), 0);
	assert_int_equal(quest.answer, 0);
	assert_int_equal(quest.after, 0);
	assert_int_equal(quest.result, 0);
	assert_int_equal(atomic_load(&quest.ran), 2);
}

/* Members of a group on other loops that want slots of it. */
struct greedy {
	struct rota_group *group;
	unsigned limit;
	unsigned first;         /* the loop of the first one */
	atomic_uint ready;      /* how many are there */
	atomic_uint answers;    /* how many were answered */
	int answer[TEST_LOOPS]; /* by loop */
	bool tries;
	int result;
};

static int do_nothing(void *value)
{
	(void)value;
	return 0;
}

/* When all are there. */
static int want_one(void *value)
{
	struct greedy *greedy = *(struct greedy **)value;
	const unsigned loop = rota_loop();

	atomic_fetch_add(&greedy->ready, 1);
	while (atomic_load(&greedy->ready) < greedy->limit)
		rota_yield();
	greedy->answer[loop] =
		greedy->tries ? rota_try_go(greedy->group, do_nothing, 0)
			      : rota_go(greedy->group, do_nothing, 0);
	if (atomic_fetch_add(&greedy->answers, 1) + 1 == greedy->limit)
		atomic_fetch_add(&greedy->ready, 1);
	/* Nobody gives its slot back before all know. */
	while (greedy->tries && atomic_load(&greedy->ready) <= greedy->limit)
		rota_yield();
	return 0;
}

static int be_greedy(void *arg)
{
	struct greedy *greedy = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group,
			&(struct rota_group_options){ .limit = greedy->limit });
	greedy->group = &group;
	for (unsigned i = 0; i < greedy->limit && !error; i++)
		error = rota_go_on(&group, greedy->first + i, want_one, greedy);
	greedy->result = rota_group_wait(&group);
	return error;
}

static void who_would_wait_for_itself_elsewhere_is_told(void **state)
{
	struct greedy greedy = { .first = 1, .limit = 1 };

	(void)state;
	assert_int_equal(test_run_loops(be_greedy, &greedy), 0);
	assert_int_equal(greedy.answer[1], -EDEADLK);
	assert_int_equal(greedy.result, 0);
}

static void of_two_that_wait_for_each_other_one_is_told(void **state)
{
	struct greedy greedy = { .first = 1, .limit = 2 };

	(void)state;
	assert_int_equal(test_run_loops(be_greedy, &greedy), 0);
	assert_int_equal(greedy.answer[1] + greedy.answer[2], -EDEADLK);
	assert_int_equal(greedy.result, 0);
}

/* Each of them is the last one at times. */
static void of_some_here_and_elsewhere_one_is_told(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		struct greedy greedy = { .limit = 2 + round % 2 };

		assert_int_equal(test_run_loops(be_greedy, &greedy), 0);
		assert_int_equal(greedy.answer[0] + greedy.answer[1] +
					 greedy.answer[2],
				 -EDEADLK);
		assert_int_equal(greedy.result, 0);
	}
}

static void a_try_elsewhere_does_not_wait_for_a_slot(void **state)
{
	struct greedy greedy = { .first = 1, .limit = 2, .tries = true };

	(void)state;
	assert_int_equal(test_run_loops(be_greedy, &greedy), 0);
	assert_int_equal(greedy.answer[1], -EAGAIN);
	assert_int_equal(greedy.answer[2], -EAGAIN);
	assert_int_equal(greedy.result, 0);
}

/* Three on loop 1 ask, one after the other, in a queue of loop 0. */
struct queue {
	struct rota_group *group;
	unsigned order[3]; /* in which members start: who asked */
	unsigned started;
	atomic_bool let_go;
	int result;
};

struct place {
	struct queue *queue;
	unsigned number;
};

static int start(void *value)
{
	const struct place *place = value;

	place->queue->order[place->queue->started++] = place->number;
	return 0;
}

static int queue_up(void *value)
{
	const struct place *place = value;

	return rota_go(place->queue->group, start, *place);
}

static int stay(void *value)
{
	struct queue *queue = *(struct queue **)value;

	await(&queue->let_go);
	return 0;
}

static unsigned waiters(const struct rota_group *group)
{
	const struct rota_node *link = group->waiters.next;
	unsigned count = 0;

	for (; link != &group->waiters; link = link->next)
		count++;
	return count;
}

static int serve_queue(void *arg)
{
	struct queue *queue = arg;
	struct rota_group askers, group;
	int error;

	rota_group_open(&group, &(struct rota_group_options){ .limit = 1 });
	rota_group_open(&askers, NULL);
	queue->group = &group;
	error = rota_go(&group, stay, queue);
	for (unsigned i = 0; i < 3 && !error; i++) {
		error = rota_go_on(&askers, 1, queue_up,
				   ((struct place){ queue, i }));
		while (!error && waiters(&group) <= i)
			rota_yield();
	}
	atomic_store(&queue->let_go, true);
	queue->result = rota_group_wait(&askers);
	rota_group_wait(&group);
	return error;
}

static void questions_get_slots_in_their_order(void **state)
{
	struct queue queue = { .result = 1 };

	(void)state;
	assert_int_equal(test_run_loops(serve_queue, &queue), 0);
	assert_int_equal(queue.result, 0);
	assert_int_equal(queue.started, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(queue.order[i], i);
}

/* The group inside is loop 1's, its member is on loop 2, where the group around
 * it has no member. */
static int spawn_outwards(void *value)
{
	struct quest *quest = *(struct quest **)value;
	int error = rota_go(quest->group, note, quest);

	for (unsigned i = 0; i < TEST_LOOPS && !error; i++)
		error = rota_go_on(quest->group, i, note, quest);
	if (!error)
		error = rota_go_spread(quest->group, note, quest);
	if (!error)
		error = rota_try_go(quest->group, note, quest);
	return error;
}

static int open_inside(void *value)
{
	struct quest *quest = *(struct quest **)value;
	struct rota_group inner;
	int error, result;

	rota_group_open(&inner, NULL);
	error = rota_go_on(&inner, 2, spawn_outwards, quest);
	result = rota_group_wait(&inner);
	return error ? error : result;
}

static int open_outside(void *arg)
{
	struct quest *quest = arg;
	struct rota_group outer;
	int error;

	rota_group_open(&outer, NULL);
	quest->group = &outer;
	error = rota_go_on(&outer, 1, open_inside, quest);
	quest->result = rota_group_wait(&outer);
	return error;
}

static void a_member_spawns_outwards_from_where_nobody_is(void **state)
{
	struct quest quest = { .result = 1 };

	(void)state;
	assert_int_equal(test_run_loops(open_outside, &quest), 0);
	assert_int_equal(quest.result, 0);
	assert_int_equal(atomic_load(&quest.ran), TEST_LOOPS + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_taken_back_on_its_way_may_be_accepted),
		cmocka_unit_test(what_is_taken_back_while_it_waits_is_refused),
		cmocka_unit_test(
			what_is_taken_back_after_the_answer_was_accepted),
		cmocka_unit_test(who_would_wait_for_itself_elsewhere_is_told),
		cmocka_unit_test(of_two_that_wait_for_each_other_one_is_told),
		cmocka_unit_test(of_some_here_and_elsewhere_one_is_told),
		cmocka_unit_test(a_try_elsewhere_does_not_wait_for_a_slot),
		cmocka_unit_test(questions_get_slots_in_their_order),
		cmocka_unit_test(a_member_spawns_outwards_from_where_nobody_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
