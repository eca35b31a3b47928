/* SPDX-License-Identifier: MIT */
/*
 * Locks to read and write on one loop: who is let in beside whom, and in which
 * order.
 */
#include "support/timed.h"
#include "support/trail.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PLAYERS 8
#define HOLD_NS 100

/* A lock that some want. A small letter reads, a capital one writes; each
 * notes its letter when it is let in, and again with a point when it goes. */
struct play {
	struct rota_rwlock lock;
	struct test_trail trail;
	const char *players;               /* who comes, in order */
	struct rota_group all;             /* of them */
	struct rota_group groups[PLAYERS]; /* a scope of each */
	int results[PLAYERS];              /* what its lock returned */
	unsigned count;                    /* how many have come */
	int codes[4];                      /* of the first task's calls */
};

struct player {
	struct play *play;
	unsigned index;
};

static bool writes(char letter)
{
	return letter < 'a';
}

static int lock_and_note(struct play *play, char letter)
{
	const char comes[] = { letter, ' ', '\0' };
	const char goes[] = { letter, '.', ' ', '\0' };
	int result = writes(letter) ? rota_rwlock_write_lock(&play->lock)
				    : rota_rwlock_read_lock(&play->lock);

	if (result)
		return result;
	test_trail_add(&play->trail, comes);
	result = rota_sleep(HOLD_NS);
	test_trail_add(&play->trail, goes);
	if (writes(letter))
		rota_rwlock_write_unlock(&play->lock);
	else
		rota_rwlock_read_unlock(&play->lock);
	return result;
}

/* In a scope of its own, which the first task may cancel. */
static int run_player(void *value)
{
	const struct player *player = value;
	struct play *play = player->play;
	const unsigned index = player->index;

	rota_group_open(&play->groups[index], NULL);
	play->results[index] = lock_and_note(play, play->players[index]);
	(void)rota_group_wait(&play->groups[index]);
	return 0;
}

/* So many more of them come. */
static int come(struct play *play, unsigned count)
{
	int error = 0;

	while (count-- && !error) {
		const struct player player = { play, play->count++ };

		error = rota_go(&play->all, run_player, player);
	}
	return error ? error : rota_sleep(1);
}

static void begin(struct play *play)
{
	rota_rwlock_init(&play->lock, NULL);
	rota_group_open(&play->all, NULL);
}

static int end(struct play *play)
{
	const int error = rota_group_wait(&play->all);

	rota_rwlock_fini(&play->lock);
	return error;
}

static void cancel(struct rota_group *group)
{
	rota_group_cancel(group, (struct rota_cancellation){ 0, NULL });
}

static int let_all(void *arg)
{
	struct play *play = arg;
	int error;

	begin(play);
	error = come(play, (unsigned)strlen(play->players));
	return error | end(play);
}

static void readers_read_together(void **state)
{
	struct play play = { .players = "abcdefg" };

	(void)state;
	assert_int_equal(test_run_timed(let_all, &play), 0);
	assert_string_equal(play.trail.text,
			    "a b c d e f g a. b. c. d. e. f. g. ");
}

static void a_writer_writes_alone(void **state)
{
	struct play play = { .players = "ABaCb" };

	(void)state;
	assert_int_equal(test_run_timed(let_all, &play), 0);
	assert_string_equal(play.trail.text, "A A. B B. a a. C C. b b. ");
}

static void a_reader_waits_behind_a_writer_that_waits(void **state)
{
	struct play play = { .players = "abXcdYe" };

	(void)state;
	assert_int_equal(test_run_timed(let_all, &play), 0);
	assert_string_equal(play.trail.text,
			    "a b a. b. X X. c d c. d. Y Y. e e. ");
}

/* The first two read, a writer and a reader wait. */
static int cancel_writer(void *arg)
{
	struct play *play = arg;
	int error;

	begin(play);
	error = come(play, 4);
	cancel(&play->groups[2]);
	error |= rota_yield();
	return error | end(play);
}

static void a_writer_that_is_cancelled_lets_readers_behind_it_in(void **state)
{
	struct play play = { .players = "abXc" };

	(void)state;
	assert_int_equal(test_run_timed(cancel_writer, &play), 0);
	assert_string_equal(play.trail.text, "a b c a. b. c. ");
	assert_int_equal(play.results[2], -ECANCELED);
	assert_int_equal(play.results[3], 0);
}

static void a_writer_behind_stays_behind_the_readers_then(void **state)
{
	struct play play = { .players = "abXY" };

	(void)state;
	assert_int_equal(test_run_timed(cancel_writer, &play), 0);
	assert_string_equal(play.trail.text, "a b a. b. Y Y. ");
}

/* The first task writes; who comes then is served, and cancelled before it goes
 * on. */
static int cancel_who_has_been_served(void *arg)
{
	struct play *play = arg;
	int error;

	begin(play);
	error = rota_rwlock_write_lock(&play->lock);
	error |= come(play, (unsigned)strlen(play->players));
	rota_rwlock_write_unlock(&play->lock);
	cancel(&play->groups[0]);
	return error | end(play);
}

static void a_cancelled_task_passes_on_that_it_may_write(void **state)
{
	struct play play = { .players = "Xab" };

	(void)state;
	assert_int_equal(test_run_timed(cancel_who_has_been_served, &play), 0);
	assert_string_equal(play.trail.text, "a b a. b. ");
	assert_int_equal(play.results[0], -ECANCELED);
}

static void a_cancelled_task_passes_on_that_it_may_read(void **state)
{
	struct play play = { .players = "aXb" };

	(void)state;
	assert_int_equal(test_run_timed(cancel_who_has_been_served, &play), 0);
	assert_string_equal(play.trail.text, "X X. b b. ");
	assert_int_equal(play.results[0], -ECANCELED);
}

static int try_each(void *arg)
{
	struct play *play = arg;
	int error;

	begin(play);
	error = come(play, 1);
	play->codes[0] = rota_rwlock_try_write_lock(&play->lock);
	play->codes[1] = rota_rwlock_try_read_lock(&play->lock);
	rota_rwlock_read_unlock(&play->lock);
	error |= come(play, 1);
	play->codes[2] = rota_rwlock_try_read_lock(&play->lock);
	error |= rota_sleep(3 * HOLD_NS);
	play->codes[3] = rota_rwlock_try_write_lock(&play->lock);
	rota_rwlock_write_unlock(&play->lock);
	return error | end(play);
}

static void who_tries_overtakes_nobody(void **state)
{
	struct play play = { .players = "aX" };

	(void)state;
	assert_int_equal(test_run_timed(try_each, &play), 0);
	assert_int_equal(play.codes[0], -EAGAIN);
	assert_int_equal(play.codes[1], 0);
	assert_int_equal(play.codes[2], -EAGAIN);
	assert_int_equal(play.codes[3], 0);
}

static int lock_when_cancelled(void *arg)
{
	struct play *play = arg;
	struct rota_group group;

	rota_rwlock_init(&play->lock, NULL);
	rota_group_open(&group, NULL);
	cancel(&group);
	play->codes[0] = rota_rwlock_read_lock(&play->lock);
	play->codes[1] = rota_rwlock_write_lock(&play->lock);
	play->codes[2] = rota_rwlock_try_read_lock(&play->lock);
	rota_rwlock_read_unlock(&play->lock);
	play->codes[3] = rota_rwlock_try_write_lock(&play->lock);
	rota_rwlock_write_unlock(&play->lock);
	rota_rwlock_fini(&play->lock);
	return rota_group_wait(&group) == -ECANCELED ? 0 : -EBADMSG;
}

static void a_cancelled_task_is_refused_unless_it_tries(void **state)
{
	struct play play = { .players = "" };

	(void)state;
	assert_int_equal(test_run_timed(lock_when_cancelled, &play), 0);
	assert_int_equal(play.codes[0], -ECANCELED);
	assert_int_equal(play.codes[1], -ECANCELED);
	assert_int_equal(play.codes[2], 0);
	assert_int_equal(play.codes[3], 0);
}

static int lock_until(void *arg)
{
	struct play *play = arg;
	struct rota_deadline deadline;
	int error;

	begin(play);
	error = come(play, 1);
	rota_deadline_begin(&deadline, rota_after_ns(HOLD_NS / 2));
	play->codes[0] = rota_rwlock_write_lock(&play->lock);
	rota_deadline_end(&deadline);
	error |= come(play, 1);
	return error | end(play);
}

static void a_deadline_ends_a_writers_wait(void **state)
{
	struct play play = { .players = "ab" };

	(void)state;
	assert_int_equal(test_run_timed(lock_until, &play), 0);
	assert_int_equal(play.codes[0], -ETIME);
	assert_string_equal(play.trail.text, "a b a. b. ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_read_together),
		cmocka_unit_test(a_writer_writes_alone),
		cmocka_unit_test(a_reader_waits_behind_a_writer_that_waits),
		cmocka_unit_test(
			a_writer_that_is_cancelled_lets_readers_behind_it_in),
		cmocka_unit_test(a_writer_behind_stays_behind_the_readers_then),
		cmocka_unit_test(a_cancelled_task_passes_on_that_it_may_write),
		cmocka_unit_test(a_cancelled_task_passes_on_that_it_may_read),
		cmocka_unit_test(who_tries_overtakes_nobody),
		cmocka_unit_test(a_cancelled_task_is_refused_unless_it_tries),
		cmocka_unit_test(a_deadline_ends_a_writers_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
