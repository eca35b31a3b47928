/* SPDX-License-Identifier: MIT */
/*
 * What the end of tasks, scopes and drains ask of a group.
 */
#ifndef RI_TASK_GROUP_H
#define RI_TASK_GROUP_H

#include "task/scope.h"

/* Opens a group as a scope of `owner`; NULL: the root. The class of its stacks
 * is left to set. */
void ri_group_init(struct rota_group *group,
		   const struct rota_group_options *options,
		   struct rota_task *owner, const struct rota_site *site);

/* Aborts if it was never opened, or was waited for, or is another loop's. */
void ri_group_check(const struct ri_tasks *tasks,
		    const struct rota_group *group, const char *function);

/* A member of an odd group, or one with an error, is about to end with this
 * result. True if it has a slot to release. May suspend. */
bool ri_group_judge(struct ri_tasks *tasks, struct rota_task *task, int result);

/* A member of the group has failed, and this was no code that it was told. */
void ri_group_failed(struct ri_tasks *tasks, struct rota_group *group,
		     int error, const struct rota_site *site);

/* A member has succeeded where the first one wins. True: it is the first. */
bool ri_group_won(struct ri_tasks *tasks, struct rota_group *group, int result);

/* A late success: `discard` (or NULL) gets it, as the last act of the task. */
void ri_group_discard(struct rota_task *task,
		      void (*discard)(int result, void *value), int result);

/* Why the other members of a race are cancelled. */
#define ri_group_race_over                       \
	(struct rota_cancellation)               \
	{                                        \
		-ECANCELED, "a member succeeded" \
	}

/* Something that a join waits for beside members has come to its end. */
void ri_group_settled(struct ri_tasks *tasks, struct rota_group *group);

/* `odd` of a group of which each end is looked at. */
#define RI_GROUP_ODD INT32_MIN

/* A member without a slot has ended. */
void ri_group_left(struct ri_tasks *tasks, struct rota_group *group);

/* The last slot is back, and the owner waits for that: background members are
 * to end, or, without any, the owner goes on. */
void ri_group_emptied(struct ri_tasks *tasks, struct rota_group *group);

/* Tells members of a cancelled group, at most `slice` of them: returns how
 * many. Takes the group off the list of sweeps when all are told. */
unsigned ri_group_sweep(struct ri_tasks *tasks, struct rota_group *group,
			unsigned slice);

#endif
