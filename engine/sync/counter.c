/* SPDX-License-Identifier: MIT */
/*
 * A slot is the first loop's that adds to it, by its number. All that it has to
 * be is that no two threads write one without a lock: a loop of another engine
 * with the same number finds it taken, as does one that comes when the first
 * one is gone, and goes to the shared slot.
 *
 * A loop that lives at the address of one that is gone has its slots: that one
 * has written its last.
 */
#include "rota/counter.h"

#include "loop/loop.h"

#include <assert.h>
#include <string.h>

#define SHARED (ROTA_COUNTER_SLOTS - 1)

static_assert(sizeof(struct rota_counter) == ROTA_COUNTER_SLOTS * 64u,
	      "a line for each slot");

void rota_counter_init(struct rota_counter *counter)
{
	memset(counter, 0, sizeof(*counter));
}

/* The caller is the only one that writes here. Relaxed: who has to see it has
 * heard of it otherwise. */
static inline void add_alone(struct rota_counter_slot *slot, int64_t count)
{
	const int64_t before = __atomic_load_n(&slot->count, __ATOMIC_RELAXED);

	__atomic_store_n(&slot->count,
			 (int64_t)((uint64_t)before + (uint64_t)count),
			 __ATOMIC_RELAXED);
}

static __attribute__((noinline)) void
add_elsewhere(struct rota_counter *counter, struct ri_loop *loop, int64_t count)
{
	void *nobody = NULL;

	if (loop && loop->index < SHARED &&
	    __atomic_compare_exchange_n(&counter->slots[loop->index].loop,
					&nobody, (void *)loop, false,
					__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		add_alone(&counter->slots[loop->index], count);
	else
		__atomic_fetch_add(&counter->slots[SHARED].count, count,
				   __ATOMIC_RELAXED);
}

void rota_counter_add(struct rota_counter *counter, int64_t count)
{
	struct ri_loop *loop = ri_loop_here;
	const unsigned index = loop && loop->index < SHARED ? loop->index
							    : SHARED;
	struct rota_counter_slot *slot = &counter->slots[index];

	if (__builtin_expect(loop && __atomic_load_n(&slot->loop,
						     __ATOMIC_RELAXED) == loop,
			     1))
		add_alone(slot, count);
	else
		add_elsewhere(counter, loop, count);
}

int64_t rota_counter_sum(const struct rota_counter *counter)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < ROTA_COUNTER_SLOTS; i++)
		sum += (uint64_t)__atomic_load_n(&counter->slots[i].count,
						 __ATOMIC_RELAXED);
	return (int64_t)sum;
}
