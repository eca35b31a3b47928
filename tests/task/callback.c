/* SPDX-License-Identifier: MIT */
/*
 * Callbacks on cancel: when they are called, how often, and what they may do.
 * Under a clock of the test's; times are counted from its start.
 */
#include "rota/rota.h"
#include "support/timed.h"
#include "support/trail.h"
#include "task/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#define CALLBACKS 1000

static const struct rota_cancellation enough = { -EPIPE, "enough" };

struct seen {
	struct rota_group group, others;
	struct test_trail trail;
	unsigned calls;    /* of the callback */
	int64_t called_ns; /* the last time */
	unsigned counts[3];
	bool prevented[2]; /* what ends said */
	int codes[4];
	int pair[2];
};

/* A release verb that is done at once: it suspends for a turn, also in a
 * cancelled task. */
static void let_turn(void)
{
	rota_close(-1);
}

static void count_call(void *arg)
{
	struct seen *seen = arg;

	seen->calls++;
	seen->called_ns = test_now_ns();
}

static int cancel_and_look(void *arg)
{
	struct seen *seen = arg;
	struct rota_callback callback;

	rota_group_open(&seen->group, NULL);
	rota_callback_begin(&callback, count_call, seen);
	let_turn();
	seen->counts[0] = seen->calls;
	rota_group_cancel(&seen->group, enough);
	seen->counts[1] = seen->calls;
	let_turn();
	let_turn();
	rota_group_cancel(&seen->group, enough);
	let_turn();
	seen->counts[2] = seen->calls;
	seen->prevented[0] = rota_callback_end(&callback);
	return rota_group_wait(&seen->group) == -EPIPE ? 0 : -EPROTO;
}

static void it_is_called_once_after_the_canceller_has_suspended(void **state)
{
	struct seen seen = { .prevented = { true } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_and_look, &seen), 0);
	assert_int_equal(seen.counts[0], 0);
	assert_int_equal(seen.counts[1], 0);
	assert_int_equal(seen.counts[2], 1);
	assert_false(seen.prevented[0]);
	assert_int_equal(seen.calls, 1);
}

static int begin_cancelled(void *arg)
{
	struct seen *seen = arg;
	struct rota_callback callback;

	rota_group_open(&seen->group, NULL);
	rota_group_cancel(&seen->group, enough);
	rota_callback_begin(&callback, count_call, seen);
	seen->counts[0] = seen->calls;
	let_turn();
	seen->counts[1] = seen->calls;
	seen->prevented[0] = rota_callback_end(&callback);
	return rota_group_wait(&seen->group) == -EPIPE ? 0 : -EPROTO;
}

static void begun_in_a_cancelled_scope_it_is_called_soon(void **state)
{
	struct seen seen = { .prevented = { true } };

	(void)state;
	assert_int_equal(test_run_timed(begin_cancelled, &seen), 0);
	assert_int_equal(seen.counts[0], 0);
	assert_int_equal(seen.counts[1], 1);
	assert_false(seen.prevented[0]);
}

static int end_before(void *arg)
{
	struct seen *seen = arg;
	struct rota_callback callback;

	rota_group_open(&seen->group, NULL);
	rota_callback_begin(&callback, count_call, seen);
	seen->prevented[0] = rota_callback_end(&callback);
	rota_callback_begin(&callback, count_call, seen);
	rota_group_cancel(&seen->group, enough);
	seen->prevented[1] = rota_callback_end(&callback);
	let_turn();
	return rota_group_wait(&seen->group) == -EPIPE ? 0 : -EPROTO;
}

static void ended_before_it_is_called_it_never_is(void **state)
{
	struct seen seen = { .prevented = { false } };

	(void)state;
	assert_int_equal(test_run_timed(end_before, &seen), 0);
	assert_true(seen.prevented[0]);
	assert_true(seen.prevented[1]);
	assert_int_equal(seen.calls, 0);
}

static int begin_twice(void *arg)
{
	struct seen *seen = arg;
	struct rota_callback callback;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, 0);
	rota_callback_begin(&callback, count_call, seen);
	let_turn();
	seen->prevented[0] = rota_callback_end(&callback);
	rota_deadline_end(&deadline);
	rota_callback_begin(&callback, count_call, seen);
	let_turn();
	seen->prevented[1] = rota_callback_end(&callback);
	return 0;
}

static void one_that_was_called_can_be_begun_again(void **state)
{
	struct seen seen = { .prevented = { true, false } };

	(void)state;
	assert_int_equal(test_run_timed(begin_twice, &seen), 0);
	assert_false(seen.prevented[0]);
	assert_true(seen.prevented[1]);
	assert_int_equal(seen.calls, 1);
}

static void send_goodbye(void *arg)
{
	struct seen *seen = arg;

	count_call(seen);
	seen->codes[0] = (int)send(seen->pair[1], "x", 1, 0);
}

/* What it waits in is shielded: only the callback can end it. */
static int wait_for_the_callback(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_callback callback;
	struct rota_shield shield;
	char byte;

	rota_callback_begin(&callback, send_goodbye, seen);
	rota_shield_begin(&shield, ROTA_NEVER);
	seen->codes[1] = rota_recv(seen->pair[0], &byte, 1, 0);
	rota_shield_end(&shield);
	seen->prevented[0] = rota_callback_end(&callback);
	return 0;
}

static int cancel_who_waits(void *arg)
{
	struct seen *seen = arg;
	int error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, seen->pair))
		return -errno;
	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, wait_for_the_callback, seen);
	error |= rota_sleep(5);
	rota_group_cancel(&seen->group, enough);
	if (rota_group_wait(&seen->group) != -EPIPE)
		error = -EPROTO;
	rota_close(seen->pair[0]);
	rota_close(seen->pair[1]);
	return error;
}

static void it_ends_what_the_engine_cannot_cancel(void **state)
{
	struct seen seen = { .prevented = { true } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_who_waits, &seen), 0);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.codes[0], 1);
	assert_int_equal(seen.codes[1], 1);
	assert_false(seen.prevented[0]);
}

static int expire(void *arg)
{
	struct seen *seen = arg;
	struct rota_callback callback;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, rota_after_ns(10));
	rota_callback_begin(&callback, count_call, seen);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	let_turn();
	seen->prevented[0] = rota_callback_end(&callback);
	rota_deadline_end(&deadline);
	return 0;
}

static void a_deadline_that_comes_calls_it(void **state)
{
	struct seen seen = { .prevented = { true } };

	(void)state;
	assert_int_equal(test_run_timed(expire, &seen), 0);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.called_ns, 10);
	assert_false(seen.prevented[0]);
}

static int shielded(void *arg)
{
	struct seen *seen = arg;
	struct rota_callback callback;
	struct rota_shield shield;

	rota_group_open(&seen->group, NULL);
	rota_shield_begin(&shield, 10);
	rota_callback_begin(&callback, count_call, seen);
	rota_group_cancel(&seen->group, enough);
	seen->codes[0] = rota_sleep(9);
	seen->counts[0] = seen->calls;
	seen->codes[1] = rota_sleep(9);
	let_turn();
	seen->prevented[0] = rota_callback_end(&callback);
	rota_shield_end(&shield);
	return rota_group_wait(&seen->group) == -EPIPE ? 0 : -EPROTO;
}

static void in_a_shield_it_is_called_when_the_grace_is_over(void **state)
{
	struct seen seen = { .prevented = { true } };

	(void)state;
	assert_int_equal(test_run_timed(shielded, &seen), 0);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.counts[0], 0);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.called_ns, 10);
	assert_false(seen.prevented[0]);
}

static int rest(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_callback callback;
	struct rota_idle idle;

	rota_idle_begin(&idle);
	rota_callback_begin(&callback, count_call, seen);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	let_turn();
	seen->prevented[0] = rota_callback_end(&callback);
	rota_idle_end(&idle);
	return seen->codes[0];
}

static int drain_who_rests(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, rest, seen);
	error |= rota_sleep(5);
	rota_group_drain(&seen->group, 10);
	return error | rota_group_wait(&seen->group);
}

static void in_an_idle_section_a_drain_calls_it(void **state)
{
	struct seen seen = { .prevented = { true } };

	(void)state;
	assert_int_equal(test_run_timed(drain_who_rests, &seen), 0);
	assert_int_equal(seen.codes[0], -ESHUTDOWN);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.called_ns, 5);
	assert_false(seen.prevented[0]);
}

static void cancel_around(void *arg)
{
	struct seen *seen = arg;

	count_call(seen);
	rota_group_cancel(&seen->group, enough);
	rota_group_cancel(&seen->group, enough);
}

/* The deadline inside calls it, and it cancels the group around. */
static int cancel_own_group(void *arg)
{
	struct seen *seen = arg;
	struct rota_callback callback;
	struct rota_deadline deadline;

	rota_group_open(&seen->group, NULL);
	rota_deadline_begin(&deadline, rota_after_ns(10));
	rota_callback_begin(&callback, cancel_around, seen);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	let_turn();
	seen->codes[1] = rota_cancelled();
	rota_callback_end(&callback);
	rota_deadline_end(&deadline);
	seen->codes[2] = rota_group_wait(&seen->group);
	return 0;
}

static void it_may_cancel_the_group_around_it(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_own_group, &seen), 0);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.codes[1], -ECANCELED);
	assert_int_equal(seen.codes[2], -EPIPE);
	assert_int_equal(seen.calls, 1);
}

static void note_a(void *arg)
{
	struct seen *seen = arg;

	test_trail_add(&seen->trail, "a");
	rota_group_cancel(&seen->others, enough);
	test_trail_add(&seen->trail, "a");
}

static void note_b(void *arg)
{
	struct seen *seen = arg;

	test_trail_add(&seen->trail, "b");
}

static int wait_with(struct seen *seen, rota_callback_fn *fn)
{
	struct rota_callback callback;
	int code;

	rota_callback_begin(&callback, fn, seen);
	code = rota_sleep(ROTA_SECOND);
	let_turn();
	rota_callback_end(&callback);
	return code;
}

static int wait_with_a(void *value)
{
	return wait_with(*(struct seen **)value, note_a);
}

static int wait_with_b(void *value)
{
	struct seen *seen = *(struct seen **)value;

	return seen->codes[0] = wait_with(seen, note_b);
}

static int chain(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->others, NULL);
	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->others, wait_with_b, seen);
	error |= rota_go(&seen->group, wait_with_a, seen);
	error |= rota_sleep(5);
	rota_group_cancel(&seen->group, enough);
	seen->codes[1] = rota_group_wait(&seen->group);
	seen->codes[2] = rota_group_wait(&seen->others);
	return error;
}

static void one_that_cancels_calls_others_after_it_has_returned(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(chain, &seen), 0);
	assert_string_equal(seen.trail.text, "aab");
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[1], -EPIPE);
	assert_int_equal(seen.codes[2], -EPIPE);
}

static void drain_others(void *arg)
{
	struct seen *seen = arg;

	rota_group_drain(&seen->others, 3);
}

static int rest_then_work(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_idle idle;

	rota_idle_begin(&idle);
	seen->codes[0] = rota_sleep(ROTA_SECOND);
	rota_idle_end(&idle);
	return seen->codes[1] = rota_sleep(ROTA_SECOND);
}

static int drain_by_callback(void *arg)
{
	struct seen *seen = arg;
	struct rota_callback callback;
	struct rota_deadline deadline;
	int error;

	rota_group_open(&seen->others, NULL);
	error = rota_go(&seen->others, rest_then_work, seen);
	rota_deadline_begin(&deadline, rota_after_ns(10));
	rota_callback_begin(&callback, drain_others, seen);
	seen->codes[2] = rota_sleep(ROTA_SECOND);
	let_turn();
	rota_callback_end(&callback);
	rota_deadline_end(&deadline);
	seen->codes[3] = rota_group_wait(&seen->others);
	seen->called_ns = test_now_ns();
	return error;
}

static void it_may_drain_a_group(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(drain_by_callback, &seen), 0);
	assert_int_equal(seen.codes[0], -ESHUTDOWN);
	assert_int_equal(seen.codes[1], -ECANCELED);
	assert_int_equal(seen.codes[3], -ESHUTDOWN);
	assert_int_equal(seen.called_ns, 13);
}

/* One of a thousand in one task. */
struct numbered {
	struct rota_callback callback;
	struct seen *seen;
	unsigned number; /* counted from the outermost, which is 0 */
};

/* An inner one is not called before an outer one. */
static void count_in_order(void *arg)
{
	const struct numbered *one = arg;

	one->seen->counts[0] += one->number == one->seen->calls++;
}

/* Sees how many were called since its last turn. */
static int watch(void *value)
{
	struct seen *seen = *(struct seen **)value;
	unsigned before = 0;

	while (before < CALLBACKS) {
		if (seen->calls - before > seen->counts[1])
			seen->counts[1] = seen->calls - before;
		before = seen->calls;
		rota_yield();
	}
	return 0;
}

static int call_1000(void *arg)
{
	static struct numbered numbered[CALLBACKS];
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->others, NULL);
	error = rota_go(&seen->others, watch, seen);
	rota_group_open(&seen->group, NULL);
	for (unsigned i = 0; i < CALLBACKS; i++) {
		numbered[i].seen = seen;
		numbered[i].number = i;
		rota_callback_begin(&numbered[i].callback, count_in_order,
				    &numbered[i]);
	}
	rota_group_cancel(&seen->group, enough);
	while (seen->calls < CALLBACKS)
		let_turn();
	for (unsigned i = CALLBACKS; i-- > 0;)
		seen->counts[2] += rota_callback_end(&numbered[i].callback);
	seen->codes[0] = rota_group_wait(&seen->group);
	return error | rota_group_wait(&seen->others);
}

static void a_thousand_are_called_in_slices_the_outer_ones_first(void **state)
{
	struct seen seen = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run_timed(call_1000, &seen), 0);
	assert_int_equal(seen.codes[0], -EPIPE);
	assert_int_equal(seen.calls, CALLBACKS);
	assert_int_equal(seen.counts[0], CALLBACKS);
	assert_in_range(seen.counts[1], 1, RI_CANCEL_SLICE);
	assert_int_equal(seen.counts[2], 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			it_is_called_once_after_the_canceller_has_suspended),
		cmocka_unit_test(begun_in_a_cancelled_scope_it_is_called_soon),
		cmocka_unit_test(ended_before_it_is_called_it_never_is),
		cmocka_unit_test(one_that_was_called_can_be_begun_again),
		cmocka_unit_test(it_ends_what_the_engine_cannot_cancel),
		cmocka_unit_test(a_deadline_that_comes_calls_it),
		cmocka_unit_test(
			in_a_shield_it_is_called_when_the_grace_is_over),
		cmocka_unit_test(in_an_idle_section_a_drain_calls_it),
		cmocka_unit_test(it_may_cancel_the_group_around_it),
		cmocka_unit_test(
			one_that_cancels_calls_others_after_it_has_returned),
		cmocka_unit_test(it_may_drain_a_group),
		cmocka_unit_test(
			a_thousand_are_called_in_slices_the_outer_ones_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
