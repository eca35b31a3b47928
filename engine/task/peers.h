/* SPDX-License-Identifier: MIT */
/*
 * The loops of one engine, as each of them knows the others: where to send mail
 * to, and the work that any of them may do. Set up before the first loop runs,
 * never changed while one does, but for what says that it is atomic.
 */
#ifndef RI_TASK_PEERS_H
#define RI_TASK_PEERS_H

#include "task/spread.h"
#include "task/task.h"

struct ri_peers {
	unsigned count;          /* how many loops */
	struct ri_tasks **each;  /* all of them, by number */
	struct ri_spread spread; /* work that any of them may do */
	unsigned turn; /* whose turn it is among equally loaded ones; atomic */
};

/* Is this a loop of this engine? */
static inline bool ri_peers_have(const struct ri_peers *peers,
				 const struct ri_loop *loop)
{
	return loop && loop->index < peers->count &&
	       &peers->each[loop->index]->loop == loop;
}

/* The loop with the fewest tasks, as far as each of them has told; `here` is
 * the caller's, NULL for a foreign thread. */
unsigned ri_peers_least(struct ri_peers *peers, const struct ri_loop *here);

#endif
