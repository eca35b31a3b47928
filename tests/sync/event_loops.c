/* SPDX-License-Identifier: MIT */
/*
 * Events between loops: nobody is left behind, and an event may end as soon as
 * who waited for it goes on, whatever who set it is about.
 */
#include "support/loops.h"
#include "support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 20000u
#define WAITERS 6u
#define RUBBISH 0xa7

struct seen {
	struct rota_event *event;
	atomic_uint round;    /* the event is of this one */
	atomic_uint set;      /* of those so many have been set */
	atomic_uint told;     /* tasks that have gone on */
	atomic_uint back_too; /* ... and by the other event as well */
	unsigned touched;     /* bytes changed after the end */
	unsigned rounds;      /* to be played */
	unsigned written;     /* by who sets: what is seen by who goes on */
	atomic_uint unseen;   /* ... but was not */
	struct rota_event go; /* for all who wait */
	struct rota_event back;
};

/* Sets what it finds. */
static int set_each(void *value)
{
	struct seen *seen = *(struct seen **)value;

	for (unsigned round = 1; round <= seen->rounds; round++) {
		while (atomic_load(&seen->round) < round)
			sched_yield();
		seen->written = round;
		rota_event_set(seen->event);
		atomic_store(&seen->set, round);
	}
	return 0;
}

/* Until the other loop is done with this round; what was freed must not have
 * been written. */
static void look_for_traces(struct seen *seen, const unsigned char *memory,
			    unsigned round)
{
	while (atomic_load(&seen->set) < round)
		sched_yield();
	for (size_t i = 0; i < sizeof(struct rota_event); i++)
		seen->touched += memory[i] != RUBBISH;
}

static int wait_for_each(struct seen *seen)
{
	int error = 0;

	for (unsigned round = 1; round <= seen->rounds && !error; round++) {
		seen->event = malloc(sizeof(*seen->event));
		if (!seen->event)
			return -ENOMEM;
		rota_event_init(seen->event, NULL);
		atomic_store(&seen->round, round);
		error = rota_event_wait(seen->event);
		rota_event_fini(seen->event);
		if (seen->written != round)
			atomic_fetch_add(&seen->unseen, 1);
		memset(seen->event, RUBBISH, sizeof(*seen->event));
		look_for_traces(seen, (unsigned char *)seen->event, round);
		free(seen->event);
	}
	return error;
}

static int play_short_lives(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, set_each, seen);
	if (!error)
		error = wait_for_each(seen);
	return rota_group_wait(&group) | error;
}

static void an_event_may_end_as_soon_as_its_waiter_goes_on(void **state)
{
	struct seen seen = { .rounds = test_rounds(ROUNDS) };

	(void)state;
	assert_int_equal(test_run_loops(play_short_lives, &seen), 0);
	assert_int_equal(seen.touched, 0);
	assert_int_equal(atomic_load(&seen.unseen), 0);
}

/* Two events, in turn: who waits for one sees the other one reset. */
static int wait_in_turn(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int error = 0;

	for (unsigned round = 1; round <= seen->rounds && !error; round++) {
		error = rota_event_wait(&seen->go);
		if (atomic_load(&seen->round) != round)
			atomic_fetch_add(&seen->unseen, 1);
		atomic_fetch_add(&seen->told, 1);
		error |= rota_event_wait(&seen->back);
		atomic_fetch_add(&seen->back_too, 1);
	}
	return error;
}

static int await_all(atomic_uint *told, unsigned count)
{
	int error = 0;

	while (!error && atomic_load(told) < count)
		error = rota_yield();
	return error;
}

/* Nobody can pass both in one round: the other one was reset before. */
static int set_in_turn(struct seen *seen)
{
	int error = 0;

	for (unsigned round = 1; round <= seen->rounds && !error; round++) {
		atomic_store(&seen->round, round);
		rota_event_reset(&seen->back);
		rota_event_set(&seen->go);
		error = await_all(&seen->told, round * WAITERS);
		rota_event_reset(&seen->go);
		rota_event_set(&seen->back);
		error |= await_all(&seen->back_too, round * WAITERS);
	}
	return error;
}

static int play_in_turn(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = 0;

	rota_event_init(&seen->go, NULL);
	rota_event_init(&seen->back, NULL);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < WAITERS && !error; i++)
		error = rota_go_on(&group, i % TEST_LOOPS, wait_in_turn, seen);
	if (!error)
		error = set_in_turn(seen);
	error |= rota_group_wait(&group);
	rota_event_fini(&seen->go);
	rota_event_fini(&seen->back);
	return error;
}

static void everybody_on_all_loops_goes_on_each_time(void **state)
{
	struct seen seen = { .rounds = test_rounds(ROUNDS / 20) };

	(void)state;
	assert_int_equal(test_run_loops(play_in_turn, &seen), 0);
	assert_int_equal(atomic_load(&seen.told), seen.rounds * WAITERS);
	assert_int_equal(atomic_load(&seen.unseen), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_event_may_end_as_soon_as_its_waiter_goes_on),
		cmocka_unit_test(everybody_on_all_loops_goes_on_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
