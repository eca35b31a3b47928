/* SPDX-License-Identifier: MIT */
/*
 * Stories of who is first, of services in the background, and of work on a list
 * by a few at a time. The scenarios are those that Eio's fibers are tested
 * with.
 */
#include "rota/rota.h"
#include "support/process.h"
#include "support/story.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define RACERS 3

/* Who runs, and what the race came to. */
struct race_of {
	struct actor racers[RACERS];
	unsigned count;
	int outcome;       /* as expected */
	const char *trail; /* as expected */
	unsigned failed;   /* as expected */
};

struct seen {
	const struct race_of *race;
	struct test_trail trail;
	struct rota_failure list[RACERS];
	struct rota_failures failures;
	struct rota_group group;
	int64_t ended_ns;
	int codes[4];
};

static struct rota_group_options race_options(struct seen *seen)
{
	seen->failures.list = seen->list;
	seen->failures.max = RACERS;
	return (struct rota_group_options){ .mode = ROTA_GROUP_FIRST_SUCCESS,
					    .failures = &seen->failures };
}

static int run_race(void *arg)
{
	struct seen *seen = arg;
	const struct rota_group_options options = race_options(seen);
	int outcome, error = 0;

	rota_group_open(&seen->group, &options);
	for (unsigned i = 0; i < seen->race->count; i++) {
		struct actor racer = seen->race->racers[i];

		racer.trail = &seen->trail;
		error |= rota_go(&seen->group, act, racer);
	}
	outcome = rota_group_wait(&seen->group);
	seen->ended_ns = test_now_ns();
	return error ? -EPROTO : outcome;
}

/* Differs by design: who fails has not won, so the other may, and of two that
 * are cancelled only those that say something else than so have failed. */
static void the_first_that_succeeds_wins_and_failures_are_kept(void **state)
{
	static const struct race_of races[] = {
		{ { { 0, "a", 1, 7, 0 }, { 0, "b", 99, 8, 0 } },
		  2,
		  7,
		  "a b! ",
		  0 },
		{ { { 0, "a", 99, 7, 0 }, { 0, "b", 1, 8, 0 } },
		  2,
		  8,
		  "b a! ",
		  0 },
		{ { { 0, "a", 1, 7, 0 }, { 0, "b", 1, 8, 0 } },
		  2,
		  7,
		  "a b ",
		  0 },
		{ { { 0, "a", 0, 7, 0 }, { 0, "b", 0, -EIO, 0 } },
		  2,
		  7,
		  "a b ",
		  1 },
		{ { { 0, "a", 1, -EIO, 0 }, { 0, "b", 9, 8, 0 } },
		  2,
		  8,
		  "a b ",
		  1 },
		{ { { 0, "a", 9, 7, 0 }, { 0, "b", 1, -EIO, 0 } },
		  2,
		  7,
		  "b a ",
		  1 },
		{ { { 0, "a", 5, -EIO, 0 }, { 0, "b", 4, -EDOM, 0 } },
		  2,
		  -EDOM,
		  "b a ",
		  2 },
		{ { { 0, "a", 1, 7, 0 }, { 0, "b", 9, 8, -EDOM } },
		  2,
		  7,
		  "a b! ",
		  1 },
		{ { { 0, "a", 1, -ECANCELED, 0 }, { 0, "b", 9, 8, 0 } },
		  2,
		  8,
		  "a b ",
		  1 },
		{ { { 0, "a", 9, -ECANCELED, 0 }, { 0, "b", 1, -EIO, 0 } },
		  2,
		  -EIO,
		  "b a ",
		  2 },
		{ { { 0, "a", 1, 0, 0 } }, 1, 0, "a ", 0 },
		{ { { 0, "a", 1, -EIO, 0 } }, 1, -EIO, "a ", 1 },
		{ { { 0, NULL, 0, 0, 0 } }, 0, -ECHILD, "", 0 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(races) / sizeof(*races); i++) {
		struct seen seen = { .race = &races[i] };

		assert_int_equal(test_run_timed(run_race, &seen),
				 races[i].outcome);
		assert_string_equal(seen.trail.text, races[i].trail);
		assert_int_equal(seen.failures.count, races[i].failed);
	}
}

/* Each opens a file; all but one of those that do are to be closed. */
static int open_one(void *value)
{
	const struct actor *actor = value;
	const int code = rota_sleep(actor->sleep_ns);
	const int fd = code ? code
			    : rota_open("/dev/null", O_RDONLY | O_CLOEXEC, 0);

	story_note(actor->trail, actor->name, fd);
	return fd;
}

static void close_late(int result, void *value)
{
	const struct actor *actor = value;

	test_trail_add(actor->trail, rota_close(result) ? "bad " : "closed ");
}

static int open_three(void *arg)
{
	struct seen *seen = arg;
	static const char *const names[] = { "a", "b", "c" };
	struct rota_group_options options = race_options(seen);
	int fd, error = 0;

	options.discard = close_late;
	rota_group_open(&seen->group, &options);
	for (int i = 0; i < RACERS; i++)
		error |= rota_go(&seen->group, open_one,
				 ((struct actor){ &seen->trail, names[i],
						  seen->codes[i], 0, 0 }));
	fd = rota_group_wait(&seen->group);
	return fd < 0 ? fd : error | rota_close(fd);
}

static void of_three_that_open_at_once_one_stays_and_none_leaks(void **state)
{
	struct seen ready = { .codes = { 5, 5, 5 } };
	struct seen apart = { .codes = { 5, 6, 7 } };
	const unsigned before = test_process_descriptors();

	(void)state;
	/* Their opens are in one batch. */
	assert_int_equal(test_run_timed(open_three, &ready), 0);
	assert_string_equal(ready.trail.text, "a b c closed closed ");
	assert_int_equal(test_run_timed(open_three, &apart), 0);
	assert_string_equal(apart.trail.text, "a b! c! ");
	assert_int_equal(test_process_descriptors(), before);
}

/* The race is cancelled from outside: before anybody won, and after. */
static int be_race(void *value)
{
	struct seen *seen = *(struct seen **)value;

	seen->codes[0] = run_race(seen);
	seen->codes[1] = rota_cancelled();
	return seen->codes[0] < 0 ? seen->codes[0] : 0;
}

/* Cancels at 5 the group in which the race is held. */
static int call_off(struct seen *seen, int (*race)(void *))
{
	struct rota_group group;
	int error, outcome;

	rota_group_open(&group, NULL);
	error = rota_go(&group, race, seen);
	error |= rota_sleep(5);
	rota_group_cancel(&group, (struct rota_cancellation){ -EPERM, NULL });
	outcome = rota_group_wait(&group);
	return error ? -EPROTO : outcome;
}

static int cancel_race(void *arg)
{
	return call_off(arg, be_race);
}

/* One that has won by then, while the loser clings to a shield. */
static int be_won_race(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const struct rota_group_options options = race_options(seen);
	int error;

	rota_group_open(&seen->group, &options);
	error = rota_go(&seen->group, act,
			((struct actor){ &seen->trail, "a", 1, 7, 0 }));
	error |= rota_go(
		&seen->group, act_in_shield,
		((struct actor){ &seen->trail, "b", 20, -ECANCELED, 0 }));
	seen->codes[0] = rota_group_wait(&seen->group);
	return error;
}

static int cancel_won_race(void *arg)
{
	return call_off(arg, be_won_race);
}

static void a_race_may_be_called_off_but_what_was_won_stays(void **state)
{
	static const struct race_of race = {
		.racers = { { 0, "a", 99, 7, 0 }, { 0, "b", 99, 8, 0 } },
		.count = 2,
	};
	struct seen called_off = { .race = &race }, won = { .race = NULL };

	(void)state;
	assert_int_equal(test_run_timed(cancel_race, &called_off), -EPERM);
	assert_string_equal(called_off.trail.text, "a! b! ");
	assert_int_equal(called_off.codes[0], -EPERM);
	assert_int_equal(called_off.codes[1], -ECANCELED);
	assert_int_equal(called_off.ended_ns, 5);
	/* Differs by design: a result that is there is handed over. */
	assert_int_equal(test_run_timed(cancel_won_race, &won), -EPERM);
	assert_string_equal(won.trail.text, "a b! ");
	assert_int_equal(won.codes[0], 7);
}

/* Services beside work. */
static int serve(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const struct actor actor = { &seen->trail, "late", 0, 0, 0 };

	do {
		test_trail_add(&seen->trail, "s ");
		seen->codes[0] = rota_sleep(10);
	} while (!seen->codes[0]);
	seen->codes[1] = rota_go(&seen->group, act, actor);
	seen->codes[2] = rota_go_background(&seen->group, act, actor);
	test_trail_add(&seen->trail, "stopped ");
	return seen->codes[0];
}

static int serve_and_work(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go_background(&seen->group, serve, seen);
	error |= rota_go_background(
		&seen->group, act,
		((struct actor){ &seen->trail, "short", 5, 0, 0 }));
	error |= rota_go(&seen->group, act,
			 ((struct actor){ &seen->trail, "a", 15, 0, 0 }));
	error |= rota_go(&seen->group, act,
			 ((struct actor){ &seen->trail, "b", 25, 0, 0 }));
	error |= rota_sleep(34);
	test_trail_add(&seen->trail, "owner ");
	error |= rota_group_wait(&seen->group);
	seen->ended_ns = test_now_ns();
	return error;
}

static void
services_run_as_long_as_there_is_work_or_the_owner_is_busy(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(serve_and_work, &seen), 0);
	assert_string_equal(seen.trail.text,
			    "s short s a s b s owner stopped ");
	assert_int_equal(seen.ended_ns, 34);
	for (int i = 0; i < 3; i++)
		assert_int_equal(seen.codes[i], -ECANCELED);
}

/* A race beside which something runs that succeeds, and fails, first. */
static int race_beside_services(void *arg)
{
	struct seen *seen = arg;
	const struct rota_group_options options = race_options(seen);
	int error, outcome;

	rota_group_open(&seen->group, &options);
	error = rota_go_background(
		&seen->group, act,
		((struct actor){ &seen->trail, "s", 1, 9, 0 }));
	error |= rota_go_background(
		&seen->group, act,
		((struct actor){ &seen->trail, "t", 2, -EIO, 0 }));
	error |= rota_go(&seen->group, act,
			 ((struct actor){ &seen->trail, "a", 5, 7, 0 }));
	outcome = rota_group_wait(&seen->group);
	return error ? -EPROTO : outcome;
}

static void a_service_wins_no_race_and_ends_none(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(race_beside_services, &seen), 7);
	assert_string_equal(seen.trail.text, "s t a ");
	assert_int_equal(seen.failures.count, 1);
}

static int let_service_fail(void *arg)
{
	struct seen *seen = arg;
	int error, outcome;

	rota_group_open(&seen->group, NULL);
	error = rota_go_background(
		&seen->group, act,
		((struct actor){ &seen->trail, "s", 5, -EIO, 0 }));
	error |= rota_go(&seen->group, act,
			 ((struct actor){ &seen->trail, "a", 9, 0, 0 }));
	outcome = rota_group_wait(&seen->group);
	return error ? -EPROTO : outcome;
}

static void a_service_that_fails_fails_its_group(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(let_service_fail, &seen), -EIO);
	assert_string_equal(seen.trail.text, "s a! ");
}

/* Flushes what it has, and that goes wrong. */
static int flush(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_shield shield;
	const int code = rota_sleep_until(ROTA_NEVER);

	rota_shield_begin(&shield, ROTA_SECOND);
	story_note(&seen->trail, "flushed", rota_sleep(30));
	rota_shield_end(&shield);
	return code == -ECANCELED ? -ENOSPC : -EPROTO;
}

static int let_service_flush(void *arg)
{
	struct seen *seen = arg;
	int error, outcome;

	rota_group_open(&seen->group, NULL);
	error = rota_go_background(&seen->group, flush, seen);
	error |= rota_go(&seen->group, act,
			 ((struct actor){ &seen->trail, "a", 9, 0, 0 }));
	outcome = rota_group_wait(&seen->group);
	seen->ended_ns = test_now_ns();
	return error ? -EPROTO : outcome;
}

static void
a_service_is_joined_and_what_its_last_act_fails_with_counts(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(let_service_flush, &seen), -ENOSPC);
	assert_string_equal(seen.trail.text, "a flushed ");
	assert_int_equal(seen.ended_ns, 39);
}

#define ITEMS 4

/* A list, two at a time. */
struct item {
	struct test_trail *trail;
	int number;
	int64_t takes_ns;
	int *result;
};

static void note_item(struct test_trail *trail, char what, int number)
{
	const char word[] = { what, (char)('0' + number), ' ', '\0' };

	test_trail_add(trail, word);
}

static int work_on(void *value)
{
	const struct item *item = value;
	int code;

	note_item(item->trail, '+', item->number);
	code = rota_sleep(item->takes_ns);
	if (!code && item->takes_ns == 13)
		code = -EIO;
	if (!code)
		*item->result = item->number * item->number;
	note_item(item->trail, code ? '!' : '-', item->number);
	return code;
}

struct list {
	struct test_trail trail;
	int64_t takes_ns[ITEMS];
	int results[ITEMS];
	int refusal;
};

static int work_on_list(void *arg)
{
	struct list *list = arg;
	struct rota_group group;

	rota_group_open(&group, &(struct rota_group_options){ .limit = 2 });
	for (int i = 0; i < ITEMS && !list->refusal; i++)
		list->refusal = rota_go(&group, work_on,
					((struct item){ &list->trail, i,
							list->takes_ns[i],
							&list->results[i] }));
	return rota_group_wait(&group);
}

static void work_on_a_list_goes_on_as_slots_become_free(void **state)
{
	struct list list = { .takes_ns = { 40, 10, 20, 30 } };

	(void)state;
	assert_int_equal(test_run_timed(work_on_list, &list), 0);
	assert_string_equal(list.trail.text, "+0 +1 -1 +2 -2 +3 -0 -3 ");
	for (int i = 0; i < ITEMS; i++)
		assert_int_equal(list.results[i], i * i);
}

static void an_error_ends_the_list_and_nothing_more_is_begun(void **state)
{
	struct list list = { .takes_ns = { 40, 13, 20, 30 } };

	(void)state;
	assert_int_equal(test_run_timed(work_on_list, &list), -EIO);
	assert_string_equal(list.trail.text, "+0 +1 !1 !0 ");
	assert_int_equal(list.refusal, -ECANCELED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_first_that_succeeds_wins_and_failures_are_kept),
		cmocka_unit_test(
			of_three_that_open_at_once_one_stays_and_none_leaks),
		cmocka_unit_test(
			a_race_may_be_called_off_but_what_was_won_stays),
		cmocka_unit_test(
			services_run_as_long_as_there_is_work_or_the_owner_is_busy),
		cmocka_unit_test(a_service_wins_no_race_and_ends_none),
		cmocka_unit_test(a_service_that_fails_fails_its_group),
		cmocka_unit_test(
			a_service_is_joined_and_what_its_last_act_fails_with_counts),
		cmocka_unit_test(work_on_a_list_goes_on_as_slots_become_free),
		cmocka_unit_test(
			an_error_ends_the_list_and_nothing_more_is_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
