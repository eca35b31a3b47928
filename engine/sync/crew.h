/* SPDX-License-Identifier: MIT */
/*
 * What pools, maps and stages have in common: tasks that go round and round,
 * one piece after the other.
 */
#ifndef RI_SYNC_CREW_H
#define RI_SYNC_CREW_H

#include "rota/loop.h"
#include "rota/task.h"
#include "sync/channel.h"

/* A worker that always finds something does not suspend by itself: after so
 * many pieces it lets others run, and mail in (a cancel from another loop). */
#define RI_CREW_ROUNDS 64u

static inline void ri_crew_breathe(unsigned *round)
{
	if (++*round % RI_CREW_ROUNDS == 0)
		rota_yield(); /* a cancel is told by the verb that follows */
}

/* Where the worker of this index goes: to this loop, or dealt round to all,
 * from this one on. */
static inline struct rota_start ri_crew_start(rota_task_fn *fn, unsigned index,
					      bool spread)
{
	const unsigned shift = spread ? index % rota_loops() : 0;

	return rota_start_on((rota_loop() + shift) % rota_loops(), fn);
}

/* Nobody will have this item of a channel. */
static inline void ri_channel_discard(const struct rota_channel *channel,
				      void *item)
{
	if (channel->discard)
		channel->discard(item, channel->context);
}

/* The running worker has failed: the others are told before what it holds is
 * closed, or they would find that first. */
static inline void ri_crew_failed(struct rota_group *group, int error)
{
	if (!rota_cancelled())
		rota_group_cancel(group, (struct rota_cancellation){
						 error, "a worker failed" });
}

/* `bytes`, rounded up so that what follows is aligned too. */
static inline size_t ri_crew_round_up(size_t bytes)
{
	return (bytes + 15) & ~(size_t)15;
}

#endif
