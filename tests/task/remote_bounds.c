/* SPDX-License-Identifier: MIT */
/*
 * The bounds of members elsewhere: each is refused with -EAGAIN, and what was
 * taken for it is given back.
 */
#include "support/loops.h"
#include "task/remote.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TASKS_MAX 8u

static int run_with_few(int (*fn)(void *), void *arg)
{
	const struct rota_config config = { .loops = 2,
					    .tasks_max = TASKS_MAX };

	return test_run_with(&config, NULL, fn, arg);
}

/* What was refused, and what came of the rest. */
struct bound {
	struct hold hold;
	atomic_uint ran;
	unsigned accepted;
	struct rota_group *group; /* that is asked from there */
	atomic_bool let_go;       /* who asks */
	/* Answers: at the bound, and when it is past. */
	atomic_int refused;
	int after;
	int result;
};

static int note(void *value)
{
	struct bound *bound = *(struct bound **)value;

	atomic_fetch_add(&bound->ran, 1);
	return 0;
}

static int sleep_long(void *value)
{
	struct bound *bound = *(struct bound **)value;

	atomic_fetch_add(&bound->ran, 1);
	return rota_sleep(100 * ROTA_SECOND);
}

/* So many more, and it has told that they are there. */
static int fill(struct bound *bound, struct rota_group *group, unsigned count)
{
	int error = 0;

	while (count-- && !error)
		error = rota_go_on(group, 1, sleep_long, bound);
	while (!error && atomic_load(&bound->ran) < TASKS_MAX)
		pass(1000);
	return error ? error : let_them_tell();
}

static int fill_other_loop(void *arg)
{
	struct bound *bound = arg;
	struct rota_group full, group;
	int error;

	rota_group_open(&group, &(struct rota_group_options){ .limit = 1 });
	rota_group_open(&full, NULL);
	error = fill(bound, &full, TASKS_MAX);
	bound->refused = rota_go_on(&group, 1, note, bound);
	rota_group_cancel(&full, (struct rota_cancellation){ 0 });
	rota_group_wait(&full);
	do {
		pass(1000);
		bound->after = rota_go_on(&group, 1, note, bound);
	} while (bound->after == -EAGAIN);
	bound->result = rota_group_wait(&group);
	return error;
}

static void a_full_loop_is_sent_no_more(void **state)
{
	struct bound bound = { .result = 1 };

	(void)state;
	assert_int_equal(run_with_few(fill_other_loop, &bound), 0);
	assert_int_equal(atomic_load(&bound.refused), -EAGAIN);
	assert_int_equal(bound.after, 0);
	assert_int_equal(bound.result, 0);
	assert_int_equal(atomic_load(&bound.ran), TASKS_MAX + 1);
}

/* So that a loop has had a turn without mail, mostly. */
#define NUDGES 200

struct nudge {
	struct rota_message message;
	atomic_bool over;
};

static void nudged(struct rota_message *message)
{
	atomic_store(&((struct nudge *)(void *)message)->over, true);
}

static void nudge(unsigned loop)
{
	for (unsigned i = 0; i < NUDGES; i++) {
		struct nudge nudge = { .message.fn = nudged };

		rota_message_send(loop, &nudge.message);
		spin(&nudge.over);
		sched_yield();
	}
}

/* It sleeps, so it is the one that is woken for what is spread. */
static int spread_to_full(void *arg)
{
	struct bound *bound = arg;
	struct rota_group full, group;
	int error;

	rota_group_open(&full, NULL);
	error = fill(bound, &full, TASKS_MAX);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 3 && !error; i++) {
		error = rota_go_spread(&group, note, bound);
		nudge(1);
	}
	bound->result = rota_group_wait(&group);
	rota_group_cancel(&full, (struct rota_cancellation){ 0 });
	rota_group_wait(&full);
	return error;
}

static void a_full_loop_takes_nothing_that_is_spread(void **state)
{
	struct bound bound = { .result = 1 };

	(void)state;
	assert_int_equal(run_with_few(spread_to_full, &bound), 0);
	assert_int_equal(bound.result, 0);
	assert_int_equal(atomic_load(&bound.ran), TASKS_MAX + 3);
}

/* From a loop that is full, for itself. */
static int ask_without_room(void *value)
{
	struct bound *bound = *(struct bound **)value;

	atomic_fetch_add(&bound->ran, 1);
	while (!atomic_load(&bound->let_go))
		pass(1000);
	atomic_store(&bound->refused, rota_go(bound->group, note, bound));
	return 0;
}

static int ask_from_full_loop(void *arg)
{
	struct bound *bound = arg;
	struct rota_group full, group;
	int error;

	rota_group_open(&group, &(struct rota_group_options){ .limit = 1 });
	bound->group = &group;
	rota_group_open(&full, NULL);
	error = rota_go_on(&full, 1, ask_without_room, bound);
	if (!error)
		error = fill(bound, &full, TASKS_MAX - 1);
	atomic_store(&bound->let_go, true);
	while (!atomic_load(&bound->refused))
		pass(1000);
	bound->after = rota_try_go(&group, note, bound);
	rota_group_cancel(&full, (struct rota_cancellation){ 0 });
	rota_group_wait(&full);
	bound->result = rota_group_wait(&group);
	return error;
}

static void a_question_that_finds_no_room_gives_its_slot_back(void **state)
{
	struct bound bound = { .result = 1 };

	(void)state;
	assert_int_equal(run_with_few(ask_from_full_loop, &bound), 0);
	assert_int_equal(atomic_load(&bound.refused), -EAGAIN);
	assert_int_equal(bound.after, 0);
	assert_int_equal(bound.result, 0);
}

/* The other loop does not take what is sent. */
static int use_all_parcels(void *arg)
{
	struct bound *bound = arg;
	struct rota_group group;
	int answer;

	rota_group_open(&group, NULL);
	hold_begin(&bound->hold, 1);
	while (!(answer = rota_go_on(&group, 1, note, bound)))
		bound->accepted++;
	atomic_store(&bound->refused, answer);
	hold_end(&bound->hold);
	do {
		pass(1000);
		bound->after = rota_go_on(&group, 1, note, bound);
	} while (bound->after == -EAGAIN);
	bound->result = rota_group_wait(&group);
	return 0;
}

static void as_many_are_on_their_way_as_there_may_be_tasks(void **state)
{
	struct bound bound = { .result = 1 };

	(void)state;
	assert_int_equal(run_with_few(use_all_parcels, &bound), 0);
	assert_int_equal(bound.accepted, TASKS_MAX);
	assert_int_equal(atomic_load(&bound.refused), -EAGAIN);
	assert_int_equal(bound.after, 0);
	assert_int_equal(bound.result, 0);
	assert_int_equal(atomic_load(&bound.ran), TASKS_MAX + 1);
}

/* One more group than there may be with members elsewhere. */
static int open_many(void *arg)
{
	struct bound *bound = arg;
	struct rota_group *groups =
		calloc(RI_REMOTES_MAX + 1, sizeof(struct rota_group));
	unsigned opened = 0;

	while (opened <= RI_REMOTES_MAX) {
		struct rota_group *group = &groups[opened++];

		rota_group_open(group,
				&(struct rota_group_options){ .limit = 1 });
		bound->refused = rota_go_on(group, 1, note, bound);
		bound->accepted += !bound->refused;
	}
	/* The slot is not lost. */
	bound->after = rota_try_go(&groups[RI_REMOTES_MAX], note, bound);
	bound->result = rota_group_wait(&groups[--opened]);
	bound->result |= rota_group_wait(&groups[--opened]);
	rota_group_open(&groups[opened], NULL);
	bound->after |= rota_go_on(&groups[opened++], 1, note, bound);
	while (opened)
		bound->result |= rota_group_wait(&groups[--opened]);
	free(groups);
	return 0;
}

static void so_many_groups_have_members_elsewhere(void **state)
{
	const struct rota_config config = { .loops = 2 };
	struct bound bound = { .result = 1 };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, open_many, &bound), 0);
	assert_int_equal(bound.accepted, RI_REMOTES_MAX);
	assert_int_equal(atomic_load(&bound.refused), -EAGAIN);
	assert_int_equal(bound.after, 0);
	assert_int_equal(bound.result, 0);
	assert_int_equal(atomic_load(&bound.ran), RI_REMOTES_MAX + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_loop_is_sent_no_more),
		cmocka_unit_test(a_full_loop_takes_nothing_that_is_spread),
		cmocka_unit_test(
			a_question_that_finds_no_room_gives_its_slot_back),
		cmocka_unit_test(
			as_many_are_on_their_way_as_there_may_be_tasks),
		cmocka_unit_test(so_many_groups_have_members_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
