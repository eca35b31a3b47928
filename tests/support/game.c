/* SPDX-License-Identifier: MIT */
#include "support/game.h"

#include <errno.h>
#include <string.h>

/* How long hands with a deadline have. */
#define PATIENCE_NS 5

static void expect(struct game *game, const char *law, int64_t seen,
		   int64_t wanted)
{
	referee_expect(&game->hands.referee, law, seen, wanted);
}

static void settle(struct game *game)
{
	hands_settle();
	ledger_settle(&game->ledger);
}

static void come(struct game *game, bool sends, int64_t patience_ns)
{
	struct hands *hands = &game->hands;
	const uint64_t item = sends ? game->next_item++ : 0;

	if (sends ? !hands->sender.channel : !hands->receiver.channel)
		return;
	if (sends)
		hands_send_for(hands, item, patience_ns);
	else
		hands_receive_for(hands, patience_ns);
	ledger_spawn(&game->ledger, sends, item,
		     hands->list[hands->count - 1].deadline_ns);
	settle(game);
}

static void try_send(struct game *game)
{
	const uint64_t item = game->next_item++;

	if (game->hands.sender.channel)
		expect(game, "try to send", hands_try_send(&game->hands, item),
		       ledger_try_send(&game->ledger, item));
}

static void try_receive(struct game *game)
{
	uint64_t item = 0, wanted = 0;

	if (!game->hands.receiver.channel)
		return;
	expect(game, "try to receive", hands_try_receive(&game->hands, &item),
	       ledger_try_receive(&game->ledger, &wanted));
	expect(game, "what was received", (int64_t)item, (int64_t)wanted);
}

static void cancel(struct game *game, bool last)
{
	const unsigned count = game->ledger.count;

	for (unsigned i = 0; i < count; i++) {
		const unsigned hand = last ? count - 1 - i : i;

		if (game->ledger.hands[hand].state == LEDGER_DONE)
			continue;
		hands_cancel(&game->hands.list[hand]);
		ledger_leave(&game->ledger, hand, -ECANCELED);
		return;
	}
}

static void let_time_pass(struct game *game)
{
	struct ledger *ledger = &game->ledger;
	int64_t next_ns = ROTA_NEVER;

	settle(game);
	for (unsigned i = 0; i < ledger->count; i++)
		if (ledger->hands[i].state == LEDGER_WAITS &&
		    ledger->hands[i].deadline_ns < next_ns)
			next_ns = ledger->hands[i].deadline_ns;
	if (next_ns == ROTA_NEVER)
		return;
	expect(game, "the player sleeps", rota_sleep_until(next_ns), 0);
	for (unsigned i = 0; i < ledger->count; i++)
		if (ledger->hands[i].deadline_ns <= next_ns)
			ledger_leave(ledger, i, -ETIME);
	settle(game);
}

static void close_sender(struct game *game)
{
	if (!game->hands.sender.channel)
		return;
	rota_sender_close(&game->hands.sender);
	ledger_close_sender(&game->ledger);
}

static void close_receiver(struct game *game)
{
	if (!game->hands.receiver.channel)
		return;
	rota_receiver_close(&game->hands.receiver);
	ledger_close_receiver(&game->ledger);
}

static void move(struct game *game, char letter)
{
	switch (letter) {
	case 's':
	case 'r':
		come(game, letter == 's', ROTA_NEVER);
		break;
	case 'd':
	case 'e':
		come(game, letter == 'd', PATIENCE_NS);
		break;
	case 'S':
		try_send(game);
		break;
	case 'R':
		try_receive(game);
		break;
	case 'c':
	case 'C':
		cancel(game, letter == 'C');
		break;
	case 'x':
		close_sender(game);
		break;
	case 'y':
		close_receiver(game);
		break;
	default:
		let_time_pass(game);
	}
}

static void compare_hand(struct game *game, unsigned number)
{
	const struct hand *hand = &game->hands.list[number];
	const struct ledger_hand *wanted = &game->ledger.hands[number];

	expect(game, "it has returned", hand->place > 0,
	       wanted->state == LEDGER_DONE);
	if (wanted->state != LEDGER_DONE)
		return;
	expect(game, "what it returned", hand->result, wanted->result);
	if (!hand->sends && hand->result == 1)
		expect(game, "what it received", (int64_t)hand->item,
		       (int64_t)wanted->item);
}

static void compare(struct game *game)
{
	const struct hands *hands = &game->hands;

	if (hands->sender.channel || hands->receiver.channel)
		expect(game, "depth, senders, receivers", hands_state(hands),
		       ledger_state(&game->ledger));
	expect(game, "discarded", hands->discards, game->ledger.discards);
	for (unsigned i = 0; i < game->ledger.discards; i++)
		expect(game, "an item that was discarded",
		       (int64_t)hands->discarded[i],
		       (int64_t)game->ledger.discarded[i]);
	for (unsigned i = 0; i < game->ledger.count; i++)
		compare_hand(game, i);
}

/* Nobody can wait any more. */
static void end(struct game *game)
{
	close_sender(game);
	close_receiver(game);
	settle(game);
	compare(game);
	for (unsigned i = 0; i < game->ledger.count; i++)
		expect(game, "it has returned in the end",
		       game->hands.list[i].place > 0, true);
	hands_close(&game->hands);
}

bool game_play(struct game *game, size_t capacity, const char *moves)
{
	struct hands *hands = &game->hands;
	int error;

	hands->count = 0;
	hands->returned = 0;
	hands->discards = 0;
	hands->own_ends = true;
	hands->options.capacity = capacity;
	hands_prepare(hands);
	game->made = 0;
	ledger_init(&game->ledger, capacity);
	error = hands_open(hands);
	expect(game, "the channel opens", error, 0);
	for (; !error && moves[game->made] && !hands->referee.broken;
	     game->made++) {
		game->moves[game->made] = moves[game->made];
		move(game, moves[game->made]);
		compare(game);
	}
	game->moves[game->made] = '\0';
	if (!error)
		end(game);
	return !hands->referee.broken;
}
