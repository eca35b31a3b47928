/* SPDX-License-Identifier: MIT */
/*
 * Select on one loop: one arm is done, and the others have done nothing.
 */
#include "rota/rota.h"
#include "support/run.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 300

/* Two channels of capacity 1, and what a select over them has seen. */
struct seen {
	struct rota_sender senders[2];
	struct rota_receiver receivers[2];
	struct rota_event event;
	int items[2];       /* to or from where they go */
	int depths[2];      /* of the channels, afterwards */
	int chosen;         /* what the select returned */
	int result;         /* of the arm */
	unsigned counts[2]; /* how often each arm was chosen */
	int fds[2];         /* of a pipe */
	struct rota_arm arms[4];
};

static int open_both(struct seen *seen)
{
	int error = 0;

	for (int i = 0; i < 2 && !error; i++)
		error = rota_channel_open(
			&(struct rota_channel_options){ .item_bytes =
								sizeof(int),
							.capacity = 1 },
			&seen->senders[i], &seen->receivers[i]);
	return error;
}

static void close_both(struct seen *seen)
{
	for (int i = 0; i < 2; i++) {
		seen->depths[i] =
			(int)rota_sender_inspect(&seen->senders[i]).depth;
		rota_sender_close(&seen->senders[i]);
		rota_receiver_close(&seen->receivers[i]);
	}
}

static void choose(struct seen *seen, unsigned count)
{
	seen->chosen = rota_select(seen->arms, count);
	if (seen->chosen >= 0)
		seen->result = seen->arms[seen->chosen].result;
}

static void receive_arms(struct seen *seen)
{
	for (int i = 0; i < 2; i++)
		seen->arms[i] =
			rota_arm_receive(&seen->receivers[i], &seen->items[i]);
}

static int take_one_of_two(void *arg)
{
	struct seen *seen = arg;
	int item = 7, error = open_both(seen);

	error |= rota_channel_send(&seen->senders[0], &item);
	error |= rota_channel_send(&seen->senders[1], &item);
	receive_arms(seen);
	choose(seen, 2);
	close_both(seen);
	return error;
}

static void of_two_items_one_is_taken(void **state)
{
	struct seen seen = { .chosen = -1 };

	(void)state;
	assert_int_equal(test_run(take_one_of_two, &seen), 0);
	assert_in_range(seen.chosen, 0, 1);
	assert_int_equal(seen.result, 1);
	assert_int_equal(seen.items[seen.chosen], 7);
	assert_int_equal(seen.items[!seen.chosen], 0);
	assert_int_equal(seen.depths[seen.chosen], 0);
	assert_int_equal(seen.depths[!seen.chosen], 1);
}

static void fill(const struct seen *seen, int channel)
{
	const int item = 1;
	const int error = rota_channel_try_send(&seen->senders[channel], &item);

	(void)error; /* -EAGAIN: it is full already */
}

static int take_often(void *arg)
{
	struct seen *seen = arg;
	int error = open_both(seen);

	receive_arms(seen);
	for (int round = 0; round < ROUNDS && !error; round++) {
		for (int i = 0; i < 2; i++)
			fill(seen, i);
		choose(seen, 2);
		if (seen->chosen < 0)
			error = seen->chosen;
		else
			seen->counts[seen->chosen]++;
	}
	close_both(seen);
	return error;
}

static void each_ready_arm_is_chosen_now_and_then(void **state)
{
	const struct rota_config config = { .seed = 42 };
	struct seen seen = { .chosen = -1 };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, take_often, &seen), 0);
	assert_in_range(seen.counts[0], ROUNDS / 3, ROUNDS * 2 / 3);
}

static void the_same_seed_makes_the_same_choices(void **state)
{
	const struct rota_config config = { .seed = 42 };
	struct seen seen = { .chosen = -1 }, again = { .chosen = -1 };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, take_often, &seen), 0);
	assert_int_equal(test_run_with(&config, NULL, take_often, &again), 0);
	assert_int_equal(seen.counts[0], again.counts[0]);
	assert_int_equal(seen.chosen, again.chosen);
}

static int select_in_task(void *value)
{
	struct seen *seen = *(struct seen **)value;

	choose(seen, 2);
	return 0;
}

/* Both wait in the select, then an item comes. */
static int wait_for_item(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int item = 9, error = open_both(seen);

	receive_arms(seen);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, select_in_task, seen);
	error |= rota_yield();
	error |= rota_channel_send(&seen->senders[1], &item);
	error |= rota_channel_send(&seen->senders[0], &item);
	error |= rota_group_wait(&group);
	close_both(seen);
	return error;
}

static void who_waits_gets_the_first_item_and_no_other(void **state)
{
	struct seen seen = { .chosen = -1 };

	(void)state;
	assert_int_equal(test_run(wait_for_item, &seen), 0);
	assert_int_equal(seen.chosen, 1);
	assert_int_equal(seen.items[1], 9);
	assert_int_equal(seen.depths[0], 1);
	assert_int_equal(seen.depths[1], 0);
}

static int send_or_receive(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int item = 5, error = open_both(seen);

	error |= rota_channel_send(&seen->senders[0], &item);
	seen->items[0] = 6;
	seen->arms[0] = rota_arm_send(&seen->senders[0], &seen->items[0]);
	seen->arms[1] = rota_arm_receive(&seen->receivers[1], &seen->items[1]);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, select_in_task, seen);
	error |= rota_yield();
	error |= rota_channel_receive(&seen->receivers[0], &item) != 1;
	error |= rota_group_wait(&group);
	error |= rota_channel_receive(&seen->receivers[0], &item) != 1;
	seen->items[1] = item;
	close_both(seen);
	return error;
}

static void a_full_channel_takes_the_item_when_there_is_room(void **state)
{
	struct seen seen = { .chosen = -1 };

	(void)state;
	assert_int_equal(test_run(send_or_receive, &seen), 0);
	assert_int_equal(seen.chosen, 0);
	assert_int_equal(seen.result, 0);
	assert_int_equal(seen.items[1], 6);
}

static int cancel_select(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int item = 3, error = open_both(seen);

	receive_arms(seen);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, select_in_task, seen);
	error |= rota_yield();
	rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	(void)rota_group_wait(&group);
	for (int i = 0; i < 2; i++)
		error |= rota_channel_send(&seen->senders[i], &item);
	close_both(seen);
	return error;
}

static void a_cancelled_select_takes_nothing(void **state)
{
	struct seen seen = { .chosen = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_select, &seen), 0);
	assert_int_equal(seen.chosen, -ECANCELED);
	assert_int_equal(seen.depths[0], 1);
	assert_int_equal(seen.depths[1], 1);
}

static int poll_beside(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int item = 3, error = open_both(seen);

	if (pipe(seen->fds) < 0)
		return -errno;
	seen->arms[0] = rota_arm_receive(&seen->receivers[0], &seen->items[0]);
	seen->arms[1] = rota_arm_poll(seen->fds[0], POLLIN);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, select_in_task, seen);
	error |= rota_sleep(ROTA_MILLISECOND);
	if (seen->result == 0)
		error |= rota_channel_send(&seen->senders[0], &item);
	else if (write(seen->fds[1], "x", 1) != 1)
		error = -EIO;
	error |= rota_group_wait(&group);
	close_both(seen);
	close(seen->fds[0]);
	close(seen->fds[1]);
	return error;
}

static void an_item_ends_the_poll_beside_it(void **state)
{
	struct seen seen = { .chosen = -1 };

	(void)state;
	assert_int_equal(test_run(poll_beside, &seen), 0);
	assert_int_equal(seen.chosen, 0);
	assert_int_equal(seen.items[0], 3);
}

static void a_ready_descriptor_leaves_the_channel_alone(void **state)
{
	struct seen seen = { .chosen = -1, .result = 1 };

	(void)state;
	assert_int_equal(test_run(poll_beside, &seen), 0);
	assert_int_equal(seen.chosen, 1);
	assert_true(seen.result & POLLIN);
	assert_int_equal(seen.items[0], 0);
}

static int time_out(void *arg)
{
	struct seen *seen = arg;
	int error = open_both(seen);

	receive_arms(seen);
	seen->arms[2] = rota_arm_deadline(rota_after_ns(ROTA_MILLISECOND));
	rota_event_init(&seen->event, NULL);
	seen->arms[3] = rota_arm_event(&seen->event);
	choose(seen, 4);
	rota_event_fini(&seen->event);
	close_both(seen);
	return error;
}

static void a_deadline_arm_comes_when_nothing_else_does(void **state)
{
	struct seen seen = { .chosen = -1 };

	(void)state;
	assert_int_equal(test_run(time_out, &seen), 0);
	assert_int_equal(seen.chosen, 2);
	assert_int_equal(seen.result, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_two_items_one_is_taken),
		cmocka_unit_test(each_ready_arm_is_chosen_now_and_then),
		cmocka_unit_test(the_same_seed_makes_the_same_choices),
		cmocka_unit_test(who_waits_gets_the_first_item_and_no_other),
		cmocka_unit_test(
			a_full_channel_takes_the_item_when_there_is_room),
		cmocka_unit_test(a_cancelled_select_takes_nothing),
		cmocka_unit_test(an_item_ends_the_poll_beside_it),
		cmocka_unit_test(a_ready_descriptor_leaves_the_channel_alone),
		cmocka_unit_test(a_deadline_arm_comes_when_nothing_else_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
