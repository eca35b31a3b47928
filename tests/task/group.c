/* SPDX-License-Identifier: MIT */
/*
 * What a group comes to: first error, deadline, cause, in this order; and that
 * it joins all of its members whatever happens.
 */
#include "rota/rota.h"
#include "support/run.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What one member does: sleeps, returns. */
struct job {
	int64_t sleep_ns;
	int result;    /* what it returns when it was not interrupted */
	int cancelled; /* and when it was; 0: what the verb said */
	unsigned *ended;
};

static int work(void *value)
{
	const struct job *job = value;
	const int code = rota_sleep(job->sleep_ns);

	++*job->ended;
	if (!code)
		return job->result;
	return job->cancelled ? job->cancelled : code;
}

struct plan {
	struct rota_group_options options;
	struct job jobs[4];
	unsigned count;
	unsigned ended; /* members that had, when wait returned */
};

static int carry_out(void *arg)
{
	struct plan *plan = arg;
	struct rota_group group;
	unsigned ended = 0;
	int error = 0, outcome;

	rota_group_open(&group, &plan->options);
	for (unsigned i = 0; i < plan->count && !error; i++) {
		plan->jobs[i].ended = &ended;
		error = rota_go(&group, work, plan->jobs[i]);
	}
	outcome = rota_group_wait(&group);
	plan->ended = ended;
	return error ? -EPROTO : outcome;
}

/* Carries the plan out under a clock of the test's. */
static int outcome_of(struct plan *plan)
{
	int outcome;

	outcome = test_run_timed(carry_out, plan);
	assert_int_equal(plan->ended, plan->count);
	return outcome;
}

static void a_group_of_nobody_comes_to_0(void **state)
{
	struct plan plan = { .count = 0 };

	(void)state;
	assert_int_equal(outcome_of(&plan), 0);
}

static void results_above_0_are_no_errors(void **state)
{
	struct plan plan = { .count = 2,
			     .jobs = { { 0, 7, 0, 0 }, { 1, 1, 0, 0 } } };

	(void)state;
	assert_int_equal(outcome_of(&plan), 0);
}

static void wait_returns_the_first_error_and_joins_everybody(void **state)
{
	struct plan plan = { .count = 4,
			     .jobs = { { ROTA_SECOND, -EIO, -EPERM, 0 },
				       { 5, -EXDEV, 0, 0 },
				       { 9, -ENOENT, -EBADF, 0 },
				       { ROTA_SECOND, 0, 0, 0 } } };

	(void)state;
	assert_int_equal(outcome_of(&plan), -EXDEV);
}

static int measure(void *arg)
{
	const int outcome = carry_out(arg);

	return rota_now_ns() == TEST_START_NS + 5 ? outcome : -EPROTO;
}

static void the_first_error_cancels_the_others(void **state)
{
	struct plan plan = { .count = 3,
			     .jobs = { { ROTA_SECOND, -EIO, 0, 0 },
				       { 5, -EXDEV, 0, 0 },
				       { ROTA_SECOND, 0, 0, 0 } } };

	(void)state;
	assert_int_equal(test_run_timed(measure, &plan), -EXDEV);
}

static void keep_going_keeps_the_first_error_and_cancels_nobody(void **state)
{
	struct plan plan = { .options = { .mode = ROTA_GROUP_KEEP_GOING },
			     .count = 3,
			     .jobs = { { ROTA_SECOND, -EIO, -EPROTO, 0 },
				       { 5, -EXDEV, -EPROTO, 0 },
				       { 9, -ENOENT, -EPROTO, 0 } } };

	(void)state;
	assert_int_equal(outcome_of(&plan), -EXDEV);
}

static void an_ecanceled_of_its_own_is_an_error_like_others(void **state)
{
	struct plan plan = { .options = { .mode = ROTA_GROUP_KEEP_GOING },
			     .count = 2,
			     .jobs = { { 5, -ECANCELED, -EPROTO, 0 },
				       { 9, -EIO, -EPROTO, 0 } } };

	(void)state;
	assert_int_equal(outcome_of(&plan), -ECANCELED);
}

static void when_its_deadline_comes_a_group_ends_with_etime(void **state)
{
	struct plan plan = { .options = { .deadline_ns = TEST_START_NS + 5 },
			     .count = 2,
			     .jobs = { { ROTA_SECOND, 0, 0, 0 },
				       { 1, 0, 0, 0 } } };

	(void)state;
	assert_int_equal(outcome_of(&plan), -ETIME);
}

static void an_error_after_the_deadline_goes_before_etime(void **state)
{
	struct plan plan = { .options = { .deadline_ns = TEST_START_NS + 5 },
			     .count = 2,
			     .jobs = { { ROTA_SECOND, 0, -EIO, 0 },
				       { ROTA_SECOND, 0, 0, 0 } } };

	(void)state;
	assert_int_equal(outcome_of(&plan), -EIO);
}

static void a_deadline_that_does_not_come_changes_nothing(void **state)
{
	struct plan plan = { .options = { .deadline_ns = TEST_START_NS + 6 },
			     .count = 1,
			     .jobs = { { 5, 0, 0, 0 } } };
	struct plan never = { .options = { .deadline_ns = ROTA_NEVER },
			      .count = 1,
			      .jobs = { { ROTA_SECOND, 0, 0, 0 } } };

	(void)state;
	assert_int_equal(outcome_of(&plan), 0);
	assert_int_equal(outcome_of(&never), 0);
}

static int open_expired(void *arg)
{
	int *codes = arg;
	struct rota_group group;
	unsigned ended = 0;

	rota_group_open(&group,
			&(struct rota_group_options){ .deadline_ns = -1 });
	codes[0] = rota_cancelled();
	codes[1] = rota_go(&group, work, ((struct job){ .ended = &ended }));
	codes[2] = rota_group_wait(&group);
	rota_group_open(&group, &(struct rota_group_options){
					.deadline_ns = rota_now_ns() });
	codes[3] = rota_cancelled();
	codes[4] = rota_group_wait(&group);
	codes[5] = rota_cancelled();
	return (int)ended;
}

static void a_deadline_that_is_past_refuses_everything_at_once(void **state)
{
	int codes[6] = { 0 };

	(void)state;
	assert_int_equal(test_run(open_expired, codes), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(codes[i], -ETIME);
	assert_int_equal(codes[5], 0);
}

/* A cancelled group, and how its wait ends. */
struct ending {
	struct rota_group group;
	struct rota_cancellation cause;
	int member_result; /* what its member returns once cancelled; 0: the
			      code of the verb */
	int first_verb;    /* what the member's verb said */
	int refusal;       /* of a spawn after the cancel */
};

static int be_cancelled(void *value)
{
	struct ending *ending = *(struct ending **)value;

	ending->first_verb = rota_sleep_until(ROTA_NEVER);
	return ending->member_result ? ending->member_result
				     : ending->first_verb;
}

static int cancel_by_owner(void *arg)
{
	struct ending *ending = arg;
	int error;

	rota_group_open(&ending->group, NULL);
	error = rota_go(&ending->group, be_cancelled, ending);
	rota_yield();
	rota_group_cancel(&ending->group, ending->cause);
	ending->refusal = rota_go(&ending->group, be_cancelled, ending);
	return error ? error : rota_group_wait(&ending->group);
}

static void a_cancelled_group_returns_its_cause(void **state)
{
	struct ending ending = { .cause = { -EPIPE, "enough" } };

	(void)state;
	assert_int_equal(test_run(cancel_by_owner, &ending), -EPIPE);
	assert_int_equal(ending.first_verb, -ECANCELED);
}

static void a_secondary_ecanceled_does_not_mask_the_cause(void **state)
{
	struct ending ending = { .cause = { -EPIPE, NULL },
				 .member_result = -ECANCELED };

	(void)state;
	assert_int_equal(test_run(cancel_by_owner, &ending), -EPIPE);
}

static void an_error_of_a_member_goes_before_the_cause(void **state)
{
	struct ending ending = { .cause = { -EPIPE, NULL },
				 .member_result = -EIO };

	(void)state;
	assert_int_equal(test_run(cancel_by_owner, &ending), -EIO);
}

static void a_cancelled_group_accepts_no_more(void **state)
{
	struct ending ending = { .cause = { -EPIPE, NULL } };

	(void)state;
	assert_int_equal(test_run(cancel_by_owner, &ending), -EPIPE);
	assert_int_equal(ending.refusal, -ECANCELED);
}

static int cancel_then_expire(void *arg)
{
	struct ending *ending = arg;
	struct rota_deadline deadline;
	int outcome;

	rota_deadline_begin(&deadline, rota_after_ns(5));
	outcome = cancel_by_owner(ending);
	rota_deadline_end(&deadline);
	return outcome;
}

/* The code changes from -ECANCELED to -ETIME when the scope around it ends as
 * well: who was told the first one has not failed either. */
static int return_the_first_code(void *value)
{
	struct ending *ending = *(struct ending **)value;

	ending->first_verb = rota_sleep_until(ROTA_NEVER);
	while (rota_cancelled() != -ETIME)
		rota_shutdown(-1, 0); /* a release verb: it suspends */
	return ending->first_verb;
}

static int cancel_inside_a_deadline(void *arg)
{
	struct ending *ending = arg;
	struct rota_deadline deadline;
	int error, outcome;

	rota_deadline_begin(&deadline, rota_after_ns(2 * ROTA_MILLISECOND));
	rota_group_open(&ending->group, NULL);
	error = rota_go(&ending->group, return_the_first_code, ending);
	rota_yield();
	rota_group_cancel(&ending->group, ending->cause);
	outcome = rota_group_wait(&ending->group);
	rota_deadline_end(&deadline);
	return error ? error : outcome;
}

static void the_code_of_an_earlier_cancel_is_no_failure_either(void **state)
{
	struct ending ending = { .cause = { -EPIPE, NULL } };

	(void)state;
	assert_int_equal(test_run(cancel_inside_a_deadline, &ending), -EPIPE);
	assert_int_equal(ending.first_verb, -ECANCELED);
}

static void a_cancel_before_the_deadline_of_a_scope_around_it_wins(void **state)
{
	struct ending ending = { .cause = { -EPIPE, NULL } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_then_expire, &ending), -EPIPE);
}

static int reopen(void *arg)
{
	struct ending *ending = arg;
	unsigned ended = 0;
	int error = cancel_by_owner(ending);

	if (error != ending->cause.error)
		return -EPROTO;
	rota_group_open(&ending->group, NULL);
	if (rota_cancelled() || rota_cause().error)
		return -EPROTO;
	error = rota_go(&ending->group, work,
			((struct job){ .ended = &ended }));
	error |= rota_group_wait(&ending->group);
	return error ? error : ended == 1 ? 0 : -EPROTO;
}

static void a_group_that_was_waited_for_can_be_opened_again(void **state)
{
	struct ending ending = { .cause = { -EPIPE, NULL } };

	(void)state;
	assert_int_equal(test_run(reopen, &ending), 0);
}

static int spawn_10000(void *arg)
{
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 10000 && !error; i++)
		error = rota_go(
			&group, work,
			((struct job){ .sleep_ns = i % 7 - 3, .ended = arg }));
	return rota_group_wait(&group) | error;
}

static void a_group_joins_10000_members(void **state)
{
	unsigned ended = 0;

	(void)state;
	assert_int_equal(test_run(spawn_10000, &ended), 0);
	assert_int_equal(ended, 10000);
}

/* A group whose last member has ended, and who spawns one more before the owner
 * runs. */
struct late {
	struct rota_group group;
	unsigned ended;
	int accepted;
};

static int end_at_once(void *value)
{
	(void)value;
	return 0;
}

static int spawn_late(void *value)
{
	struct late *late = *(struct late **)value;

	late->accepted = rota_go(&late->group, work,
				 ((struct job){ .sleep_ns = ROTA_MICROSECOND,
						.ended = &late->ended }));
	return 0;
}

static int join_the_late(void *arg)
{
	struct late *late = arg;
	struct rota_group others;
	int error, outcome, ended;

	rota_group_open(&others, NULL);
	rota_group_open(&late->group, NULL);
	error = rota_go(&late->group, end_at_once, 0);
	error |= rota_go(&others, spawn_late, late);
	outcome = rota_group_wait(&late->group);
	ended = (int)late->ended;
	error |= rota_group_wait(&others);
	return error | outcome ? -EPROTO : ended;
}

static void who_is_spawned_while_the_owner_wakes_is_joined_too(void **state)
{
	struct late late = { .accepted = -1 };

	(void)state;
	assert_int_equal(test_run(join_the_late, &late), 1);
	assert_int_equal(late.accepted, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_of_nobody_comes_to_0),
		cmocka_unit_test(results_above_0_are_no_errors),
		cmocka_unit_test(
			wait_returns_the_first_error_and_joins_everybody),
		cmocka_unit_test(the_first_error_cancels_the_others),
		cmocka_unit_test(
			keep_going_keeps_the_first_error_and_cancels_nobody),
		cmocka_unit_test(
			an_ecanceled_of_its_own_is_an_error_like_others),
		cmocka_unit_test(
			when_its_deadline_comes_a_group_ends_with_etime),
		cmocka_unit_test(an_error_after_the_deadline_goes_before_etime),
		cmocka_unit_test(a_deadline_that_does_not_come_changes_nothing),
		cmocka_unit_test(
			a_deadline_that_is_past_refuses_everything_at_once),
		cmocka_unit_test(a_cancelled_group_returns_its_cause),
		cmocka_unit_test(a_secondary_ecanceled_does_not_mask_the_cause),
		cmocka_unit_test(an_error_of_a_member_goes_before_the_cause),
		cmocka_unit_test(a_cancelled_group_accepts_no_more),
		cmocka_unit_test(
			the_code_of_an_earlier_cancel_is_no_failure_either),
		cmocka_unit_test(
			a_cancel_before_the_deadline_of_a_scope_around_it_wins),
		cmocka_unit_test(
			a_group_that_was_waited_for_can_be_opened_again),
		cmocka_unit_test(a_group_joins_10000_members),
		cmocka_unit_test(
			who_is_spawned_while_the_owner_wakes_is_joined_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
