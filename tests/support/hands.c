/* SPDX-License-Identifier: MIT */
#include "support/hands.h"

#include "support/timed.h"
#include "sync/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Turns in the ready queue in which everybody has had theirs: who is woken
 * wakes somebody else at most so often. */
#define SETTLE_YIELDS 6

/* All that there is of an item. */
static void spell(uint64_t words[HANDS_WORDS], uint64_t item)
{
	for (uint64_t i = 0; i < HANDS_WORDS; i++)
		words[i] = i ? ~item - i : item;
}

/* It came as it went. */
static void check_spelling(struct hands *hands,
			   const uint64_t words[HANDS_WORDS])
{
	uint64_t wanted[HANDS_WORDS];

	spell(wanted, words[0]);
	referee_expect(&hands->referee, "an item is whole",
		       memcmp(words, wanted, hands->options.item_bytes), 0);
}

static int work(struct hand *hand)
{
	uint64_t words[HANDS_WORDS];
	int got;

	hand->began = true;
	spell(words, hand->item);
	if (hand->sends)
		return rota_channel_send(&hand->sender, words);
	got = rota_channel_receive(&hand->receiver, words);
	if (got == 1)
		check_spelling(hand->hands, words);
	hand->item = words[0];
	return got;
}

static void take_end(struct hand *hand)
{
	struct hands *hands = hand->hands;

	hand->sender = hands->sender;
	hand->receiver = hands->receiver;
	if (!hands->own_ends)
		return;
	if (hand->sends)
		hand->sender = rota_sender_share(&hands->sender);
	else
		hand->receiver = rota_receiver_share(&hands->receiver);
}

static void give_end_back(struct hand *hand)
{
	if (!hand->hands->own_ends)
		return;
	if (hand->sends)
		rota_sender_close(&hand->sender);
	else
		rota_receiver_close(&hand->receiver);
}

static int hand_main(void *value)
{
	struct hand *hand = *(struct hand **)value;
	struct rota_deadline deadline;

	rota_group_open(&hand->group, NULL);
	rota_deadline_begin(&deadline, hand->deadline_ns);
	hand->result = work(hand);
	hand->place = ++hand->hands->returned;
	rota_deadline_end(&deadline);
	(void)rota_group_wait(&hand->group);
	give_end_back(hand);
	return 0;
}

static struct hand *begin(struct hands *hands, bool sends, uint64_t item,
			  int64_t ns)
{
	struct hand *hand = &hands->list[hands->count];

	*hand = (struct hand){
		.hands = hands,
		.sends = sends,
		.item = item,
		.deadline_ns = ns == ROTA_NEVER ? ns : rota_after_ns(ns),
		.result = 1000,
	};
	if (hands->count < HANDS_MAX - 1)
		hands->count++;
	take_end(hand);
	referee_expect(&hands->referee, "a hand starts",
		       rota_go(&hands->group, hand_main, hand), 0);
	return hand;
}

struct hand *hands_send(struct hands *hands, uint64_t item)
{
	return begin(hands, true, item, ROTA_NEVER);
}

struct hand *hands_receive(struct hands *hands)
{
	return begin(hands, false, 0, ROTA_NEVER);
}

struct hand *hands_send_for(struct hands *hands, uint64_t item, int64_t ns)
{
	return begin(hands, true, item, ns);
}

struct hand *hands_receive_for(struct hands *hands, int64_t ns)
{
	return begin(hands, false, 0, ns);
}

void hands_settle(void)
{
	for (int i = 0; i < SETTLE_YIELDS; i++)
		(void)!rota_yield();
}

void hands_cancel(struct hand *hand)
{
	rota_group_cancel(&hand->group, (struct rota_cancellation){ 0, NULL });
}

int hands_try_send(struct hands *hands, uint64_t item)
{
	uint64_t words[HANDS_WORDS];

	spell(words, item);
	return rota_channel_try_send(&hands->sender, words);
}

int hands_try_receive(struct hands *hands, uint64_t *item)
{
	uint64_t words[HANDS_WORDS];
	const int got = rota_channel_try_receive(&hands->receiver, words);

	if (got != 1)
		return got;
	check_spelling(hands, words);
	*item = words[0];
	return got;
}

unsigned hands_state(const struct hands *hands)
{
	const struct rota_channel_state state =
		hands->sender.channel ? rota_sender_inspect(&hands->sender)
				      : rota_receiver_inspect(&hands->receiver);

	return (unsigned)state.depth * 100 + state.senders_waiting * 10 +
	       state.receivers_waiting;
}

static void note_discarded(void *item, void *context)
{
	struct hands *hands = context;
	const unsigned at = hands->discards++;
	uint64_t words[HANDS_WORDS];

	memcpy(words, item, hands->options.item_bytes);
	check_spelling(hands, words);
	if (at < HANDS_DISCARDED_MAX)
		memcpy(&hands->discarded[at], item, sizeof(uint64_t));
}

int hands_open(struct hands *hands)
{
	const int error = rota_channel_open(&hands->options, &hands->sender,
					    &hands->receiver);

	if (error)
		return error;
	if (hands->shared) {
		struct rota_channel *channel = hands->sender.channel;

		channel->guard = (struct rota_guard){ .loop = NULL };
		channel->quick = NULL;
	}
	rota_group_open(&hands->group, NULL);
	return 0;
}

/* Whoever waits still is cancelled: a script need not end its hands. */
void hands_close(struct hands *hands)
{
	rota_group_cancel(&hands->group, (struct rota_cancellation){ 0, NULL });
	(void)rota_group_wait(&hands->group);
	if (hands->sender.channel)
		rota_sender_close(&hands->sender);
	if (hands->receiver.channel)
		rota_receiver_close(&hands->receiver);
}

static int direct(void *arg)
{
	struct hands *hands = arg;
	const int error = hands_open(hands);

	if (error)
		return error;
	hands->script(hands);
	hands_close(hands);
	return 0;
}

void hands_prepare(struct hands *hands)
{
	if (!hands->options.item_bytes)
		hands->options.item_bytes = sizeof(uint64_t);
	if (!hands->options.discard) {
		hands->options.discard = note_discarded;
		hands->options.context = hands;
	}
}

void hands_play_with(struct hands *hands)
{
	const struct referee *referee = &hands->referee;

	hands_prepare(hands);
	assert_int_equal(test_run_timed(direct, hands), 0);
	if (referee->broken)
		fail_msg("%s: %lld, not %lld", referee->broken,
			 (long long)referee->seen, (long long)referee->wanted);
}

void hands_play(void (*script)(struct hands *hands), size_t capacity)
{
	struct hands hands = { .options.capacity = capacity, .script = script };

	hands_play_with(&hands);
}
