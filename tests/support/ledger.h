/* SPDX-License-Identifier: MIT */
/*
 * A model of a channel of one loop and its hands (support/hands.h), each with
 * an end of its own: what must become of every item and of every one of them.
 * What a hand does it does when its turn in the ready queue comes.
 */
#ifndef TEST_SUPPORT_LEDGER_H
#define TEST_SUPPORT_LEDGER_H

#include "support/hands.h"

#define LEDGER_RING 8

enum ledger_state {
	LEDGER_COMES, /* it was spawned */
	LEDGER_WAITS, /* it stands in line */
	LEDGER_WOKEN, /* it was served, or has left */
	LEDGER_DONE,  /* it has returned */
};

struct ledger_hand {
	enum ledger_state state;
	bool sends;          /* else it receives */
	uint64_t item;       /* what goes, or has come */
	int result;          /* once it is woken */
	int64_t deadline_ns; /* ROTA_NEVER: none */
};

/* Hands by number, the first one first. */
struct ledger_line {
	unsigned list[HANDS_MAX];
	unsigned count;
};

struct ledger {
	size_t capacity;             /* at most LEDGER_RING */
	uint64_t ring[LEDGER_RING];  /* items, the oldest first */
	size_t depth;                /* how many */
	unsigned senders, receivers; /* open ends */
	struct ledger_hand hands[HANDS_MAX];
	unsigned count;                        /* of hands */
	struct ledger_line sending, receiving; /* who waits */
	struct ledger_line ready;              /* who has a turn to come */
	uint64_t discarded[HANDS_DISCARDED_MAX];
	unsigned discards;
};

void ledger_init(struct ledger *ledger, size_t capacity);

/* As rota_channel_try_send and _receive. */
int ledger_try_send(struct ledger *ledger, uint64_t item);
int ledger_try_receive(struct ledger *ledger, uint64_t *item);

/* A hand comes. */
void ledger_spawn(struct ledger *ledger, bool sends, uint64_t item,
		  int64_t deadline_ns);

/* One of them is cancelled, or late. */
void ledger_leave(struct ledger *ledger, unsigned hand, int code);

void ledger_close_sender(struct ledger *ledger);
void ledger_close_receiver(struct ledger *ledger);

/* Everybody who is ready has their turn. */
void ledger_settle(struct ledger *ledger);

/* As hands_state. */
unsigned ledger_state(const struct ledger *ledger);

#endif
