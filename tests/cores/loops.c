/* SPDX-License-Identifier: MIT */
/*
 * An engine of several loops: members run where they were sent, and what a
 * group promises holds of all of them.
 */
#include "support/loops.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What the members of a group have seen. */
struct seen {
	atomic_uint on[TEST_LOOPS]; /* how many have run on each loop */
	atomic_uint ended;          /* how many have ended */
	atomic_uint cancelled;      /* ... by a cancel */
	int result;                 /* of the group */
	struct rota_group *group;   /* they are in */
	int failing;                /* what the one that fails returns */
	atomic_uint together;       /* how many are running */
	atomic_uint most;           /* ... were, at most */
};

static unsigned all_that_ran(const struct seen *seen)
{
	unsigned all = 0;

	for (unsigned i = 0; i < TEST_LOOPS; i++)
		all += atomic_load(&seen->on[i]);
	return all;
}

static int note_loop(void *value)
{
	struct seen *seen = *(struct seen **)value;

	atomic_fetch_add(&seen->on[rota_loop()], 1);
	return 0;
}

static int send_each(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < TEST_LOOPS * 100 && !error; i++)
		error = rota_go_on(&group, i % TEST_LOOPS, note_loop, seen);
	seen->result = rota_group_wait(&group);
	return error;
}

static void members_run_on_the_loop_they_are_sent_to(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(test_run_loops(send_each, &seen), 0);
	assert_int_equal(seen.result, 0);
	for (unsigned i = 0; i < TEST_LOOPS; i++)
		assert_int_equal(atomic_load(&seen.on[i]), 100);
}

static int sleep_long(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const int error = rota_sleep(100 * ROTA_SECOND);

	atomic_fetch_add(&seen->cancelled, error == -ECANCELED);
	atomic_fetch_add(&seen->ended, 1);
	return error;
}

static int fail_there(void *value)
{
	struct seen *seen = *(struct seen **)value;

	return seen->failing;
}

static int fail_one(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < TEST_LOOPS * 10 && !error; i++)
		error = rota_go_on(&group, i % TEST_LOOPS, sleep_long, seen);
	if (!error)
		error = rota_go_on(&group, 2, fail_there, seen);
	seen->result = rota_group_wait(&group);
	return error;
}

static void a_failure_on_one_loop_cancels_members_on_all(void **state)
{
	struct seen seen = { .failing = -EPIPE };

	(void)state;
	assert_int_equal(test_run_loops(fail_one, &seen), 0);
	assert_int_equal(seen.result, -EPIPE);
	assert_int_equal(atomic_load(&seen.ended), TEST_LOOPS * 10);
	assert_int_equal(atomic_load(&seen.cancelled), TEST_LOOPS * 10);
}

static int spread_some(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 1000 && !error; i++)
		error = rota_go_spread(&group, note_loop, seen);
	seen->result = rota_group_wait(&group);
	return error;
}

static void spread_members_run_once_each(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(test_run_loops(spread_some, &seen), 0);
	assert_int_equal(seen.result, 0);
	assert_int_equal(all_that_ran(&seen), 1000);
}

static int spawn_more(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int error = rota_go(seen->group, note_loop, seen);

	for (unsigned i = 0; i < TEST_LOOPS && !error; i++)
		error = rota_go_on(seen->group, i, note_loop, seen);
	if (!error)
		error = rota_go_spread(seen->group, note_loop, seen);
	return error;
}

static int spawn_there(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	seen->group = &group;
	for (unsigned i = 0; i < TEST_LOOPS && !error; i++)
		error = rota_go_on(&group, i, spawn_more, seen);
	seen->result = rota_group_wait(&group);
	return error;
}

static void members_elsewhere_spawn_into_their_group(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(test_run_loops(spawn_there, &seen), 0);
	assert_int_equal(seen.result, 0);
	assert_int_equal(all_that_ran(&seen), TEST_LOOPS * (TEST_LOOPS + 2));
}

static int cancel_there(void *value)
{
	struct seen *seen = *(struct seen **)value;

	rota_group_cancel(seen->group,
			  (struct rota_cancellation){ -EINTR, "enough" });
	return rota_cancelled() == -ECANCELED ? 0 : -EBADMSG;
}

static int cancel_from_elsewhere(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	seen->group = &group;
	for (unsigned i = 0; i < TEST_LOOPS && !error; i++)
		error = rota_go_on(&group, i, sleep_long, seen);
	if (!error)
		error = rota_go_on(&group, 1, cancel_there, seen);
	seen->result = rota_group_wait(&group);
	return error;
}

static void a_member_elsewhere_cancels_its_group(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(test_run_loops(cancel_from_elsewhere, &seen), 0);
	assert_int_equal(seen.result, -EINTR);
	assert_int_equal(atomic_load(&seen.cancelled), TEST_LOOPS);
}

static int return_loop(void *value)
{
	(void)value;
	return (int)rota_loop() + 10;
}

static void count_discarded(int result, void *value)
{
	struct seen *seen = *(struct seen **)value;

	atomic_fetch_add(&seen->ended, 1);
	atomic_fetch_add(&seen->cancelled, rota_cancelled() == -ECANCELED);
	(void)result;
}

static int race(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, &(struct rota_group_options){
					.mode = ROTA_GROUP_FIRST_SUCCESS,
					.discard = count_discarded });
	for (unsigned i = 0; i < TEST_LOOPS * 10 && !error; i++)
		error = rota_go_on(&group, i % TEST_LOOPS, return_loop, seen);
	seen->result = rota_group_wait(&group);
	return error == -ECANCELED ? 0 : error;
}

static void
of_a_race_over_loops_one_wins_and_the_others_are_discarded(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(test_run_loops(race, &seen), 0);
	assert_in_range(seen.result, 10, 10 + TEST_LOOPS - 1);
	assert_int_equal(atomic_load(&seen.ended),
			 atomic_load(&seen.cancelled));
}

/* Long enough for others to be seen. */
static int note_together(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const unsigned together = atomic_fetch_add(&seen->together, 1) + 1;
	unsigned most = atomic_load(&seen->most);
	int error;

	while (together > most &&
	       !atomic_compare_exchange_weak(&seen->most, &most, together))
		;
	error = rota_sleep(200 * ROTA_MICROSECOND);
	atomic_fetch_sub(&seen->together, 1);
	note_loop(value);
	return error;
}

static int limited(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, &(struct rota_group_options){ .limit = 2 });
	for (unsigned i = 0; i < 300 && !error; i++)
		error = i % 4 == 3 ? rota_go_spread(&group, note_together, seen)
				   : rota_go_on(&group, i % TEST_LOOPS,
						note_together, seen);
	seen->result = rota_group_wait(&group);
	return error;
}

static void a_limit_holds_over_all_loops(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(test_run_loops(limited, &seen), 0);
	assert_int_equal(seen.result, 0);
	assert_int_equal(all_that_ran(&seen), 300);
	assert_in_range(atomic_load(&seen.most), 1, 2);
}

static int sleep_for_ever(void *value)
{
	(void)value;
	return rota_sleep_until(ROTA_NEVER);
}

/* One member has the only slot; the owner tries on each loop. */
static int try_on_each(void *arg)
{
	static const struct rota_site site = ROTA_SITE_("try", 0);
	struct seen *seen = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, &(struct rota_group_options){ .limit = 1 });
	error = rota_go_on(&group, 1, sleep_for_ever, 0);
	for (unsigned i = 0; i < TEST_LOOPS && !error; i++) {
		struct rota_start start = rota_start_on(i, note_loop);

		start.tries = true;
		if (rota_group_spawn_on(&group, start, &seen, &site) != -EAGAIN)
			error = -EPROTO;
	}
	rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	rota_group_wait(&group);
	return error;
}

static void
a_start_that_tries_is_refused_at_the_limit_on_each_loop(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(test_run_loops(try_on_each, &seen), 0);
	assert_int_equal(all_that_ran(&seen), 0);
}

/* Loops that always have a task that is ready. */
struct busy {
	atomic_uint begun; /* how many of them are */
	atomic_bool over;  /* the spread member has run */
};

static int be_busy(void *value)
{
	struct busy *busy = *(struct busy **)value;

	atomic_fetch_add(&busy->begun, 1);
	while (!atomic_load(&busy->over))
		if (rota_yield() < 0)
			return -ECANCELED;
	return 0;
}

static int end_it(void *value)
{
	atomic_store(&(*(struct busy **)value)->over, true);
	return 0;
}

static int spread_among_busy(void *arg)
{
	struct busy *busy = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < TEST_LOOPS && !error; i++)
		error = rota_go_on(&group, i, be_busy, busy);
	while (!error && atomic_load(&busy->begun) < TEST_LOOPS)
		error = rota_yield();
	if (!error)
		error = rota_go_spread(&group, end_it, busy);
	return error | rota_group_wait(&group);
}

static void loops_that_are_never_idle_take_spread_members_too(void **state)
{
	struct busy busy = { .begun = 0 };

	(void)state;
	assert_int_equal(test_run_loops(spread_among_busy, &busy), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_run_on_the_loop_they_are_sent_to),
		cmocka_unit_test(a_failure_on_one_loop_cancels_members_on_all),
		cmocka_unit_test(spread_members_run_once_each),
		cmocka_unit_test(members_elsewhere_spawn_into_their_group),
		cmocka_unit_test(a_member_elsewhere_cancels_its_group),
		cmocka_unit_test(
			of_a_race_over_loops_one_wins_and_the_others_are_discarded),
		cmocka_unit_test(a_limit_holds_over_all_loops),
		cmocka_unit_test(
			a_start_that_tries_is_refused_at_the_limit_on_each_loop),
		cmocka_unit_test(
			loops_that_are_never_idle_take_spread_members_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
