/* SPDX-License-Identifier: MIT */
/*
 * Why a scope was cancelled: frozen at the first time, inherited by what is
 * inside and not over yet.
 */
#include "rota/rota.h"
#include "support/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct causes {
	struct rota_cancellation seen[6];
	int codes[6];
};

static int ask_uncancelled(void *arg)
{
	struct causes *causes = arg;
	struct rota_group group;

	causes->seen[0] = rota_cause();
	causes->codes[0] = rota_cancelled();
	rota_group_open(&group, NULL);
	causes->seen[1] = rota_cause();
	causes->codes[1] = rota_cancelled();
	rota_group_cancel(&group,
			  (struct rota_cancellation){ -EPIPE, "inside" });
	(void)rota_group_wait(&group);
	causes->seen[2] = rota_cause();
	causes->codes[2] = rota_cancelled();
	return 0;
}

static void outside_of_what_was_cancelled_there_is_no_cause(void **state)
{
	struct causes causes;

	(void)state;
	memset(&causes, 1, sizeof(causes));
	assert_int_equal(test_run(ask_uncancelled, &causes), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(causes.seen[i].error, 0);
		assert_null(causes.seen[i].reason);
		assert_int_equal(causes.codes[i], 0);
	}
}

static int cancel_twice(void *arg)
{
	struct causes *causes = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_cancel(&group,
			  (struct rota_cancellation){ -EPIPE, "first" });
	rota_group_cancel(&group, (struct rota_cancellation){ -EIO, "second" });
	causes->seen[0] = rota_cause();
	causes->codes[0] = rota_group_wait(&group);
	return 0;
}

static void the_first_cause_is_kept(void **state)
{
	struct causes causes = { 0 };

	(void)state;
	assert_int_equal(test_run(cancel_twice, &causes), 0);
	assert_int_equal(causes.seen[0].error, -EPIPE);
	assert_string_equal(causes.seen[0].reason, "first");
	assert_int_equal(causes.codes[0], -EPIPE);
}

static int cancel_without_error(void *arg)
{
	struct causes *causes = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_cancel(&group, (struct rota_cancellation){ 0, "no more" });
	causes->seen[0] = rota_cause();
	return rota_group_wait(&group);
}

static void a_cause_without_an_error_counts_as_ecanceled(void **state)
{
	struct causes causes = { 0 };

	(void)state;
	assert_int_equal(test_run(cancel_without_error, &causes), -ECANCELED);
	assert_int_equal(causes.seen[0].error, -ECANCELED);
	assert_string_equal(causes.seen[0].reason, "no more");
}

static int ask_inside(void *value)
{
	struct causes *causes = *(struct causes **)value;
	struct rota_deadline deadline;
	struct rota_group group;

	rota_deadline_begin(&deadline, ROTA_NEVER);
	causes->codes[0] = rota_sleep_until(ROTA_NEVER);
	causes->seen[0] = rota_cause();
	/* What is opened in a cancelled scope is cancelled from the start. */
	rota_group_open(&group, NULL);
	causes->seen[1] = rota_cause();
	causes->codes[1] = rota_group_wait(&group);
	rota_deadline_end(&deadline);
	causes->seen[2] = rota_cause();
	return causes->codes[0];
}

static int cancel_around(void *arg)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, ask_inside, (struct causes *)arg);
	rota_yield();
	rota_group_cancel(&group,
			  (struct rota_cancellation){ -EPIPE, "around" });
	return error ? error : rota_group_wait(&group);
}

static void what_is_inside_inherits_the_cause(void **state)
{
	struct causes causes = { 0 };

	(void)state;
	assert_int_equal(test_run(cancel_around, &causes), -EPIPE);
	assert_int_equal(causes.codes[0], -ECANCELED);
	assert_int_equal(causes.codes[1], -EPIPE);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(causes.seen[i].error, -EPIPE);
		assert_string_equal(causes.seen[i].reason, "around");
	}
}

static int cancel_inner_first(void *arg)
{
	struct causes *causes = arg;
	struct rota_group outer, inner, innermost;

	rota_group_open(&outer, NULL);
	rota_group_open(&inner, NULL);
	rota_group_open(&innermost, NULL);
	rota_group_cancel(&inner, (struct rota_cancellation){ -EIO, "inner" });
	rota_group_cancel(&outer,
			  (struct rota_cancellation){ -EPIPE, "outer" });
	causes->seen[0] = rota_cause();
	causes->codes[0] = rota_group_wait(&innermost);
	causes->seen[1] = rota_cause();
	causes->codes[1] = rota_group_wait(&inner);
	causes->seen[2] = rota_cause();
	causes->codes[2] = rota_group_wait(&outer);
	return 0;
}

static void a_scope_cancelled_earlier_keeps_its_own_cause(void **state)
{
	struct causes causes = { 0 };

	(void)state;
	assert_int_equal(test_run(cancel_inner_first, &causes), 0);
	assert_string_equal(causes.seen[0].reason, "inner");
	assert_string_equal(causes.seen[1].reason, "inner");
	assert_string_equal(causes.seen[2].reason, "outer");
	assert_int_equal(causes.codes[0], -EIO);
	assert_int_equal(causes.codes[1], -EIO);
	assert_int_equal(causes.codes[2], -EPIPE);
}

static int return_it(void *value)
{
	return *(int *)value;
}

static int wait_and_ask(void *value)
{
	struct causes *causes = *(struct causes **)value;
	const int code = rota_sleep_until(ROTA_NEVER);

	causes->seen[0] = rota_cause();
	return code;
}

static int fail_beside(void *arg)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, wait_and_ask, (struct causes *)arg);
	error |= rota_go(&group, return_it, -EXDEV);
	return error ? error : rota_group_wait(&group);
}

static void
the_first_error_of_a_member_is_the_cause_for_the_others(void **state)
{
	struct causes causes = { 0 };

	(void)state;
	assert_int_equal(test_run(fail_beside, &causes), -EXDEV);
	assert_int_equal(causes.seen[0].error, -EXDEV);
}

static int expire(void *arg)
{
	struct causes *causes = arg;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, 0);
	causes->seen[0] = rota_cause();
	causes->codes[0] = rota_cancelled();
	causes->codes[1] = rota_deadline_end(&deadline);
	causes->codes[2] = rota_cancelled();
	return 0;
}

static void the_cause_of_a_deadline_is_etime(void **state)
{
	struct causes causes = { 0 };

	(void)state;
	assert_int_equal(test_run(expire, &causes), 0);
	assert_int_equal(causes.seen[0].error, -ETIME);
	assert_int_equal(causes.codes[0], -ETIME);
	assert_int_equal(causes.codes[1], true);
	assert_int_equal(causes.codes[2], 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			outside_of_what_was_cancelled_there_is_no_cause),
		cmocka_unit_test(the_first_cause_is_kept),
		cmocka_unit_test(a_cause_without_an_error_counts_as_ecanceled),
		cmocka_unit_test(what_is_inside_inherits_the_cause),
		cmocka_unit_test(a_scope_cancelled_earlier_keeps_its_own_cause),
		cmocka_unit_test(
			the_first_error_of_a_member_is_the_cause_for_the_others),
		cmocka_unit_test(the_cause_of_a_deadline_is_etime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
