/* SPDX-License-Identifier: MIT */
/*
 * Every order in which tasks of a loop can come to a channel, be served, be
 * cancelled, be late and find ends closed, up to a length: an item was taken or
 * the send has failed, never both and never neither. And what a cancelled task
 * is told.
 */
#include "support/game.h"
#include "support/run.h"
#include "support/timed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOVES 5
#define CAPACITIES 3

/* The ways through the engine: of words on one loop, of other items, and of
 * those that others might come by for. */
static const struct way {
	size_t item_bytes;
	bool shared;
} ways[] = { { 8, false }, { 24, false }, { 8, true } };

struct all {
	struct game game;
	unsigned length; /* of each game */
	size_t capacity; /* of the channel */
	unsigned played; /* games */
};

/* The nth game of that length. */
static void write_moves(char *moves, unsigned length, unsigned number)
{
	for (unsigned i = 0; i < length; i++) {
		moves[i] = GAME_MOVES[number % GAME_LETTERS];
		number /= GAME_LETTERS;
	}
	moves[length] = '\0';
}

static unsigned games_of(unsigned length)
{
	unsigned count = 1;

	while (length--)
		count *= (unsigned)GAME_LETTERS;
	return count;
}

static int play_all(void *arg)
{
	struct all *all = arg;
	const unsigned count = games_of(all->length);
	char moves[MOVES + 1];

	for (unsigned i = 0; i < count; i++) {
		write_moves(moves, all->length, i);
		if (!game_play(&all->game, all->capacity, moves))
			return -EPROTO;
		all->played++;
	}
	return 0;
}

static void play_this_way(struct all *all, const struct way *way)
{
	struct hands *hands = &all->game.hands;

	hands->options.item_bytes = way->item_bytes;
	hands->shared = way->shared;
	all->played = 0;
	for (all->capacity = 0; all->capacity < CAPACITIES; all->capacity++)
		if (test_run_timed(play_all, all))
			fail_msg("%s at capacity %zu, %zu bytes: %s: %lld, "
				 "not %lld",
				 all->game.moves, all->capacity,
				 way->item_bytes, hands->referee.broken,
				 (long long)hands->referee.seen,
				 (long long)hands->referee.wanted);
	assert_int_equal(all->played, CAPACITIES * games_of(all->length));
}

static void in_every_order_each_item_goes_or_stays(void **state)
{
	struct all *all = calloc(1, sizeof(*all));

	(void)state;
	assert_non_null(all);
	/* Slow builds do a game less deep: 11 times fewer. */
	all->length = test_rounds(10) < 10 ? MOVES - 1 : MOVES;
	for (unsigned i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		play_this_way(all, &ways[i]);
	free(all);
}

/* What comes to a waiting task, and in which order: an item and then a cancel,
 * or a cancel and then an item. */
static void serve_then_cancel(struct hands *hands)
{
	struct hand *receiver = hands_receive(hands);

	hands_settle();
	HANDS_EXPECT(hands, hands_try_send(hands, 1), 0);
	hands_cancel(receiver);
	hands_settle();
	HANDS_EXPECT(hands, receiver->result, 1);
	HANDS_EXPECT(hands, (int64_t)receiver->item, 1);
}

static void cancel_then_serve(struct hands *hands)
{
	struct hand *receiver = hands_receive(hands);
	uint64_t item = 0;

	hands_settle();
	hands_cancel(receiver);
	HANDS_EXPECT(hands, hands_try_send(hands, 1), 0);
	hands_settle();
	HANDS_EXPECT(hands, receiver->result, -ECANCELED);
	HANDS_EXPECT(hands, (int64_t)receiver->item, 0);
	HANDS_EXPECT(hands, hands_try_receive(hands, &item), 1);
}

static void what_was_handed_over_is_delivered_in_spite_of_a_cancel(void **state)
{
	(void)state;
	hands_play(serve_then_cancel, 1);
	hands_play(cancel_then_serve, 1);
}

static void take_then_cancel(struct hands *hands)
{
	struct hand *sender = hands_send(hands, 1);
	uint64_t item = 0;

	hands_settle();
	HANDS_EXPECT(hands, hands_try_receive(hands, &item), 1);
	hands_cancel(sender);
	hands_settle();
	HANDS_EXPECT(hands, sender->result, 0);
}

static void cancel_then_take(struct hands *hands)
{
	struct hand *sender = hands_send(hands, 1);
	uint64_t item = 0;

	hands_settle();
	hands_cancel(sender);
	HANDS_EXPECT(hands, hands_try_receive(hands, &item), -EAGAIN);
	hands_settle();
	HANDS_EXPECT(hands, sender->result, -ECANCELED);
}

static void a_send_whose_item_was_taken_has_succeeded(void **state)
{
	(void)state;
	hands_play(take_then_cancel, 0);
	hands_play(cancel_then_take, 0);
}

static void be_late(struct hands *hands)
{
	struct hand *early = hands_receive_for(hands, 10);
	struct hand *later = hands_receive_for(hands, 20);

	HANDS_EXPECT(hands, rota_sleep(15), 0);
	HANDS_EXPECT(hands, early->result, -ETIME);
	HANDS_EXPECT(hands, later->place, 0);
	HANDS_EXPECT(hands, hands_try_send(hands, 1), 0);
	HANDS_EXPECT(hands, rota_sleep(15), 0);
	HANDS_EXPECT(hands, later->result, 1);
	early = hands_send_for(hands, 2, 10);
	HANDS_EXPECT(hands, rota_sleep(15), 0);
	HANDS_EXPECT(hands, early->result, -ETIME);
	HANDS_EXPECT(hands, hands_state(hands), 0);
}

static void a_deadline_ends_a_wait(void **state)
{
	(void)state;
	hands_play(be_late, 0);
}

/* A deadline that is over says so before anything is done. */
static void come_late(struct hands *hands)
{
	struct hand *sender, *receiver;

	HANDS_EXPECT(hands, hands_try_send(hands, 1), 0);
	receiver = hands_receive_for(hands, -1);
	sender = hands_send_for(hands, 2, -1);
	hands_settle();
	HANDS_EXPECT(hands, receiver->result, -ETIME);
	HANDS_EXPECT(hands, sender->result, -ETIME);
	HANDS_EXPECT(hands, hands_state(hands), 100);
}

static void a_task_that_is_late_does_nothing(void **state)
{
	(void)state;
	hands_play(come_late, 2);
}

struct idler {
	struct rota_group group;
	struct rota_receiver receiver;
	int results[3];
};

static int be_idle(void *value)
{
	struct idler *idler = *(struct idler **)value;
	struct rota_idle idle;
	uint64_t item = 0;

	rota_idle_begin(&idle);
	idler->results[0] = rota_channel_receive(&idler->receiver, &item);
	idler->results[1] = rota_channel_receive(&idler->receiver, &item);
	rota_idle_end(&idle);
	idler->results[2] = rota_channel_receive(&idler->receiver, &item);
	return 0;
}

/* A worker between two jobs. */
static void drain_idle(struct hands *hands)
{
	struct idler idler = { .receiver = hands->receiver };

	rota_group_open(&idler.group, NULL);
	HANDS_EXPECT(hands, rota_go(&idler.group, be_idle, &idler), 0);
	hands_settle();
	HANDS_EXPECT(hands, hands_state(hands), 1);
	rota_group_drain(&idler.group, ROTA_SECOND);
	HANDS_EXPECT(hands, hands_try_send(hands, 1), 0);
	HANDS_EXPECT(hands, rota_group_wait(&idler.group), 0);
	HANDS_EXPECT(hands, idler.results[0], -ESHUTDOWN);
	HANDS_EXPECT(hands, idler.results[1], -ESHUTDOWN);
	HANDS_EXPECT(hands, idler.results[2], 1);
}

static void who_waits_idle_is_told_of_a_drain(void **state)
{
	(void)state;
	hands_play(drain_idle, 1);
}

static int receive_in_shield(void *value)
{
	struct idler *idler = *(struct idler **)value;
	struct rota_shield shield;
	uint64_t item = 0;

	rota_shield_begin(&shield, ROTA_NEVER);
	idler->results[0] = rota_channel_receive(&idler->receiver, &item);
	rota_shield_end(&shield);
	idler->results[1] = rota_channel_receive(&idler->receiver, &item);
	return 0;
}

static void cancel_shielded(struct hands *hands)
{
	struct idler idler = { .receiver = hands->receiver };

	rota_group_open(&idler.group, NULL);
	HANDS_EXPECT(hands, rota_go(&idler.group, receive_in_shield, &idler),
		     0);
	hands_settle();
	rota_group_cancel(&idler.group, (struct rota_cancellation){ 0, NULL });
	hands_settle();
	HANDS_EXPECT(hands, hands_state(hands), 1);
	HANDS_EXPECT(hands, hands_try_send(hands, 1), 0);
	HANDS_EXPECT(hands, rota_group_wait(&idler.group), -ECANCELED);
	HANDS_EXPECT(hands, idler.results[0], 1);
	HANDS_EXPECT(hands, idler.results[1], -ECANCELED);
}

static void a_shielded_wait_goes_on(void **state)
{
	(void)state;
	hands_play(cancel_shielded, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_every_order_each_item_goes_or_stays),
		cmocka_unit_test(
			what_was_handed_over_is_delivered_in_spite_of_a_cancel),
		cmocka_unit_test(a_send_whose_item_was_taken_has_succeeded),
		cmocka_unit_test(a_deadline_ends_a_wait),
		cmocka_unit_test(a_task_that_is_late_does_nothing),
		cmocka_unit_test(who_waits_idle_is_told_of_a_drain),
		cmocka_unit_test(a_shielded_wait_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
