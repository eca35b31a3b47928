/* SPDX-License-Identifier: MIT */
/*
 * Work that any loop of an engine may do: parcels that have not been sent to
 * one, first in, first out. Created shared, so it has a lock, which is held for
 * a few instructions and never across a switch.
 *
 * Who puts something there looks for a loop that sleeps afterwards; who is
 * about to sleep looks there after having lain down. Each of the two writes
 * one word, then reads the other's. The one has a sequentially consistent fence
 * between; with the other both accesses are so, for lack of which the load
 * could come first. So at least one of them sees the other (C17 7.17.3, 9 to
 * 11): nothing stays there while a loop sleeps. tests/loop/mail_model.c tries
 * every order of the steps, and finds a weaker one out.
 */
#ifndef RI_TASK_SPREAD_H
#define RI_TASK_SPREAD_H

#include "rota/link.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>

/* The most that is taken at once. */
#define RI_SPREAD_TAKEN_MAX 32u

struct ri_spread {
	alignas(64) pthread_mutex_t mutex; /* of what follows */
	struct rota_mail *oldest;          /* taken next; NULL: nothing */
	struct rota_mail **end;            /* where the next one is linked */
	unsigned count; /* how many; read without the lock too, so atomic */
};

void ri_spread_init(struct ri_spread *spread);
void ri_spread_fini(struct ri_spread *spread);

/* Any loop: puts one at the end. Loops that sleep are the caller's to rouse. */
void ri_spread_put(struct ri_spread *spread, struct rota_mail *mail);

/* Any loop: is there anything? */
static inline bool ri_spread_has(const struct ri_spread *spread)
{
	/* pairs with the fence in ri_spread_put */
	return __atomic_load_n(&spread->count, __ATOMIC_SEQ_CST) != 0;
}

/* Any loop: takes the oldest, some more of them while there are many for this
 * number of loops (0: no more); NULL: there is nothing. Their order is theirs,
 * the last one's `next` is NULL. */
struct rota_mail *ri_spread_take(struct ri_spread *spread, unsigned loops);

#endif
