/* SPDX-License-Identifier: MIT */
/*
 * Scopes that may be closed in any order, as tickers and streams are: here bare
 * ones, which do nothing but be open.
 */
#include "task/scope.h"

#include "rota/rota.h"
#include "support/broken.h"
#include "support/random.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct rota_site site = { __FILE__, "bare scope", __LINE__, 0 };

static void open_bare(struct rota_scope *scope)
{
	ri_scope_open(scope, RI_SCOPE_STREAM, ri_scope_opener("open_bare"),
		      &site);
}

static void close_bare(struct rota_scope *scope)
{
	ri_scope_holder(scope, RI_SCOPE_STREAM, "close_bare");
	ri_scope_remove(ri_tasks_here(), scope);
}

struct seen {
	int codes[8];
	bool ended[4];
	int64_t times_ns[4];
};

static const void *innermost(void)
{
	return ri_task_self("innermost")->scope;
}

static int close_in_opening_order(void *arg)
{
	struct rota_scope scopes[3];
	struct seen *seen = arg;
	const void *outside = innermost();

	for (int i = 0; i < 3; i++)
		open_bare(&scopes[i]);
	for (int i = 0; i < 3; i++) {
		close_bare(&scopes[i]);
		seen->ended[i] = innermost() == (i < 2 ? &scopes[2] : outside);
		seen->codes[i] = rota_yield();
	}
	return 0;
}

static void they_can_be_closed_in_the_order_of_opening(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(close_in_opening_order, &seen), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(seen.ended[i]);
		assert_int_equal(seen.codes[i], 0);
	}
}

static int close_around_deadline(void *arg)
{
	struct rota_deadline outer, inner;
	struct rota_scope scope;
	struct seen *seen = arg;

	rota_deadline_begin(&outer, rota_after_ns(10));
	open_bare(&scope);
	rota_deadline_begin(&inner, rota_after_ns(20));
	close_bare(&scope);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	seen->ended[0] = rota_deadline_end(&inner);
	seen->ended[1] = rota_deadline_end(&outer);
	return 0;
}

static void what_is_inside_one_that_was_taken_out_still_ends(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(close_around_deadline, &seen), 0);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.times_ns[0], 10);
	assert_false(seen.ended[0]);
	assert_true(seen.ended[1]);
}

static int sleep_long(void *value)
{
	struct seen *seen = *(struct seen **)value;

	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	return seen->codes[0];
}

static int close_around_group(void *arg)
{
	struct rota_deadline outer;
	struct rota_scope before, after;
	struct rota_group group;
	struct seen *seen = arg;
	int error;

	rota_deadline_begin(&outer, rota_after_ns(10));
	open_bare(&before);
	rota_group_open(&group, NULL);
	open_bare(&after);
	error = rota_go(&group, sleep_long, seen);
	close_bare(&before);
	seen->codes[1] = rota_sleep(1);
	close_bare(&after);
	seen->codes[2] = rota_group_wait(&group);
	seen->ended[0] = rota_deadline_end(&outer);
	return error;
}

static void members_of_a_group_in_it_are_told_too(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(close_around_group, &seen), 0);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.codes[1], 0);
	assert_int_equal(seen.codes[2], -ETIME);
	assert_int_equal(seen.times_ns[0], 10);
	assert_true(seen.ended[0]);
}

static int wait_idle_after_close(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_scope first, second;
	struct rota_idle idle;

	open_bare(&first);
	open_bare(&second);
	rota_idle_begin(&idle);
	close_bare(&first);
	close_bare(&second);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	seen->ended[0] = rota_idle_end(&idle);
	return 0;
}

static int drain_after_close(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, wait_idle_after_close, seen);
	seen->codes[1] = rota_sleep(5);
	rota_group_drain(&group, ROTA_NEVER);
	return error | rota_group_wait(&group);
}

static void a_drain_finds_the_idle_section_that_was_inside(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(drain_after_close, &seen), 0);
	assert_int_equal(seen.codes[0], -ESHUTDOWN);
	assert_int_equal(seen.times_ns[0], 5);
	assert_true(seen.ended[0]);
}

static int close_cancelled(void *arg)
{
	struct seen *seen = arg;
	struct rota_scope scopes[2];
	struct rota_deadline deadline;
	struct rota_shield shield;

	rota_deadline_begin(&deadline, 0);
	open_bare(&scopes[0]);
	rota_shield_begin(&shield, ROTA_NEVER);
	open_bare(&scopes[1]);
	close_bare(&scopes[0]);
	seen->codes[0] = rota_sleep(1);
	close_bare(&scopes[1]);
	rota_shield_end(&shield);
	seen->codes[1] = rota_sleep(1);
	open_bare(&scopes[0]);
	open_bare(&scopes[1]);
	close_bare(&scopes[0]);
	seen->codes[2] = rota_sleep(1);
	close_bare(&scopes[1]);
	rota_deadline_end(&deadline);
	seen->codes[3] = rota_sleep(1);
	return 0;
}

static void what_is_cancelled_stays_so_and_a_shield_shields(void **state)
{
	struct seen seen = { .codes = { 1, 1, 1, 1 } };

	(void)state;
	assert_int_equal(test_run_timed(close_cancelled, &seen), 0);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_int_equal(seen.codes[2], -ETIME);
	assert_int_equal(seen.codes[3], 0);
}

/* Opens and closes by chance; what is innermost, and what ends it, is told by
 * a plain array. */
#define HELD_MAX 12
#define STEPS 20000u

struct random_run {
	struct test_random random;
	struct rota_scope scopes[HELD_MAX]; /* bare ones, by their number */
	struct rota_scope *chain[HELD_MAX]; /* those open, innermost last */
	unsigned count;                     /* of them */
	unsigned wrong;                     /* looks that found another one */
};

static bool chain_holds(const struct random_run *run, const void *outside)
{
	const struct rota_scope *scope = innermost();

	for (unsigned i = run->count; i > 0; i--) {
		if (scope != run->chain[i - 1])
			return false;
		scope = scope->parent;
	}
	return scope == outside;
}

static void open_or_close(struct random_run *run)
{
	struct rota_scope *scope =
		&run->scopes[test_random_below(&run->random, HELD_MAX)];
	unsigned at = 0;

	while (at < run->count && run->chain[at] != scope)
		at++;
	if (at == run->count) {
		open_bare(scope);
		run->chain[run->count++] = scope;
		return;
	}
	close_bare(scope);
	run->count--;
	for (; at < run->count; at++)
		run->chain[at] = run->chain[at + 1];
}

static int open_and_close(void *arg)
{
	struct random_run *run = arg;
	const void *outside = innermost();

	for (unsigned i = test_rounds(STEPS); i > 0; i--) {
		open_or_close(run);
		run->wrong += !chain_holds(run, outside);
	}
	while (run->count)
		close_bare(run->chain[--run->count]);
	return rota_yield();
}

static void any_order_leaves_the_others_in_theirs(void **state)
{
	struct random_run run = { .count = 0 };

	(void)state;
	test_random_init(&run.random);
	assert_int_equal(test_run_timed(open_and_close, &run), 0);
	assert_int_equal(run.wrong, 0);
}

static int end_around(void *arg)
{
	struct rota_deadline deadline;
	struct rota_scope scope;

	(void)arg;
	rota_deadline_begin(&deadline, ROTA_NEVER);
	open_bare(&scope);
	return rota_deadline_end(&deadline);
}

static int close_twice(void *arg)
{
	struct rota_scope scope;

	(void)arg;
	open_bare(&scope);
	close_bare(&scope);
	close_bare(&scope);
	return 0;
}

static int close_outer_twice(void *arg)
{
	struct rota_scope scopes[2];

	(void)arg;
	open_bare(&scopes[0]);
	open_bare(&scopes[1]);
	close_bare(&scopes[0]);
	close_bare(&scopes[0]);
	return 0;
}

static int close_unopened(void *arg)
{
	struct rota_scope scope = { .parent = NULL };

	(void)arg;
	close_bare(&scope);
	return 0;
}

static int close_value(void *value)
{
	close_bare(*(struct rota_scope **)value);
	return 0;
}

static int let_another_close_it(void *arg)
{
	struct rota_group group;
	struct rota_scope scope;
	int error;

	(void)arg;
	rota_group_open(&group, NULL);
	open_bare(&scope);
	error = rota_go(&group, close_value, &scope);
	return error | rota_yield();
}

static void misuse_is_named(void **state)
{
	(void)state;
	test_expect_abort(end_around,
			  "the bare scope opened here is still open");
	test_expect_abort(close_twice,
			  "the bare scope opened here has ended already");
	test_expect_abort(close_outer_twice,
			  "the bare scope opened here has ended already");
	test_expect_abort(close_unopened, "for what is not open");
	test_expect_abort(let_another_close_it,
			  "the bare scope opened here is another task's");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_can_be_closed_in_the_order_of_opening),
		cmocka_unit_test(
			what_is_inside_one_that_was_taken_out_still_ends),
		cmocka_unit_test(members_of_a_group_in_it_are_told_too),
		cmocka_unit_test(
			a_drain_finds_the_idle_section_that_was_inside),
		cmocka_unit_test(
			what_is_cancelled_stays_so_and_a_shield_shields),
		cmocka_unit_test(any_order_leaves_the_others_in_theirs),
		cmocka_unit_test(misuse_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
