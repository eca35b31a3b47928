/* SPDX-License-Identifier: MIT */
#include "task/share.h"

#include "task/group.h"

/* How many groups of a loop have a name at a time: 16 bits of it. */
#define SHARES_MAX 65536u
#define TABLE_BYTES (SHARES_MAX * sizeof(struct ri_share))

/* One slot. */
struct ri_share {
	struct rota_group *group; /* whose name this is; NULL: nobody's */
	uint32_t generation;      /* how often it was taken; never 0 then */
	uint32_t next;            /* the number after the one below on the pile
	                             of free ones; 0: there is none */
};

void ri_shares_fini(struct ri_tasks *tasks)
{
	const struct ri_kernel *kernel = tasks->loop.kernel;

	if (tasks->shares.slab)
		kernel->unmap(kernel, tasks->shares.slab, TABLE_BYTES);
}

/* Mapped when the first group gets a name: most loops have none. */
static bool has_table(struct ri_tasks *tasks)
{
	const struct ri_kernel *kernel = tasks->loop.kernel;
	void *start;

	if (tasks->shares.slab)
		return true;
	if (kernel->map(kernel, TABLE_BYTES, &start) < 0)
		return false;
	tasks->shares.slab = start;
	return true;
}

/* The number of a free slot, from 1 on; 0: all are taken. */
static uint32_t take_slot(struct ri_shares *shares)
{
	const uint32_t slot = shares->free;

	if (slot)
		shares->free = shares->slab[slot - 1].next;
	else if (shares->made < SHARES_MAX)
		return ++shares->made;
	return slot;
}

static rota_group_id name_of(const struct ri_tasks *tasks,
			     const struct rota_group *group)
{
	const struct ri_share *share = &tasks->shares.slab[group->share - 1];

	return (uint64_t)share->generation << 32 |
	       (uint64_t)tasks->loop.index << 16 | (group->share - 1);
}

rota_group_id rota_group_share(struct rota_group *group)
{
	struct ri_tasks *tasks = ri_tasks_caller(__func__);
	struct ri_share *share;

	ri_group_check(tasks, group, __func__);
	if (!group->share) {
		if (!has_table(tasks))
			return 0;
		group->share = take_slot(&tasks->shares);
		if (!group->share)
			return 0;
		share = &tasks->shares.slab[group->share - 1];
		share->group = group;
		share->generation += share->generation == UINT32_MAX ? 2 : 1;
	}
	return name_of(tasks, group);
}

struct rota_group *ri_share_find(const struct ri_tasks *tasks, rota_group_id id)
{
	const uint32_t slot = id & UINT16_MAX;

	if (slot >= tasks->shares.made ||
	    tasks->shares.slab[slot].generation != id >> 32)
		return NULL;
	return tasks->shares.slab[slot].group;
}

void ri_share_close(struct ri_tasks *tasks, struct rota_group *group)
{
	struct ri_shares *shares = &tasks->shares;
	struct ri_share *share = &shares->slab[group->share - 1];

	share->group = NULL;
	share->next = shares->free;
	shares->free = group->share;
	group->share = 0;
}
