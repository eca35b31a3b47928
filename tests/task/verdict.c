/* SPDX-License-Identifier: MIT */
/*
 * Ends of members on other loops that matter: in the order in which the group's
 * loop hears of them.
 */
#include "support/loops.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Members that end one after the other, on different loops. */
struct row {
	enum rota_group_mode mode;
	atomic_uint turn;      /* whose it is to end */
	atomic_uint ends;      /* how many are about to */
	atomic_uint discarded; /* results that were given to `discard` */
	atomic_int sum;        /* of those */
	atomic_uint strange;   /* ... that were not their value's, or seen by
				  who is not cancelled, or on another loop */
	struct rota_failure list[8];
	struct rota_failures failures;
	int result;
};

struct member {
	struct row *row;
	unsigned number; /* when it is its turn */
	unsigned loop;   /* where it runs */
	int result;      /* what it returns */
};

static int end_in_turn(void *value)
{
	const struct member *member = value;

	while (atomic_load(&member->row->turn) != member->number)
		rota_yield();
	atomic_fetch_add(&member->row->ends, 1);
	return member->result;
}

/* Runs after it on the same loop, so its end has been told by then. */
static int give_turn(void *value)
{
	const struct member *member = value;

	while (atomic_load(&member->row->ends) <= member->number)
		rota_yield();
	atomic_store(&member->row->turn, member->number + 1);
	return -ECANCELED;
}

static void discard(int result, void *value)
{
	const struct member *member = value;
	struct row *row = member->row;

	atomic_fetch_add(&row->discarded, 1);
	atomic_fetch_add(&row->sum, result);
	if (result != member->result || rota_loop() != member->loop ||
	    rota_cancelled() != -ECANCELED || rota_yield() != -ECANCELED)
		atomic_fetch_add(&row->strange, 1);
}

/* This loop hears of them when all have ended. */
static int end_in_row(void *arg)
{
	static const unsigned loops[] = { 1, 2, 2, 1 };
	static const int results[][4] = {
		[ROTA_GROUP_FIRST_ERROR] = { -EIO, -EPIPE, -EBUSY, -EXDEV },
		[ROTA_GROUP_KEEP_GOING] = { -EIO, -EPIPE, -EBUSY, -EXDEV },
		[ROTA_GROUP_FIRST_SUCCESS] = { -EIO, 10, 200, 3000 },
	};
	struct row *row = arg;
	struct rota_group group, others;
	int error = 0;

	row->failures.list = row->list;
	row->failures.max = 8;
	rota_group_open(&others, &(struct rota_group_options){
					 .mode = ROTA_GROUP_KEEP_GOING });
	rota_group_open(&group, &(struct rota_group_options){
					.mode = row->mode,
					.failures = &row->failures,
					.discard = discard });
	for (unsigned i = 0; i < 4 && !error; i++) {
		const struct member member = { row, i, loops[i],
					       results[row->mode][i] };

		error = rota_go_on(&group, loops[i], end_in_turn, member);
		if (!error)
			error = rota_go_on(&others, loops[i], give_turn,
					   member);
	}
	while (!error && atomic_load(&row->turn) < 4)
		sched_yield();
	row->result = rota_group_wait(&group);
	rota_group_wait(&others);
	return error;
}

static void run_row(struct row *row)
{
	assert_int_equal(test_run_loops(end_in_row, row), 0);
	assert_int_equal(atomic_load(&row->strange), 0);
}

static void failures_count_in_the_order_of_the_mailbox(void **state)
{
	static const int errors[] = { -EIO, -EPIPE, -EBUSY, -EXDEV };
	struct row row = { .mode = ROTA_GROUP_FIRST_ERROR };

	(void)state;
	for (int i = 0; i < 2; i++) {
		run_row(&row);
		assert_int_equal(row.result, -EIO);
		assert_int_equal(row.failures.count, 4);
		for (unsigned j = 0; j < 4; j++) {
			assert_int_equal(row.list[j].error, errors[j]);
			assert_string_equal(row.list[j].site->function,
					    "end_in_turn");
		}
		row = (struct row){ .mode = ROTA_GROUP_KEEP_GOING };
	}
}

static void the_first_success_in_the_mailbox_wins(void **state)
{
	struct row row = { .mode = ROTA_GROUP_FIRST_SUCCESS };

	(void)state;
	run_row(&row);
	assert_int_equal(row.result, 10);
	assert_int_equal(row.failures.count, 1);
	assert_int_equal(row.list[0].error, -EIO);
	assert_int_equal(atomic_load(&row.discarded), 2);
	assert_int_equal(atomic_load(&row.sum), 3200);
}

/* Members that are told a code of their group, and return it. */
struct told {
	int64_t deadline_ns; /* of the group, in so many ns; 0: none */
	bool drains;         /* it does */
	atomic_uint began, codes;
	int wanted; /* the code */
	int result;
	struct rota_failures failures;
};

static int return_code(void *value)
{
	struct told *told = *(struct told **)value;
	struct rota_idle idle;
	int code;

	atomic_fetch_add(&told->began, 1);
	rota_idle_begin(&idle);
	code = rota_sleep(100 * ROTA_SECOND);
	rota_idle_end(&idle);
	atomic_fetch_add(&told->codes, code == told->wanted);
	return code;
}

static int tell_them(void *arg)
{
	struct told *told = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(
		&group,
		&(struct rota_group_options){
			.deadline_ns =
				told->deadline_ns
					? rota_after_ns(told->deadline_ns)
					: 0,
			.failures = &told->failures });
	for (unsigned i = 0; i < 2 * TEST_LOOPS && !error; i++)
		error = rota_go_on(&group, i % TEST_LOOPS, return_code, told);
	while (!error && !told->deadline_ns &&
	       atomic_load(&told->began) < 2 * TEST_LOOPS)
		pass(1000);
	if (told->drains)
		rota_group_drain(&group, ROTA_NEVER);
	else if (!told->deadline_ns)
		rota_group_cancel(&group,
				  (struct rota_cancellation){ -EINTR, NULL });
	told->result = rota_group_wait(&group);
	return error;
}

static void expect_told(struct told *told, int result)
{
	assert_int_equal(test_run_loops(tell_them, told), 0);
	assert_int_equal(told->result, result);
	assert_int_equal(told->failures.count, 0);
	assert_int_equal(atomic_load(&told->codes), 2 * TEST_LOOPS);
}

static void who_returns_its_groups_code_elsewhere_has_not_failed(void **state)
{
	struct told cancelled = { .wanted = -ECANCELED };
	struct told drained = { .wanted = -ESHUTDOWN, .drains = true };
	struct told late = { .wanted = -ETIME,
			     .deadline_ns = 30 * ROTA_MILLISECOND };

	(void)state;
	expect_told(&cancelled, -EINTR);
	expect_told(&drained, 0);
	expect_told(&late, -ETIME);
}

static int fail_by_own_deadline(void *value)
{
	struct rota_deadline deadline;
	int code;

	(void)value;
	rota_deadline_begin(&deadline, rota_after_ns(1000));
	code = rota_sleep(100 * ROTA_SECOND);
	rota_deadline_end(&deadline);
	return code;
}

static int fail_late(void *arg)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, fail_by_own_deadline, 0);
	*(int *)arg = rota_group_wait(&group);
	return error;
}

static void a_deadline_of_a_members_own_elsewhere_is_a_failure(void **state)
{
	int result = 0;

	(void)state;
	assert_int_equal(test_run_loops(fail_late, &result), 0);
	assert_int_equal(result, -ETIME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_count_in_the_order_of_the_mailbox),
		cmocka_unit_test(the_first_success_in_the_mailbox_wins),
		cmocka_unit_test(
			who_returns_its_groups_code_elsewhere_has_not_failed),
		cmocka_unit_test(
			a_deadline_of_a_members_own_elsewhere_is_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
