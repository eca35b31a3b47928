/* SPDX-License-Identifier: MIT */
#include "rota/wait_group.h"

#include "sync/batch.h"
#include "sync/holder.h"
#include "task/scope.h"

static_assert(sizeof(struct rota_wait_group) == 56, "seven words");

void rota_wait_group_init(struct rota_wait_group *group,
			  const struct rota_sync_options *options)
{
	ri_guard_init(&group->guard, options && options->local);
	ri_line_init(&group->line);
	group->count = 0;
	group->name = options ? options->name : NULL;
	group->state = RI_SYNC_READY;
}

static const char *name_of(const struct rota_wait_group *group)
{
	return group->name ? group->name : "without a name";
}

void rota_wait_group_fini(struct rota_wait_group *group)
{
	ri_sync_check(group->state, __func__, "wait group");
	ri_guard_enter(&group->guard, __func__);
	ri_line_check_empty(&group->line, __func__);
	ri_check(!group->count, "%s for a wait group (%s) that counts %u",
		 __func__, name_of(group), group->count);
	ri_sync_end(&group->guard, &group->state, __func__);
}

void rota_wait_group_add(struct rota_wait_group *group, unsigned count)
{
	ri_sync_check(group->state, __func__, "wait group");
	ri_guard_enter(&group->guard, __func__);
	if (__builtin_add_overflow(group->count, count, &group->count))
		ri_abort(__FILE__, __LINE__,
			 "%s: %u more for a wait group (%s) is too many",
			 __func__, count, name_of(group));
	ri_guard_leave(&group->guard);
}

void rota_wait_group_done(struct rota_wait_group *group)
{
	ri_sync_check(group->state, __func__, "wait group");
	ri_guard_enter(&group->guard, __func__);
	ri_check(group->count, "%s for a wait group (%s) that counts 0",
		 __func__, name_of(group));
	if (--group->count == 0)
		ri_line_serve_all(&group->guard, &group->line, 0);
	else
		ri_guard_leave(&group->guard);
}

int rota_wait_group_wait(struct rota_wait_group *group)
{
	struct rota_waiter waiter;
	struct rota_task *self;
	int error = ri_waiter_begin(&self, &group->guard, __func__);

	if (error)
		return error;
	ri_sync_check(group->state, __func__, "wait group");
	ri_guard_enter(&group->guard, __func__);
	if (!group->count) {
		ri_guard_leave(&group->guard);
		return 0;
	}
	ri_waiter_init(&waiter, ri_tasks_here(), self, __func__);
	return ri_waiter_stand(&waiter, &group->guard, &group->line);
}
