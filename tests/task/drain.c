/* SPDX-License-Identifier: MIT */
/*
 * The two-phase stop of a group: who is idle ends at once, who works has the
 * grace. Under a clock of the test's; times are counted from its start.
 */
#include "rota/rota.h"
#include "support/log.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct seen {
	struct test_kernel kernel;
	struct test_log log;
	struct rota_group group;
	int64_t graces_ns[2]; /* of the drains, both at 5 */
	int drains;           /* how many */
	int64_t deadline_ns;  /* of the group, from the start; 0: none */
	int codes[6];         /* of the members' verbs, 0: who is idle */
	int64_t times_ns[6];  /* when they returned */
	bool over;            /* what the end of the idle section said */
	struct rota_cancellation cause; /* of the last one */
	int refusals[4];
	int outcome; /* of the group */
	int64_t joined_ns;
};

/* Runs fn under the clock. */
static void run_timed(int (*fn)(void *), struct seen *seen)
{
	const struct rota_config config = { .log = test_log_write,
					    .context = &seen->log };

	assert_int_equal(test_run_timed_with(&config, &seen->kernel, fn, seen),
			 0);
}

struct job {
	struct seen *seen;
	int index;
	int64_t sleep_ns;
};

static int work(void *value)
{
	const struct job *job = value;
	struct seen *seen = job->seen;

	seen->codes[job->index] = rota_sleep(job->sleep_ns);
	seen->times_ns[job->index] = test_now_ns();
	seen->cause = rota_cause();
	return seen->codes[job->index];
}

static int idle(void *value)
{
	const struct job *job = value;
	struct rota_idle idle;
	int code;

	rota_idle_begin(&idle);
	code = work(value);
	job->seen->over = rota_idle_end(&idle);
	job->seen->codes[5] = rota_yield();
	return code;
}

/* Joins, and notes how that went. */
static int join(struct seen *seen)
{
	seen->outcome = rota_group_wait(&seen->group);
	seen->joined_ns = test_now_ns();
	return 0;
}

static void open_group(struct seen *seen, unsigned limit)
{
	const struct rota_group_options options = {
		.limit = limit,
		.deadline_ns = seen->deadline_ns
				       ? TEST_START_NS + seen->deadline_ns
				       : 0,
	};

	rota_group_open(&seen->group, &options);
}

/* One is idle, one works until 12. */
static int drain_at_5(void *arg)
{
	struct seen *seen = arg;
	int error;

	open_group(seen, 0);
	error = rota_go(&seen->group, idle,
			((struct job){ seen, 0, ROTA_SECOND }));
	error |= rota_go(&seen->group, work, ((struct job){ seen, 1, 12 }));
	error |= rota_sleep(5);
	for (int i = 0; i < seen->drains; i++)
		rota_group_drain(&seen->group, seen->graces_ns[i]);
	return error | join(seen);
}

static void who_is_idle_ends_at_once_and_who_works_may_finish(void **state)
{
	struct seen seen = { .graces_ns = { 10 }, .drains = 1 };

	(void)state;
	run_timed(drain_at_5, &seen);
	assert_int_equal(seen.codes[0], -ESHUTDOWN);
	assert_int_equal(seen.times_ns[0], 5);
	assert_true(seen.over);
	assert_int_equal(seen.codes[5], 0);
	assert_int_equal(seen.codes[1], 0);
	assert_int_equal(seen.times_ns[1], 12);
	assert_int_equal(seen.outcome, 0);
	assert_int_equal(seen.joined_ns, 12);
	assert_int_equal(seen.log.lines, 0);
}

static void who_is_left_after_the_grace_is_cancelled(void **state)
{
	struct seen seen = { .graces_ns = { 4 }, .drains = 1 };

	(void)state;
	run_timed(drain_at_5, &seen);
	assert_int_equal(seen.codes[0], -ESHUTDOWN);
	assert_int_equal(seen.codes[1], -ECANCELED);
	assert_int_equal(seen.times_ns[1], 9);
	assert_int_equal(seen.cause.error, -ESHUTDOWN);
	assert_non_null(seen.cause.reason);
	assert_int_equal(seen.outcome, -ESHUTDOWN);
}

static void
a_later_drain_shortens_the_grace_and_never_lengthens_it(void **state)
{
	static const int64_t graces_ns[][2] = { { 6, 4 },
						{ 4, 6 },
						{ 4, ROTA_NEVER },
						{ ROTA_NEVER, 4 } };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct seen seen = { .drains = 2 };

		memcpy(seen.graces_ns, graces_ns[i], sizeof(graces_ns[i]));
		run_timed(drain_at_5, &seen);
		assert_int_equal(seen.codes[1], -ECANCELED);
		assert_int_equal(seen.times_ns[1], 9);
		assert_int_equal(seen.outcome, -ESHUTDOWN);
	}
}

static void a_deadline_that_comes_before_the_grace_is_over_counts(void **state)
{
	static const int64_t graces_ns[] = { 6, 4, ROTA_NEVER };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct seen seen = { .graces_ns = { graces_ns[i] },
				     .drains = 1,
				     .deadline_ns = 9 };

		run_timed(drain_at_5, &seen);
		assert_int_equal(seen.codes[1], -ETIME);
		assert_int_equal(seen.times_ns[1], 9);
		assert_int_equal(seen.outcome, -ETIME);
		assert_int_equal(seen.log.lines, 0);
	}
}

static void a_deadline_that_comes_after_the_grace_does_not(void **state)
{
	struct seen seen = { .graces_ns = { 4 },
			     .drains = 1,
			     .deadline_ns = 10 };

	(void)state;
	run_timed(drain_at_5, &seen);
	assert_int_equal(seen.codes[1], -ECANCELED);
	assert_int_equal(seen.times_ns[1], 9);
	assert_int_equal(seen.outcome, -ESHUTDOWN);
}

static void without_a_grace_everybody_is_cancelled_at_once(void **state)
{
	static const int64_t graces_ns[] = { 0, -1, INT64_MIN };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct seen seen = { .graces_ns = { graces_ns[i] },
				     .drains = 1 };

		run_timed(drain_at_5, &seen);
		assert_int_equal(seen.codes[0], -ESHUTDOWN);
		assert_int_equal(seen.codes[1], -ECANCELED);
		assert_int_equal(seen.times_ns[1], 5);
		assert_int_equal(seen.outcome, -ESHUTDOWN);
	}
}

static void a_grace_past_the_end_of_time_never_ends(void **state)
{
	static const int64_t graces_ns[] = { ROTA_NEVER, ROTA_NEVER - 1 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct seen seen = { .graces_ns = { graces_ns[i] },
				     .drains = 1 };

		run_timed(drain_at_5, &seen);
		assert_int_equal(seen.codes[0], -ESHUTDOWN);
		assert_int_equal(seen.codes[1], 0);
		assert_int_equal(seen.outcome, 0);
	}
}

/* While a turn is long, the timers' own time stands still. */
static int drain_in_a_long_turn(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline later;

	rota_deadline_begin(&later, rota_after_ns(ROTA_SECOND));
	seen->kernel.clock_ns += 10;
	open_group(seen, 0);
	rota_group_drain(&seen->group, 0);
	seen->codes[0] = rota_cancelled();
	join(seen);
	rota_deadline_end(&later);
	return 0;
}

static void at_once_is_at_once_in_a_long_turn_too(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	run_timed(drain_in_a_long_turn, &seen);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.outcome, -ESHUTDOWN);
}

static int nothing(void *value)
{
	(void)value;
	return 0;
}

static int ask_for_more(void *arg)
{
	struct seen *seen = arg;

	open_group(seen, 3);
	rota_group_drain(&seen->group, ROTA_NEVER);
	seen->refusals[0] = rota_go(&seen->group, nothing, 0);
	seen->refusals[1] = rota_try_go(&seen->group, nothing, 0);
	seen->refusals[2] = rota_go_background(&seen->group, nothing, 0);
	seen->codes[0] = rota_cancelled();
	join(seen);
	rota_group_open(&seen->group, NULL);
	seen->refusals[3] = rota_go(&seen->group, nothing, 0);
	return rota_group_wait(&seen->group);
}

static void a_group_that_drains_accepts_nobody_until_opened_again(void **state)
{
	struct seen seen = { .refusals = { 0, 0, 0, 1 } };

	(void)state;
	run_timed(ask_for_more, &seen);
	for (int i = 0; i < 3; i++)
		assert_int_equal(seen.refusals[i], -ESHUTDOWN);
	assert_int_equal(seen.refusals[3], 0);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.outcome, 0);
}

static int spawn_more(void *value)
{
	const struct job *job = value;

	job->seen->refusals[job->index] =
		rota_go(&job->seen->group, nothing, 0);
	return 0;
}

/* Two wait for the one slot; at 3 it is handed to the first, or not yet. */
static int drain_who_wait(struct seen *seen, int64_t handed_ns)
{
	struct rota_group others;
	int error;

	rota_group_open(&others, NULL);
	open_group(seen, 1);
	error = rota_go(&seen->group, work,
			((struct job){ seen, 1, handed_ns }));
	error |= rota_sleep(1);
	error |= rota_go(&others, spawn_more, ((struct job){ seen, 0, 0 }));
	error |= rota_go(&others, spawn_more, ((struct job){ seen, 1, 0 }));
	error |= rota_sleep(2);
	/* Who sleeps until now too has ended, the waiters have not run. */
	rota_group_drain(&seen->group, ROTA_NEVER);
	join(seen);
	return error | rota_group_wait(&others);
}

static int drain_who_wait_in_line(void *arg)
{
	return drain_who_wait(arg, 12);
}

static int drain_who_has_the_slot(void *arg)
{
	return drain_who_wait(arg, 3);
}

static void who_waits_for_a_slot_goes_on_with_eshutdown(void **state)
{
	struct seen seen = { .refusals = { 0 } };

	(void)state;
	run_timed(drain_who_wait_in_line, &seen);
	assert_int_equal(seen.refusals[0], -ESHUTDOWN);
	assert_int_equal(seen.refusals[1], -ESHUTDOWN);
	assert_int_equal(seen.outcome, 0);
	assert_int_equal(seen.joined_ns, 12);
}

static void so_does_who_was_handed_one_before_the_drain(void **state)
{
	struct seen seen = { .refusals = { 0 } };

	(void)state;
	run_timed(drain_who_has_the_slot, &seen);
	assert_int_equal(seen.refusals[0], -ESHUTDOWN);
	assert_int_equal(seen.refusals[1], -ESHUTDOWN);
	assert_int_equal(seen.outcome, 0);
	assert_int_equal(seen.joined_ns, 3);
}

static int accept_inside(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_group inner;

	rota_group_open(&inner, NULL);
	seen->refusals[0] =
		rota_go(&inner, idle, ((struct job){ seen, 0, ROTA_SECOND }));
	seen->codes[2] = rota_sleep(7);
	seen->refusals[1] = rota_go(&inner, work, ((struct job){ seen, 1, 3 }));
	seen->codes[3] = rota_group_wait(&inner);
	return 0;
}

static int drain_around(void *arg)
{
	struct seen *seen = arg;
	int error;

	open_group(seen, 0);
	error = rota_go(&seen->group, accept_inside, seen);
	error |= rota_sleep(5);
	rota_group_drain(&seen->group, 20);
	return error | join(seen);
}

static void groups_of_members_drain_too_but_accept_more(void **state)
{
	struct seen seen = { .refusals = { 1, 1 } };

	(void)state;
	run_timed(drain_around, &seen);
	assert_int_equal(seen.codes[0], -ESHUTDOWN);
	assert_int_equal(seen.times_ns[0], 5);
	assert_int_equal(seen.codes[2], 0);
	assert_int_equal(seen.refusals[1], 0);
	assert_int_equal(seen.codes[1], 0);
	assert_int_equal(seen.codes[3], 0);
	assert_int_equal(seen.outcome, 0);
	assert_int_equal(seen.joined_ns, 10);
}

static int drain_unstarted(void *arg)
{
	struct seen *seen = arg;
	int error;

	open_group(seen, 0);
	error = rota_go(&seen->group, work, ((struct job){ seen, 1, 3 }));
	rota_group_drain(&seen->group, 10);
	return error | join(seen);
}

static void members_that_have_not_started_run(void **state)
{
	struct seen seen = { .codes = { 1, 1 } };

	(void)state;
	run_timed(drain_unstarted, &seen);
	assert_int_equal(seen.codes[1], 0);
	assert_int_equal(seen.times_ns[1], 3);
	assert_int_equal(seen.outcome, 0);
}

static int drain_cancelled(void *arg)
{
	struct seen *seen = arg;
	int error;

	open_group(seen, 0);
	error = rota_go(&seen->group, idle,
			((struct job){ seen, 0, ROTA_SECOND }));
	error |= rota_sleep(1);
	rota_group_cancel(&seen->group,
			  (struct rota_cancellation){ -EPIPE, NULL });
	rota_group_drain(&seen->group, 0);
	seen->refusals[0] = rota_go(&seen->group, nothing, 0);
	return error | join(seen);
}

static void a_cancelled_group_stays_cancelled(void **state)
{
	struct seen seen = { .over = true };

	(void)state;
	run_timed(drain_cancelled, &seen);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_false(seen.over);
	assert_int_equal(seen.refusals[0], -ECANCELED);
	assert_int_equal(seen.outcome, -EPIPE);
	assert_int_equal(seen.log.lines, 0);
}

/* Who drains: a member, or one of another group. */
static int drain_from_there(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const int code = rota_sleep(5);

	rota_group_drain(&seen->group, 4);
	return code;
}

static int drain_from(struct seen *seen, bool member)
{
	struct rota_group others;
	int error;

	rota_group_open(&others, NULL);
	open_group(seen, 0);
	error = rota_go(member ? &seen->group : &others, drain_from_there,
			seen);
	error |= rota_go(&seen->group, idle,
			 ((struct job){ seen, 0, ROTA_SECOND }));
	error |= rota_go(&seen->group, work, ((struct job){ seen, 1, 12 }));
	return error | join(seen) | rota_group_wait(&others);
}

static int drain_from_a_member(void *arg)
{
	return drain_from(arg, true);
}

static int drain_from_outside(void *arg)
{
	return drain_from(arg, false);
}

static void any_task_that_runs_while_it_is_open_may_drain_a_group(void **state)
{
	static int (*const cases[])(void *) = { drain_from_a_member,
						drain_from_outside };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct seen seen = { .codes = { 0 } };

		run_timed(cases[i], &seen);
		assert_int_equal(seen.codes[0], -ESHUTDOWN);
		assert_int_equal(seen.codes[1], -ECANCELED);
		assert_int_equal(seen.times_ns[1], 9);
		assert_int_equal(seen.outcome, -ESHUTDOWN);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			who_is_idle_ends_at_once_and_who_works_may_finish),
		cmocka_unit_test(who_is_left_after_the_grace_is_cancelled),
		cmocka_unit_test(
			a_later_drain_shortens_the_grace_and_never_lengthens_it),
		cmocka_unit_test(
			a_deadline_that_comes_before_the_grace_is_over_counts),
		cmocka_unit_test(
			a_deadline_that_comes_after_the_grace_does_not),
		cmocka_unit_test(
			without_a_grace_everybody_is_cancelled_at_once),
		cmocka_unit_test(a_grace_past_the_end_of_time_never_ends),
		cmocka_unit_test(at_once_is_at_once_in_a_long_turn_too),
		cmocka_unit_test(
			a_group_that_drains_accepts_nobody_until_opened_again),
		cmocka_unit_test(who_waits_for_a_slot_goes_on_with_eshutdown),
		cmocka_unit_test(so_does_who_was_handed_one_before_the_drain),
		cmocka_unit_test(groups_of_members_drain_too_but_accept_more),
		cmocka_unit_test(members_that_have_not_started_run),
		cmocka_unit_test(a_cancelled_group_stays_cancelled),
		cmocka_unit_test(
			any_task_that_runs_while_it_is_open_may_drain_a_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
