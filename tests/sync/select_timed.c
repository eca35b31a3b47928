/* SPDX-License-Identifier: MIT */
/*
 * Selects under a clock of the test's: deadlines and ticks among other arms,
 * what comes at the same moment, and what a select costs while it waits.
 */
#include "base/list.h"
#include "rota/rota.h"
#include "support/timed.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define PERIOD_NS (10 * ROTA_MILLISECOND)
#define NOTHING 1000
#define ARMS 4

struct seen {
	struct test_kernel kernel;
	struct rota_sender sender;
	struct rota_receiver receiver;
	struct rota_event event;
	struct rota_message message;
	struct rota_arm arms[ARMS];
	int fds[2];          /* of a pipe */
	int item;            /* what was received */
	int chosen;          /* what the select returned */
	int result;          /* of the arm */
	uint64_t missed;     /* ... of a tick */
	int64_t at_ns;       /* when it returned, from the start */
	int codes[3];        /* of what was tried afterwards */
	uint64_t later;      /* missed by the tick that came next */
	int64_t later_ns;    /* when that came */
	unsigned calls;      /* of the kernel, while it waited */
	unsigned mappings;   /* made meanwhile */
	int64_t deadline_ns; /* of the arm that has one */
};

static int open_all(struct seen *seen)
{
	if (pipe(seen->fds) < 0)
		return -errno;
	rota_event_init(&seen->event, NULL);
	return rota_channel_open(
		(&(struct rota_channel_options){ .item_bytes = sizeof(int) }),
		&seen->sender, &seen->receiver);
}

static void close_all(struct seen *seen)
{
	rota_sender_close(&seen->sender);
	rota_receiver_close(&seen->receiver);
	rota_event_fini(&seen->event);
	close(seen->fds[0]);
	close(seen->fds[1]);
}

static void choose(struct seen *seen, unsigned count)
{
	seen->chosen = rota_select(seen->arms, count);
	if (seen->chosen < 0)
		return;
	seen->result = seen->arms[seen->chosen].result;
	seen->missed = seen->arms[seen->chosen].missed;
	seen->at_ns = test_now_ns();
}

static void run(int (*fn)(void *), struct seen *seen)
{
	seen->chosen = NOTHING;
	seen->result = NOTHING;
	test_run_timed_clean(NULL, &seen->kernel, fn, seen);
}

static int expire(void *arg)
{
	struct seen *seen = arg;
	int error = open_all(seen);

	seen->arms[0] = rota_arm_receive(&seen->receiver, &seen->item);
	seen->arms[1] = rota_arm_deadline(rota_after_ns(3 * ROTA_SECOND));
	seen->arms[2] = rota_arm_deadline(rota_after_ns(2 * ROTA_SECOND));
	seen->arms[3] = rota_arm_deadline(ROTA_NEVER);
	choose(seen, 4);
	close_all(seen);
	return error;
}

static void the_earliest_deadline_comes_at_its_moment(void **state)
{
	struct seen seen;

	(void)state;
	run(expire, &seen);
	assert_int_equal(seen.chosen, 2);
	assert_int_equal(seen.result, 0);
	assert_int_equal(seen.at_ns, 2 * ROTA_SECOND);
}

static int be_late(void *arg)
{
	struct seen *seen = arg;
	int error = open_all(seen);

	seen->arms[0] = rota_arm_event(&seen->event);
	seen->arms[1] = rota_arm_deadline(seen->deadline_ns);
	choose(seen, 2);
	seen->codes[0] = rota_try_select(seen->arms, 2);
	seen->arms[1] = rota_arm_deadline(rota_after_ns(1));
	seen->codes[1] = rota_try_select(seen->arms, 2);
	seen->arms[1] = rota_arm_deadline(ROTA_NEVER);
	seen->codes[2] = rota_try_select(seen->arms, 2);
	close_all(seen);
	return error;
}

static void a_deadline_in_the_past_is_ready_and_one_to_come_is_not(void **state)
{
	const int64_t past_ns[] = { INT64_MIN, -1, 0, TEST_START_NS };

	(void)state;
	for (unsigned i = 0; i < sizeof(past_ns) / sizeof(*past_ns); i++) {
		struct seen seen = { .deadline_ns = past_ns[i] };

		run(be_late, &seen);
		assert_int_equal(seen.chosen, 1);
		assert_int_equal(seen.at_ns, 0);
		assert_int_equal(seen.codes[0], 1);
		assert_int_equal(seen.codes[1], -EAGAIN);
		assert_int_equal(seen.codes[2], -EAGAIN);
	}
}

/* A message to the loop itself is delivered in the same turn as its timers
 * fire, before them. */
static void send_late(struct rota_message *message)
{
	struct seen *seen = ri_container(message, struct seen, message);
	const int item = 5;

	seen->codes[0] = rota_channel_try_send(&seen->sender, &item);
	seen->kernel.clock_ns += ROTA_SECOND;
}

static int select_in_task(void *value)
{
	struct seen *seen = *(struct seen **)value;

	choose(seen, 2);
	return 0;
}

static int serve_when_due(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = open_all(seen);

	seen->arms[0] = rota_arm_receive(&seen->receiver, &seen->item);
	seen->arms[1] = rota_arm_deadline(rota_after_ns(ROTA_MILLISECOND));
	seen->message.fn = send_late;
	rota_group_open(&group, NULL);
	error |= rota_go(&group, select_in_task, seen);
	error |= rota_yield();
	rota_message_send(0, &seen->message);
	error |= rota_group_wait(&group);
	close_all(seen);
	return error;
}

static void an_item_that_comes_just_before_the_deadline_is_it(void **state)
{
	struct seen seen = { .item = 0 };

	(void)state;
	run(serve_when_due, &seen);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.chosen, 0);
	assert_int_equal(seen.result, 1);
	assert_int_equal(seen.item, 5);
}

static void ready_when_due(struct test_kernel *kernel, void *context)
{
	struct seen *seen = context;

	(void)kernel;
	if (test_kernel_held(&seen->kernel)) {
		test_kernel_release_all(&seen->kernel);
		seen->kernel.clock_ns += ROTA_SECOND;
	}
}

static int poll_when_due(void *arg)
{
	struct seen *seen = arg;
	int error = open_all(seen);

	seen->arms[0] = rota_arm_poll(seen->fds[1], POLLOUT);
	seen->arms[1] = rota_arm_deadline(rota_after_ns(ROTA_MILLISECOND));
	test_kernel_hold(&seen->kernel, test_hold_all, NULL);
	seen->kernel.on_idle = ready_when_due;
	seen->kernel.idle_context = seen;
	choose(seen, 2);
	test_kernel_hold(&seen->kernel, NULL, NULL);
	seen->kernel.on_idle = NULL;
	close_all(seen);
	return error;
}

static void a_poll_that_completes_just_before_the_deadline_is_it(void **state)
{
	struct seen seen = { .item = 0 };

	(void)state;
	run(poll_when_due, &seen);
	assert_int_equal(seen.chosen, 0);
	assert_int_equal(seen.result, POLLOUT);
}

static int tick(void *arg)
{
	struct seen *seen = arg;
	struct rota_ticker ticker;
	int error = open_all(seen);

	error |= rota_ticker_open(&ticker, PERIOD_NS);
	seen->arms[0] = rota_arm_receive(&seen->receiver, &seen->item);
	seen->arms[1] = rota_arm_tick(&ticker);
	choose(seen, 2);
	error |= rota_ticker_wait(&ticker, &seen->later);
	seen->later_ns = test_now_ns();
	rota_ticker_close(&ticker);
	close_all(seen);
	return error;
}

static void a_tick_is_taken_off_the_schedule_once(void **state)
{
	struct seen seen;

	(void)state;
	run(tick, &seen);
	assert_int_equal(seen.chosen, 1);
	assert_int_equal(seen.result, 0);
	assert_int_equal(seen.missed, 0);
	assert_int_equal(seen.at_ns, PERIOD_NS);
	assert_int_equal(seen.later, 0);
	assert_int_equal(seen.later_ns, 2 * PERIOD_NS);
}

static int tick_late(void *arg)
{
	struct seen *seen = arg;
	struct rota_ticker ticker;
	int error = open_all(seen);

	error |= rota_ticker_open(&ticker, PERIOD_NS);
	seen->arms[0] = rota_arm_receive(&seen->receiver, &seen->item);
	seen->arms[1] = rota_arm_tick(&ticker);
	seen->codes[0] = rota_try_select(seen->arms, 2);
	seen->kernel.clock_ns += 4 * PERIOD_NS + 1;
	error |= rota_yield();
	(void)test_now_ns();
	choose(seen, 2);
	error |= rota_ticker_wait(&ticker, &seen->later);
	seen->later_ns = test_now_ns();
	rota_ticker_close(&ticker);
	close_all(seen);
	return error;
}

static void a_late_tick_tells_how_many_were_missed(void **state)
{
	struct seen seen;

	(void)state;
	run(tick_late, &seen);
	assert_int_equal(seen.codes[0], -EAGAIN);
	assert_int_equal(seen.chosen, 1);
	assert_int_equal(seen.missed, 3);
	assert_int_equal(seen.at_ns, 4 * PERIOD_NS + 1);
	assert_int_equal(seen.later, 0);
	assert_int_equal(seen.later_ns, 5 * PERIOD_NS);
}

/* Ticks that come while the poll beside is being ended belong to this one. */
static void slow_cancel(struct test_kernel *kernel, void *context)
{
	struct seen *seen = context;

	(void)kernel;
	if (test_kernel_held(&seen->kernel)) {
		seen->kernel.clock_ns += 2 * PERIOD_NS;
		test_kernel_release_all(&seen->kernel);
	}
}

static int tick_beside_poll(void *arg)
{
	struct seen *seen = arg;
	struct rota_ticker ticker;
	int error = open_all(seen);

	error |= rota_ticker_open(&ticker, PERIOD_NS);
	seen->arms[0] = rota_arm_poll(seen->fds[0], POLLIN);
	seen->arms[1] = rota_arm_tick(&ticker);
	test_kernel_hold(&seen->kernel, test_hold_all, NULL);
	seen->kernel.on_idle = slow_cancel;
	seen->kernel.idle_context = seen;
	choose(seen, 2);
	test_kernel_hold(&seen->kernel, NULL, NULL);
	seen->kernel.on_idle = NULL;
	error |= rota_ticker_wait(&ticker, &seen->later);
	seen->later_ns = test_now_ns();
	rota_ticker_close(&ticker);
	close_all(seen);
	return error;
}

static void ticks_that_pass_while_the_poll_ends_are_missed_ones(void **state)
{
	struct seen seen;

	(void)state;
	run(tick_beside_poll, &seen);
	assert_int_equal(seen.chosen, 1);
	assert_int_equal(seen.missed, 2);
	assert_int_equal(seen.at_ns, 3 * PERIOD_NS);
	assert_int_equal(seen.later, 0);
	assert_int_equal(seen.later_ns, 4 * PERIOD_NS);
}

/* Another arm is done when a tick is due as well. */
static int leave_tick(void *arg)
{
	struct seen *seen = arg;
	struct rota_ticker ticker;
	int error = open_all(seen);

	error |= rota_ticker_open(&ticker, PERIOD_NS);
	seen->arms[0] = rota_arm_event(&seen->event);
	seen->arms[1] = rota_arm_tick(&ticker);
	rota_event_set(&seen->event);
	seen->kernel.clock_ns += PERIOD_NS;
	(void)test_now_ns();
	do {
		seen->arms[1].missed = NOTHING;
		choose(seen, 2);
	} while (seen->chosen == 1 && !rota_ticker_reset(&ticker, PERIOD_NS) &&
		 (seen->kernel.clock_ns += PERIOD_NS));
	seen->missed = seen->arms[1].missed;
	error |= rota_ticker_wait(&ticker, &seen->later);
	seen->later_ns = test_now_ns() - seen->at_ns;
	rota_ticker_close(&ticker);
	close_all(seen);
	return error;
}

static void a_tick_that_was_not_chosen_is_still_due(void **state)
{
	struct seen seen;

	(void)state;
	run(leave_tick, &seen);
	assert_int_equal(seen.chosen, 0);
	assert_int_equal(seen.missed, NOTHING);
	assert_int_equal(seen.later, 0);
	assert_int_equal(seen.later_ns, 0);
}

static int serve_before_tick(void *arg)
{
	struct seen *seen = arg;
	struct rota_ticker ticker;
	int error = open_all(seen);

	error |= rota_ticker_open(&ticker, PERIOD_NS);
	seen->arms[0] = rota_arm_deadline(rota_after_ns(PERIOD_NS - 1));
	seen->arms[1] = rota_arm_tick(&ticker);
	choose(seen, 2);
	error |= rota_ticker_wait(&ticker, &seen->later);
	seen->later_ns = test_now_ns();
	rota_ticker_close(&ticker);
	close_all(seen);
	return error;
}

static void a_wait_that_ends_before_the_tick_leaves_the_schedule(void **state)
{
	struct seen seen;

	(void)state;
	run(serve_before_tick, &seen);
	assert_int_equal(seen.chosen, 0);
	assert_int_equal(seen.later, 0);
	assert_int_equal(seen.later_ns, PERIOD_NS);
}

static int never_tick(void *arg)
{
	struct seen *seen = arg;
	struct rota_ticker ticker;
	int error = open_all(seen);

	error |= rota_ticker_open(&ticker, ROTA_NEVER);
	seen->arms[0] = rota_arm_tick(&ticker);
	seen->arms[1] = rota_arm_deadline(rota_after_ns(3600 * ROTA_SECOND));
	choose(seen, 2);
	rota_ticker_close(&ticker);
	close_all(seen);
	return error;
}

static void a_ticker_without_a_next_tick_never_comes(void **state)
{
	struct seen seen;

	(void)state;
	run(never_tick, &seen);
	assert_int_equal(seen.chosen, 1);
	assert_int_equal(seen.at_ns, 3600 * ROTA_SECOND);
}

/* What the kernel is asked for in between. */
static void count_calls(struct seen *seen, unsigned sign)
{
	seen->calls += sign * seen->kernel.calls[TEST_ANY_CALL];
	seen->mappings += sign * seen->kernel.calls[TEST_MAP];
}

static int wait_idle(void *arg)
{
	struct seen *seen = arg;
	int error = open_all(seen);

	for (int i = 0; i < 2; i++) {
		count_calls(seen, -1u);
		seen->arms[0] = rota_arm_receive(&seen->receiver, &seen->item);
		seen->arms[1] = rota_arm_event(&seen->event);
		seen->arms[2] = rota_arm_poll(seen->fds[0], POLLIN);
		seen->arms[3] =
			rota_arm_deadline(rota_after_ns(10 * ROTA_SECOND));
		choose(seen, 4);
		count_calls(seen, 1);
	}
	close_all(seen);
	return error;
}

static void a_select_that_waits_costs_the_same_however_long(void **state)
{
	struct seen seen = { .calls = 0 };

	(void)state;
	run(wait_idle, &seen);
	assert_int_equal(seen.chosen, 3);
	assert_int_equal(seen.at_ns, 20 * ROTA_SECOND);
	/* The poll and its cancel are submitted, and waits: the wheel may look
	 * at the time before it is due, but once for each of its levels. */
	assert_in_range(seen.calls, 2, 2 * 12);
	assert_int_equal(seen.mappings, 0);
}

static int expire_in_scope(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;
	int error = open_all(seen);

	seen->arms[0] = rota_arm_receive(&seen->receiver, &seen->item);
	seen->arms[1] = rota_arm_deadline(rota_after_ns(seen->deadline_ns));
	rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND));
	choose(seen, 2);
	seen->codes[0] = rota_try_select(seen->arms, 2);
	seen->codes[1] = rota_deadline_end(&deadline);
	seen->at_ns = test_now_ns();
	close_all(seen);
	return error;
}

static void a_deadline_around_it_is_no_arm(void **state)
{
	struct seen seen = { .deadline_ns = 2 * ROTA_SECOND };

	(void)state;
	run(expire_in_scope, &seen);
	assert_int_equal(seen.chosen, -ETIME);
	assert_int_equal(seen.codes[0], -EAGAIN);
	assert_int_equal(seen.codes[1], 1);
	assert_int_equal(seen.at_ns, ROTA_SECOND);
}

static void an_arm_before_the_deadline_around_it_is_done(void **state)
{
	struct seen seen = { .deadline_ns = ROTA_SECOND - 1 };

	(void)state;
	run(expire_in_scope, &seen);
	assert_int_equal(seen.chosen, 1);
	assert_int_equal(seen.codes[0], 1);
	assert_int_equal(seen.codes[1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_earliest_deadline_comes_at_its_moment),
		cmocka_unit_test(
			a_deadline_in_the_past_is_ready_and_one_to_come_is_not),
		cmocka_unit_test(
			an_item_that_comes_just_before_the_deadline_is_it),
		cmocka_unit_test(
			a_poll_that_completes_just_before_the_deadline_is_it),
		cmocka_unit_test(a_tick_is_taken_off_the_schedule_once),
		cmocka_unit_test(a_late_tick_tells_how_many_were_missed),
		cmocka_unit_test(
			ticks_that_pass_while_the_poll_ends_are_missed_ones),
		cmocka_unit_test(a_tick_that_was_not_chosen_is_still_due),
		cmocka_unit_test(
			a_wait_that_ends_before_the_tick_leaves_the_schedule),
		cmocka_unit_test(a_ticker_without_a_next_tick_never_comes),
		cmocka_unit_test(
			a_select_that_waits_costs_the_same_however_long),
		cmocka_unit_test(a_deadline_around_it_is_no_arm),
		cmocka_unit_test(an_arm_before_the_deadline_around_it_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
