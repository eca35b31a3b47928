/* SPDX-License-Identifier: MIT */
/*
 * A task on another loop is in some verb when its group is cancelled from here:
 * it comes back, and is joined.
 */
#include "support/loops.h"
#include "support/victim.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 12u

/* One verb, in a task on each of the other loops in turn. */
struct stop {
	struct victim victim;
	struct referee referee;
	unsigned round;
	atomic_bool begun; /* the task has */
	atomic_bool ended; /* its verb has */
	unsigned helped;   /* how often it was given what it waits for */
	int joined;        /* what came of the group */
};

static int call_verb(void *value)
{
	struct stop *stop = *(struct stop **)value;

	stop->victim.called = true;
	atomic_store(&stop->begun, true);
	stop->victim.result = stop->victim.class->call(&stop->victim);
	stop->victim.returned = true;
	atomic_store(&stop->ended, true);
	return 0;
}

/* Some of them end only when they have what they wait for: nothing cancels
 * them, or the kernel keeps their memory. */
static void help(struct stop *stop)
{
	const struct victim_class *class = stop->victim.class;

	for (unsigned i = 0; !atomic_load(&stop->ended); i++) {
		struct rota_shield shield;

		rota_shield_begin(&shield, ROTA_NEVER);
		pass(ROTA_MILLISECOND);
		rota_shield_end(&shield);
		if (!class->complete || atomic_load(&stop->ended))
			continue;
		if (!(class->traits & (VICTIM_RELEASE | VICTIM_LENT)) && i < 50)
			continue;
		class->complete(&stop->victim);
		stop->victim.completions++;
		stop->helped++;
	}
}

static int prepare(void *value)
{
	struct victim *victim = &(*(struct stop **)value)->victim;
	const int error = victim_prepare(victim);

	victim->deadline_ns = rota_after_ns(100 * ROTA_SECOND);
	return error;
}

static int check(void *value)
{
	struct victim *victim = &(*(struct stop **)value)->victim;

	if (victim->class->check)
		victim->class->check(victim);
	return victim_restore(victim);
}

/* On the loop of the verb, whose books they look at. */
static int do_there(struct stop *stop, rota_task_fn *fn)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1 + stop->round % 2, fn, stop);
	return rota_group_wait(&group) < 0 ? -EBADMSG : error;
}

static int stop_one(struct stop *stop)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1 + stop->round % 2, call_verb, stop);
	while (!error && !atomic_load(&stop->begun))
		sched_yield();
	/* At times it has just begun, mostly it waits by now. */
	if (stop->round % 4)
		pass(300 * ROTA_MICROSECOND);
	rota_group_cancel(&group, (struct rota_cancellation){ -EINTR, NULL });
	if (!error)
		help(stop);
	stop->joined = rota_group_wait(&group);
	return error;
}

static int play_one(void *arg)
{
	int error = do_there(arg, prepare);

	if (!error)
		error = stop_one(arg);
	return error ? error : do_there(arg, check);
}

static void play_round(struct stop *stop)
{
	struct victim *victim = &stop->victim;
	const bool refused = victim->class->traits & VICTIM_RELEASE;

	atomic_store(&stop->begun, false);
	atomic_store(&stop->ended, false);
	stop->helped = 0;
	assert_int_equal(test_run_loops(play_one, stop), 0);
	assert_int_equal(stop->joined, -EINTR);
	assert_true(victim->returned);
	if (!stop->helped && !refused && victim->result < 0 &&
	    victim->result != -ECANCELED)
		fail_msg("%s: %d", victim->class->name, victim->result);
	if (stop->helped &&
	    !(victim->class->traits & (VICTIM_RELEASE | VICTIM_LENT)))
		fail_msg("%s is not told", victim->class->name);
	if (stop->referee.broken)
		fail_msg("%s: %s", victim->class->name, stop->referee.broken);
}

static void play(const struct victim_class *class)
{
	struct stop stop = { .round = 0 };
	const unsigned rounds = test_rounds(ROUNDS);

	test_random_seed(&stop.referee.random, 7);
	if (victim_set_up(&stop.victim, class, &stop.referee) == 0)
		for (; stop.round < rounds; stop.round++)
			play_round(&stop);
	victim_tear_down(&stop.victim);
}

static void each_verb_elsewhere_is_ended_by_a_cancel(void **state)
{
	const struct victim_class *class;

	(void)state;
	for (unsigned i = 0; (class = victim_class_at(i)); i++)
		play(class);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_verb_elsewhere_is_ended_by_a_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
