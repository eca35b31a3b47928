/* SPDX-License-Identifier: MIT */
/*
 * Contexts that take turns by nothing but the bare switch: the baseline of
 * the yield rows. Their stacks are laid out as the engine's are, with their
 * tops spread over cache-line colours; the records that a turn touches lie
 * together. One set of them at a time, on one thread.
 */
#ifndef BENCH_BARE_CONTEXTS_H
#define BENCH_BARE_CONTEXTS_H

#include "bare_switch.h"

struct bare_turn {
	void *sp;               /* where it was left */
	struct bare_turn *next; /* whose turn is after it */
	struct bare_turn *prev;
};

/* Who runs. */
extern struct bare_turn *bare_current;

/* Runs fn(0), fn(1), ... each on a stack of its own, in turns, until all have
 * returned. 0 or -errno. */
int bare_contexts_run(unsigned count, void (*fn)(unsigned index));

/* Gives the next context its turn. */
static inline void bare_yield(void)
{
	struct bare_turn *self = bare_current;

	bare_current = self->next;
	bare_switch(&self->sp, bare_current->sp);
}

#endif
