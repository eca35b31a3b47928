/* SPDX-License-Identifier: MIT */
#include "support/ledger.h"

#include <errno.h>
#include <string.h>

void ledger_init(struct ledger *ledger, size_t capacity)
{
	ledger->capacity = capacity;
	ledger->depth = 0;
	ledger->senders = 1;
	ledger->receivers = 1;
	ledger->count = 0;
	ledger->sending.count = 0;
	ledger->receiving.count = 0;
	ledger->ready.count = 0;
	ledger->discards = 0;
}

static void append(struct ledger_line *line, unsigned hand)
{
	line->list[line->count++] = hand;
}

static void cut(struct ledger_line *line, unsigned at)
{
	line->count--;
	memmove(&line->list[at], &line->list[at + 1],
		(line->count - at) * sizeof(*line->list));
}

static unsigned take_first(struct ledger_line *line)
{
	const unsigned hand = line->list[0];

	cut(line, 0);
	return hand;
}

static void wake(struct ledger *ledger, unsigned hand, int result)
{
	ledger->hands[hand].state = LEDGER_WOKEN;
	ledger->hands[hand].result = result;
	append(&ledger->ready, hand);
}

int ledger_try_send(struct ledger *ledger, uint64_t item)
{
	if (!ledger->receivers)
		return -EPIPE;
	if (ledger->receiving.count) {
		const unsigned hand = take_first(&ledger->receiving);

		ledger->hands[hand].item = item;
		wake(ledger, hand, 1);
		return 0;
	}
	if (ledger->depth == ledger->capacity)
		return -EAGAIN;
	ledger->ring[ledger->depth++] = item;
	return 0;
}

/* The ring, and behind it those who wait to send, are one queue. */
int ledger_try_receive(struct ledger *ledger, uint64_t *item)
{
	uint64_t next = 0;
	const bool waits = ledger->sending.count > 0;

	if (waits) {
		const unsigned hand = take_first(&ledger->sending);

		next = ledger->hands[hand].item;
		wake(ledger, hand, 0);
	}
	if (!ledger->depth) {
		if (waits)
			*item = next;
		return waits ? 1 : ledger->senders ? -EAGAIN : 0;
	}
	*item = ledger->ring[0];
	ledger->depth--;
	memmove(ledger->ring, ledger->ring + 1,
		ledger->depth * sizeof(uint64_t));
	if (waits)
		ledger->ring[ledger->depth++] = next;
	return 1;
}

void ledger_spawn(struct ledger *ledger, bool sends, uint64_t item,
		  int64_t deadline_ns)
{
	ledger->hands[ledger->count] = (struct ledger_hand){
		.state = LEDGER_COMES,
		.sends = sends,
		.item = item,
		.deadline_ns = deadline_ns,
	};
	if (sends)
		ledger->senders++;
	else
		ledger->receivers++;
	append(&ledger->ready, ledger->count++);
}

void ledger_leave(struct ledger *ledger, unsigned hand, int code)
{
	struct ledger_line *line = ledger->hands[hand].sends
					   ? &ledger->sending
					   : &ledger->receiving;
	unsigned at = 0;

	if (ledger->hands[hand].state != LEDGER_WAITS)
		return;
	while (line->list[at] != hand)
		at++;
	cut(line, at);
	wake(ledger, hand, code);
}

void ledger_close_sender(struct ledger *ledger)
{
	if (--ledger->senders)
		return;
	while (ledger->receiving.count)
		wake(ledger, take_first(&ledger->receiving), 0);
}

void ledger_close_receiver(struct ledger *ledger)
{
	if (--ledger->receivers)
		return;
	while (ledger->sending.count)
		wake(ledger, take_first(&ledger->sending), -EPIPE);
	for (size_t i = 0; i < ledger->depth; i++)
		ledger->discarded[ledger->discards++] = ledger->ring[i];
	ledger->depth = 0;
}

static void end(struct ledger *ledger, struct ledger_hand *hand)
{
	hand->state = LEDGER_DONE;
	if (hand->sends)
		ledger_close_sender(ledger);
	else
		ledger_close_receiver(ledger);
}

static void run(struct ledger *ledger, unsigned number)
{
	struct ledger_hand *hand = &ledger->hands[number];

	if (hand->state == LEDGER_COMES) {
		hand->result =
			hand->sends ? ledger_try_send(ledger, hand->item)
				    : ledger_try_receive(ledger, &hand->item);
		if (hand->result == -EAGAIN) {
			hand->state = LEDGER_WAITS;
			append(hand->sends ? &ledger->sending
					   : &ledger->receiving,
			       number);
			return;
		}
	}
	end(ledger, hand);
}

void ledger_settle(struct ledger *ledger)
{
	while (ledger->ready.count)
		run(ledger, take_first(&ledger->ready));
}

unsigned ledger_state(const struct ledger *ledger)
{
	return (unsigned)ledger->depth * 100 + ledger->sending.count * 10 +
	       ledger->receiving.count;
}
