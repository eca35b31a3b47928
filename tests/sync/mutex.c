/* SPDX-License-Identifier: MIT */
/*
 * Mutexes on one loop: whose turn it is, and what a cancel leaves behind.
 */
#include "support/timed.h"
#include "support/trail.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PLAYERS 4

/* A mutex that some want. */
struct play {
	struct rota_mutex mutex;
	struct test_trail trail;           /* who had it, in order */
	struct rota_group all;             /* of them */
	struct rota_group groups[PLAYERS]; /* a scope of each */
	int results[PLAYERS];              /* what its lock returned */
	int64_t hold_ns;                   /* how long it keeps it */
	int codes[4];                      /* of the first task's calls */
};

struct player {
	struct play *play;
	unsigned index;
};

static int lock_and_note(struct play *play, unsigned index)
{
	const char name[] = { (char)('a' + index), ' ', '\0' };
	int result = rota_mutex_lock(&play->mutex);

	if (result)
		return result;
	test_trail_add(&play->trail, name);
	if (play->hold_ns)
		result = rota_sleep(play->hold_ns);
	rota_mutex_unlock(&play->mutex);
	return result;
}

/* In a scope of its own, which the first task may cancel. */
static int run_player(void *value)
{
	const struct player *player = value;
	struct play *play = player->play;
	const unsigned index = player->index;

	rota_group_open(&play->groups[index], NULL);
	play->results[index] = lock_and_note(play, index);
	(void)rota_group_wait(&play->groups[index]);
	return 0;
}

/* The first task has it; so many others come for it, in order. */
static int begin(struct play *play, unsigned players)
{
	int error;

	rota_mutex_init(&play->mutex, NULL);
	rota_group_open(&play->all, NULL);
	error = rota_mutex_lock(&play->mutex);
	for (unsigned i = 0; i < players && !error; i++) {
		const struct player player = { play, i };

		error = rota_go(&play->all, run_player, player);
	}
	return error ? error : rota_sleep(1);
}

static int end(struct play *play)
{
	const int error = rota_group_wait(&play->all);

	rota_mutex_fini(&play->mutex);
	return error;
}

static void cancel(struct rota_group *group)
{
	rota_group_cancel(group, (struct rota_cancellation){ 0, NULL });
}

static int let_all(void *arg)
{
	struct play *play = arg;
	int error = begin(play, PLAYERS);

	test_trail_add(&play->trail, "- ");
	rota_mutex_unlock(&play->mutex);
	return error | end(play);
}

static void who_waits_has_it_in_the_order_of_coming(void **state)
{
	struct play play = { .hold_ns = 5 };

	(void)state;
	assert_int_equal(test_run_timed(let_all, &play), 0);
	assert_string_equal(play.trail.text, "- a b c d ");
}

static int lock_again(void *arg)
{
	struct play *play = arg;
	int error = begin(play, 2);

	rota_mutex_unlock(&play->mutex);
	play->codes[0] = rota_mutex_try_lock(&play->mutex);
	play->codes[1] = rota_mutex_lock(&play->mutex);
	test_trail_add(&play->trail, "- ");
	play->codes[2] = rota_mutex_try_lock(&play->mutex);
	rota_mutex_unlock(&play->mutex);
	play->codes[3] = rota_mutex_try_lock(&play->mutex);
	rota_mutex_unlock(&play->mutex);
	return error | end(play);
}

static void who_comes_back_at_once_comes_after_those_who_wait(void **state)
{
	struct play play = { .hold_ns = 0 };

	(void)state;
	assert_int_equal(test_run_timed(lock_again, &play), 0);
	assert_string_equal(play.trail.text, "a b - ");
	assert_int_equal(play.codes[0], -EAGAIN);
	assert_int_equal(play.codes[1], 0);
	assert_int_equal(play.codes[2], -EAGAIN);
	assert_int_equal(play.codes[3], 0);
}

static int cancel_the_middle_one(void *arg)
{
	struct play *play = arg;
	int error = begin(play, 3);

	cancel(&play->groups[1]);
	error |= rota_yield();
	play->codes[0] = play->results[1];
	rota_mutex_unlock(&play->mutex);
	return error | end(play);
}

static void a_cancelled_waiter_leaves_the_line_at_once(void **state)
{
	struct play play = { .hold_ns = 0 };

	(void)state;
	assert_int_equal(test_run_timed(cancel_the_middle_one, &play), 0);
	assert_string_equal(play.trail.text, "a c ");
	assert_int_equal(play.codes[0], -ECANCELED);
}

static int cancel_who_has_been_served(void *arg)
{
	struct play *play = arg;
	int error = begin(play, 3);

	rota_mutex_unlock(&play->mutex);
	cancel(&play->groups[0]);
	return error | end(play);
}

static void what_is_handed_to_a_cancelled_task_is_handed_on(void **state)
{
	struct play play = { .hold_ns = 0 };

	(void)state;
	assert_int_equal(test_run_timed(cancel_who_has_been_served, &play), 0);
	assert_string_equal(play.trail.text, "b c ");
	assert_int_equal(play.results[0], -ECANCELED);
	assert_int_equal(play.results[1], 0);
	assert_int_equal(play.results[2], 0);
}

static int cancel_the_only_one(void *arg)
{
	struct play *play = arg;
	int error = begin(play, 1);

	rota_mutex_unlock(&play->mutex);
	cancel(&play->groups[0]);
	error |= rota_yield();
	play->codes[0] = rota_mutex_try_lock(&play->mutex);
	rota_mutex_unlock(&play->mutex);
	return error | end(play);
}

static void what_nobody_else_wants_is_free_after_a_cancel(void **state)
{
	struct play play = { .hold_ns = 0 };

	(void)state;
	assert_int_equal(test_run_timed(cancel_the_only_one, &play), 0);
	assert_int_equal(play.results[0], -ECANCELED);
	assert_int_equal(play.codes[0], 0);
}

static int lock_when_cancelled(void *arg)
{
	struct play *play = arg;
	struct rota_group group;

	rota_mutex_init(&play->mutex, NULL);
	rota_group_open(&group, NULL);
	cancel(&group);
	play->codes[0] = rota_mutex_lock(&play->mutex);
	play->codes[1] = rota_mutex_try_lock(&play->mutex);
	play->codes[2] = rota_mutex_lock(&play->mutex);
	rota_mutex_unlock(&play->mutex);
	rota_mutex_fini(&play->mutex);
	return rota_group_wait(&group) == -ECANCELED ? 0 : -EBADMSG;
}

static void a_cancelled_task_is_refused_but_by_try_lock(void **state)
{
	struct play play = { .hold_ns = 0 };

	(void)state;
	assert_int_equal(test_run_timed(lock_when_cancelled, &play), 0);
	assert_int_equal(play.codes[0], -ECANCELED);
	assert_int_equal(play.codes[1], 0);
	assert_int_equal(play.codes[2], -ECANCELED);
}

static int lock_until(void *arg)
{
	struct play *play = arg;
	struct rota_deadline deadline;
	int error;

	play->hold_ns = ROTA_SECOND;
	error = begin(play, 2);
	rota_mutex_unlock(&play->mutex);
	rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND / 2));
	play->codes[0] = rota_mutex_lock(&play->mutex);
	play->codes[1] = rota_deadline_end(&deadline);
	test_trail_add(&play->trail, "late ");
	return error | end(play);
}

static void a_deadline_ends_the_wait(void **state)
{
	struct play play = { .hold_ns = 0 };

	(void)state;
	assert_int_equal(test_run_timed(lock_until, &play), 0);
	assert_int_equal(play.codes[0], -ETIME);
	assert_int_equal(play.codes[1], true);
	assert_string_equal(play.trail.text, "a late b ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waits_has_it_in_the_order_of_coming),
		cmocka_unit_test(
			who_comes_back_at_once_comes_after_those_who_wait),
		cmocka_unit_test(a_cancelled_waiter_leaves_the_line_at_once),
		cmocka_unit_test(
			what_is_handed_to_a_cancelled_task_is_handed_on),
		cmocka_unit_test(what_nobody_else_wants_is_free_after_a_cancel),
		cmocka_unit_test(a_cancelled_task_is_refused_but_by_try_lock),
		cmocka_unit_test(a_deadline_ends_the_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
