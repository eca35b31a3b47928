/* SPDX-License-Identifier: MIT */
/*
 * Rounds of races, in classes with names. A round has a seed of its own, made
 * of SEED, the name of the class and the number of the round: one that failed
 * is played again alone.
 *
 *	SEED         the seed of all, printed at the start; else from the clock
 *	ROTA_VERB    only this class
 *	ROTA_ROUND   only this round
 *	ROTA_ROUNDS  how many rounds of each class
 */
#ifndef TEST_SUPPORT_ROUNDS_H
#define TEST_SUPPORT_ROUNDS_H

#include "support/referee.h"

struct rounds {
	const char *name; /* of the class */
	uint64_t seed;    /* of all rounds of all classes */
	unsigned round;   /* the one that is played */
	unsigned end;     /* the one that is not played any more */
};

/* A class begins, of `count` rounds if nobody says otherwise. False: it is not
 * to be played. */
bool rounds_begin(struct rounds *rounds, const char *name, uint64_t seed,
		  unsigned count);

/* The seed of the round that is played. */
uint64_t rounds_seed(const struct rounds *rounds);

/* The law that was broken, if one was, on stderr. */
void rounds_print_law(const struct referee *referee);

/* How that round is played again, on stderr. */
void rounds_print(const struct rounds *rounds);

/* What is to be called when the program aborts, or a sanitizer ends it. */
void rounds_on_abort(void (*report)(const void *), const void *context);

/* Lists the tasks of this loop, reports, and aborts: somebody does not end. */
__attribute__((noreturn)) void rounds_hang(void);

#endif
