/* SPDX-License-Identifier: MIT */
#include "support/choice.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

bool choice_is_ready(const struct choice *choice, unsigned hand, unsigned arm,
		     int64_t now_ns)
{
	const struct choice_arm *one = &choice->hands[hand].arms[arm];
	const struct choice_channel *channel = &choice->channels[one->which];

	switch (one->kind) {
	case ROTA_ARM_SEND:
		return !channel->receives ||
		       channel->depth < channel->capacity ||
		       channel->receiving.count;
	case ROTA_ARM_RECEIVE:
		return channel->depth || !channel->sends ||
		       channel->sending.count;
	case ROTA_ARM_EVENT:
		return choice->set[one->which];
	case ROTA_ARM_TICK:
	case ROTA_ARM_DEADLINE:
		return one->due_ns <= now_ns;
	case ROTA_ARM_POLL:
		return choice->hands[hand].readable;
	case ROTA_ARM_NEVER:
		break;
	}
	return false;
}

bool choice_any_ready(const struct choice *choice, unsigned hand,
		      int64_t now_ns)
{
	for (unsigned i = 0; i < choice->hands[hand].count; i++)
		if (choice_is_ready(choice, hand, i, now_ns))
			return true;
	return false;
}

static void forget(struct choice_line *line, unsigned hand)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < line->count; i++)
		if (line->places[i].hand != hand)
			line->places[kept++] = line->places[i];
	line->count = kept;
}

void choice_end(struct choice *choice, unsigned hand, int chosen, int result)
{
	struct choice_hand *one = &choice->hands[hand];

	one->waits = false;
	one->chosen = chosen;
	one->result = result;
	for (unsigned i = 0; i < CHOICE_CHANNELS; i++) {
		forget(&choice->channels[i].sending, hand);
		forget(&choice->channels[i].receiving, hand);
	}
}

/* The first in line goes on. */
static struct choice_arm *serve(struct choice *choice, struct choice_line *line,
				int result)
{
	const struct choice_place first = line->places[0];

	choice_end(choice, first.hand, (int)first.arm, result);
	return &choice->hands[first.hand].arms[first.arm];
}

int choice_send(struct choice *choice, unsigned channel, unsigned item)
{
	struct choice_channel *one = &choice->channels[channel];

	if (!one->receives)
		return -EPIPE;
	if (one->receiving.count) {
		const unsigned hand = one->receiving.places[0].hand;

		serve(choice, &one->receiving, 1);
		choice->hands[hand].item = item;
		return 0;
	}
	if (one->depth == one->capacity)
		return -EAGAIN;
	one->items[one->depth++] = item;
	return 0;
}

int choice_receive(struct choice *choice, unsigned channel, unsigned *item)
{
	struct choice_channel *one = &choice->channels[channel];

	if (!one->depth && !one->sending.count)
		return one->sends ? -EAGAIN : 0;
	if (!one->depth) {
		*item = serve(choice, &one->sending, 0)->item;
		return 1;
	}
	*item = one->items[0];
	memmove(one->items, one->items + 1, --one->depth * sizeof(*one->items));
	if (one->sending.count)
		one->items[one->depth++] =
			serve(choice, &one->sending, 0)->item;
	return 1;
}

void choice_do(struct choice *choice, unsigned hand, unsigned arm)
{
	struct choice_hand *one = &choice->hands[hand];
	const struct choice_arm *done = &one->arms[arm];
	int result = 0;

	if (done->kind == ROTA_ARM_SEND)
		result = choice_send(choice, done->which, done->item);
	else if (done->kind == ROTA_ARM_RECEIVE)
		result = choice_receive(choice, done->which, &one->item);
	else if (done->kind == ROTA_ARM_POLL)
		result = POLLIN;
	choice_end(choice, hand, (int)arm, result);
}

static void stand(struct choice_line *line, unsigned hand, unsigned arm)
{
	line->places[line->count++] =
		(struct choice_place){ .hand = hand, .arm = arm };
}

void choice_wait(struct choice *choice, unsigned hand)
{
	struct choice_hand *one = &choice->hands[hand];

	one->waits = true;
	for (unsigned i = 0; i < one->count; i++) {
		struct choice_channel *channel =
			&choice->channels[one->arms[i].which];

		if (one->arms[i].kind == ROTA_ARM_SEND)
			stand(&channel->sending, hand, i);
		else if (one->arms[i].kind == ROTA_ARM_RECEIVE)
			stand(&channel->receiving, hand, i);
	}
}

void choice_set(struct choice *choice, unsigned event)
{
	choice->set[event] = true;
	for (unsigned hand = 0; hand < CHOICE_HANDS; hand++)
		for (unsigned i = 0; i < choice->hands[hand].count; i++) {
			const struct choice_hand *one = &choice->hands[hand];

			if (one->waits && one->arms[i].which == event &&
			    one->arms[i].kind == ROTA_ARM_EVENT)
				choice_end(choice, hand, (int)i, 0);
		}
}

void choice_close_sender(struct choice *choice, unsigned channel)
{
	struct choice_channel *one = &choice->channels[channel];

	one->sends = false;
	while (one->receiving.count)
		serve(choice, &one->receiving, 0);
}

void choice_close_receiver(struct choice *choice, unsigned channel)
{
	struct choice_channel *one = &choice->channels[channel];

	one->receives = false;
	one->depth = 0;
	while (one->sending.count)
		serve(choice, &one->sending, -EPIPE);
}

/* When something ends this wait; *arm is what, or count: its scope. */
static int64_t due_ns(const struct choice_hand *hand, unsigned *arm)
{
	int64_t first_ns = hand->deadline_ns;

	*arm = hand->count;
	for (unsigned i = 0; i < hand->count; i++)
		if ((hand->arms[i].kind == ROTA_ARM_TICK ||
		     hand->arms[i].kind == ROTA_ARM_DEADLINE) &&
		    hand->arms[i].due_ns < first_ns) {
			first_ns = hand->arms[i].due_ns;
			*arm = i;
		}
	return first_ns;
}

void choice_pass(struct choice *choice, int64_t now_ns)
{
	for (unsigned i = 0; i < CHOICE_HANDS; i++) {
		struct choice_hand *hand = &choice->hands[i];
		unsigned arm;

		if (!hand->waits || due_ns(hand, &arm) > now_ns)
			continue;
		if (arm < hand->count)
			choice_end(choice, i, (int)arm, 0);
		else
			choice_end(choice, i, -ETIME, CHOICE_NONE);
	}
}

int64_t choice_next_ns(const struct choice *choice)
{
	int64_t next_ns = INT64_MAX;

	for (unsigned i = 0; i < CHOICE_HANDS; i++) {
		unsigned arm;
		const int64_t one_ns = due_ns(&choice->hands[i], &arm);

		if (choice->hands[i].waits && one_ns < next_ns)
			next_ns = one_ns;
	}
	return next_ns;
}

bool choice_wanted(const struct choice *choice, enum rota_arm_kind kind,
		   unsigned which)
{
	const struct choice_channel *channel = &choice->channels[which];

	return kind == ROTA_ARM_SEND ? channel->sending.count
				     : channel->receiving.count;
}
