/* SPDX-License-Identifier: MIT */
/*
 * Wait groups: who waits goes on when none is under way, on one loop and on
 * several.
 */
#include "support/loops.h"
#include "support/timed.h"
#include "support/trail.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WAITERS 3

struct play {
	struct rota_wait_group pending;
	struct test_trail trail;           /* what happened, in order */
	struct rota_group groups[WAITERS]; /* a scope of each waiter */
	int results[WAITERS];              /* what its wait returned */
	atomic_uint work;                  /* what was done */
	unsigned rounds;                   /* in which all of it was seen */
};

struct waiter {
	struct play *play;
	unsigned index;
};

/* In a scope of its own, which the first task may cancel. */
static int wait_for_all(void *value)
{
	const struct waiter *waiter = value;
	struct play *play = waiter->play;
	const unsigned index = waiter->index;

	rota_group_open(&play->groups[index], NULL);
	play->results[index] = rota_wait_group_wait(&play->pending);
	test_trail_add(&play->trail, play->results[index] ? "x " : "w ");
	(void)rota_group_wait(&play->groups[index]);
	return 0;
}

static int begin(struct play *play, struct rota_group *group)
{
	int error = 0;

	rota_wait_group_init(&play->pending, NULL);
	rota_wait_group_add(&play->pending, 2);
	rota_group_open(group, NULL);
	for (unsigned i = 0; i < WAITERS && !error; i++) {
		const struct waiter waiter = { play, i };

		error = rota_go(group, wait_for_all, waiter);
	}
	return error ? error : rota_sleep(1);
}

static int be_done_twice(void *arg)
{
	struct play *play = arg;
	struct rota_group group;
	int error = begin(play, &group);

	for (unsigned i = 0; i < 2; i++) {
		test_trail_add(&play->trail, "d ");
		rota_wait_group_done(&play->pending);
		error |= rota_sleep(1);
	}
	error |= rota_wait_group_wait(&play->pending);
	error |= rota_group_wait(&group);
	rota_wait_group_fini(&play->pending);
	return error;
}

static void who_waits_goes_on_when_the_last_is_done(void **state)
{
	struct play play = { .rounds = 0 };

	(void)state;
	assert_int_equal(test_run_timed(be_done_twice, &play), 0);
	assert_string_equal(play.trail.text, "d d w w w ");
	assert_int_equal(play.results[0] | play.results[1] | play.results[2],
			 0);
}

/* They have been told, and have not gone on yet. */
static int add_again(void *arg)
{
	struct play *play = arg;
	struct rota_group group;
	int error = begin(play, &group);

	rota_wait_group_done(&play->pending);
	rota_wait_group_done(&play->pending);
	rota_wait_group_add(&play->pending, 1);
	error |= rota_sleep(1);
	test_trail_add(&play->trail, "d ");
	rota_wait_group_done(&play->pending);
	error |= rota_group_wait(&group);
	rota_wait_group_fini(&play->pending);
	return error;
}

static void who_was_told_goes_on_whatever_is_added_then(void **state)
{
	struct play play = { .rounds = 0 };

	(void)state;
	assert_int_equal(test_run_timed(add_again, &play), 0);
	assert_string_equal(play.trail.text, "w w w d ");
}

static int cancel_waiters(void *arg)
{
	const struct rota_cancellation cause = { 0, NULL };
	struct play *play = arg;
	struct rota_group group;
	int error = begin(play, &group);

	rota_group_cancel(&play->groups[1], cause);
	error |= rota_sleep(1);
	test_trail_add(&play->trail, "d ");
	rota_wait_group_done(&play->pending);
	rota_wait_group_done(&play->pending);
	rota_group_cancel(&play->groups[2], cause);
	error |= rota_group_wait(&group);
	rota_wait_group_fini(&play->pending);
	return error;
}

static void a_cancel_ends_the_wait_unless_it_has_ended(void **state)
{
	struct play play = { .rounds = 0 };

	(void)state;
	assert_int_equal(test_run_timed(cancel_waiters, &play), 0);
	assert_string_equal(play.trail.text, "x d w w ");
	assert_int_equal(play.results[0], 0);
	assert_int_equal(play.results[1], -ECANCELED);
	assert_int_equal(play.results[2], 0);
}

static int wait_until(void *arg)
{
	struct play *play = arg;
	struct rota_deadline deadline;

	rota_wait_group_init(&play->pending, NULL);
	rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND));
	play->results[0] = rota_wait_group_wait(&play->pending);
	rota_wait_group_add(&play->pending, 1);
	play->results[1] = rota_wait_group_wait(&play->pending);
	rota_wait_group_done(&play->pending);
	play->results[2] = rota_wait_group_wait(&play->pending);
	rota_deadline_end(&deadline);
	rota_wait_group_fini(&play->pending);
	return 0;
}

static void at_0_nobody_waits_unless_the_deadline_has_come(void **state)
{
	struct play play = { .rounds = 0 };

	(void)state;
	assert_int_equal(test_run_timed(wait_until, &play), 0);
	assert_int_equal(play.results[0], 0);
	assert_int_equal(play.results[1], -ETIME);
	assert_int_equal(play.results[2], -ETIME);
}

#define ROUNDS 2000
#define WORKERS 6

static int work(void *value)
{
	struct play *play = *(struct play **)value;

	atomic_fetch_add(&play->work, 1);
	rota_wait_group_done(&play->pending);
	return 0;
}

/* The same one is used again and again. */
static int work_in_rounds(void *arg)
{
	struct play *play = arg;
	struct rota_group group;
	int error = 0;

	rota_wait_group_init(&play->pending, NULL);
	rota_group_open(&group, NULL);
	for (unsigned round = 1; round <= ROUNDS / 10 && !error; round++) {
		rota_wait_group_add(&play->pending, WORKERS);
		for (unsigned i = 0; i < WORKERS && !error; i++)
			error = rota_go_on(&group, i % TEST_LOOPS, work, play);
		error |= rota_wait_group_wait(&play->pending);
		play->rounds += atomic_load(&play->work) == round * WORKERS;
	}
	error |= rota_group_wait(&group);
	rota_wait_group_fini(&play->pending);
	return error;
}

static void work_on_all_loops_is_waited_for_round_by_round(void **state)
{
	struct play play = { .rounds = 0 };

	(void)state;
	assert_int_equal(test_run_loops(work_in_rounds, &play), 0);
	assert_int_equal(play.rounds, ROUNDS / 10);
}

/* It is gone as soon as its wait is over, whoever is still in its done. */
static int short_lives(void *arg)
{
	struct play *play = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned round = 0; round < ROUNDS && !error; round++) {
		rota_wait_group_init(&play->pending, NULL);
		rota_wait_group_add(&play->pending, 1);
		error = rota_go_on(&group, 1 + round % 2, work, play);
		error |= rota_wait_group_wait(&play->pending);
		rota_wait_group_fini(&play->pending);
		memset(&play->pending, 0xa5, sizeof(play->pending));
	}
	return error | rota_group_wait(&group);
}

static void it_may_be_gone_once_the_wait_is_over(void **state)
{
	struct play play = { .rounds = 0 };

	(void)state;
	assert_int_equal(test_run_loops(short_lives, &play), 0);
	assert_int_equal(atomic_load(&play.work), ROUNDS);
}

static void *be_done_outside(void *arg)
{
	struct play *play = arg;

	rota_wait_group_done(&play->pending);
	return NULL;
}

static int wait_for_thread(void *arg)
{
	struct play *play = arg;

	return rota_wait_group_wait(&play->pending);
}

static void a_thread_of_the_programs_own_may_be_what_is_waited_for(void **state)
{
	struct play play = { .rounds = 0 };
	pthread_t thread;

	(void)state;
	rota_wait_group_init(&play.pending, NULL);
	rota_wait_group_add(&play.pending, 1);
	assert_int_equal(pthread_create(&thread, NULL, be_done_outside, &play),
			 0);
	assert_int_equal(test_run(wait_for_thread, &play), 0);
	pthread_join(thread, NULL);
	rota_wait_group_fini(&play.pending);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waits_goes_on_when_the_last_is_done),
		cmocka_unit_test(who_was_told_goes_on_whatever_is_added_then),
		cmocka_unit_test(a_cancel_ends_the_wait_unless_it_has_ended),
		cmocka_unit_test(
			at_0_nobody_waits_unless_the_deadline_has_come),
		cmocka_unit_test(
			work_on_all_loops_is_waited_for_round_by_round),
		cmocka_unit_test(it_may_be_gone_once_the_wait_is_over),
		cmocka_unit_test(
			a_thread_of_the_programs_own_may_be_what_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
