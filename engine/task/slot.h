/* SPDX-License-Identifier: MIT */
/*
 * The slots of a group: counted by `live`, handed from a member that ends to
 * the first one that waits, so nobody overtakes. A wait that could never end is
 * refused (task/blocked.h).
 */
#ifndef RI_TASK_SLOT_H
#define RI_TASK_SLOT_H

#include "task/blocked.h"

/* Why the task gets no slot of the group, now or ever: its own code, the
 * group's, -ESHUTDOWN; 0: it can have one. */
int ri_slot_refusal(const struct rota_task *task,
		    const struct rota_group *group);

/* Waits until a slot of the group is handed to the running task. 0, or its own
 * or the group's code, -ESHUTDOWN, -EDEADLK. */
int ri_slot_wait(struct ri_tasks *tasks, struct rota_task *self,
		 struct rota_group *group);

/* Somebody who has a slot of this group, here or elsewhere, is about to wait
 * for one of it, and is not counted by `asking`. Do all others who have one
 * wait so already? Then none could ever become free. */
bool ri_slot_closes_circle(const struct rota_group *group);

/* A slot became free: it goes to the first who waits, or back. */
void ri_slot_release(struct ri_tasks *tasks, struct rota_group *group);

/* Nobody gets a slot any more: whoever waits goes on with this. */
void ri_slots_refuse(struct ri_tasks *tasks, struct rota_group *group,
		     int error);

/* Ends one wait for a slot, wherever it stands, with this. */
void ri_slot_refuse(struct ri_tasks *tasks, struct ri_blocked *blocked,
		    int error);

#endif
