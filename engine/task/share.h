/* SPDX-License-Identifier: MIT */
/*
 * Groups that foreign threads may name: by loop, slot and generation, so that a
 * name which has outlived its group is found out.
 *
 *	63          32 31    16 15     0
 *	| generation  |  loop  |  slot  |
 */
#ifndef RI_TASK_SHARE_H
#define RI_TASK_SHARE_H

#include "rota/job.h"
#include "task/task.h"

/* Gives the table back. */
void ri_shares_fini(struct ri_tasks *tasks);

/* The open group of this loop that has this name; NULL: it is closed. */
struct rota_group *ri_share_find(const struct ri_tasks *tasks,
				 rota_group_id id);

/* A group that has a name is closed. */
void ri_share_close(struct ri_tasks *tasks, struct rota_group *group);

/* The number of its loop. Any thread. */
static inline unsigned ri_share_loop(rota_group_id id)
{
	return (unsigned)(id >> 16) & UINT16_MAX;
}

#endif
