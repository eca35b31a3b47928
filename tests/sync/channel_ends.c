/* SPDX-License-Identifier: MIT */
/*
 * How channels end: from the senders' side, from the receivers', and what
 * becomes of items and of those who wait.
 */
#include "support/hands.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void drain_then_end(struct hands *hands)
{
	uint64_t item = 0;

	for (uint64_t i = 0; i < 3; i++)
		HANDS_EXPECT(hands, hands_try_send(hands, i), 0);
	rota_sender_close(&hands->sender);
	for (unsigned i = 0; i < 3; i++) {
		HANDS_EXPECT(hands,
			     i % 2 ? hands_try_receive(hands, &item)
				   : rota_channel_receive(&hands->receiver,
							  &item),
			     1);
		HANDS_EXPECT(hands, (int64_t)item, i);
	}
	for (unsigned i = 0; i < 3; i++) {
		HANDS_EXPECT(hands, hands_try_receive(hands, &item), 0);
		HANDS_EXPECT(hands,
			     rota_channel_receive(&hands->receiver, &item), 0);
	}
	HANDS_EXPECT(hands, (int64_t)item, 2);
}

static void
what_is_left_is_received_and_then_the_end_again_and_again(void **state)
{
	(void)state;
	hands_play(drain_then_end, 3);
	hands_play(drain_then_end, 8);
}

static void end_receivers(struct hands *hands)
{
	for (unsigned i = 0; i < 5; i++)
		hands_receive(hands);
	hands_settle();
	rota_sender_close(&hands->sender);
	HANDS_EXPECT(hands, hands_state(hands), 0);
	hands_settle();
	for (unsigned i = 0; i < 5; i++) {
		HANDS_EXPECT(hands, hands->list[i].place, i + 1);
		HANDS_EXPECT(hands, hands->list[i].result, 0);
	}
}

static void the_end_wakes_everybody_who_waits_to_receive(void **state)
{
	(void)state;
	hands_play(end_receivers, 0);
	hands_play(end_receivers, 2);
}

static void share_senders(struct hands *hands)
{
	struct rota_sender second = rota_sender_share(&hands->sender);
	struct rota_sender third = rota_sender_share(&second);
	struct hand *receiver = hands_receive(hands);
	const uint64_t item = 4;

	hands_settle();
	rota_sender_close(&hands->sender);
	rota_sender_close(&second);
	HANDS_EXPECT(hands, hands->sender.channel == NULL, true);
	hands_settle();
	HANDS_EXPECT(hands, receiver->place, 0);
	HANDS_EXPECT(hands, rota_channel_try_send(&third, &item), 0);
	hands_settle();
	HANDS_EXPECT(hands, receiver->result, 1);
	receiver = hands_receive(hands);
	hands_settle();
	HANDS_EXPECT(hands, receiver->place, 0);
	rota_sender_close(&third);
	hands_settle();
	HANDS_EXPECT(hands, receiver->result, 0);
}

static void only_the_last_sender_ends_it(void **state)
{
	(void)state;
	hands_play(share_senders, 0);
	hands_play(share_senders, 2);
}

static void share_receivers(struct hands *hands)
{
	struct rota_receiver second = rota_receiver_share(&hands->receiver);
	struct rota_receiver third = rota_receiver_share(&second);
	uint64_t item = 0;

	HANDS_EXPECT(hands, hands_try_send(hands, 8), 0);
	rota_receiver_close(&hands->receiver);
	rota_receiver_close(&third);
	HANDS_EXPECT(hands, hands->receiver.channel == NULL, true);
	HANDS_EXPECT(hands, hands->discards, 0);
	HANDS_EXPECT(hands, hands_try_send(hands, 9), 0);
	HANDS_EXPECT(hands, rota_channel_try_receive(&second, &item), 1);
	HANDS_EXPECT(hands, (int64_t)item, 8);
	rota_receiver_close(&second);
	HANDS_EXPECT(hands, hands->discards, 1);
	HANDS_EXPECT(hands, (int64_t)hands->discarded[0], 9);
	HANDS_EXPECT(hands, hands_try_send(hands, 10), -EPIPE);
}

static void only_the_last_receiver_makes_sends_fail(void **state)
{
	(void)state;
	hands_play(share_receivers, 2);
}

static void send_to_nobody(struct hands *hands)
{
	const uint64_t item = 1;

	rota_receiver_close(&hands->receiver);
	for (unsigned i = 0; i < 2; i++) {
		HANDS_EXPECT(hands, hands_try_send(hands, i), -EPIPE);
		HANDS_EXPECT(hands, rota_channel_send(&hands->sender, &item),
			     -EPIPE);
	}
	HANDS_EXPECT(hands, hands_state(hands), 0);
	HANDS_EXPECT(hands, hands->discards, 0);
}

static void a_send_after_the_receivers_is_a_broken_pipe(void **state)
{
	(void)state;
	hands_play(send_to_nobody, 0);
	hands_play(send_to_nobody, 3);
}

/* Items of those who wait are theirs still; items that lie there are
 * discarded, the oldest first. */
static void leave_senders(struct hands *hands)
{
	const unsigned room = (unsigned)hands->options.capacity;

	for (uint64_t i = 0; i < 6; i++)
		hands_send(hands, i);
	hands_settle();
	rota_receiver_close(&hands->receiver);
	HANDS_EXPECT(hands, hands->discards, room);
	HANDS_EXPECT(hands, hands_state(hands), 0);
	hands_settle();
	for (unsigned i = 0; i < 6; i++) {
		HANDS_EXPECT(hands, hands->list[i].place, i + 1);
		HANDS_EXPECT(hands, hands->list[i].result,
			     i < room ? 0 : -EPIPE);
		if (i < room)
			HANDS_EXPECT(hands, (int64_t)hands->discarded[i], i);
	}
}

static void who_waits_to_send_is_told_when_the_receivers_go(void **state)
{
	(void)state;
	hands_play(leave_senders, 0);
	hands_play(leave_senders, 1);
	hands_play(leave_senders, 4);
}

/* Wherever in the ring the oldest one is. */
static void discard_from(struct hands *hands, unsigned start)
{
	uint64_t item = 0;

	for (uint64_t i = 0; i < start; i++) {
		HANDS_EXPECT(hands, hands_try_send(hands, 77), 0);
		HANDS_EXPECT(hands, hands_try_receive(hands, &item), 1);
	}
	for (uint64_t i = 0; i < 4; i++)
		HANDS_EXPECT(hands, hands_try_send(hands, 100 + i), 0);
	HANDS_EXPECT(hands, hands_try_receive(hands, &item), 1);
	if (start % 2)
		rota_sender_close(&hands->sender);
	rota_receiver_close(&hands->receiver);
	HANDS_EXPECT(hands, hands->discards, 3);
	for (unsigned i = 0; i < 3; i++)
		HANDS_EXPECT(hands, (int64_t)hands->discarded[i], 101 + i);
}

static void discard_from_0(struct hands *hands)
{
	discard_from(hands, 0);
}

static void discard_from_1(struct hands *hands)
{
	discard_from(hands, 1);
}

static void discard_from_3(struct hands *hands)
{
	discard_from(hands, 3);
}

static void discard_from_4(struct hands *hands)
{
	discard_from(hands, 4);
}

static void what_is_left_is_discarded_once_each_the_oldest_first(void **state)
{
	(void)state;
	hands_play(discard_from_0, 5);
	hands_play(discard_from_1, 5);
	hands_play(discard_from_3, 5);
	hands_play(discard_from_4, 5);
	hands_play(discard_from_4, 4);
}

/* An item that was handed to a task is received, even if that is cancelled, and
 * even if all ends are closed before it runs. */
static void close_before_it_runs(struct hands *hands)
{
	struct hand *receiver = hands_receive(hands);

	hands_settle();
	HANDS_EXPECT(hands, hands_try_send(hands, 5), 0);
	hands_cancel(receiver);
	rota_sender_close(&hands->sender);
	rota_receiver_close(&hands->receiver);
	HANDS_EXPECT(hands, receiver->place, 0);
	hands_settle();
	HANDS_EXPECT(hands, receiver->result, 1);
	HANDS_EXPECT(hands, (int64_t)receiver->item, 5);
	HANDS_EXPECT(hands, hands->discards, 0);
}

static void what_was_handed_over_arrives_when_the_channel_is_gone(void **state)
{
	(void)state;
	hands_play(close_before_it_runs, 0);
	hands_play(close_before_it_runs, 2);
}

/* The last sender leaves while others of its kind still wait: not possible with
 * ends of their own. So those who wait have one. */
static int send_own(void *value)
{
	struct {
		struct rota_sender sender;
		struct hands *hands;
	} *own = value;
	const uint64_t item = 3;
	const int error = rota_channel_send(&own->sender, &item);

	own->hands->returned++;
	rota_sender_close(&own->sender);
	return error;
}

static void hand_ends_over(struct hands *hands)
{
	const struct {
		struct rota_sender sender;
		struct hands *hands;
	} own = { rota_sender_share(&hands->sender), hands };
	uint64_t item = 0;

	HANDS_EXPECT(hands, rota_go(&hands->group, send_own, own), 0);
	hands_settle();
	rota_sender_close(&hands->sender);
	HANDS_EXPECT(hands, hands->returned, 0);
	HANDS_EXPECT(hands, rota_channel_receive(&hands->receiver, &item), 1);
	HANDS_EXPECT(hands, (int64_t)item, 3);
	HANDS_EXPECT(hands, rota_channel_receive(&hands->receiver, &item), 0);
	HANDS_EXPECT(hands, hands->returned, 1);
}

static void an_end_may_be_given_to_a_task_by_value(void **state)
{
	(void)state;
	hands_play(hand_ends_over, 0);
}

static void close_when_cancelled(struct hands *hands)
{
	struct rota_sender other = rota_sender_share(&hands->sender);

	HANDS_EXPECT(hands, hands_try_send(hands, 1), 0);
	rota_group_cancel(&hands->group, (struct rota_cancellation){ 0, NULL });
	rota_sender_close(&other);
	rota_receiver_close(&hands->receiver);
	rota_sender_close(&hands->sender);
	HANDS_EXPECT(hands, hands->discards, 1);
}

static void a_cancelled_task_can_close(void **state)
{
	(void)state;
	hands_play(close_when_cancelled, 1);
}

/* What is discarded may own what it likes, ends of this channel too. */
static struct hands *discarding;

static void close_an_end(void *item, void *context)
{
	struct hands *hands = discarding;

	(void)item;
	HANDS_EXPECT(hands, context == &discarding, true);
	HANDS_EXPECT(hands, rota_cancelled(), 0);
	HANDS_EXPECT(hands, hands_try_send(hands, 1), -EPIPE);
	if (++hands->discards == 2)
		rota_sender_close(&hands->sender);
}

static void discard_an_end(struct hands *hands)
{
	HANDS_EXPECT(hands, hands_try_send(hands, 1), 0);
	HANDS_EXPECT(hands, hands_try_send(hands, 2), 0);
	rota_receiver_close(&hands->receiver);
	HANDS_EXPECT(hands, hands->discards, 2);
	HANDS_EXPECT(hands, hands->sender.channel == NULL, true);
}

static void what_is_discarded_may_own_an_end_of_the_channel(void **state)
{
	struct hands hands = {
		.options = { .capacity = 2,
			     .discard = close_an_end,
			     .context = &discarding },
		.script = discard_an_end,
	};

	(void)state;
	discarding = &hands;
	hands_play_with(&hands);
}

/* What is read while items are thrown away. */
static void look_while_discarding(void *item, void *context)
{
	struct hands *hands = context;

	(void)item;
	HANDS_EXPECT(hands, rota_sender_inspect(&hands->sender).receivers, 0);
	HANDS_EXPECT(hands, (int64_t)rota_sender_inspect(&hands->sender).depth,
		     0);
	hands->discards++;
}

static void discard_and_look(struct hands *hands)
{
	HANDS_EXPECT(hands, hands_try_send(hands, 1), 0);
	HANDS_EXPECT(hands, hands_try_send(hands, 2), 0);
	rota_receiver_close(&hands->receiver);
	HANDS_EXPECT(hands, hands->discards, 2);
}

static void what_is_being_discarded_lies_in_it_no_more(void **state)
{
	struct hands hands = {
		.options = { .capacity = 2,
			     .discard = look_while_discarding,
			     .context = &hands },
		.script = discard_and_look,
	};

	(void)state;
	hands_play_with(&hands);
}

/* A pool whose workers are gone: who feeds it does not hang. */
static int feed(void *value)
{
	struct hands *hands = *(struct hands **)value;
	uint64_t item = 0;
	int error;

	while (!(error = rota_channel_send(&hands->sender, &item)))
		item++;
	rota_sender_close(&hands->sender);
	return error == -EPIPE ? 0 : error;
}

static int fail_at_three(void *value)
{
	struct rota_receiver receiver = *(struct rota_receiver *)value;
	uint64_t item = 0;
	int got;

	while ((got = rota_channel_receive(&receiver, &item)) > 0 && item < 3)
		;
	rota_receiver_close(&receiver);
	return got < 0 ? got : -EIO;
}

static void lose_workers(struct hands *hands)
{
	struct rota_group workers;
	struct rota_receiver own;

	rota_group_open(&workers, &(struct rota_group_options){
					  .mode = ROTA_GROUP_KEEP_GOING });
	HANDS_EXPECT(hands, rota_go(&hands->group, feed, hands), 0);
	for (unsigned i = 0; i < 3; i++) {
		own = rota_receiver_share(&hands->receiver);
		HANDS_EXPECT(hands, rota_go(&workers, fail_at_three, own), 0);
	}
	rota_receiver_close(&hands->receiver);
	HANDS_EXPECT(hands, rota_group_wait(&workers), -EIO);
	hands_settle();
	HANDS_EXPECT(hands, hands->sender.channel == NULL, true);
}

static void who_feeds_workers_that_died_is_told(void **state)
{
	(void)state;
	hands_play(lose_workers, 0);
	hands_play(lose_workers, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_is_left_is_received_and_then_the_end_again_and_again),
		cmocka_unit_test(the_end_wakes_everybody_who_waits_to_receive),
		cmocka_unit_test(only_the_last_sender_ends_it),
		cmocka_unit_test(only_the_last_receiver_makes_sends_fail),
		cmocka_unit_test(a_send_after_the_receivers_is_a_broken_pipe),
		cmocka_unit_test(
			who_waits_to_send_is_told_when_the_receivers_go),
		cmocka_unit_test(
			what_is_left_is_discarded_once_each_the_oldest_first),
		cmocka_unit_test(
			what_was_handed_over_arrives_when_the_channel_is_gone),
		cmocka_unit_test(an_end_may_be_given_to_a_task_by_value),
		cmocka_unit_test(a_cancelled_task_can_close),
		cmocka_unit_test(
			what_is_discarded_may_own_an_end_of_the_channel),
		cmocka_unit_test(what_is_being_discarded_lies_in_it_no_more),
		cmocka_unit_test(who_feeds_workers_that_died_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
