/* SPDX-License-Identifier: MIT */
/*
 * Waits for what other tasks have to do: to end, or to give a slot back. They
 * are the ones that can close a circle.
 *
 * A task that waits for a slot is stuck if all holders of one are. A task that
 * joins a group is stuck if one of its members is. Whoever waits for anything
 * else, or is cancelled, or runs, is not; nor are background members: who joins
 * them cancels them. What holds of the largest set of tasks for which all this
 * is true holds for ever, unless a scope ends.
 *
 * Only a task that begins to wait can close a circle, so only then is it looked
 * for; and mostly a count tells that there is none: `waiting`, of the members
 * of a group that have slots.
 */
#ifndef RI_TASK_BLOCKED_H
#define RI_TASK_BLOCKED_H

#include "task/park.h"

/* In the frame of who waits. */
struct ri_blocked {
	struct ri_wait wait;
	struct rota_node link;     /* for a slot: among those who wait */
	struct rota_task *task;    /* who waits */
	struct rota_group *group;  /* for a slot of this, or for its members */
	struct ri_blocked *before; /* found just before by the search */
	unsigned search;           /* the last one that came by */
	bool free;                 /* ... found that it will go on */
};

/* About to park: it counts as waiting from here on. */
void ri_blocked_begin(struct ri_tasks *tasks, struct ri_blocked *blocked);

/* Goes on: it does not, from here on. */
void ri_blocked_end(struct ri_tasks *tasks, struct ri_blocked *blocked);

/* Can it, which has begun and not parked, never go on? NULL if it can; else one
 * that waits for a slot and is stuck with it. */
struct ri_blocked *ri_blocked_find_stuck(struct ri_tasks *tasks,
					 struct ri_blocked *blocked);

/* The `interrupt` of both kinds: it tells what they are. */
void ri_slot_interrupt(struct ri_tasks *tasks, struct rota_task *task);
void ri_join_interrupt(struct ri_tasks *tasks, struct rota_task *task);

#endif
