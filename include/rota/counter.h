/* SPDX-License-Identifier: MIT */
/*
 * Counting from every loop: each adds on a cache line of its own, so that an
 * add costs as much as that of a plain variable, and who wants to know adds
 * them up.
 *
 *	static struct rota_counter requests;
 *
 *	rota_counter_add(&requests, 1);
 *	...
 *	printf("%lld\n", (long long)rota_counter_sum(&requests));
 *
 * For what is added to often and read seldom. What is to be compared or bounded
 * while others change it wants a limit (limit.h) or an atomic variable; what
 * one loop alone counts is a plain variable.
 */
#ifndef ROTA_COUNTER_H
#define ROTA_COUNTER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* What one loop has added, on a line of its own. All of it private. */
struct rota_counter_slot {
	int64_t count; /* atomic, but written by `loop` only */
	void *loop;    /* that came here first; NULL: nobody has */
} __attribute__((aligned(64)));

/* Loops that have a slot of their own; the last slot is everybody else's. */
#define ROTA_COUNTER_SLOTS 16

/* All zeroes it is a counter at 0: static ones need no more. Its fields are
 * private. Memory for it is aligned to 64. */
struct rota_counter {
	struct rota_counter_slot slots[ROTA_COUNTER_SLOTS]; /* by loop */
};

/* Makes a counter at 0, while nobody uses it. It needs no end. Never suspends.
 * Any thread. */
void rota_counter_init(struct rota_counter *counter);

/* Adds, or with a negative count takes away; it wraps round. Never fails, never
 * suspends. Any thread: loops from the 16th on, those of a second engine and
 * threads without a loop share one slot, by an atomic step. Not for signal
 * handlers. */
void rota_counter_add(struct rota_counter *counter, int64_t count);

/* What was added so far: all that happened before (by a message, a channel, the
 * end of a task), and of what happens meanwhile some. Never suspends. Any
 * thread. */
int64_t rota_counter_sum(const struct rota_counter *counter);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
