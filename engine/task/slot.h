/* SPDX-License-Identifier: MIT */
/*
 * The slots of a group: counted by `live`, handed from a member that ends to
 * the first one that waits, so nobody overtakes.
 *
 * Who waits for a slot of a group that it is inside of holds up others: itself,
 * and whoever has to join it. Once every slot of the group is held up so, no
 * slot can ever become free. The wait that would close that circle is refused.
 * Three counts and a list find it, each event O(1) but for the climb:
 *
 *	group G            held: of its `live` slots, how many holders are
 *	  |                held up by waits for a slot of G
 *	member, in wait
 *	  owns X           deep: how many waits inside hold up the owner
 *	  |
 *	member, at work
 *	  owns Y           beneath: waits inside that will hold up the owner
 *	  |                as soon as it joins
 *	member
 *	  waits for a slot of G
 *
 * A wait climbs from the task outwards, from owner to owner while they join,
 * until it meets a holder of a slot (it is counted there) or an owner that
 * does not join yet (it is listed there, and climbs on when that joins).
 */
#ifndef RI_TASK_SLOT_H
#define RI_TASK_SLOT_H

#include "task/task.h"

/* Waits until a slot of the group is handed to the running task. 0, or its own
 * or the group's code, -ESHUTDOWN, -EDEADLK. */
int ri_slot_wait(struct ri_tasks *tasks, struct rota_task *self,
		 struct rota_group *group);

/* A slot became free: it goes to the first who waits, or back. */
void ri_slot_release(struct ri_tasks *tasks, struct rota_group *group);

/* Nobody gets a slot any more: whoever waits goes on with this. */
void ri_slots_refuse(struct ri_tasks *tasks, struct rota_group *group,
		     int error);

/* The owner of the group is about to wait for its members. */
void ri_slots_join(struct ri_tasks *tasks, struct rota_group *group);

#endif
