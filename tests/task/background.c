/* SPDX-License-Identifier: MIT */
/*
 * Background members: when they are ended, and what they count for. Under a
 * clock of the test's; times are counted from its start.
 */
#include "rota/rota.h"
#include "support/run.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct seen {
	struct rota_group group;
	struct rota_group_options options;
	int64_t work_ns; /* how long the others work; 0: there are none */
	int64_t rest_ns; /* how long the background member waits */
	int64_t wait_ns; /* when the owner waits */
	int result;      /* of the background member; 0: that of its wait */
	int code;        /* what its wait returned */
	int64_t ended_ns;
	struct rota_cancellation cause;
	int work_code;
	int codes[4];
	int outcome;
	int64_t joined_ns;
};

static int attend(void *value)
{
	struct seen *seen = *(struct seen **)value;

	seen->code = rota_sleep(seen->rest_ns);
	seen->ended_ns = test_now_ns();
	seen->cause = rota_cause();
	return seen->result ? seen->result : seen->code;
}

static int work(void *value)
{
	struct seen *seen = *(struct seen **)value;

	return seen->work_code = rota_sleep(seen->work_ns);
}

static int join(struct seen *seen)
{
	seen->outcome = rota_group_wait(&seen->group);
	seen->joined_ns = test_now_ns();
	return 0;
}

static int attend_work(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, &seen->options);
	error = rota_go_background(&seen->group, attend, seen);
	if (seen->work_ns)
		error |= rota_go(&seen->group, work, seen);
	if (seen->wait_ns)
		error |= rota_sleep(seen->wait_ns);
	return error | join(seen);
}

static void it_is_ended_when_all_others_have_and_the_owner_waits(void **state)
{
	struct seen seen = { .work_ns = 5, .rest_ns = ROTA_SECOND };

	(void)state;
	assert_int_equal(test_run_timed(attend_work, &seen), 0);
	assert_int_equal(seen.code, -ECANCELED);
	assert_int_equal(seen.cause.error, -ECANCELED);
	assert_non_null(seen.cause.reason);
	assert_int_equal(seen.ended_ns, 5);
	assert_int_equal(seen.work_code, 0);
	assert_int_equal(seen.outcome, 0);
	assert_int_equal(seen.joined_ns, 5);
}

static void it_is_not_ended_before_the_owner_waits(void **state)
{
	struct seen seen = { .work_ns = 5,
			     .rest_ns = ROTA_SECOND,
			     .wait_ns = 10 };

	(void)state;
	assert_int_equal(test_run_timed(attend_work, &seen), 0);
	assert_int_equal(seen.code, -ECANCELED);
	assert_int_equal(seen.ended_ns, 10);
	assert_int_equal(seen.outcome, 0);
}

static void alone_it_is_ended_as_soon_as_the_owner_waits(void **state)
{
	struct seen seen = { .rest_ns = ROTA_SECOND };

	(void)state;
	assert_int_equal(test_run_timed(attend_work, &seen), 0);
	assert_int_equal(seen.code, -ECANCELED);
	assert_int_equal(seen.ended_ns, 0);
	assert_int_equal(seen.outcome, 0);
}

static void one_that_ended_earlier_is_not_waited_for(void **state)
{
	struct seen seen = { .work_ns = 5, .rest_ns = 2, .result = 3 };

	(void)state;
	assert_int_equal(test_run_timed(attend_work, &seen), 0);
	assert_int_equal(seen.code, 0);
	assert_int_equal(seen.ended_ns, 2);
	assert_int_equal(seen.work_code, 0);
	assert_int_equal(seen.outcome, 0);
	assert_int_equal(seen.joined_ns, 5);
}

static void its_failure_cancels_the_group(void **state)
{
	struct seen seen = { .work_ns = 9, .rest_ns = 2, .result = -EIO };

	(void)state;
	assert_int_equal(test_run_timed(attend_work, &seen), 0);
	assert_int_equal(seen.work_code, -ECANCELED);
	assert_int_equal(seen.outcome, -EIO);
	assert_int_equal(seen.joined_ns, 2);
}

static void its_failure_is_kept_in_a_group_that_keeps_going(void **state)
{
	struct seen seen = { .options = { .mode = ROTA_GROUP_KEEP_GOING },
			     .work_ns = 9,
			     .rest_ns = 2,
			     .result = -EIO };

	(void)state;
	assert_int_equal(test_run_timed(attend_work, &seen), 0);
	assert_int_equal(seen.work_code, 0);
	assert_int_equal(seen.outcome, -EIO);
	assert_int_equal(seen.joined_ns, 9);
}

static void its_failure_while_it_is_ended_counts_too(void **state)
{
	struct seen seen = { .work_ns = 5,
			     .rest_ns = ROTA_SECOND,
			     .result = -EIO };

	(void)state;
	assert_int_equal(test_run_timed(attend_work, &seen), 0);
	assert_int_equal(seen.code, -ECANCELED);
	assert_int_equal(seen.outcome, -EIO);
}

static void past_the_groups_deadline_it_ends_with_the_others(void **state)
{
	struct seen seen = { .options = { .deadline_ns = TEST_START_NS + 4 },
			     .work_ns = 5,
			     .rest_ns = ROTA_SECOND };

	(void)state;
	assert_int_equal(test_run_timed(attend_work, &seen), 0);
	assert_int_equal(seen.code, -ETIME);
	assert_int_equal(seen.ended_ns, 4);
	assert_int_equal(seen.work_code, -ETIME);
	assert_int_equal(seen.outcome, -ETIME);
}

static int attend_shielded(void *value)
{
	struct rota_shield shield;
	int result;

	rota_shield_begin(&shield, 7);
	result = attend(value);
	rota_shield_end(&shield);
	return result == -ETIME ? 0 : result;
}

static int wait_for_shielded(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go_background(&seen->group, attend_shielded, seen);
	error |= rota_go(&seen->group, work, seen);
	return error | join(seen);
}

static void it_is_joined_also_when_it_takes_its_time(void **state)
{
	struct seen seen = { .work_ns = 5, .rest_ns = ROTA_SECOND };

	(void)state;
	assert_int_equal(test_run_timed(wait_for_shielded, &seen), 0);
	assert_int_equal(seen.code, -ETIME);
	assert_int_equal(seen.ended_ns, 12);
	assert_int_equal(seen.outcome, 0);
	assert_int_equal(seen.joined_ns, 12);
}

static int cancel_around(void *arg)
{
	struct seen *seen = arg;
	struct rota_group outer;
	int error;

	rota_group_open(&outer, NULL);
	rota_group_open(&seen->group, NULL);
	error = rota_go_background(&seen->group, attend, seen);
	error |= rota_go(&seen->group, work, seen);
	error |= rota_sleep(2);
	rota_group_cancel(&outer, (struct rota_cancellation){ -EPIPE, NULL });
	seen->codes[0] = rota_go_background(&seen->group, attend, seen);
	join(seen);
	seen->codes[1] = rota_group_wait(&outer);
	return error;
}

static void a_cancel_around_ends_it_and_is_the_outcome(void **state)
{
	struct seen seen = { .work_ns = 5, .rest_ns = ROTA_SECOND };

	(void)state;
	assert_int_equal(test_run_timed(cancel_around, &seen), 0);
	assert_int_equal(seen.code, -ECANCELED);
	assert_int_equal(seen.ended_ns, 2);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.outcome, -EPIPE);
	assert_int_equal(seen.codes[1], -EPIPE);
}

static int fill_slots(void *arg)
{
	struct seen *seen = arg;
	int error = 0;

	rota_group_open(&seen->group,
			&(struct rota_group_options){ .limit = 1 });
	for (int i = 0; i < 3; i++)
		error |= rota_go_background(&seen->group, attend, seen);
	seen->codes[0] = rota_try_go(&seen->group, work, seen);
	seen->codes[1] = rota_try_go(&seen->group, work, seen);
	seen->codes[2] = rota_go_background(&seen->group, attend, seen);
	/* The end of one frees no slot: that of the other one does. */
	error |= rota_sleep(3);
	seen->codes[3] = rota_try_go(&seen->group, work, seen);
	error |= rota_go(&seen->group, work, seen);
	seen->ended_ns = test_now_ns();
	return error | join(seen);
}

static void it_takes_no_slot_and_frees_none(void **state)
{
	struct seen seen = { .work_ns = 5, .rest_ns = 2 };

	(void)state;
	assert_int_equal(test_run_timed(fill_slots, &seen), 0);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], -EAGAIN);
	assert_int_equal(seen.codes[2], 0);
	assert_int_equal(seen.codes[3], -EAGAIN);
	assert_int_equal(seen.ended_ns, 5);
	assert_int_equal(seen.outcome, 0);
	assert_int_equal(seen.joined_ns, 10);
}

/* Spawns another worker after a while, and one more when it is ended. */
static int recruit(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int code = rota_sleep(seen->rest_ns);

	seen->codes[0] = rota_go(&seen->group, work, seen);
	if (!code)
		code = rota_sleep(ROTA_SECOND);
	seen->ended_ns = test_now_ns();
	seen->codes[1] = rota_go(&seen->group, work, seen);
	return code;
}

static int recruit_meanwhile(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, work, seen);
	error |= rota_go_background(&seen->group, recruit, seen);
	return error | join(seen);
}

static void whom_it_spawns_meanwhile_is_waited_for(void **state)
{
	struct seen seen = { .work_ns = 5, .rest_ns = 3 };

	(void)state;
	assert_int_equal(test_run_timed(recruit_meanwhile, &seen), 0);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.ended_ns, 8);
	assert_int_equal(seen.codes[1], -ECANCELED);
	assert_int_equal(seen.outcome, 0);
	assert_int_equal(seen.joined_ns, 8);
}

/* The last worker has ended, the owner has not run. */
static void once_the_others_have_ended_it_spawns_nobody(void **state)
{
	struct seen seen = { .work_ns = 5, .rest_ns = 5 };

	(void)state;
	assert_int_equal(test_run_timed(recruit_meanwhile, &seen), 0);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.ended_ns, 5);
	assert_int_equal(seen.outcome, 0);
	assert_int_equal(seen.joined_ns, 5);
}

static int end_at_once(void *value)
{
	(void)value;
	return 0;
}

static int reach_bound(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go_background(&seen->group, end_at_once, 0);
	seen->codes[0] = rota_go_background(&seen->group, end_at_once, 0);
	return error | join(seen);
}

static void beyond_tasks_max_it_is_refused_and_the_group_joins(void **state)
{
	const struct rota_config config = { .tasks_max = 2 };
	struct seen seen = { .outcome = 1 };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, reach_bound, &seen), 0);
	assert_int_equal(seen.codes[0], -EAGAIN);
	assert_int_equal(seen.outcome, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			it_is_ended_when_all_others_have_and_the_owner_waits),
		cmocka_unit_test(it_is_not_ended_before_the_owner_waits),
		cmocka_unit_test(alone_it_is_ended_as_soon_as_the_owner_waits),
		cmocka_unit_test(one_that_ended_earlier_is_not_waited_for),
		cmocka_unit_test(its_failure_cancels_the_group),
		cmocka_unit_test(
			its_failure_is_kept_in_a_group_that_keeps_going),
		cmocka_unit_test(its_failure_while_it_is_ended_counts_too),
		cmocka_unit_test(
			past_the_groups_deadline_it_ends_with_the_others),
		cmocka_unit_test(it_is_joined_also_when_it_takes_its_time),
		cmocka_unit_test(a_cancel_around_ends_it_and_is_the_outcome),
		cmocka_unit_test(it_takes_no_slot_and_frees_none),
		cmocka_unit_test(whom_it_spawns_meanwhile_is_waited_for),
		cmocka_unit_test(once_the_others_have_ended_it_spawns_nobody),
		cmocka_unit_test(
			beyond_tasks_max_it_is_refused_and_the_group_joins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
