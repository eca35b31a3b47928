/* SPDX-License-Identifier: MIT */
/*
 * Scopes over loops: what ends around a group reaches its members elsewhere,
 * and theirs, with the code and the cause of the outermost scope that ends.
 */
#include "support/loops.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A member on loop 2, of a group of loop 1, inside one of loop 0. */
struct tree {
	struct rota_group *outer;
	int64_t deadline_ns;          /* of a scope around it all; 0: none */
	int (*inside)(struct tree *); /* what the member does, */
	int (*end)(struct tree *);    /* ... what ends it, on loop 0 */
	atomic_bool ready, let_go;    /* the member is; may go on */
	atomic_bool seen;             /* it has seen something */
	int code, then;               /* what it was told */
	struct rota_cancellation cause;
	bool expired;
	int inner, result; /* of the groups */
};

static int innermost(void *value)
{
	struct tree *tree = *(struct tree **)value;

	return tree->inside(tree);
}

static int open_inner(void *value)
{
	struct tree *tree = *(struct tree **)value;
	struct rota_group inner;
	int error;

	rota_group_open(&inner, NULL);
	error = rota_go_on(&inner, 2, innermost, tree);
	tree->inner = rota_group_wait(&inner);
	return error;
}

static int grow(void *arg)
{
	struct tree *tree = arg;
	struct rota_group outer;
	struct rota_deadline deadline;
	int error;

	rota_deadline_begin(&deadline,
			    tree->deadline_ns ? rota_after_ns(tree->deadline_ns)
					      : ROTA_NEVER);
	rota_group_open(&outer, NULL);
	tree->outer = &outer;
	error = rota_go_on(&outer, 1, open_inner, tree);
	if (!error && tree->end)
		error = tree->end(tree);
	tree->result = rota_group_wait(&outer);
	tree->expired = rota_deadline_end(&deadline);
	return error;
}

static int sleep_long(struct tree *tree)
{
	atomic_store(&tree->ready, true);
	tree->code = rota_sleep(100 * ROTA_SECOND);
	tree->cause = rota_cause();
	return tree->code;
}

static void a_deadline_reaches_members_of_members_elsewhere(void **state)
{
	struct tree tree = { .inside = sleep_long,
			     .deadline_ns = 10 * ROTA_MILLISECOND };

	(void)state;
	assert_int_equal(test_run_loops(grow, &tree), 0);
	assert_int_equal(tree.code, -ETIME);
	assert_int_equal(tree.cause.error, -ETIME);
	assert_int_equal(tree.inner, -ETIME);
	assert_int_equal(tree.result, -ETIME);
	assert_true(tree.expired);
}

static const char *const enough = "enough";

static int cancel_outer(struct tree *tree)
{
	spin(&tree->ready);
	rota_group_cancel(tree->outer,
			  (struct rota_cancellation){ -EXDEV, enough });
	return 0;
}

static void a_cause_reaches_members_of_members_elsewhere(void **state)
{
	struct tree tree = { .inside = sleep_long, .end = cancel_outer };

	(void)state;
	assert_int_equal(test_run_loops(grow, &tree), 0);
	assert_int_equal(tree.code, -ECANCELED);
	assert_int_equal(tree.cause.error, -EXDEV);
	assert_ptr_equal(tree.cause.reason, enough);
	assert_int_equal(tree.inner, -EXDEV);
	assert_int_equal(tree.result, -EXDEV);
}

/* Its code, when that is not `code` any more. Nothing suspends where all is
 * cancelled, but in a shield. */
static int await_other_code(int code)
{
	struct rota_shield shield;

	for (int i = 0; i < 5000 && rota_cancelled() == code; i++) {
		rota_shield_begin(&shield, ROTA_NEVER);
		pass(ROTA_MILLISECOND);
		rota_shield_end(&shield);
	}
	return rota_cancelled();
}

static int see_two_codes(struct tree *tree)
{
	sleep_long(tree);
	tree->then = await_other_code(tree->code);
	return tree->then;
}

static void a_deadline_around_what_is_cancelled_decides_the_code(void **state)
{
	struct tree tree = { .inside = see_two_codes,
			     .end = cancel_outer,
			     .deadline_ns = 50 * ROTA_MILLISECOND };

	(void)state;
	assert_int_equal(test_run_loops(grow, &tree), 0);
	assert_int_equal(tree.code, -ECANCELED);
	assert_int_equal(tree.then, -ETIME);
	assert_int_equal(tree.cause.error, -EXDEV);
	assert_int_equal(tree.inner, -EXDEV);
	assert_int_equal(tree.result, -EXDEV);
	assert_true(tree.expired);
}

static int be_late_first(struct tree *tree)
{
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, rota_now_ns());
	tree->code = rota_cancelled();
	atomic_store(&tree->ready, true);
	tree->then = await_other_code(tree->code);
	tree->cause = rota_cause();
	tree->expired = rota_deadline_end(&deadline);
	return rota_cancelled();
}

static void a_cancel_around_an_expired_deadline_decides_the_code(void **state)
{
	struct tree tree = { .inside = be_late_first, .end = cancel_outer };

	(void)state;
	assert_int_equal(test_run_loops(grow, &tree), 0);
	assert_int_equal(tree.code, -ETIME);
	assert_int_equal(tree.then, -ECANCELED);
	assert_int_equal(tree.cause.error, -ETIME);
	assert_int_equal(tree.inner, -EXDEV);
}

/* It goes on until it is let go, whatever is cancelled. */
static int be_shielded(struct tree *tree)
{
	struct rota_shield shield;
	int code = 0;

	rota_shield_begin(&shield, ROTA_NEVER);
	atomic_store(&tree->ready, true);
	while (!code && !atomic_load(&tree->let_go))
		code = rota_sleep(1000);
	tree->code = code;
	rota_shield_end(&shield);
	tree->then = await_other_code(0);
	return 0;
}

static int cancel_and_let_go(struct tree *tree)
{
	cancel_outer(tree);
	pass(ROTA_MILLISECOND);
	atomic_store(&tree->let_go, true);
	return 0;
}

static void a_shield_elsewhere_is_left_alone(void **state)
{
	struct tree tree = { .inside = be_shielded, .end = cancel_and_let_go };

	(void)state;
	assert_int_equal(test_run_loops(grow, &tree), 0);
	assert_int_equal(tree.code, 0);
	assert_int_equal(tree.then, -ECANCELED);
	assert_int_equal(tree.inner, -EXDEV);
}

static int be_shielded_a_while(struct tree *tree)
{
	struct rota_shield shield;

	rota_shield_begin(&shield, ROTA_MILLISECOND);
	atomic_store(&tree->ready, true);
	tree->code = rota_sleep(100 * ROTA_SECOND);
	tree->expired = rota_shield_end(&shield);
	tree->then = rota_cancelled();
	return 0;
}

static void the_grace_of_a_shield_elsewhere_begins_with_the_cancel(void **state)
{
	struct tree tree = { .inside = be_shielded_a_while,
			     .end = cancel_outer };

	(void)state;
	assert_int_equal(test_run_loops(grow, &tree), 0);
	assert_int_equal(tree.code, -ETIME);
	assert_int_equal(tree.then, -ECANCELED);
}

static void called(void *arg)
{
	struct tree *tree = arg;

	tree->then = (int)rota_loop();
	atomic_store(&tree->seen, true);
}

static int be_called(struct tree *tree)
{
	struct rota_callback callback;
	struct rota_shield shield;

	rota_callback_begin(&callback, called, tree);
	sleep_long(tree);
	/* It would not be called any more if its scope ended now. */
	rota_shield_begin(&shield, ROTA_NEVER);
	for (int i = 0; i < 5000 && !atomic_load(&tree->seen); i++)
		pass(ROTA_MILLISECOND);
	rota_shield_end(&shield);
	rota_callback_end(&callback);
	return 0;
}

static void a_callback_is_called_on_the_loop_of_its_task(void **state)
{
	struct tree tree = { .inside = be_called, .end = cancel_outer };

	(void)state;
	assert_int_equal(test_run_loops(grow, &tree), 0);
	assert_true(atomic_load(&tree.seen));
	assert_int_equal(tree.then, 2);
}

static int be_idle(struct tree *tree)
{
	struct rota_idle idle;

	rota_idle_begin(&idle);
	atomic_store(&tree->ready, true);
	tree->code = rota_sleep(100 * ROTA_SECOND);
	rota_idle_end(&idle);
	tree->then = rota_cancelled();
	return 0;
}

static int drain_outer(struct tree *tree)
{
	spin(&tree->ready);
	rota_group_drain(tree->outer, ROTA_NEVER);
	return 0;
}

static void who_is_idle_in_a_group_inside_elsewhere_is_drained(void **state)
{
	struct tree tree = { .inside = be_idle, .end = drain_outer };

	(void)state;
	assert_int_equal(test_run_loops(grow, &tree), 0);
	assert_int_equal(tree.code, -ESHUTDOWN);
	assert_int_equal(tree.then, 0);
	assert_int_equal(tree.inner, 0);
	assert_int_equal(tree.result, 0);
}

/* By the innermost member, on loop 2, of the group of loop 0. */
static int cancel_outwards(struct tree *tree)
{
	rota_group_cancel(tree->outer,
			  (struct rota_cancellation){ -EXDEV, enough });
	rota_group_cancel(tree->outer,
			  (struct rota_cancellation){ -EIO, NULL });
	tree->code = rota_cancelled();
	tree->then = await_other_code(0);
	return 0;
}

static void a_member_of_a_member_cancels_outwards(void **state)
{
	struct tree tree = { .inside = cancel_outwards };

	(void)state;
	assert_int_equal(test_run_loops(grow, &tree), 0);
	assert_int_equal(tree.code, 0);
	assert_int_equal(tree.then, -ECANCELED);
	assert_int_equal(tree.inner, -EXDEV);
	assert_int_equal(tree.result, -EXDEV);
}

/* Many on each loop, of which some end by themselves when they are told. */
struct mob {
	atomic_uint began, told;
	int result;
};

static int stay(void *value)
{
	struct mob *mob = *(struct mob **)value;
	int code;

	atomic_fetch_add(&mob->began, 1);
	code = rota_sleep(100 * ROTA_SECOND);
	atomic_fetch_add(&mob->told, code == -ECANCELED);
	return code;
}

#define MOB 1000u

static int cancel_mob(void *arg)
{
	struct mob *mob = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < MOB * TEST_LOOPS && !error; i++)
		error = rota_go_on(&group, i % TEST_LOOPS, stay, mob);
	while (!error && atomic_load(&mob->began) < MOB * TEST_LOOPS)
		pass(1000);
	rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	mob->result = rota_group_wait(&group);
	return error;
}

/* More than a turn tells of it. */
static void a_cancel_reaches_all_members_elsewhere(void **state)
{
	struct mob mob = { .result = 1 };

	(void)state;
	assert_int_equal(test_run_loops(cancel_mob, &mob), 0);
	assert_int_equal(mob.result, -ECANCELED);
	assert_int_equal(atomic_load(&mob.told), MOB * TEST_LOOPS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_deadline_reaches_members_of_members_elsewhere),
		cmocka_unit_test(a_cause_reaches_members_of_members_elsewhere),
		cmocka_unit_test(
			a_deadline_around_what_is_cancelled_decides_the_code),
		cmocka_unit_test(
			a_cancel_around_an_expired_deadline_decides_the_code),
		cmocka_unit_test(a_shield_elsewhere_is_left_alone),
		cmocka_unit_test(
			the_grace_of_a_shield_elsewhere_begins_with_the_cancel),
		cmocka_unit_test(a_callback_is_called_on_the_loop_of_its_task),
		cmocka_unit_test(
			who_is_idle_in_a_group_inside_elsewhere_is_drained),
		cmocka_unit_test(a_member_of_a_member_cancels_outwards),
		cmocka_unit_test(a_cancel_reaches_all_members_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
