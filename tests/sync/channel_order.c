/* SPDX-License-Identifier: MIT */
/*
 * Who gets what from a channel, and when: rendezvous, order, turns among those
 * who wait, forms that do not wait, and what can be read of it.
 */
#include "support/hands.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void send_then_receive(struct hands *hands)
{
	struct hand *sender = hands_send(hands, 7), *receiver;

	hands_settle();
	HANDS_EXPECT(hands, sender->place, 0);
	HANDS_EXPECT(hands, hands_state(hands), 10);
	receiver = hands_receive(hands);
	hands_settle();
	HANDS_EXPECT(hands, receiver->place, 1);
	HANDS_EXPECT(hands, receiver->result, 1);
	HANDS_EXPECT(hands, (int64_t)receiver->item, 7);
	HANDS_EXPECT(hands, sender->place, 2);
	HANDS_EXPECT(hands, sender->result, 0);
	HANDS_EXPECT(hands, hands_state(hands), 0);
}

static void at_capacity_0_a_sender_waits_for_its_receiver(void **state)
{
	(void)state;
	hands_play(send_then_receive, 0);
}

static void receive_then_send(struct hands *hands)
{
	struct hand *receiver = hands_receive(hands), *sender;

	hands_settle();
	HANDS_EXPECT(hands, receiver->place, 0);
	HANDS_EXPECT(hands, hands_state(hands), 1);
	sender = hands_send(hands, 7);
	hands_settle();
	HANDS_EXPECT(hands, sender->place, 1);
	HANDS_EXPECT(hands, sender->result, 0);
	HANDS_EXPECT(hands, receiver->place, 2);
	HANDS_EXPECT(hands, receiver->result, 1);
	HANDS_EXPECT(hands, (int64_t)receiver->item, 7);
	HANDS_EXPECT(hands, hands_state(hands), 0);
}

static void a_receiver_waits_for_its_sender(void **state)
{
	(void)state;
	hands_play(receive_then_send, 0);
	hands_play(receive_then_send, 1);
	hands_play(receive_then_send, 5);
}

/* An item that is handed over does not go through the ring: the one who comes
 * next finds nothing. */
static void steal(struct hands *hands)
{
	struct hand *receiver = hands_receive(hands);
	uint64_t item = 0;

	hands_settle();
	HANDS_EXPECT(hands, hands_try_send(hands, 7), 0);
	HANDS_EXPECT(hands, hands_state(hands), 0);
	HANDS_EXPECT(hands, hands_try_receive(hands, &item), -EAGAIN);
	HANDS_EXPECT(hands, receiver->place, 0);
	hands_settle();
	HANDS_EXPECT(hands, receiver->result, 1);
	HANDS_EXPECT(hands, (int64_t)receiver->item, 7);
}

static void an_item_for_who_waits_is_nobody_elses(void **state)
{
	(void)state;
	hands_play(steal, 0);
	hands_play(steal, 3);
}

/* The same of a place in the ring: who waited has it, not who comes now. */
static void push_in(struct hands *hands)
{
	struct hand *first;
	uint64_t item = 0;

	HANDS_EXPECT(hands, hands_try_send(hands, 1), 0);
	first = hands_send(hands, 2);
	hands_settle();
	HANDS_EXPECT(hands, hands_state(hands), 110);
	HANDS_EXPECT(hands, hands_try_receive(hands, &item), 1);
	HANDS_EXPECT(hands, (int64_t)item, 1);
	HANDS_EXPECT(hands, hands_state(hands), 100);
	HANDS_EXPECT(hands, hands_try_send(hands, 3), -EAGAIN);
	hands_settle();
	HANDS_EXPECT(hands, first->place, 1);
	HANDS_EXPECT(hands, hands_try_receive(hands, &item), 1);
	HANDS_EXPECT(hands, (int64_t)item, 2);
	HANDS_EXPECT(hands, hands_try_receive(hands, &item), -EAGAIN);
}

static void room_for_who_waits_is_nobody_elses(void **state)
{
	(void)state;
	hands_play(push_in, 1);
}

#define QUEUE 10

static void queue_of_receivers(struct hands *hands)
{
	for (unsigned i = 0; i < QUEUE; i++)
		hands_receive(hands);
	hands_settle();
	HANDS_EXPECT(hands, hands_state(hands), QUEUE);
	for (uint64_t i = 0; i < QUEUE; i++)
		hands_send(hands, i);
	for (unsigned i = 0; i < 4; i++)
		hands_settle();
	for (unsigned i = 0; i < QUEUE; i++) {
		HANDS_EXPECT(hands, hands->list[i].result, 1);
		HANDS_EXPECT(hands, (int64_t)hands->list[i].item, i);
	}
	HANDS_EXPECT(hands, hands->returned, 2 * QUEUE);
}

static void receivers_are_served_in_their_order(void **state)
{
	(void)state;
	hands_play(queue_of_receivers, 0);
	hands_play(queue_of_receivers, 3);
}

static void queue_of_senders(struct hands *hands)
{
	const unsigned room = (unsigned)hands->options.capacity;
	uint64_t item = 0;

	for (uint64_t i = 0; i < QUEUE; i++)
		hands_send(hands, i);
	hands_settle();
	HANDS_EXPECT(hands, hands_state(hands),
		     room * 100 + (QUEUE - room) * 10);
	for (unsigned i = 0; i < QUEUE; i++) {
		HANDS_EXPECT(hands, hands_try_receive(hands, &item), 1);
		HANDS_EXPECT(hands, (int64_t)item, i);
	}
	HANDS_EXPECT(hands, hands_try_receive(hands, &item), -EAGAIN);
	for (unsigned i = 0; i < 4; i++)
		hands_settle();
	for (unsigned i = 0; i < QUEUE; i++) {
		HANDS_EXPECT(hands, hands->list[i].result, 0);
		HANDS_EXPECT(hands, hands->list[i].place, i + 1);
	}
}

static void senders_are_served_in_their_order(void **state)
{
	(void)state;
	hands_play(queue_of_senders, 0);
	hands_play(queue_of_senders, 1);
	hands_play(queue_of_senders, 4);
}

/* Those who leave a line early are not missed in it. */
static void leave_lines(struct hands *hands)
{
	uint64_t item = 0;

	for (uint64_t i = 0; i < 5; i++)
		hands_send(hands, i);
	hands_settle();
	hands_cancel(&hands->list[0]);
	hands_cancel(&hands->list[2]);
	hands_cancel(&hands->list[4]);
	HANDS_EXPECT(hands, hands_state(hands), 20);
	hands_settle();
	HANDS_EXPECT(hands, hands->list[0].result, -ECANCELED);
	HANDS_EXPECT(hands, hands->list[2].result, -ECANCELED);
	HANDS_EXPECT(hands, hands->list[4].result, -ECANCELED);
	HANDS_EXPECT(hands, hands_try_receive(hands, &item), 1);
	HANDS_EXPECT(hands, (int64_t)item, 1);
	HANDS_EXPECT(hands, hands_try_receive(hands, &item), 1);
	HANDS_EXPECT(hands, (int64_t)item, 3);
	HANDS_EXPECT(hands, hands_try_receive(hands, &item), -EAGAIN);
}

static void those_behind_one_who_left_move_up(void **state)
{
	(void)state;
	hands_play(leave_lines, 0);
}

static void try_both(struct hands *hands)
{
	const size_t capacity = hands->options.capacity;
	uint64_t item = 99;

	HANDS_EXPECT(hands, hands_try_receive(hands, &item), -EAGAIN);
	HANDS_EXPECT(hands, (int64_t)item, 99);
	for (size_t i = 0; i < capacity; i++)
		HANDS_EXPECT(hands, hands_try_send(hands, i), 0);
	HANDS_EXPECT(hands, hands_try_send(hands, 1000), -EAGAIN);
	for (size_t i = 0; i < capacity; i++) {
		HANDS_EXPECT(hands, hands_try_receive(hands, &item), 1);
		HANDS_EXPECT(hands, (int64_t)item, (int64_t)i);
	}
	HANDS_EXPECT(hands, hands_try_receive(hands, &item), -EAGAIN);
	HANDS_EXPECT(hands, hands_state(hands), 0);
}

static void try_forms_wait_neither_for_room_nor_for_items(void **state)
{
	(void)state;
	hands_play(try_both, 0);
	hands_play(try_both, 1);
	hands_play(try_both, 9);
}

static void try_when_cancelled(struct hands *hands)
{
	uint64_t item = 0;

	rota_group_cancel(&hands->group, (struct rota_cancellation){ 0, NULL });
	HANDS_EXPECT(hands, rota_cancelled(), -ECANCELED);
	HANDS_EXPECT(hands, hands_try_send(hands, 3), 0);
	HANDS_EXPECT(hands, hands_try_receive(hands, &item), 1);
	HANDS_EXPECT(hands, (int64_t)item, 3);
	HANDS_EXPECT(hands, rota_channel_send(&hands->sender, &item),
		     -ECANCELED);
	HANDS_EXPECT(hands, hands_try_send(hands, 4), 0);
	HANDS_EXPECT(hands, rota_channel_receive(&hands->receiver, &item),
		     -ECANCELED);
	HANDS_EXPECT(hands, hands_state(hands), 100);
}

static void try_forms_work_in_a_cancelled_task_and_verbs_do_not(void **state)
{
	(void)state;
	hands_play(try_when_cancelled, 2);
}

/* One that does not have to wait does not suspend. */
static void go_on_at_once(struct hands *hands)
{
	struct hand *other = hands_receive(hands);
	uint64_t item = 5;

	HANDS_EXPECT(hands, rota_channel_send(&hands->sender, &item), 0);
	HANDS_EXPECT(hands, rota_channel_receive(&hands->receiver, &item), 1);
	HANDS_EXPECT(hands, other->began, false);
}

static void what_need_not_wait_does_not_suspend(void **state)
{
	(void)state;
	hands_play(go_on_at_once, 1);
}

static void inspect_both(struct hands *hands)
{
	struct rota_sender other = rota_sender_share(&hands->sender);
	struct rota_channel_state left, right;

	for (uint64_t i = 0; i < 5; i++)
		hands_send(hands, i);
	hands_settle();
	left = rota_sender_inspect(&other);
	right = rota_receiver_inspect(&hands->receiver);
	HANDS_EXPECT(hands, (int64_t)left.depth, 3);
	HANDS_EXPECT(hands, (int64_t)left.capacity, 3);
	HANDS_EXPECT(hands, left.senders, 2);
	HANDS_EXPECT(hands, left.receivers, 1);
	HANDS_EXPECT(hands, left.senders_waiting, 2);
	HANDS_EXPECT(hands, left.receivers_waiting, 0);
	HANDS_EXPECT(hands, memcmp(&left, &right, sizeof(left)), 0);
	rota_sender_close(&other);
	left = rota_sender_inspect(&hands->sender);
	HANDS_EXPECT(hands, left.senders, 1);
}

static void depth_ends_and_who_waits_can_be_read(void **state)
{
	(void)state;
	hands_play(inspect_both, 3);
}

#define SIZE_MAX_TRIED 300

/* An item of so many bytes, each of them its own. */
static void fill(unsigned char *item, size_t bytes, unsigned seed)
{
	for (size_t i = 0; i < bytes; i++)
		item[i] = (unsigned char)(seed * 31 + i * 7 + 1);
	item[bytes] = 0xee;
}

struct sized {
	size_t bytes, capacity;
	unsigned wrong; /* items that came otherwise than they went */
	struct rota_sender sender;
	struct rota_receiver receiver;
};

static int send_sized(void *value)
{
	struct sized *sized = *(struct sized **)value;
	unsigned char item[SIZE_MAX_TRIED + 1];
	int error = 0;

	for (unsigned i = 0; i < 9 && !error; i++) {
		fill(item, sized->bytes, i);
		error = rota_channel_send(&sized->sender, item);
		memset(item, 0, sized->bytes);
	}
	rota_sender_close(&sized->sender);
	return error;
}

static int receive_sized(struct sized *sized)
{
	unsigned char item[SIZE_MAX_TRIED + 1], wanted[SIZE_MAX_TRIED + 1];
	unsigned count = 0;
	int got;

	for (;; count++) {
		item[sized->bytes] = 0xee;
		got = rota_channel_receive(&sized->receiver, item);
		if (got <= 0)
			break;
		fill(wanted, sized->bytes, count);
		sized->wrong += memcmp(item, wanted, sized->bytes + 1) != 0;
		/* Sometimes the sender fills the ring, sometimes not. */
		if (count % 3 == 1 && (got = rota_yield()) < 0)
			break;
	}
	rota_receiver_close(&sized->receiver);
	return got ? got : (int)count;
}

static int pass_sized(void *arg)
{
	struct sized *sized = arg;
	struct rota_group group;
	int error = rota_channel_open(
		(&(struct rota_channel_options){ .item_bytes = sized->bytes,
						 .capacity = sized->capacity }),
		&sized->sender, &sized->receiver);

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go(&group, send_sized, sized);
	if (!error)
		error = receive_sized(sized);
	return rota_group_wait(&group) < 0 ? -EPROTO : error;
}

static int pass_each_size(void *arg)
{
	struct sized *sized = arg;
	int count = 9;

	for (sized->bytes = 1; sized->bytes <= SIZE_MAX_TRIED && count == 9;
	     sized->bytes++)
		count = pass_sized(sized);
	return count;
}

static void items_of_any_size_come_as_they_went(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity <= 4; capacity++) {
		struct sized sized = { .capacity = capacity };

		assert_int_equal(test_run(pass_each_size, &sized), 9);
		assert_int_equal(sized.wrong, 0);
	}
}

/* An item that is not aligned, and a ring of those that are not. */
static void send_askew(struct hands *hands)
{
	char bytes[32];
	struct hand *hand = hands_receive(hands);
	const uint64_t item = 0x1122334455667788;

	memcpy(bytes + 3, &item, sizeof(item));
	hands_settle();
	HANDS_EXPECT(hands, rota_channel_send(&hands->sender, bytes + 3), 0);
	HANDS_EXPECT(hands, rota_channel_send(&hands->sender, bytes + 3), 0);
	HANDS_EXPECT(hands, rota_channel_receive(&hands->receiver, bytes + 17),
		     1);
	hands_settle();
	HANDS_EXPECT(hands, (int64_t)hand->item, (int64_t)item);
	HANDS_EXPECT(hands, memcmp(bytes + 17, &item, sizeof(item)), 0);
}

static void items_need_not_be_aligned(void **state)
{
	(void)state;
	hands_play(send_askew, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_capacity_0_a_sender_waits_for_its_receiver),
		cmocka_unit_test(a_receiver_waits_for_its_sender),
		cmocka_unit_test(an_item_for_who_waits_is_nobody_elses),
		cmocka_unit_test(room_for_who_waits_is_nobody_elses),
		cmocka_unit_test(receivers_are_served_in_their_order),
		cmocka_unit_test(senders_are_served_in_their_order),
		cmocka_unit_test(those_behind_one_who_left_move_up),
		cmocka_unit_test(try_forms_wait_neither_for_room_nor_for_items),
		cmocka_unit_test(
			try_forms_work_in_a_cancelled_task_and_verbs_do_not),
		cmocka_unit_test(what_need_not_wait_does_not_suspend),
		cmocka_unit_test(depth_ends_and_who_waits_can_be_read),
		cmocka_unit_test(items_of_any_size_come_as_they_went),
		cmocka_unit_test(items_need_not_be_aligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
