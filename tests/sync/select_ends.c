/* SPDX-License-Identifier: MIT */
/*
 * Selects at their bounds: what is refused, what is a broken promise, what a
 * cancelled task may still do, and descriptors that are none.
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/timed.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define NOTHING 1000
#define CODES 8

struct seen {
	struct test_kernel kernel;
	struct rota_sender sender;
	struct rota_receiver receiver;
	struct rota_event event;
	struct rota_arm arms[ROTA_ARMS_MAX + 1];
	unsigned count;   /* of those that are used */
	int codes[CODES]; /* what was returned, in order */
	int item;         /* received */
	int result;       /* of the arm that was done */
	int fds[2];       /* of a pipe */
	size_t depth;     /* of the channel, afterwards */
	unsigned waiting; /* places in its lines, afterwards */
};

static int open_all(struct seen *seen, size_t capacity)
{
	for (int i = 0; i < CODES; i++)
		seen->codes[i] = NOTHING;
	if (pipe(seen->fds) < 0)
		return -errno;
	rota_event_init(&seen->event, NULL);
	return rota_channel_open(
		(&(struct rota_channel_options){ .item_bytes = sizeof(int),
						 .capacity = capacity }),
		&seen->sender, &seen->receiver);
}

static void close_all(struct seen *seen)
{
	const struct rota_channel_state state =
		rota_sender_inspect(&seen->sender);

	seen->depth = state.depth;
	seen->waiting = state.senders_waiting + state.receivers_waiting;
	rota_sender_close(&seen->sender);
	rota_receiver_close(&seen->receiver);
	rota_event_fini(&seen->event);
	close(seen->fds[0]);
	close(seen->fds[1]);
}

static void run(int (*fn)(void *), struct seen *seen)
{
	test_run_timed_clean(NULL, &seen->kernel, fn, seen);
}

static int select_in_task(void *value)
{
	struct seen *seen = *(struct seen **)value;

	seen->codes[0] = rota_select(seen->arms, seen->count);
	return 0;
}

/* It waits; then its group is cancelled. */
static int wait_and_cancel(struct seen *seen)
{
	struct rota_group group;
	struct rota_shield shield;
	int error;

	rota_group_open(&group, NULL);
	rota_shield_begin(&shield, ROTA_NEVER);
	error = rota_go(&group, select_in_task, seen) | test_settle();
	seen->codes[1] = seen->codes[0];
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	rota_shield_end(&shield);
	(void)rota_group_wait(&group);
	return error;
}

static int select_nothing(void *arg)
{
	struct seen *seen = arg;
	int error = open_all(seen, 0);

	seen->codes[2] = rota_try_select(NULL, 0);
	error |= wait_and_cancel(seen);
	close_all(seen);
	return error;
}

static void a_select_of_no_arms_waits_for_a_cancel(void **state)
{
	static struct seen seen;

	(void)state;
	run(select_nothing, &seen);
	assert_int_equal(seen.codes[1], NOTHING);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[2], -EAGAIN);
}

static int select_never(void *arg)
{
	struct seen *seen = arg;
	int error = open_all(seen, 0);

	for (seen->count = 0; seen->count < 8; seen->count++)
		seen->arms[seen->count] =
			seen->count % 2 ? rota_arm_never()
					: rota_arm_deadline(ROTA_NEVER);
	seen->codes[2] = rota_try_select(seen->arms, seen->count);
	error |= wait_and_cancel(seen);
	close_all(seen);
	return error;
}

static void arms_that_are_switched_off_wait_for_a_cancel(void **state)
{
	static struct seen seen;

	(void)state;
	run(select_never, &seen);
	assert_int_equal(seen.codes[1], NOTHING);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[2], -EAGAIN);
}

static int select_many(void *arg)
{
	struct seen *seen = arg;
	int item = 4, error = open_all(seen, 1);

	for (unsigned i = 0; i <= ROTA_ARMS_MAX; i++)
		seen->arms[i] = rota_arm_receive(&seen->receiver, &seen->item);
	seen->codes[0] = rota_try_select(seen->arms, ROTA_ARMS_MAX);
	error |= rota_channel_send(&seen->sender, &item);
	seen->codes[1] = rota_select(seen->arms, ROTA_ARMS_MAX + 1);
	seen->codes[2] = rota_try_select(seen->arms, ROTA_ARMS_MAX + 1);
	seen->codes[3] = rota_select(seen->arms, ROTA_ARMS_MAX);
	close_all(seen);
	return error;
}

static void there_may_be_256_arms_and_no_more(void **state)
{
	static struct seen seen;

	(void)state;
	run(select_many, &seen);
	assert_int_equal(seen.codes[0], -EAGAIN);
	assert_int_equal(seen.codes[1], -EINVAL);
	assert_int_equal(seen.codes[2], -EINVAL);
	assert_in_range(seen.codes[3], 0, ROTA_ARMS_MAX - 1);
	assert_int_equal(seen.item, 4);
	assert_int_equal(seen.depth, 0);
}

/* The same channel 256 times, both ways by turns, in all of its places. */
static int wait_for_many(void *arg)
{
	struct seen *seen = arg;
	int item = 4, error = open_all(seen, 0);
	struct rota_group group;

	for (unsigned i = 0; i < ROTA_ARMS_MAX; i++)
		seen->arms[i] =
			i % 2 ? rota_arm_send(&seen->sender, &item)
			      : rota_arm_receive(&seen->receiver, &seen->item);
	seen->count = ROTA_ARMS_MAX;
	rota_group_open(&group, NULL);
	error |= rota_go(&group, select_in_task, seen) | test_settle();
	seen->waiting = rota_sender_inspect(&seen->sender).senders_waiting;
	seen->codes[1] = (int)seen->waiting;
	seen->codes[2] = rota_channel_try_send(&seen->sender, &item);
	seen->codes[3] = rota_channel_try_send(&seen->sender, &item);
	seen->codes[4] = rota_channel_try_receive(&seen->receiver, &item);
	error |= rota_group_wait(&group);
	close_all(seen);
	return error;
}

static void a_select_meets_others_on_its_channel_but_not_itself(void **state)
{
	static struct seen seen;

	(void)state;
	run(wait_for_many, &seen);
	assert_int_equal(seen.codes[1], ROTA_ARMS_MAX / 2);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.item, 4);
	assert_int_equal(seen.codes[2], 0);
	assert_int_equal(seen.codes[3], -EAGAIN);
	assert_int_equal(seen.codes[4], -EAGAIN);
	assert_int_equal(seen.waiting, 0);
}

static int poll_twice(void *arg)
{
	struct seen *seen = arg;
	int item = 4, error = open_all(seen, 1);

	error |= rota_channel_send(&seen->sender, &item);
	seen->arms[0] = rota_arm_receive(&seen->receiver, &seen->item);
	seen->arms[1] = rota_arm_poll(seen->fds[0], POLLIN);
	seen->arms[2] = rota_arm_poll(seen->fds[1], POLLOUT);
	seen->codes[0] = rota_select(seen->arms, 3);
	seen->codes[1] = rota_try_select(seen->arms, 3);
	close_all(seen);
	return error;
}

static void two_polls_are_refused_and_nothing_is_done(void **state)
{
	static struct seen seen;

	(void)state;
	run(poll_twice, &seen);
	assert_int_equal(seen.codes[0], -EINVAL);
	assert_int_equal(seen.codes[1], -EINVAL);
	assert_int_equal(seen.depth, 1);
	assert_int_equal(seen.item, 0);
}

static int select_cancelled(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;
	int item = 4, error = open_all(seen, 1);

	seen->arms[0] = rota_arm_receive(&seen->receiver, &seen->item);
	seen->arms[1] = rota_arm_poll(seen->fds[0], POLLIN);
	rota_deadline_begin(&deadline, 0);
	seen->codes[0] = rota_try_select(seen->arms, 2);
	seen->codes[1] = rota_channel_try_send(&seen->sender, &item);
	seen->codes[2] = rota_select(seen->arms, 2);
	seen->codes[3] = rota_try_select(seen->arms, 1);
	seen->codes[4] = write(seen->fds[1], "x", 1) == 1;
	seen->codes[5] = rota_try_select(seen->arms, 2);
	seen->result = seen->arms[1].result;
	seen->codes[6] = rota_select(seen->arms, ROTA_ARMS_MAX + 1);
	rota_deadline_end(&deadline);
	close_all(seen);
	return error;
}

static void a_cancelled_task_may_try_but_not_select(void **state)
{
	static struct seen seen;

	(void)state;
	run(select_cancelled, &seen);
	assert_int_equal(seen.codes[0], -EAGAIN);
	assert_int_equal(seen.codes[1], 0);
	assert_int_equal(seen.codes[2], -ETIME);
	assert_int_equal(seen.codes[3], 0);
	assert_int_equal(seen.item, 4);
	assert_int_equal(seen.codes[5], 1);
	assert_int_equal(seen.result, POLLIN);
	assert_int_equal(seen.codes[6], -ETIME);
}

static int try_all_kinds(void *arg)
{
	struct seen *seen = arg;
	struct rota_ticker ticker;
	int item = 4, error = open_all(seen, 0);
	const unsigned before = seen->kernel.calls[TEST_ENTER];

	error |= rota_ticker_open(&ticker, ROTA_SECOND);
	seen->arms[0] = rota_arm_never();
	seen->arms[1] = rota_arm_send(&seen->sender, &item);
	seen->arms[2] = rota_arm_receive(&seen->receiver, &seen->item);
	seen->arms[3] = rota_arm_event(&seen->event);
	seen->arms[4] = rota_arm_tick(&ticker);
	seen->arms[5] = rota_arm_deadline(rota_after_ns(1));
	seen->arms[6] = rota_arm_poll(seen->fds[0], POLLIN);
	for (int i = 0; i < 100 && seen->codes[0] != i; i++)
		seen->codes[0] = rota_try_select(seen->arms, 7);
	seen->codes[1] = (int)(seen->kernel.calls[TEST_ENTER] - before);
	rota_ticker_close(&ticker);
	close_all(seen);
	return error;
}

static void a_try_never_suspends_and_leaves_no_place(void **state)
{
	static struct seen seen;

	(void)state;
	run(try_all_kinds, &seen);
	assert_int_equal(seen.codes[0], -EAGAIN);
	assert_int_equal(seen.codes[1], 0);
	assert_int_equal(seen.waiting, 0);
}

static int poll_nothing(void *arg)
{
	struct seen *seen = arg;
	const int fds[] = { -1, 1 << 20 };
	int error = open_all(seen, 0);

	for (int i = 0; i < 2; i++) {
		seen->arms[0] = rota_arm_receive(&seen->receiver, &seen->item);
		seen->arms[1] = rota_arm_poll(fds[i], POLLIN);
		seen->codes[4 * i] = rota_select(seen->arms, 2);
		seen->codes[4 * i + 1] = seen->arms[1].result;
		seen->arms[1].result = NOTHING;
		seen->codes[4 * i + 2] = rota_try_select(seen->arms, 2);
		seen->codes[4 * i + 3] = seen->arms[1].result;
	}
	close_all(seen);
	return error;
}

static void what_is_no_descriptor_is_told_by_its_arm(void **state)
{
	static struct seen seen;

	(void)state;
	run(poll_nothing, &seen);
	for (int i = 0; i < CODES; i += 2) {
		assert_int_equal(seen.codes[i], 1);
		assert_int_equal(seen.codes[i + 1], -EBADF);
	}
}

static int close_under_it(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = open_all(seen, 0);

	seen->arms[0] = rota_arm_receive(&seen->receiver, &seen->item);
	seen->arms[1] = rota_arm_poll(seen->fds[0], POLLIN);
	seen->count = 2;
	rota_group_open(&group, NULL);
	error |= rota_go(&group, select_in_task, seen) | test_settle();
	error |= rota_close(seen->fds[0]);
	error |= rota_group_wait(&group);
	seen->result = seen->arms[1].result;
	seen->fds[0] = dup(seen->fds[1]);
	close_all(seen);
	return error;
}

static void
a_descriptor_that_is_closed_meanwhile_is_told_by_its_arm(void **state)
{
	static struct seen seen;

	(void)state;
	run(close_under_it, &seen);
	assert_int_equal(seen.codes[0], 1);
	assert_int_equal(seen.result, -EBADF);
	assert_int_equal(seen.waiting, 0);
}

/* It is closed just when another arm is done: that one is told. */
static int close_when_served(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int item = 4, error = open_all(seen, 0);

	seen->arms[0] = rota_arm_receive(&seen->receiver, &seen->item);
	seen->arms[1] = rota_arm_poll(seen->fds[0], POLLIN);
	seen->arms[1].result = NOTHING;
	seen->count = 2;
	rota_group_open(&group, NULL);
	error |= rota_go(&group, select_in_task, seen) | test_settle();
	error |= rota_channel_try_send(&seen->sender, &item);
	error |= rota_close(seen->fds[0]);
	error |= rota_group_wait(&group);
	seen->result = seen->arms[1].result;
	seen->fds[0] = dup(seen->fds[1]);
	close_all(seen);
	return error;
}

static void an_item_before_the_close_is_delivered(void **state)
{
	static struct seen seen;

	(void)state;
	run(close_when_served, &seen);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.item, 4);
	assert_int_equal(seen.result, NOTHING);
}

/* Nothing was done, nobody stands anywhere. */
static int fail_poll(void *arg)
{
	struct seen *seen = arg;
	int item = 4, error = open_all(seen, 0);

	seen->arms[0] = rota_arm_receive(&seen->receiver, &seen->item);
	seen->arms[1] = rota_arm_poll(seen->fds[0], POLLIN);
	test_kernel_fail(&seen->kernel,
			 &(struct test_fault){ .call = TEST_POLL_NOW,
					       .error = -ENOMEM });
	seen->codes[0] = rota_try_select(seen->arms, 2);
	seen->result = seen->arms[1].result;
	seen->codes[1] = rota_channel_try_send(&seen->sender, &item);
	close_all(seen);
	return error;
}

static void a_poll_that_fails_is_told_by_its_arm(void **state)
{
	static struct seen seen;

	(void)state;
	run(fail_poll, &seen);
	assert_int_equal(seen.codes[0], 1);
	assert_int_equal(seen.result, -ENOMEM);
	assert_int_equal(seen.codes[1], -EAGAIN);
	assert_int_equal(seen.waiting, 0);
}

/* Broken promises. */
static struct rota_sender sender;
static struct rota_receiver receiver;

static int open_channel(bool local)
{
	return rota_channel_open(
		(&(struct rota_channel_options){ .item_bytes = 4,
						 .local = local }),
		&sender, &receiver);
}

static int receive_from_closed(void *arg)
{
	int item, error = open_channel(false);
	struct rota_arm arm;

	(void)arg;
	rota_receiver_close(&receiver);
	arm = rota_arm_receive(&receiver, &item);
	return error | rota_select(&arm, 1);
}

static int send_to_closed(void *arg)
{
	int item = 0, error = open_channel(false);
	struct rota_arm arm;

	(void)arg;
	rota_sender_close(&sender);
	arm = rota_arm_send(&sender, &item);
	return error | rota_try_select(&arm, 1);
}

static void an_end_that_is_closed_is_no_arm(void **state)
{
	(void)state;
	test_expect_abort(receive_from_closed, "rota_select for an end");
	test_expect_abort(send_to_closed, "is closed");
}

static int select_tick_of(void *value)
{
	struct rota_arm arm = rota_arm_tick(*(struct rota_ticker **)value);

	return rota_select(&arm, 1);
}

static int hand_ticker_over(void *arg)
{
	struct rota_ticker ticker;
	struct rota_group group;
	int error;

	(void)arg;
	rota_group_open(&group, NULL);
	TEST_NEXT_LINE();
	error = rota_ticker_open(&ticker, ROTA_SECOND);
	error |= rota_go(&group, select_tick_of, &ticker);
	error |= rota_yield();
	rota_ticker_close(&ticker);
	return error | rota_group_wait(&group);
}

static int tick_with_closed(void *arg)
{
	struct rota_ticker ticker, *own = &ticker;
	int error = rota_ticker_open(own, ROTA_SECOND);

	(void)arg;
	rota_ticker_close(own);
	return error | select_tick_of(&own);
}

static void a_ticker_is_an_arm_of_its_own_task_while_it_is_open(void **state)
{
	(void)state;
	test_expect_abort(hand_ticker_over, "is another task's");
	test_expect_abort(tick_with_closed, "has ended already");
}

static int select_outside(void *arg)
{
	struct rota_arm arm = rota_arm_never();

	(void)arg;
	return rota_select(&arm, 1);
}

static int try_outside(void *arg)
{
	struct rota_arm arm = rota_arm_never();

	(void)arg;
	return rota_try_select(&arm, 1);
}

static void only_tasks_select(void **state)
{
	(void)state;
	test_expect_abort_outside(select_outside, "rota_select");
	test_expect_abort_outside(try_outside, "rota_select");
}

static int select_there(void *value)
{
	int item;
	struct rota_arm arm = rota_arm_receive(&receiver, &item);

	(void)value;
	return rota_select(&arm, 1);
}

static int select_on_loop_1(void *arg)
{
	struct rota_group group;
	int error = open_channel(true);

	(void)arg;
	rota_group_open(&group, NULL);
	error |= rota_go_on(&group, 1, select_there, 0);
	return rota_group_wait(&group) | error;
}

static int run_on_two_loops(void *arg)
{
	(void)arg;
	return rota_run(&(struct rota_config){ .loops = 2 }, select_on_loop_1,
			NULL);
}

static void a_local_channel_is_an_arm_on_its_own_loop(void **state)
{
	(void)state;
	test_expect_abort_outside(run_on_two_loops,
				  "rota_select is called on loop 1 (0x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_select_of_no_arms_waits_for_a_cancel),
		cmocka_unit_test(arms_that_are_switched_off_wait_for_a_cancel),
		cmocka_unit_test(there_may_be_256_arms_and_no_more),
		cmocka_unit_test(
			a_select_meets_others_on_its_channel_but_not_itself),
		cmocka_unit_test(two_polls_are_refused_and_nothing_is_done),
		cmocka_unit_test(a_cancelled_task_may_try_but_not_select),
		cmocka_unit_test(a_try_never_suspends_and_leaves_no_place),
		cmocka_unit_test(what_is_no_descriptor_is_told_by_its_arm),
		cmocka_unit_test(
			a_descriptor_that_is_closed_meanwhile_is_told_by_its_arm),
		cmocka_unit_test(an_item_before_the_close_is_delivered),
		cmocka_unit_test(a_poll_that_fails_is_told_by_its_arm),
		cmocka_unit_test(an_end_that_is_closed_is_no_arm),
		cmocka_unit_test(
			a_ticker_is_an_arm_of_its_own_task_while_it_is_open),
		cmocka_unit_test(only_tasks_select),
		cmocka_unit_test(a_local_channel_is_an_arm_on_its_own_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
