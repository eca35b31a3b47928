/* SPDX-License-Identifier: MIT */
/*
 * Spawning into a group of another loop: that loop has the slots, so it is
 * asked, and the caller waits for the answer. Where the group is at its limit
 * the question waits there among those who wait for a slot. A cancel of the
 * caller takes it back, unless it has been answered: also by mail, so that what
 * is in the caller's frame is nobody else's when it goes on.
 */
#ifndef RI_TASK_ASK_H
#define RI_TASK_ASK_H

#include "rota/loop.h"
#include "task/blocked.h"
#include "task/parcel.h"

/* Where the member is to run, beside the numbers of loops. */
#define RI_ASK_SPREAD (ROTA_LOOP_LEAST - 1)

/* In the frame of who asks. */
struct ri_ask {
	struct ri_wait wait;       /* for the answer */
	struct rota_mail mail;     /* the question, then the answer */
	struct rota_mail withdraw; /* the same, to take it back */
	struct ri_blocked blocked; /* among those who wait for a slot, there:
				      its task is NULL */
	struct ri_tasks *home;     /* the loop of who asks */
	struct rota_task *task;    /* who asks */
	struct rota_group *group;  /* of which */
	struct ri_parcel what;     /* what is to run */
	unsigned loop;             /* where, or RI_ASK_SPREAD */
	bool may_wait;             /* for a slot */
	bool withdrawn;            /* it is taken back, or will be */
	unsigned due;              /* mail that has to come back */
	int result;                /* the answer */
};

/* Spawns into a group of another loop of this engine. 0 or -errno as
 * rota_group_spawn. Suspends. */
int ri_ask(struct ri_tasks *tasks, struct rota_group *group,
	   struct ri_ask *ask);

/* One that waited for a slot has it (0), or is refused with this; it is off the
 * list. False: the slot is free again, the member could not be sent. On the
 * group's loop. */
bool ri_ask_resolve(struct ri_tasks *tasks, struct ri_ask *ask, int result);

#endif
