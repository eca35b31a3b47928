/* SPDX-License-Identifier: MIT */
/*
 * Conditions on one loop: who is woken, and that the mutex is held again
 * whatever ended the wait.
 */
#include "support/timed.h"
#include "support/trail.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PLAYERS 3

struct play {
	struct rota_mutex mutex;
	struct rota_condition condition;
	struct test_trail trail;           /* who went on, in order */
	struct rota_group all;             /* of who waits */
	struct rota_group groups[PLAYERS]; /* a scope of each */
	int results[PLAYERS];              /* what its wait returned */
	int held[PLAYERS]; /* what try_lock said then: -EAGAIN, it is held */
	int codes[2];      /* of the first task's calls */
};

struct player {
	struct play *play;
	unsigned index;
};

static void wait_and_note(struct play *play, unsigned index)
{
	const char name[] = { (char)('a' + index), ' ', '\0' };

	play->results[index] =
		rota_condition_wait(&play->condition, &play->mutex);
	play->held[index] = rota_mutex_try_lock(&play->mutex);
	test_trail_add(&play->trail, name);
}

/* In a scope of its own, which the first task may cancel. */
static int run_player(void *value)
{
	const struct player *player = value;
	struct play *play = player->play;
	const unsigned index = player->index;
	int error;

	rota_group_open(&play->groups[index], NULL);
	error = rota_mutex_lock(&play->mutex);
	if (!error) {
		wait_and_note(play, index);
		rota_mutex_unlock(&play->mutex);
	}
	(void)rota_group_wait(&play->groups[index]);
	return error;
}

/* All wait, and the first task has the mutex. */
static int begin(struct play *play)
{
	int error = 0;

	rota_mutex_init(&play->mutex, NULL);
	rota_condition_init(&play->condition, NULL);
	rota_group_open(&play->all, NULL);
	for (unsigned i = 0; i < PLAYERS && !error; i++) {
		const struct player player = { play, i };

		error = rota_go(&play->all, run_player, player);
	}
	if (!error)
		error = rota_sleep(1);
	return error | rota_mutex_lock(&play->mutex);
}

static int end(struct play *play)
{
	const int error = rota_group_wait(&play->all);

	rota_condition_fini(&play->condition);
	rota_mutex_fini(&play->mutex);
	return error;
}

static void cancel(struct rota_group *group)
{
	rota_group_cancel(group, (struct rota_cancellation){ 0, NULL });
}

static void assert_all_held(const struct play *play)
{
	for (unsigned i = 0; i < PLAYERS; i++)
		assert_int_equal(play->held[i], -EAGAIN);
}

static int signal_one_by_one(void *arg)
{
	struct play *play = arg;
	int error = begin(play);

	for (unsigned i = 0; i < PLAYERS; i++) {
		test_trail_add(&play->trail, "! ");
		rota_condition_signal(&play->condition);
		rota_mutex_unlock(&play->mutex);
		error |= rota_sleep(1);
		error |= rota_mutex_lock(&play->mutex);
	}
	rota_mutex_unlock(&play->mutex);
	return error | end(play);
}

static void a_signal_wakes_who_waits_longest_and_nobody_else(void **state)
{
	struct play play = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(signal_one_by_one, &play), 0);
	assert_string_equal(play.trail.text, "! a ! b ! c ");
	assert_int_equal(play.results[0] | play.results[1] | play.results[2],
			 0);
	assert_all_held(&play);
}

static int signal_all(void *arg)
{
	struct play *play = arg;
	int error = begin(play);

	rota_condition_broadcast(&play->condition);
	error |= rota_sleep(1);
	test_trail_add(&play->trail, "! ");
	rota_mutex_unlock(&play->mutex);
	return error | end(play);
}

static void a_broadcast_wakes_all_once_they_have_the_mutex(void **state)
{
	struct play play = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(signal_all, &play), 0);
	assert_string_equal(play.trail.text, "! a b c ");
	assert_all_held(&play);
}

static int signal_nobody(void *arg)
{
	struct play *play = arg;
	struct rota_deadline deadline;
	int error;

	rota_mutex_init(&play->mutex, NULL);
	rota_condition_init(&play->condition, NULL);
	rota_condition_signal(&play->condition);
	rota_condition_broadcast(&play->condition);
	error = rota_mutex_lock(&play->mutex);
	rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND));
	play->codes[0] = rota_condition_wait(&play->condition, &play->mutex);
	rota_deadline_end(&deadline);
	rota_mutex_unlock(&play->mutex);
	rota_condition_fini(&play->condition);
	rota_mutex_fini(&play->mutex);
	return error;
}

static void a_signal_for_nobody_is_not_kept(void **state)
{
	struct play play = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(signal_nobody, &play), 0);
	assert_int_equal(play.codes[0], -ETIME);
}

static int cancel_then_signal(void *arg)
{
	struct play *play = arg;
	int error = begin(play);

	cancel(&play->groups[0]);
	rota_condition_signal(&play->condition);
	error |= rota_sleep(1);
	play->codes[0] = play->results[0];
	rota_mutex_unlock(&play->mutex);
	error |= rota_sleep(1);
	rota_condition_broadcast(&play->condition);
	return error | end(play);
}

static void a_cancelled_waiter_gets_the_mutex_but_no_signal(void **state)
{
	struct play play = { .codes = { 1 } };

	(void)state;
	play.results[0] = 1;
	assert_int_equal(test_run_timed(cancel_then_signal, &play), 0);
	assert_string_equal(play.trail.text, "a b c ");
	assert_int_equal(play.codes[0], 1);
	assert_int_equal(play.results[0], -ECANCELED);
	assert_int_equal(play.results[1], 0);
	assert_all_held(&play);
}

static int signal_then_cancel(void *arg)
{
	struct play *play = arg;
	int error = begin(play);

	rota_condition_signal(&play->condition);
	cancel(&play->groups[0]);
	error |= rota_sleep(1);
	cancel(&play->groups[0]);
	rota_mutex_unlock(&play->mutex);
	error |= rota_sleep(1);
	rota_condition_broadcast(&play->condition);
	return error | end(play);
}

static void a_signal_before_the_cancel_is_delivered(void **state)
{
	struct play play = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(signal_then_cancel, &play), 0);
	assert_string_equal(play.trail.text, "a b c ");
	assert_int_equal(play.results[0], 0);
	assert_all_held(&play);
}

/* Woken by the signal, it waits for the mutex; the cancel comes then. */
static int cancel_while_it_locks(void *arg)
{
	struct play *play = arg;
	int error = begin(play);

	rota_condition_signal(&play->condition);
	error |= rota_sleep(1);
	cancel(&play->groups[0]);
	error |= rota_sleep(1);
	test_trail_add(&play->trail, "! ");
	rota_mutex_unlock(&play->mutex);
	error |= rota_sleep(1);
	rota_condition_broadcast(&play->condition);
	return error | end(play);
}

static void no_cancel_keeps_it_from_locking_again(void **state)
{
	struct play play = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_while_it_locks, &play), 0);
	assert_string_equal(play.trail.text, "! a b c ");
	assert_int_equal(play.results[0], 0);
	assert_all_held(&play);
}

static int wait_when_cancelled(void *arg)
{
	struct play *play = arg;
	struct rota_group group;
	int error;

	rota_mutex_init(&play->mutex, NULL);
	rota_condition_init(&play->condition, NULL);
	error = rota_mutex_lock(&play->mutex);
	rota_group_open(&group, NULL);
	cancel(&group);
	play->codes[0] = rota_condition_wait(&play->condition, &play->mutex);
	play->codes[1] = rota_mutex_try_lock(&play->mutex);
	(void)rota_group_wait(&group);
	rota_mutex_unlock(&play->mutex);
	rota_condition_fini(&play->condition);
	rota_mutex_fini(&play->mutex);
	return error;
}

static void a_cancelled_task_does_not_wait_and_keeps_the_mutex(void **state)
{
	struct play play = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(wait_when_cancelled, &play), 0);
	assert_int_equal(play.codes[0], -ECANCELED);
	assert_int_equal(play.codes[1], -EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_signal_wakes_who_waits_longest_and_nobody_else),
		cmocka_unit_test(
			a_broadcast_wakes_all_once_they_have_the_mutex),
		cmocka_unit_test(a_signal_for_nobody_is_not_kept),
		cmocka_unit_test(
			a_cancelled_waiter_gets_the_mutex_but_no_signal),
		cmocka_unit_test(a_signal_before_the_cancel_is_delivered),
		cmocka_unit_test(no_cancel_keeps_it_from_locking_again),
		cmocka_unit_test(
			a_cancelled_task_does_not_wait_and_keeps_the_mutex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
