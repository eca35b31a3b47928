/* SPDX-License-Identifier: MIT */
/*
 * Games at a channel of one loop: moves, one letter each, are made with hands
 * and in the ledger, and after each one both have to agree.
 *
 *	s r  somebody comes to send, to receive
 *	d e  the same, with a deadline
 *	S R  the player sends, receives without a wait
 *	c C  who came first, last of those who have not returned is cancelled
 *	t    time passes until the next deadline
 *	x y  the player closes the sender, the receiver
 *
 * After s, r, d, e and t all who are ready have their turn; before the others
 * those who were woken have not run yet.
 */
#ifndef TEST_SUPPORT_GAME_H
#define TEST_SUPPORT_GAME_H

#include "support/ledger.h"

#define GAME_MOVES "srdeSRcCtxy"
#define GAME_LETTERS (sizeof(GAME_MOVES) - 1)

struct game {
	struct hands hands;
	struct ledger ledger;
	uint64_t next_item;    /* that somebody sends */
	char moves[HANDS_MAX]; /* so far */
	unsigned made;         /* how many */
};

/* In a task: plays these moves at a channel of that capacity. True: ledger and
 * channel agreed; else game->hands.referee tells. */
bool game_play(struct game *game, size_t capacity, const char *moves);

#endif
