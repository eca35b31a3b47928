/* SPDX-License-Identifier: MIT */
/*
 * Stories of one task and its scopes: where it learns that it is cancelled, and
 * what it can do then. The scenarios are those that Trio's cancel scopes are
 * tested with.
 */
#include "loop/loop.h"
#include "rota/rota.h"
#include "support/story.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	struct test_trail trail;
	struct test_kernel *kernel;
	struct rota_group group;
	int codes[12];
	bool came[3];
	int64_t times_ns[3];
	int pair[2];
};

static const struct rota_cancellation no_cause;

/* Every verb that may wait tells it, and tells it again; release verbs do
 * their work. */
static int ask_every_verb(struct seen *seen, int *codes)
{
	const int pipe_end = dup(STDERR_FILENO);
	struct actor child = { &seen->trail, "child", 0, 0, 0 };
	char byte;

	codes[0] = rota_yield();
	codes[1] = rota_sleep(0);
	codes[2] = rota_sleep_until(ROTA_NEVER);
	codes[3] = rota_read(seen->pair[0], &byte, 1);
	codes[4] = rota_write(seen->pair[1], "a", 1);
	codes[5] = rota_go(&seen->group, act, child);
	codes[6] = rota_try_go(&seen->group, act, child);
	codes[7] = rota_go_background(&seen->group, act, child);
	codes[8] = rota_cancelled();
	codes[9] = rota_open("/dev/null", O_RDONLY, 0);
	return rota_close(pipe_end);
}

static int cancel_and_ask(void *arg)
{
	struct seen *seen = arg;
	struct rota_group other;
	int error = pipe2(seen->pair, O_CLOEXEC), again[10];

	rota_group_open(&seen->group, NULL);
	rota_group_open(&other, NULL);
	error |= rota_yield();
	rota_group_cancel(&other, no_cause);
	rota_group_cancel(&other, (struct rota_cancellation){ -EIO, "again" });
	error |= ask_every_verb(seen, seen->codes);
	error |= ask_every_verb(seen, again);
	error |= memcmp(seen->codes, again, sizeof(again));
	seen->codes[10] = rota_group_wait(&other);
	/* Out of it, all is well again. */
	seen->codes[11] = rota_write(seen->pair[1], "a", 1);
	error |= rota_close(seen->pair[0]) | rota_close(seen->pair[1]);
	return rota_group_wait(&seen->group) | error;
}

static void every_verb_tells_it_each_time_and_release_verbs_never(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_and_ask, &seen), 0);
	for (int i = 0; i < 11; i++)
		assert_int_equal(seen.codes[i], -ECANCELED);
	assert_int_equal(seen.codes[11], 1);
	assert_string_equal(seen.trail.text, "");
}

/* Nothing asked between the cancel and the end. */
static int cancel_after_the_work(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline limit;

	rota_group_open(&seen->group, NULL);
	rota_deadline_begin(&limit, rota_after_ns(10));
	seen->codes[0] = rota_sleep(5);
	rota_group_cancel(&seen->group, no_cause);
	rota_shutdown(-1, 0);
	seen->came[0] = rota_deadline_end(&limit);
	seen->codes[1] = rota_group_wait(&seen->group);
	return rota_sleep(20);
}

static void
a_cancel_after_the_work_is_done_is_met_by_nothing_later(void **state)
{
	struct seen seen = { .came = { true } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_after_the_work, &seen), 0);
	assert_int_equal(seen.codes[0], 0);
	assert_false(seen.came[0]);
	assert_int_equal(seen.codes[1], -ECANCELED);
}

/* Of three that nest, two are cancelled at once, the inner one first. */
static int cancel_two_of_three(void *arg)
{
	struct seen *seen = arg;
	struct rota_group outer, middle, inner;

	rota_group_open(&outer, NULL);
	rota_group_open(&middle, NULL);
	rota_group_open(&inner, NULL);
	rota_group_cancel(&inner, (struct rota_cancellation){ -EDOM, NULL });
	rota_group_cancel(&middle, (struct rota_cancellation){ -EIO, NULL });
	seen->codes[0] = rota_sleep_until(ROTA_NEVER);
	seen->codes[1] = rota_group_wait(&inner);
	seen->codes[2] = rota_sleep_until(ROTA_NEVER);
	seen->codes[3] = rota_group_wait(&middle);
	seen->codes[4] = rota_sleep(1);
	return rota_group_wait(&outer);
}

static void the_outermost_that_is_cancelled_is_where_it_ends(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_two_of_three, &seen), 0);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[1], -EDOM);
	assert_int_equal(seen.codes[2], -ECANCELED);
	assert_int_equal(seen.codes[3], -EIO);
	assert_int_equal(seen.codes[4], 0);
}

/* In and out of shields; nothing but the task itself can take one away. */
static int change_shields(void *arg)
{
	struct seen *seen = arg;
	struct rota_shield shield;
	struct rota_group inner;

	rota_group_open(&seen->group, NULL);
	seen->codes[0] = rota_sleep(1);
	rota_group_cancel(&seen->group, no_cause);
	seen->codes[1] = rota_sleep(1);
	rota_shield_begin(&shield, ROTA_NEVER);
	seen->codes[2] = rota_sleep(1);
	rota_group_open(&inner, NULL);
	rota_group_cancel(&inner, no_cause);
	seen->codes[3] = rota_sleep(1);
	seen->codes[4] = rota_group_wait(&inner);
	seen->codes[5] = rota_sleep(1);
	seen->came[0] = rota_shield_end(&shield);
	seen->codes[6] = rota_sleep(1);
	rota_shield_begin(&shield, 10);
	seen->codes[7] = rota_sleep(9);
	seen->codes[8] = rota_sleep(9);
	seen->times_ns[0] = test_now_ns();
	seen->came[1] = rota_shield_end(&shield);
	seen->codes[9] = rota_sleep(1);
	return rota_group_wait(&seen->group);
}

static void a_task_goes_in_and_out_of_shields_as_it_likes(void **state)
{
	static const int codes[] = { 0, -ECANCELED, 0, -ECANCELED, -ECANCELED,
				     0, -ECANCELED, 0, -ETIME,     -ECANCELED };
	struct seen seen = { .came = { true } };

	(void)state;
	assert_int_equal(test_run_timed(change_shields, &seen), -ECANCELED);
	for (unsigned i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		assert_int_equal(seen.codes[i], codes[i]);
	assert_false(seen.came[0]);
	assert_true(seen.came[1]);
	/* 1 before, 1 and 1 in the first shield, 10 in the second. */
	assert_int_equal(seen.times_ns[0], 13);
}

/* Shields in shields: each grace runs from the end of what is around. */
static int nest_shields(void *arg)
{
	struct seen *seen = arg;
	struct rota_shield outer, inner;
	struct rota_deadline limit;

	rota_deadline_begin(&limit, rota_after_ns(10));
	rota_shield_begin(&outer, 20);
	rota_shield_begin(&inner, 30);
	seen->codes[0] = rota_sleep_until(ROTA_NEVER);
	seen->times_ns[0] = test_now_ns();
	seen->came[0] = rota_shield_end(&inner);
	seen->codes[1] = rota_sleep_until(ROTA_NEVER);
	seen->came[1] = rota_shield_end(&outer);
	seen->codes[2] = rota_sleep_until(ROTA_NEVER);
	seen->came[2] = rota_deadline_end(&limit);
	seen->times_ns[1] = test_now_ns();
	return rota_cancelled();
}

static void graces_add_up_from_the_outside_in(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(nest_shields, &seen), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(seen.codes[i], -ETIME);
		assert_true(seen.came[i]);
	}
	assert_int_equal(seen.times_ns[0], 10 + 20 + 30);
	assert_int_equal(seen.times_ns[1], 10 + 20 + 30);
}

/* Whichever was armed last: a time that both have belongs to the outer one. */
static int expire_at_once(void *arg)
{
	struct seen *seen = arg;
	const int64_t early_ns = seen->times_ns[0];
	const int64_t when_ns = TEST_START_NS + seen->times_ns[1];
	struct rota_deadline outer, inner;

	rota_deadline_begin(&outer, when_ns);
	seen->codes[0] = rota_sleep_until(when_ns - early_ns);
	rota_deadline_begin(&inner, when_ns);
	seen->codes[1] = rota_sleep_until(ROTA_NEVER);
	seen->came[0] = rota_deadline_end(&inner);
	seen->codes[2] = rota_sleep(1);
	seen->came[1] = rota_deadline_end(&outer);
	return rota_sleep(1);
}

static void of_two_that_come_at_once_the_outermost_decides(void **state)
{
	static const int64_t times_ns[][2] = {
		{ 50, 50 },
		{ 10, ROTA_MILLISECOND },
		{ ROTA_MILLISECOND, ROTA_SECOND },
		{ 1, 1000 * ROTA_SECOND },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(times_ns) / sizeof(*times_ns); i++) {
		struct seen seen = { .times_ns = { times_ns[i][0],
						   times_ns[i][1] } };

		assert_int_equal(test_run_timed(expire_at_once, &seen), 0);
		assert_int_equal(seen.codes[0], 0);
		assert_int_equal(seen.codes[1], -ETIME);
		assert_int_equal(seen.codes[2], -ETIME);
		assert_false(seen.came[0]);
		assert_true(seen.came[1]);
	}
}

/* A busy task, for which time passes without a wait. */
static int be_busy_past_the_time(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline limit;
	int yields = 0;

	rota_deadline_begin(&limit, rota_after_ns(5));
	seen->codes[0] = rota_yield();
	seen->kernel->clock_ns += 10;
	while (!rota_yield())
		yields++;
	seen->came[0] = rota_deadline_end(&limit);
	return yields;
}

/* Differs by design: the time is looked at once a turn, not at each yield. */
static void who_only_yields_learns_that_his_time_is_over(void **state)
{
	struct test_kernel kernel;
	struct seen seen = { .kernel = &kernel };

	(void)state;
	assert_true(test_run_timed_with(NULL, &kernel, be_busy_past_the_time,
					&seen) <= RI_TURN_SWITCHES);
	assert_int_equal(seen.codes[0], 0);
	assert_true(seen.came[0]);
}

/* Mirrors are tried, a second each, three and a half in all. */
struct mirrors {
	struct test_trail trail;
	int64_t take_ns[6];
	int64_t ended_ns;
	bool all_came; /* the time for all of them */
};

static int try_mirror(struct test_trail *trail, int64_t takes_ns)
{
	struct rota_deadline limit;
	int code;

	rota_deadline_begin(&limit, rota_after_ns(ROTA_SECOND));
	code = rota_sleep(takes_ns);
	if (rota_deadline_end(&limit))
		test_trail_add(trail, "slow ");
	else
		test_trail_add(trail, code ? "late " : "found ");
	return code;
}

static int try_mirrors(void *arg)
{
	struct mirrors *mirrors = arg;
	struct rota_deadline all;

	rota_deadline_begin(&all, rota_after_ns(7 * ROTA_SECOND / 2));
	for (int i = 0; i < 6 && !rota_cancelled(); i++)
		if (!try_mirror(&mirrors->trail, mirrors->take_ns[i]))
			break;
	mirrors->all_came = rota_deadline_end(&all);
	mirrors->ended_ns = test_now_ns();
	return rota_cancelled();
}

static void a_time_for_each_try_and_one_for_all_of_them(void **state)
{
	struct mirrors one = { .take_ns = { ROTA_NEVER, ROTA_SECOND / 4 } };
	struct mirrors none = { .take_ns = { ROTA_NEVER, ROTA_NEVER, ROTA_NEVER,
					     ROTA_NEVER, ROTA_NEVER } };

	(void)state;
	assert_int_equal(test_run_timed(try_mirrors, &one), 0);
	assert_string_equal(one.trail.text, "slow found ");
	assert_false(one.all_came);
	assert_int_equal(one.ended_ns, 5 * ROTA_SECOND / 4);
	assert_int_equal(test_run_timed(try_mirrors, &none), 0);
	assert_string_equal(none.trail.text, "slow slow slow late ");
	assert_true(none.all_came);
	assert_int_equal(none.ended_ns, 7 * ROTA_SECOND / 2);
}

/* One whose operation the kernel does not give back yet. */
static int recv_slowly(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_deadline limit;
	char byte;

	rota_deadline_begin(&limit, rota_after_ns(5));
	test_trail_add(&seen->trail, "asks ");
	seen->codes[0] = rota_recv(seen->pair[0], &byte, 1, 0);
	story_note(&seen->trail, "gets", seen->codes[0]);
	seen->codes[1] = rota_recv(seen->pair[0], &byte, 1, MSG_DONTWAIT);
	seen->came[0] = rota_deadline_end(&limit);
	return seen->codes[1];
}

static int cancel_a_slow_one(void *arg)
{
	static int recv_opcode = IORING_OP_RECV;
	struct seen *seen = arg;
	int error =
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, seen->pair);

	rota_group_open(&seen->group, NULL);
	error |= rota_go(&seen->group, recv_slowly, seen);
	test_kernel_hold(seen->kernel, test_hold_opcode, &recv_opcode);
	error |= rota_sleep(1);
	error |= write(seen->pair[1], "ab", 2) != 2;
	error |= rota_sleep(10);
	test_trail_add(&seen->trail, "expired ");
	rota_group_cancel(&seen->group, no_cause);
	rota_group_cancel(&seen->group, no_cause);
	for (int i = 0; i < 5; i++)
		rota_shutdown(-1, 0);
	test_trail_add(&seen->trail, "cancelled ");
	test_kernel_hold(seen->kernel, NULL, NULL);
	test_kernel_release_all(seen->kernel);
	seen->codes[2] = rota_group_wait(&seen->group);
	rota_close(seen->pair[0]);
	rota_close(seen->pair[1]);
	return error;
}

static void a_result_that_is_slow_to_come_is_not_lost_to_a_cancel(void **state)
{
	struct test_kernel kernel;
	struct seen seen = { .kernel = &kernel };

	(void)state;
	assert_int_equal(test_run_timed_with(NULL, &kernel, cancel_a_slow_one,
					     &seen),
			 0);
	assert_string_equal(seen.trail.text, "asks expired cancelled gets ");
	assert_int_equal(seen.codes[0], 1);
	assert_int_equal(seen.codes[1], -ECANCELED);
	assert_true(seen.came[0]);
	assert_int_equal(seen.codes[2], -ECANCELED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			every_verb_tells_it_each_time_and_release_verbs_never),
		cmocka_unit_test(
			a_cancel_after_the_work_is_done_is_met_by_nothing_later),
		cmocka_unit_test(
			the_outermost_that_is_cancelled_is_where_it_ends),
		cmocka_unit_test(a_task_goes_in_and_out_of_shields_as_it_likes),
		cmocka_unit_test(graces_add_up_from_the_outside_in),
		cmocka_unit_test(
			of_two_that_come_at_once_the_outermost_decides),
		cmocka_unit_test(who_only_yields_learns_that_his_time_is_over),
		cmocka_unit_test(a_time_for_each_try_and_one_for_all_of_them),
		cmocka_unit_test(
			a_result_that_is_slow_to_come_is_not_lost_to_a_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
