/* SPDX-License-Identifier: MIT */
/*
 * Stories of what is switched off: who fails, what is released, what fails
 * meanwhile, and who keeps running. The scenarios are those that Eio's switches
 * and fibers are tested with; races of fibers are in race.c.
 */
#include "rota/rota.h"
#include "support/process.h"
#include "support/story.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define KEPT 4

/* A group and everything that failed in it. */
struct seen {
	struct test_trail trail;
	struct rota_failure list[KEPT];
	struct rota_failures failures;
	struct rota_group group;
	int codes[4];
	int pair[2];
};

static void open_seen(struct seen *seen)
{
	seen->failures.list = seen->list;
	seen->failures.max = KEPT;
	rota_group_open(&seen->group, &(struct rota_group_options){
					      .failures = &seen->failures });
}

/* The failures, in order. */
static void assert_failures(const struct seen *seen, unsigned count,
			    const int *errors)
{
	assert_int_equal(seen->failures.count, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(seen->list[i].error, errors[i]);
}

/* Counts, unless it is told to stop: by the verb that follows the one in which
 * the cancel came, as a yield that is under way is not cut short. */
struct counter {
	struct test_trail *trail;
	const char *name;
	int to;
	int result; /* in the end */
};

static int count_up(void *value)
{
	const struct counter *counter = value;
	int code = 0;

	for (int i = 0; i < counter->to && !code; i++) {
		test_trail_add(counter->trail, counter->name);
		code = rota_yield();
	}
	if (code)
		test_trail_add(counter->trail, "!");
	return code ? code : counter->result;
}

static int run_both(struct seen *seen, struct counter first,
		    struct counter second)
{
	int error;

	open_seen(seen);
	error = rota_go(&seen->group, count_up, first);
	error |= rota_go(&seen->group, count_up, second);
	return error ? -EPROTO : rota_group_wait(&seen->group);
}

static int both_pass(void *arg)
{
	struct seen *seen = arg;

	return run_both(seen, (struct counter){ &seen->trail, "x", 2, 0 },
			(struct counter){ &seen->trail, "y", 2, 0 });
}

static int second_fails(void *arg)
{
	struct seen *seen = arg;

	return run_both(seen, (struct counter){ &seen->trail, "x", 5, 0 },
			(struct counter){ &seen->trail, "y", 0, -EIO });
}

static int first_fails_later(void *arg)
{
	struct seen *seen = arg;

	return run_both(seen, (struct counter){ &seen->trail, "x", 1, -EIO },
			(struct counter){ &seen->trail, "y", 5, 0 });
}

/* Differs by design: the other one starts nevertheless, and it counts as one
 * that was told, not as one that failed. */
static int first_fails_at_once(void *arg)
{
	struct seen *seen = arg;

	return run_both(seen, (struct counter){ &seen->trail, "x", 0, -EIO },
			(struct counter){ &seen->trail, "y", 5, 0 });
}

static void of_two_the_one_that_fails_stops_the_other(void **state)
{
	static const struct {
		int (*fn)(void *);
		const char *trail;
		int outcome;
	} cases[] = {
		{ both_pass, "xyxy", 0 },
		{ second_fails, "xx!", -EIO },
		{ first_fails_later, "xyy!", -EIO },
		{ first_fails_at_once, "y!", -EIO },
	};

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct seen seen = { .trail = { "" } };

		assert_int_equal(test_run_timed(cases[i].fn, &seen),
				 cases[i].outcome);
		assert_string_equal(seen.trail.text, cases[i].trail);
		assert_failures(&seen, i > 0, &cases[i].outcome);
	}
}

/* In a shield nobody is told anything, so that both fail. */
static int both_fail(void *arg)
{
	struct seen *seen = arg;
	int error;

	open_seen(seen);
	error = rota_go(&seen->group, act_in_shield,
			((struct actor){ &seen->trail, "a", 5, -EIO, 0 }));
	error |= rota_go(&seen->group, act_in_shield,
			 ((struct actor){ &seen->trail, "b", 5, -EDOM, 0 }));
	return error ? -EPROTO : rota_group_wait(&seen->group);
}

static void of_two_that_fail_the_first_counts_and_both_are_kept(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(both_fail, &seen), -EIO);
	assert_string_equal(seen.trail.text, "a b! ");
	assert_failures(&seen, 2, (const int[]){ -EIO, -EDOM });
}

/* Differs by design: what the owner gives as the cause is no failure of a
 * member, so theirs go before it. */
static int fail_and_let_fail(void *arg)
{
	struct seen *seen = arg;
	const struct actor spoilt = { &seen->trail, "a", 1000, 0, -EBADMSG };
	const struct actor other = { &seen->trail, "b", 1000, 0, -ENOSPC };
	const struct actor good = { &seen->trail, "c", 1000, 0, 0 };
	int error;

	open_seen(seen);
	error = rota_go(&seen->group, act, spoilt);
	error |= rota_go(&seen->group, act, other);
	error |= rota_go(&seen->group, act, good);
	error |= rota_sleep(10);
	rota_group_cancel(&seen->group,
			  (struct rota_cancellation){ -EDOM, "gave up" });
	test_trail_add(&seen->trail, "clean-up ");
	seen->codes[0] = rota_go(&seen->group, act, good);
	seen->codes[1] = rota_cause().error;
	return error ? -EPROTO : rota_group_wait(&seen->group);
}

static void errors_of_those_who_are_told_to_end_are_all_kept(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(fail_and_let_fail, &seen), -EBADMSG);
	assert_string_equal(seen.trail.text, "clean-up a! b! c! ");
	assert_failures(&seen, 2, (const int[]){ -EBADMSG, -ENOSPC });
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[1], -EDOM);
}

/* Runs it in a group, beside one that fails at 5. */
static int fail_beside(struct seen *seen, int (*fn)(void *))
{
	int error;

	open_seen(seen);
	error = rota_go(&seen->group, fn, seen);
	error |= rota_go(&seen->group, act,
			 ((struct actor){ &seen->trail, "a", 5, -EIO, 0 }));
	return error ? -EPROTO : rota_group_wait(&seen->group);
}

/* A group inside whose member fails as it is cleaned up. */
static int clean_up_badly(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_group inner;
	int error;

	rota_group_open(&inner, NULL);
	error = rota_go(
		&inner, act,
		((struct actor){ &seen->trail, "inner", 1000, 0, -EBADF }));
	seen->codes[0] = rota_group_wait(&inner);
	return error ? error : seen->codes[0];
}

static int fail_beside_a_group(void *arg)
{
	return fail_beside(arg, clean_up_badly);
}

static void
an_error_of_cleaning_up_comes_through_from_groups_inside(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(fail_beside_a_group, &seen), -EIO);
	assert_string_equal(seen.trail.text, "a inner! ");
	assert_int_equal(seen.codes[0], -EBADF);
	assert_failures(&seen, 2, (const int[]){ -EIO, -EBADF });
}

/* Descriptors are released the last first, as C functions unwind; the pipe's
 * end tells that the release of one took effect. */
static int hold_two(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const int first = rota_open("/dev/null", O_RDONLY | O_CLOEXEC, 0);
	const int second = rota_open("/dev/null", O_RDONLY | O_CLOEXEC, 0);
	const int code = rota_sleep_until(ROTA_NEVER);

	test_trail_add(&seen->trail, rota_close(second) ? "bad " : "second ");
	test_trail_add(&seen->trail, rota_close(first) ? "bad " : "first ");
	/* A release that fails is a failure like others. */
	seen->codes[0] = rota_close(-1);
	return first < 0 || second < 0 ? code : seen->codes[0];
}

static int fail_and_release(void *arg)
{
	return fail_beside(arg, hold_two);
}

static void what_is_held_is_released_last_first_though_all_is_off(void **state)
{
	struct seen seen = { .trail = { "" } };
	const unsigned before = test_process_descriptors();

	(void)state;
	assert_int_equal(test_run_timed(fail_and_release, &seen), -EIO);
	assert_string_equal(seen.trail.text, "a second first ");
	assert_failures(&seen, 2, (const int[]){ -EIO, -EBADF });
	assert_int_equal(test_process_descriptors(), before);
}

/* Somebody waits for a byte; it comes, and the group ends, in some order. */
static int await_byte(void *value)
{
	struct seen *seen = *(struct seen **)value;
	char byte;

	seen->codes[0] = rota_read(seen->pair[0], &byte, 1);
	story_note(&seen->trail, "reader", seen->codes[0]);
	seen->codes[1] = rota_read(seen->pair[0], &byte, 1);
	return seen->codes[1];
}

/* In `order`: B sends the byte, C cancels, a blank lets time pass. */
static int give_and_cancel(struct seen *seen, const char *order)
{
	char byte;
	int error = pipe2(seen->pair, O_CLOEXEC | O_NONBLOCK);

	open_seen(seen);
	error |= rota_go(&seen->group, await_byte, seen);
	for (; *order; order++) {
		if (*order == 'B')
			error |= write(seen->pair[1], "", 1) != 1;
		else if (*order == 'C')
			rota_group_cancel(&seen->group,
					  (struct rota_cancellation){ 0, 0 });
		else
			error |= rota_sleep(1);
	}
	seen->codes[2] = rota_group_wait(&seen->group);
	seen->codes[3] = (int)read(seen->pair[0], &byte, 1);
	rota_close(seen->pair[0]);
	rota_close(seen->pair[1]);
	return error ? -EPROTO : 0;
}

static int give_first(void *arg)
{
	return give_and_cancel(arg, " B C");
}

static int cancel_first(void *arg)
{
	return give_and_cancel(arg, " CB");
}

static int give_and_cancel_at_once(void *arg)
{
	return give_and_cancel(arg, " BC");
}

static int cancel_before_all(void *arg)
{
	return give_and_cancel(arg, "BC");
}

/* A read may lose to the cancel or win, but then the byte is gone. */
static void a_byte_is_either_read_or_still_there_when_all_goes_off(void **state)
{
	static int (*const fns[])(void *) = { give_first, cancel_first,
					      give_and_cancel_at_once,
					      cancel_before_all };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct seen seen = { .trail = { "" } };
		bool won;

		assert_int_equal(test_run_timed(fns[i], &seen), 0);
		won = seen.codes[0] == 1;
		assert_int_equal(seen.codes[0], won ? 1 : -ECANCELED);
		assert_int_equal(seen.codes[1], -ECANCELED);
		assert_int_equal(seen.codes[2], -ECANCELED);
		assert_int_equal(seen.codes[3], won ? -1 : 1);
		if (fns[i] == give_first)
			assert_true(won);
		if (fns[i] == cancel_before_all)
			assert_false(won);
	}
}

/* Two groups inside a group, each in a member that may mind its end. */
struct minder {
	struct seen *seen;
	struct rota_group **group; /* told where its group is */
	struct actor actor;
	bool minds; /* returns what its group came to */
};

static int mind_group(void *value)
{
	const struct minder *minder = *(const struct minder **)value;
	struct rota_group group;
	int error, outcome;

	rota_group_open(&group, NULL);
	if (minder->group)
		*minder->group = &group;
	error = rota_go(&group, act, minder->actor);
	outcome = rota_group_wait(&group);
	minder->seen->codes[minder->minds] = outcome;
	return error | (minder->minds ? outcome : 0);
}

static int mind_two(struct seen *seen, bool minds, bool by_cancel)
{
	struct rota_group *first = NULL;
	const struct minder minders[] = {
		{ seen, &first, { &seen->trail, "a", 20, -EIO, 0 }, minds },
		{ seen, NULL, { &seen->trail, "b", 40, 0, 0 }, false },
	};
	const struct minder *members[] = { &minders[0], &minders[1] };
	int error;

	open_seen(seen);
	error = rota_go(&seen->group, mind_group, members[0]);
	error |= rota_go(&seen->group, mind_group, members[1]);
	error |= rota_sleep(10);
	if (by_cancel)
		rota_group_cancel(first,
				  (struct rota_cancellation){ -ESTALE, NULL });
	story_note(&seen->trail, "owner", rota_sleep(50));
	return error ? -EPROTO : rota_group_wait(&seen->group);
}

static int let_one_fail(void *arg)
{
	return mind_two(arg, false, false);
}

static int hand_one_on(void *arg)
{
	return mind_two(arg, true, false);
}

static int cancel_one(void *arg)
{
	return mind_two(arg, false, true);
}

static void a_group_inside_fails_alone_until_somebody_minds(void **state)
{
	struct seen alone = { .trail = { "" } }, handed = { .trail = { "" } };
	struct seen cancelled = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(let_one_fail, &alone), 0);
	assert_string_equal(alone.trail.text, "a b owner ");
	assert_failures(&alone, 0, NULL);
	assert_int_equal(test_run_timed(hand_one_on, &handed), -EIO);
	assert_non_null(strstr(handed.trail.text, "owner! "));
	assert_non_null(strstr(handed.trail.text, "b! "));
	assert_int_equal(handed.codes[1], -EIO);
	assert_int_equal(handed.codes[0], -EIO);
	assert_int_equal(test_run_timed(cancel_one, &cancelled), 0);
	assert_string_equal(cancelled.trail.text, "a! b owner ");
}

/* A member of the group around is in the group's scope, not in that of who
 * spawned it, who may be in a shield. */
static int spawn_from_a_shield(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const struct actor child = { &seen->trail, "child", 1000, 0, 0 };
	struct rota_shield shield;

	rota_shield_begin(&shield, ROTA_SECOND);
	seen->codes[0] = rota_go(&seen->group, act, child);
	seen->codes[1] = rota_sleep(10);
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0, NULL });
	seen->codes[2] = rota_sleep(10);
	test_trail_add(&seen->trail, "protected ");
	seen->codes[3] = rota_go(&seen->group, act, child);
	rota_shield_end(&shield);
	return rota_cancelled();
}

static int spawn_outwards(void *arg)
{
	struct seen *seen = arg;
	int error;

	open_seen(seen);
	error = rota_go(&seen->group, spawn_from_a_shield, seen);
	return error ? -EPROTO : rota_group_wait(&seen->group);
}

static void a_task_is_in_the_scope_of_its_group_not_of_its_spawner(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(spawn_outwards, &seen), -ECANCELED);
	assert_string_equal(seen.trail.text, "child! protected ");
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], 0);
	assert_int_equal(seen.codes[2], 0);
	assert_int_equal(seen.codes[3], -ECANCELED);
	assert_failures(&seen, 0, NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_two_the_one_that_fails_stops_the_other),
		cmocka_unit_test(
			of_two_that_fail_the_first_counts_and_both_are_kept),
		cmocka_unit_test(
			errors_of_those_who_are_told_to_end_are_all_kept),
		cmocka_unit_test(
			an_error_of_cleaning_up_comes_through_from_groups_inside),
		cmocka_unit_test(
			what_is_held_is_released_last_first_though_all_is_off),
		cmocka_unit_test(
			a_byte_is_either_read_or_still_there_when_all_goes_off),
		cmocka_unit_test(
			a_group_inside_fails_alone_until_somebody_minds),
		cmocka_unit_test(
			a_task_is_in_the_scope_of_its_group_not_of_its_spawner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
