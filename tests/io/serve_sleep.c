/* SPDX-License-Identifier: MIT */
/*
 * What ends the sleep of a member without a stack, and what it is told then:
 * bytes, the end, cancels, drains, time-outs. Under a clock of the test's;
 * times are counted from its start.
 */
#include "rota/rota.h"
#include "support/log.h"
#include "support/served.h"
#include "support/timed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define IDLE_NS (10 * ROTA_MILLISECOND)

struct seen {
	struct test_kernel kernel;
	struct rota_group group;
	struct test_served served;
	struct test_served other;
	int outcome; /* of the group */
	unsigned calls;
	int codes[4];
};

/* Runs fn under the clock, and asserts that no descriptor is left. */
static void run(int (*fn)(void *), struct seen *seen)
{
	const struct rota_config config = { .log = test_log_nothing };

	test_run_timed_clean(&config, &seen->kernel, fn, seen);
}

/* It was told this, as the i-th, at this time. */
static void assert_told(const struct test_served *served, unsigned i, int code,
			int64_t time_ns)
{
	assert_true(i < served->told);
	assert_int_equal(served->codes[i], code);
	assert_int_equal(served->times_ns[i], TEST_START_NS + time_ns);
}

static int join(struct seen *seen)
{
	seen->outcome = rota_group_wait(&seen->group);
	return 0;
}

static void cancel(struct rota_group *group)
{
	rota_group_cancel(group, (struct rota_cancellation){ -EIO, NULL });
}

static int sleep_then(struct seen *seen, struct rota_group *group,
		      void (*end)(struct rota_group *group))
{
	int error = test_served_go(&seen->group, &seen->served);

	error |= rota_sleep(5);
	end(group);
	return error | join(seen);
}

static int cancel_group(void *arg)
{
	struct seen *seen = arg;

	rota_group_open(&seen->group, NULL);
	return sleep_then(seen, &seen->group, cancel);
}

static void a_cancel_of_its_group_wakes_it(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(cancel_group, &seen);
	assert_int_equal(seen.served.calls, 1);
	assert_told(&seen.served, 0, -ECANCELED, 5);
	assert_int_equal(seen.outcome, -EIO);
}

static int cancel_around(void *arg)
{
	struct seen *seen = arg;
	struct rota_group around;
	int error;

	rota_group_open(&around, NULL);
	rota_group_open(&seen->group, NULL);
	error = sleep_then(seen, &around, cancel);
	return rota_group_wait(&around) == -EIO ? error : 1;
}

static void a_cancel_of_a_group_around_wakes_it(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(cancel_around, &seen);
	assert_int_equal(seen.served.calls, 1);
	assert_told(&seen.served, 0, -ECANCELED, 5);
	assert_int_equal(seen.outcome, -EIO);
}

/* Asks again and again. */
static int hear_often(struct rota_stream *stream, void *arg)
{
	struct test_served *served = arg;
	struct rota_view view;

	for (; served->told < 3; served->told++) {
		served->codes[served->told] = rota_stream_view(stream, &view);
		served->times_ns[served->told] = rota_now_ns();
	}
	test_served_close(served);
	return 0;
}

static int let_deadline_pass(void *arg)
{
	struct seen *seen = arg;
	int error = test_served_open(&seen->served);

	rota_group_open(&seen->group,
			&(struct rota_group_options){
				.deadline_ns = TEST_START_NS + 7 });
	error |= rota_stream_serve(&seen->group, &seen->served.stream,
				   hear_often, &seen->served);
	return error | join(seen);
}

static void
the_deadline_of_its_group_wakes_it_and_is_told_each_time(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(let_deadline_pass, &seen);
	for (unsigned i = 0; i < 3; i++)
		assert_told(&seen.served, i, -ETIME, 7);
	assert_int_equal(seen.outcome, -ETIME);
}

/* It has not run yet when the group is cancelled. */
static int cancel_unstarted(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = test_served_go(&seen->group, &seen->served);
	cancel(&seen->group);
	return error | join(seen);
}

static void one_that_is_accepted_runs_whatever_is_cancelled(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(cancel_unstarted, &seen);
	assert_int_equal(seen.served.calls, 1);
	assert_told(&seen.served, 0, -ECANCELED, 0);
}

static int hang_up(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = test_served_go(&seen->group, &seen->served);
	error |= test_served_go(&seen->group, &seen->other);
	error |= test_served_give(&seen->other, 3) | rota_sleep(5);
	error |= rota_close(seen->served.peer);
	error |= shutdown(seen->other.peer, SHUT_WR);
	seen->served.peer = -1;
	return error | join(seen);
}

static void the_end_wakes_it(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(hang_up, &seen);
	assert_told(&seen.served, 0, 0, 5);
	assert_int_equal(seen.served.bytes, 0);
	assert_told(&seen.other, 0, 0, 5);
	assert_int_equal(seen.other.bytes, 3);
	assert_int_equal(seen.outcome, 0);
}

/* What nobody read is lost when it closes, and the other end is told. */
static int reset(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = test_served_go(&seen->group, &seen->served);
	error |= send(seen->served.fd, "x", 1, 0) != 1;
	error |= rota_sleep(5) | rota_close(seen->served.peer);
	seen->served.peer = -1;
	return error | join(seen);
}

static void an_error_wakes_it(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(reset, &seen);
	assert_told(&seen.served, 0, -ECONNRESET, 5);
}

static int close_descriptor(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = test_served_go(&seen->group, &seen->served);
	error |= rota_sleep(5) | rota_close(seen->served.fd);
	seen->served.fd = -1;
	return error | join(seen);
}

static void its_descriptor_closed_by_another_task_wakes_it(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(close_descriptor, &seen);
	assert_told(&seen.served, 0, -EBADF, 5);
}

static int be_idle(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	seen->served.idle_ns = IDLE_NS;
	seen->served.stays = 2;
	error = test_served_go(&seen->group, &seen->served);
	return error | join(seen);
}

static void its_idle_time_is_told_once_and_begins_again(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(be_idle, &seen);
	assert_int_equal(seen.served.told, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_told(&seen.served, i, -ETIME, (i + 1) * IDLE_NS);
	assert_int_equal(seen.served.calls, 3);
	assert_int_equal(seen.outcome, 0);
}

/* Something lands just before the idle time is over, five times. */
static int be_nearly_idle(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	seen->served.idle_ns = IDLE_NS;
	error = test_served_go(&seen->group, &seen->served);
	for (int i = 0; i < 5; i++)
		error |= rota_sleep(IDLE_NS - 1) |
			 test_served_give(&seen->served, 1);
	return error | join(seen);
}

static void each_sleep_begins_its_idle_time_anew(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(be_nearly_idle, &seen);
	assert_int_equal(seen.served.bytes, 5);
	assert_int_equal(seen.served.told, 1);
	assert_told(&seen.served, 0, -ETIME, 5 * (IDLE_NS - 1) + IDLE_NS);
}

static int work_long(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	seen->served.idle_ns = IDLE_NS;
	seen->served.work_ns = 3 * IDLE_NS + 7;
	error = test_served_go(&seen->group, &seen->served);
	error |= test_served_give(&seen->served, 1);
	error |= rota_sleep(seen->served.work_ns - 1);
	seen->calls = seen->served.calls;
	seen->served.work_ns = 0;
	return error | join(seen);
}

static void while_it_is_awake_it_is_not_idle(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(work_long, &seen);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.served.work_code, 0);
	assert_int_equal(seen.served.told, 1);
	assert_told(&seen.served, 0, -ETIME, 4 * IDLE_NS + 7);
}

/* While it works, what was left of the sleep before comes. */
static int work_after_sleeps(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	seen->served.idle_ns = IDLE_NS;
	error = test_served_go(&seen->group, &seen->served);
	for (int i = 0; i < 3; i++) {
		error |= rota_sleep(IDLE_NS - 5);
		seen->served.work_ns = i < 2 ? 0 : 2 * IDLE_NS;
		error |= test_served_give(&seen->served, 1);
	}
	error |= rota_sleep(IDLE_NS);
	seen->served.work_ns = 0;
	return error | join(seen);
}

static void the_end_of_an_earlier_idle_time_does_not_reach_it(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(work_after_sleeps, &seen);
	assert_int_equal(seen.served.work_code, 0);
	assert_int_equal(seen.served.bytes, 3);
	assert_int_equal(seen.served.told, 1);
	assert_told(&seen.served, 0, -ETIME, 3 * (IDLE_NS - 5) + 3 * IDLE_NS);
}

static int be_idle_for_an_hour(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = test_served_go(&seen->group, &seen->served);
	seen->other.idle_ns = ROTA_NEVER;
	error |= test_served_go(&seen->group, &seen->other);
	error |= rota_sleep(3600 * ROTA_SECOND);
	seen->calls = seen->served.calls + seen->other.calls;
	cancel(&seen->group);
	return error | join(seen);
}

static void without_an_idle_time_it_sleeps_as_long_as_it_likes(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(be_idle_for_an_hour, &seen);
	assert_int_equal(seen.calls, 0);
	assert_told(&seen.served, 0, -ECANCELED, 3600 * ROTA_SECOND);
	assert_told(&seen.other, 0, -ECANCELED, 3600 * ROTA_SECOND);
}

/* One sleeps, the other one works for 20. */
static int drain_at_5(struct seen *seen, struct rota_group *group,
		      int64_t grace_ns)
{
	int error = test_served_go(&seen->group, &seen->served);

	seen->other.work_ns = 20;
	error |= test_served_go(&seen->group, &seen->other);
	error |= test_served_give(&seen->other, 1);
	error |= rota_sleep(5);
	rota_group_drain(group, grace_ns);
	return error | join(seen);
}

static int drain_group(void *arg)
{
	struct seen *seen = arg;

	rota_group_open(&seen->group, NULL);
	return drain_at_5(seen, &seen->group, ROTA_SECOND);
}

static void a_drain_wakes_who_sleeps_and_lets_who_works_finish(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(drain_group, &seen);
	assert_int_equal(seen.served.told, 1);
	assert_told(&seen.served, 0, -ESHUTDOWN, 5);
	assert_int_equal(seen.other.work_code, 0);
	assert_int_equal(seen.other.bytes, 1);
	assert_int_equal(seen.other.told, 1);
	assert_told(&seen.other, 0, -ESHUTDOWN, 40);
	assert_int_equal(seen.outcome, 0);
}

static int drain_around(void *arg)
{
	struct seen *seen = arg;
	struct rota_group around;
	int error;

	rota_group_open(&around, NULL);
	rota_group_open(&seen->group, NULL);
	error = drain_at_5(seen, &around, ROTA_SECOND);
	return error | rota_group_wait(&around);
}

static void a_drain_of_a_group_around_does_the_same(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(drain_around, &seen);
	assert_told(&seen.served, 0, -ESHUTDOWN, 5);
	assert_int_equal(seen.other.work_code, 0);
	assert_told(&seen.other, 0, -ESHUTDOWN, 40);
	assert_int_equal(seen.outcome, 0);
}

static int drain_soon(void *arg)
{
	struct seen *seen = arg;

	rota_group_open(&seen->group, NULL);
	return drain_at_5(seen, &seen->group, 10);
}

static void who_works_longer_than_the_grace_is_cancelled(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(drain_soon, &seen);
	assert_told(&seen.served, 0, -ESHUTDOWN, 5);
	assert_int_equal(seen.other.work_code, -ECANCELED);
	assert_int_equal(seen.other.bytes, 1);
	assert_told(&seen.other, 0, -ECANCELED, 15);
	assert_int_equal(seen.outcome, -ESHUTDOWN);
}

/* Read on when they are told that they are to end: the peers have something to
 * say. One slept, the other one worked. */
static int linger(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	seen->served.stays = seen->other.stays = 1;
	error = test_served_go(&seen->group, &seen->served);
	error |= test_served_go(&seen->group, &seen->other);
	seen->other.work_ns = 6;
	error |= test_served_give(&seen->other, 1) | rota_sleep(5);
	rota_group_drain(&seen->group, ROTA_SECOND);
	error |= rota_sleep(5);
	seen->other.work_ns = 0;
	seen->calls = seen->served.calls + seen->other.calls;
	error |= test_served_give(&seen->served, 3);
	error |= test_served_give(&seen->other, 3) | rota_sleep(5);
	error |= rota_close(seen->served.peer) | rota_close(seen->other.peer);
	seen->served.peer = seen->other.peer = -1;
	return error | join(seen);
}

static void who_does_not_end_when_it_drains_sleeps_on(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(linger, &seen);
	assert_int_equal(seen.calls, 3);
	assert_int_equal(seen.served.bytes, 3);
	assert_int_equal(seen.served.told, 2);
	assert_told(&seen.served, 0, -ESHUTDOWN, 5);
	assert_told(&seen.served, 1, 0, 15);
	assert_int_equal(seen.other.bytes, 4);
	assert_int_equal(seen.other.told, 2);
	assert_int_equal(seen.other.codes[0], -ESHUTDOWN);
	assert_told(&seen.other, 1, 0, 15);
	assert_int_equal(seen.outcome, 0);
}

/* For each byte that it takes its peer sends another one. */
static int take_and_ask(struct rota_stream *stream, void *arg)
{
	struct test_served *served = arg;
	struct rota_view view;
	const int n = rota_stream_view(stream, &view);

	if (n > 0) {
		served->bytes += (unsigned)n;
		return test_served_give(served, (unsigned)n);
	}
	served->codes[served->told++] = n;
	test_served_close(served);
	return 0;
}

/* So that the loop has turned whenever somebody gives way. */
static int crowd(void *value)
{
	const struct seen *seen = *(struct seen **)value;

	while (!seen->served.told)
		if (rota_yield())
			return -EPROTO;
	return 0;
}

static int cancel_busy(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = test_served_open(&seen->served);

	rota_group_open(&group, NULL);
	for (int i = 0; i < 200; i++)
		error |= rota_go(&group, crowd, seen);
	rota_group_open(&seen->group, NULL);
	error |= rota_stream_serve(&seen->group, &seen->served.stream,
				   take_and_ask, &seen->served);
	error |= test_served_give(&seen->served, 1);
	while (!error && seen->served.bytes < 5)
		error = rota_yield();
	cancel(&seen->group);
	return error | join(seen) | rota_group_wait(&group);
}

static void who_is_cancelled_has_what_landed_and_no_more(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(cancel_busy, &seen);
	assert_int_equal(seen.served.told, 1);
	assert_int_equal(seen.served.codes[0], -ECANCELED);
	assert_int_equal(seen.outcome, -EIO);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cancel_of_its_group_wakes_it),
		cmocka_unit_test(a_cancel_of_a_group_around_wakes_it),
		cmocka_unit_test(who_is_cancelled_has_what_landed_and_no_more),
		cmocka_unit_test(
			the_deadline_of_its_group_wakes_it_and_is_told_each_time),
		cmocka_unit_test(
			one_that_is_accepted_runs_whatever_is_cancelled),
		cmocka_unit_test(the_end_wakes_it),
		cmocka_unit_test(an_error_wakes_it),
		cmocka_unit_test(
			its_descriptor_closed_by_another_task_wakes_it),
		cmocka_unit_test(its_idle_time_is_told_once_and_begins_again),
		cmocka_unit_test(each_sleep_begins_its_idle_time_anew),
		cmocka_unit_test(while_it_is_awake_it_is_not_idle),
		cmocka_unit_test(
			the_end_of_an_earlier_idle_time_does_not_reach_it),
		cmocka_unit_test(
			without_an_idle_time_it_sleeps_as_long_as_it_likes),
		cmocka_unit_test(
			a_drain_wakes_who_sleeps_and_lets_who_works_finish),
		cmocka_unit_test(a_drain_of_a_group_around_does_the_same),
		cmocka_unit_test(who_works_longer_than_the_grace_is_cancelled),
		cmocka_unit_test(who_does_not_end_when_it_drains_sleeps_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
