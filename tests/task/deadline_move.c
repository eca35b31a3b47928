/* SPDX-License-Identifier: MIT */
/*
 * Deadlines that are moved, under a clock of the test's.
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LONG_NS 1000
#define MOVES_MAX 4

/* A deadline that begins and is moved to points in time, then a long sleep. */
struct moves {
	struct test_kernel kernel;
	int64_t begin_ns;             /* from the start, as all here */
	int64_t points_ns[MOVES_MAX]; /* one after the other */
	unsigned count;               /* of them */
	bool moved[MOVES_MAX];        /* what moving said */
	int code;                     /* of the sleep */
	int64_t time_ns;              /* after it */
	bool ended;                   /* what ending said */
	int64_t timer_ns;             /* where it was on the wheel */
};

static int64_t point(int64_t time_ns)
{
	return time_ns == ROTA_NEVER ? ROTA_NEVER : TEST_START_NS + time_ns;
}

static int begin_and_move(void *arg)
{
	struct moves *moves = arg;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, point(moves->begin_ns));
	for (unsigned i = 0; i < moves->count; i++)
		moves->moved[i] = rota_deadline_move(
			&deadline, point(moves->points_ns[i]));
	moves->timer_ns = deadline.scope.timer.deadline_ns - TEST_START_NS;
	moves->code = rota_sleep(LONG_NS);
	moves->time_ns = test_now_ns();
	moves->ended = rota_deadline_end(&deadline);
	return rota_cancelled();
}

static void run_moves(struct moves *moves)
{
	assert_int_equal(test_run_timed_with(NULL, &moves->kernel,
					     begin_and_move, moves),
			 0);
	for (unsigned i = 0; i < moves->count; i++)
		assert_true(moves->moved[i]);
}

static void assert_came(const struct moves *moves, int64_t time_ns)
{
	assert_int_equal(moves->code, -ETIME);
	assert_int_equal(moves->time_ns, time_ns);
	assert_true(moves->ended);
}

static void assert_did_not_come(const struct moves *moves)
{
	assert_int_equal(moves->code, 0);
	assert_int_equal(moves->time_ns, LONG_NS);
	assert_false(moves->ended);
}

static void moved_later_it_comes_later(void **state)
{
	struct moves moves = { .begin_ns = 10,
			       .points_ns = { 100 },
			       .count = 1 };

	(void)state;
	run_moves(&moves);
	assert_came(&moves, 100);
}

static void moved_later_it_stays_where_it_is_on_the_wheel(void **state)
{
	struct moves moves = { .begin_ns = 10,
			       .points_ns = { 100, 10, 300, 200 },
			       .count = 4 };

	(void)state;
	run_moves(&moves);
	assert_int_equal(moves.timer_ns, 10);
	assert_came(&moves, 200);
}

static void moved_earlier_it_comes_earlier(void **state)
{
	struct moves moves = { .begin_ns = 100,
			       .points_ns = { 10 },
			       .count = 1 };

	(void)state;
	run_moves(&moves);
	assert_came(&moves, 10);
}

static void the_last_move_counts(void **state)
{
	struct moves moves = { .begin_ns = 100,
			       .points_ns = { 300, 50, 400, 70 },
			       .count = 4 };

	(void)state;
	run_moves(&moves);
	assert_came(&moves, 70);
}

static void moved_to_the_past_it_comes_at_once(void **state)
{
	const int64_t past_ns[] = { 0, -1, -TEST_START_NS, INT64_MIN / 2 };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct moves moves = { .begin_ns = i < 2 ? 100 : ROTA_NEVER,
				       .points_ns = { past_ns[i] },
				       .count = 1 };

		run_moves(&moves);
		assert_came(&moves, 0);
	}
}

static void moved_to_never_it_never_comes(void **state)
{
	struct moves moves = { .begin_ns = 10,
			       .points_ns = { ROTA_NEVER },
			       .count = 1 };

	(void)state;
	run_moves(&moves);
	assert_did_not_come(&moves);
}

static void moved_from_never_it_comes(void **state)
{
	struct moves moves = { .begin_ns = ROTA_NEVER,
			       .points_ns = { ROTA_NEVER, 20 },
			       .count = 2 };

	(void)state;
	run_moves(&moves);
	assert_came(&moves, 20);
}

static int wait_for_ever(void *arg)
{
	struct rota_deadline deadline;

	(void)arg;
	rota_deadline_begin(&deadline, rota_after_ns(1));
	rota_deadline_move(&deadline, ROTA_NEVER);
	return rota_sleep_until(ROTA_NEVER);
}

static void moved_to_never_it_keeps_no_deadlock_alive(void **state)
{
	(void)state;
	test_expect_abort(wait_for_ever, "deadlock");
}

struct seen {
	struct test_kernel kernel;
	int codes[4];
	bool moved[4];
	bool ended[4];
	int64_t times_ns[4];
};

static void run(int (*fn)(void *), struct seen *seen)
{
	assert_int_equal(test_run_timed_with(NULL, &seen->kernel, fn, seen), 0);
}

/* The clock was read, but the turn is not over: it has not come. */
static int move_overdue(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, point(5));
	seen->kernel.clock_ns += 10;
	rota_now_ns();
	seen->moved[0] = rota_deadline_move(&deadline, point(20));
	seen->codes[0] = rota_cancelled();
	seen->moved[1] = rota_deadline_move(&deadline, point(7));
	seen->codes[1] = rota_cancelled();
	seen->ended[0] = rota_deadline_end(&deadline);
	return 0;
}

static void a_point_between_the_old_one_and_now_is_past(void **state)
{
	struct seen seen = { .codes = { 1, 1 } };

	(void)state;
	run(move_overdue, &seen);
	assert_true(seen.moved[0]);
	assert_int_equal(seen.codes[0], 0);
	assert_true(seen.moved[1]);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_true(seen.ended[0]);
}

static int move_expired(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, point(5));
	seen->codes[0] = rota_sleep(10);
	seen->moved[0] = rota_deadline_move(&deadline, point(20));
	seen->moved[1] = rota_deadline_move(&deadline, ROTA_NEVER);
	seen->moved[2] = rota_deadline_move(&deadline, point(1));
	seen->codes[1] = rota_sleep(1);
	seen->ended[0] = rota_deadline_end(&deadline);
	seen->codes[2] = rota_sleep(1);
	return 0;
}

static void what_has_come_is_not_revived(void **state)
{
	struct seen seen = { .moved = { true, true, true } };

	(void)state;
	run(move_expired, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	for (int i = 0; i < 3; i++)
		assert_false(seen.moved[i]);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_true(seen.ended[0]);
	assert_int_equal(seen.codes[2], 0);
}

static int move_cancelled(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline outer, inner;

	rota_deadline_begin(&outer, point(5));
	rota_deadline_begin(&inner, point(50));
	seen->codes[0] = rota_sleep(100);
	seen->moved[0] = rota_deadline_move(&inner, point(0));
	seen->moved[1] = rota_deadline_move(&inner, point(100));
	seen->codes[1] = rota_cancelled();
	seen->ended[0] = rota_deadline_end(&inner);
	seen->ended[1] = rota_deadline_end(&outer);
	return 0;
}

static void one_that_another_scope_has_ended_stays_ended_by_it(void **state)
{
	struct seen seen = { .ended = { true, false } };

	(void)state;
	run(move_cancelled, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_true(seen.moved[0]);
	assert_true(seen.moved[1]);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_false(seen.ended[0]);
	assert_true(seen.ended[1]);
}

static int move_around(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline outer, inner;

	rota_deadline_begin(&outer, point(50));
	rota_deadline_begin(&inner, point(100));
	seen->moved[0] = rota_deadline_move(&outer, point(200));
	seen->codes[0] = rota_sleep(LONG_NS);
	seen->times_ns[0] = test_now_ns();
	seen->ended[0] = rota_deadline_end(&inner);
	seen->codes[1] = rota_sleep(LONG_NS);
	seen->times_ns[1] = test_now_ns();
	seen->ended[1] = rota_deadline_end(&outer);
	return 0;
}

static void one_that_is_not_innermost_is_moved_too(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	run(move_around, &seen);
	assert_true(seen.moved[0]);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.times_ns[0], 100);
	assert_true(seen.ended[0]);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_int_equal(seen.times_ns[1], 200);
	assert_true(seen.ended[1]);
}

/* All three are due when the turn ends, the outer one last. */
static int move_and_hold_up(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline outer, inner;

	rota_deadline_begin(&outer, point(5));
	rota_deadline_move(&outer, point(9));
	rota_deadline_begin(&inner, point(7));
	seen->kernel.clock_ns += 10;
	seen->codes[0] = rota_sleep(LONG_NS);
	seen->ended[0] = rota_deadline_end(&inner);
	seen->ended[1] = rota_deadline_end(&outer);
	return 0;
}

static void of_several_that_are_due_the_earliest_comes_first(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	run(move_and_hold_up, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_true(seen.ended[0]);
	assert_true(seen.ended[1]);
}

static int end_moved(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, point(5));
	seen->moved[0] = rota_deadline_move(&deadline, point(20));
	seen->ended[0] = rota_deadline_end(&deadline);
	rota_deadline_begin(&deadline, point(50));
	seen->codes[0] = rota_sleep(40);
	seen->codes[1] = rota_sleep(LONG_NS);
	seen->times_ns[0] = test_now_ns();
	seen->ended[1] = rota_deadline_end(&deadline);
	return 0;
}

static void one_that_is_begun_again_was_not_moved(void **state)
{
	struct seen seen = { .ended = { true, false } };

	(void)state;
	run(end_moved, &seen);
	assert_true(seen.moved[0]);
	assert_false(seen.ended[0]);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_int_equal(seen.times_ns[0], 50);
	assert_true(seen.ended[1]);
}

#define MESSAGES 1000
#define IDLE_NS 100

/* Messages come just in time, then none. */
static int be_idle(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline idle;

	rota_deadline_begin(&idle, rota_after_ns(IDLE_NS));
	for (int i = 0; i < MESSAGES; i++) {
		seen->codes[0] |= rota_sleep(IDLE_NS - 1);
		rota_deadline_move(&idle, rota_after_ns(IDLE_NS));
	}
	seen->codes[1] = rota_sleep(LONG_NS);
	seen->times_ns[0] = test_now_ns();
	seen->ended[0] = rota_deadline_end(&idle);
	return 0;
}

static void an_idle_time_out_comes_after_the_last_message(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	run(be_idle, &seen);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_int_equal(seen.times_ns[0], MESSAGES * (IDLE_NS - 1) + IDLE_NS);
	assert_true(seen.ended[0]);
}

static int move_ended(void *arg)
{
	struct rota_deadline deadline;

	(void)arg;
	TEST_NEXT_LINE();
	rota_deadline_begin(&deadline, ROTA_NEVER);
	rota_deadline_end(&deadline);
	return rota_deadline_move(&deadline, 0);
}

static int move_unopened(void *arg)
{
	struct rota_deadline deadline = { .moved_ns = 0 };

	(void)arg;
	return rota_deadline_move(&deadline, 0);
}

static int move_value(void *value)
{
	return rota_deadline_move(*(struct rota_deadline **)value, 0);
}

static int let_another_move_it(void *arg)
{
	struct rota_group group;
	struct rota_deadline deadline;
	int error;

	(void)arg;
	TEST_NEXT_LINE();
	rota_deadline_begin(&deadline, ROTA_NEVER);
	rota_group_open(&group, NULL);
	error = rota_go(&group, move_value, &deadline);
	return error | rota_group_wait(&group);
}

static void only_the_task_that_has_it_open_moves_it(void **state)
{
	(void)state;
	test_expect_abort(move_ended,
			  "the deadline opened here has ended already");
	test_expect_abort(move_unopened, "for what is not open");
	test_expect_abort(let_another_move_it,
			  "the deadline opened here is another task's");
	test_expect_abort_outside(move_unopened, "is called outside of a task");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(moved_later_it_comes_later),
		cmocka_unit_test(moved_later_it_stays_where_it_is_on_the_wheel),
		cmocka_unit_test(moved_earlier_it_comes_earlier),
		cmocka_unit_test(the_last_move_counts),
		cmocka_unit_test(moved_to_the_past_it_comes_at_once),
		cmocka_unit_test(moved_to_never_it_never_comes),
		cmocka_unit_test(moved_to_never_it_keeps_no_deadlock_alive),
		cmocka_unit_test(moved_from_never_it_comes),
		cmocka_unit_test(a_point_between_the_old_one_and_now_is_past),
		cmocka_unit_test(what_has_come_is_not_revived),
		cmocka_unit_test(
			one_that_another_scope_has_ended_stays_ended_by_it),
		cmocka_unit_test(one_that_is_not_innermost_is_moved_too),
		cmocka_unit_test(
			of_several_that_are_due_the_earliest_comes_first),
		cmocka_unit_test(one_that_is_begun_again_was_not_moved),
		cmocka_unit_test(an_idle_time_out_comes_after_the_last_message),
		cmocka_unit_test(only_the_task_that_has_it_open_moves_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
