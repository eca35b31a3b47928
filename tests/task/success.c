/* SPDX-License-Identifier: MIT */
/*
 * ROTA_GROUP_FIRST_SUCCESS: who wins, what becomes of the others and of what
 * they bring. Under a clock of the test's; times are counted from its start.
 */
#include "rota/rota.h"
#include "support/timed.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define RACERS_MAX 4

struct racer {
	struct seen *seen;
	int index;
	int64_t sleep_ns; /* 0: it does not run */
	int result;       /* after the sleep */
	bool stubborn;    /* also if that was cancelled */
	bool background;
};

struct seen {
	struct rota_group group;
	struct racer racers[RACERS_MAX];
	struct rota_group_options options;
	int64_t cancel_ns; /* when the owner does; 0: never */
	int codes[RACERS_MAX];
	int64_t times_ns[RACERS_MAX];
	int discarded[RACERS_MAX]; /* how often */
	int results[RACERS_MAX];   /* what was */
	int outcome, refusal;
	int64_t joined_ns;
};

/* Runs fn under the clock. */
static void run_timed(int (*fn)(void *), struct seen *seen)
{
	seen->options.mode = ROTA_GROUP_FIRST_SUCCESS;
	assert_int_equal(test_run_timed(fn, seen), 0);
}

static int race(void *value)
{
	const struct racer *racer = value;
	const int code = rota_sleep(racer->sleep_ns);

	racer->seen->codes[racer->index] = code;
	racer->seen->times_ns[racer->index] = test_now_ns();
	return code && !racer->stubborn ? code : racer->result;
}

static void count_discarded(int result, void *value)
{
	const struct racer *racer = value;

	racer->seen->discarded[racer->index]++;
	racer->seen->results[racer->index] = result;
}

static int start(struct seen *seen)
{
	int error = 0;

	for (int i = 0; i < RACERS_MAX; i++) {
		struct racer racer = seen->racers[i];

		racer.seen = seen;
		racer.index = i;
		if (racer.background)
			error |= rota_go_background(&seen->group, race, racer);
		else if (racer.sleep_ns)
			error |= rota_go(&seen->group, race, racer);
	}
	return error;
}

static int join(struct seen *seen)
{
	seen->outcome = rota_group_wait(&seen->group);
	seen->joined_ns = test_now_ns();
	return 0;
}

static int hold_race(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, &seen->options);
	error = start(seen);
	if (seen->cancel_ns) {
		error |= rota_sleep(seen->cancel_ns);
		rota_group_cancel(&seen->group,
				  (struct rota_cancellation){ -EPIPE, NULL });
	}
	return error | join(seen);
}

static void the_first_result_wins_and_ends_the_others(void **state)
{
	struct seen seen = { .racers = { { .sleep_ns = 10, .result = 3 },
					 { .sleep_ns = 5, .result = 7 },
					 { .sleep_ns = 15, .result = 9 } } };

	(void)state;
	run_timed(hold_race, &seen);
	assert_int_equal(seen.outcome, 7);
	assert_int_equal(seen.joined_ns, 5);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[1], 0);
	assert_int_equal(seen.codes[2], -ECANCELED);
}

static void a_result_of_0_is_a_success(void **state)
{
	struct seen seen = { .racers = { { .sleep_ns = 10, .result = 3 },
					 { .sleep_ns = 5, .result = 0 } } };

	(void)state;
	run_timed(hold_race, &seen);
	assert_int_equal(seen.outcome, 0);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.joined_ns, 5);
}

static void each_later_success_is_discarded_once_with_its_value(void **state)
{
	struct seen seen = {
		.options = { .discard = count_discarded },
		.racers = { { .sleep_ns = 9, .result = 3, .stubborn = true },
			    { .sleep_ns = 5, .result = 7 },
			    { .sleep_ns = 5, .result = 0 },
			    { .sleep_ns = 9, .result = -EIO, .stubborn = 1 } },
	};

	(void)state;
	run_timed(hold_race, &seen);
	assert_int_equal(seen.outcome, 7);
	assert_int_equal(seen.discarded[0], 1);
	assert_int_equal(seen.results[0], 3);
	assert_int_equal(seen.discarded[1], 0);
	assert_int_equal(seen.discarded[2], 1);
	assert_int_equal(seen.results[2], 0);
	assert_int_equal(seen.discarded[3], 0);
}

static void without_a_discard_they_are_dropped(void **state)
{
	struct seen seen = {
		.racers = { { .sleep_ns = 9, .result = 3, .stubborn = true },
			    { .sleep_ns = 5, .result = 7 } },
	};

	(void)state;
	run_timed(hold_race, &seen);
	assert_int_equal(seen.outcome, 7);
	assert_int_equal(seen.joined_ns, 5);
}

/* It suspends: other tasks run meanwhile, and the owner goes on after it. */
static void close_discarded(int result, void *value)
{
	rota_close(result);
	count_discarded(result, value);
}

static int race_descriptors(void *arg)
{
	struct seen *seen = arg;

	for (int i = 0; i < RACERS_MAX; i++) {
		seen->racers[i] = (struct racer){
			.sleep_ns = 5,
			.stubborn = true,
			.result = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0),
		};
		if (seen->racers[i].result < 0)
			return -errno;
	}
	hold_race(seen);
	for (int i = 0; i < RACERS_MAX; i++)
		seen->codes[i] = fcntl(seen->racers[i].result, F_GETFD) >= 0;
	return seen->outcome < 0 ? seen->outcome : rota_close(seen->outcome);
}

static void what_is_discarded_can_be_closed_before_the_group_ends(void **state)
{
	struct seen seen = { .options = { .discard = close_discarded } };

	(void)state;
	run_timed(race_descriptors, &seen);
	assert_int_equal(seen.outcome, seen.racers[0].result);
	assert_int_equal(seen.codes[0], true);
	for (int i = 1; i < RACERS_MAX; i++) {
		assert_int_equal(seen.discarded[i], 1);
		assert_int_equal(seen.codes[i], false);
	}
}

static void failures_before_a_success_are_forgotten(void **state)
{
	struct seen seen = { .racers = { { .sleep_ns = 1, .result = -EPIPE },
					 { .sleep_ns = 5, .result = 7 },
					 { .sleep_ns = 2, .result = -EIO } } };

	(void)state;
	run_timed(hold_race, &seen);
	assert_int_equal(seen.outcome, 7);
	assert_int_equal(seen.codes[1], 0);
}

static void so_are_those_after_it(void **state)
{
	struct seen seen = {
		.racers = { { .sleep_ns = 9, .result = -EIO, .stubborn = true },
			    { .sleep_ns = 5, .result = 7 } },
	};

	(void)state;
	run_timed(hold_race, &seen);
	assert_int_equal(seen.outcome, 7);
	assert_int_equal(seen.codes[0], -ECANCELED);
}

static void if_all_fail_it_comes_to_the_first_failure(void **state)
{
	struct seen seen = { .racers = {
				     { .sleep_ns = 9, .result = -EPIPE },
				     { .sleep_ns = 5, .result = -EIO },
				     { .sleep_ns = 7, .result = -EXDEV } } };

	(void)state;
	run_timed(hold_race, &seen);
	assert_int_equal(seen.outcome, -EIO);
	assert_int_equal(seen.joined_ns, 9);
}

static void a_race_of_nobody_is_echild(void **state)
{
	struct seen seen = { .outcome = 0 };

	(void)state;
	run_timed(hold_race, &seen);
	assert_int_equal(seen.outcome, -ECHILD);
}

static void so_is_one_of_nobody_who_could_win(void **state)
{
	struct seen seen = {
		.racers = { { .sleep_ns = 1, .result = 3, .background = true } }
	};

	(void)state;
	run_timed(hold_race, &seen);
	assert_int_equal(seen.outcome, -ECHILD);
}

static void cancelled_before_a_success_it_comes_to_the_cause(void **state)
{
	struct seen seen = { .racers = { { .sleep_ns = 9, .result = 3 } },
			     .cancel_ns = 5 };
	struct seen empty = { .cancel_ns = 5 };

	(void)state;
	run_timed(hold_race, &seen);
	assert_int_equal(seen.outcome, -EPIPE);
	run_timed(hold_race, &empty);
	assert_int_equal(empty.outcome, -EPIPE);
}

static void past_its_deadline_it_comes_to_etime(void **state)
{
	struct seen seen = { .racers = { { .sleep_ns = 9, .result = 3 } },
			     .options = { .deadline_ns = TEST_START_NS + 5 } };

	(void)state;
	run_timed(hold_race, &seen);
	assert_int_equal(seen.outcome, -ETIME);
}

static void a_success_after_a_cancel_still_wins(void **state)
{
	struct seen seen = {
		.racers = { { .sleep_ns = 9, .result = 3, .stubborn = true },
			    { .sleep_ns = 9, .result = 4, .stubborn = true } },
		.options = { .discard = count_discarded },
		.cancel_ns = 5,
	};

	(void)state;
	run_timed(hold_race, &seen);
	assert_int_equal(seen.outcome, 3);
	assert_int_equal(seen.discarded[0], 0);
	assert_int_equal(seen.discarded[1], 1);
}

static void a_background_member_never_wins(void **state)
{
	struct seen fails = {
		.racers = { { .sleep_ns = 1, .result = 3, .background = true },
			    { .sleep_ns = 5, .result = -EIO } }
	};
	struct seen wins = {
		.racers = { { .sleep_ns = 1, .result = 3, .background = true },
			    { .sleep_ns = 5, .result = 7 },
			    { .sleep_ns = 9,
			      .result = 4,
			      .stubborn = true,
			      .background = true } },
		.options = { .discard = count_discarded }
	};

	(void)state;
	run_timed(hold_race, &fails);
	assert_int_equal(fails.outcome, -EIO);
	run_timed(hold_race, &wins);
	assert_int_equal(wins.outcome, 7);
	assert_int_equal(wins.discarded[0], 0);
	assert_int_equal(wins.discarded[2], 0);
}

static int wait_for_a_slot(void *arg)
{
	struct seen *seen = arg;

	rota_group_open(&seen->group, &seen->options);
	start(seen);
	seen->refusal = rota_go(&seen->group, race, seen->racers[0]);
	return join(seen);
}

static void who_waits_for_a_slot_is_woken_by_the_success(void **state)
{
	struct seen seen = { .racers = { { .sleep_ns = 5, .result = 7 } },
			     .options = { .limit = 1 } };

	(void)state;
	run_timed(wait_for_a_slot, &seen);
	assert_int_equal(seen.refusal, -ECANCELED);
	assert_int_equal(seen.outcome, 7);
}

static void with_a_limit_the_next_one_has_its_turn_after_a_failure(void **state)
{
	struct seen seen = { .racers = { { .sleep_ns = 5, .result = -EIO },
					 { .sleep_ns = 5, .result = -EPIPE },
					 { .sleep_ns = 5, .result = 7 } },
			     .options = { .limit = 1 } };

	(void)state;
	run_timed(hold_race, &seen);
	assert_int_equal(seen.outcome, 7);
	assert_int_equal(seen.joined_ns, 15);
}

static int sleep_meanwhile(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, &seen->options);
	error = start(seen);
	seen->codes[3] = rota_sleep(ROTA_SECOND);
	seen->times_ns[3] = test_now_ns();
	return error | join(seen);
}

static void the_owner_is_woken_by_the_success(void **state)
{
	struct seen seen = { .racers = { { .sleep_ns = 5, .result = 7 } } };

	(void)state;
	run_timed(sleep_meanwhile, &seen);
	assert_int_equal(seen.codes[3], -ECANCELED);
	assert_int_equal(seen.times_ns[3], 5);
	assert_int_equal(seen.outcome, 7);
}

/* What waits for an answer is idle, and leaves with what it was told. */
static int race_idly(void *value)
{
	struct rota_idle idle;
	int result;

	rota_idle_begin(&idle);
	result = race(value);
	rota_idle_end(&idle);
	return result;
}

static int drain_race(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, &seen->options);
	error = rota_go(&seen->group, race_idly,
			((struct racer){ .seen = seen, .sleep_ns = 9 }));
	error |= rota_sleep(5);
	rota_group_drain(&seen->group, 10);
	return error | join(seen);
}

static void a_race_that_drains_without_a_success_is_eshutdown(void **state)
{
	struct seen seen = { .outcome = 0 };

	(void)state;
	run_timed(drain_race, &seen);
	assert_int_equal(seen.codes[0], -ESHUTDOWN);
	assert_int_equal(seen.outcome, -ESHUTDOWN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_result_wins_and_ends_the_others),
		cmocka_unit_test(a_result_of_0_is_a_success),
		cmocka_unit_test(
			each_later_success_is_discarded_once_with_its_value),
		cmocka_unit_test(without_a_discard_they_are_dropped),
		cmocka_unit_test(
			what_is_discarded_can_be_closed_before_the_group_ends),
		cmocka_unit_test(failures_before_a_success_are_forgotten),
		cmocka_unit_test(so_are_those_after_it),
		cmocka_unit_test(if_all_fail_it_comes_to_the_first_failure),
		cmocka_unit_test(a_race_of_nobody_is_echild),
		cmocka_unit_test(so_is_one_of_nobody_who_could_win),
		cmocka_unit_test(
			cancelled_before_a_success_it_comes_to_the_cause),
		cmocka_unit_test(past_its_deadline_it_comes_to_etime),
		cmocka_unit_test(a_success_after_a_cancel_still_wins),
		cmocka_unit_test(a_background_member_never_wins),
		cmocka_unit_test(who_waits_for_a_slot_is_woken_by_the_success),
		cmocka_unit_test(
			with_a_limit_the_next_one_has_its_turn_after_a_failure),
		cmocka_unit_test(the_owner_is_woken_by_the_success),
		cmocka_unit_test(
			a_race_that_drains_without_a_success_is_eshutdown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
