/* SPDX-License-Identifier: MIT */
/*
 * The two-phase stop of a group: first those who are idle, then, when the
 * grace is over, everybody. The grace is on the group's own timer, where a
 * deadline may be already: whichever comes first stays there.
 */
#include "rota/clock.h"
#include "rota/group.h"

#include "task/drain.h"
#include "task/group.h"
#include "task/remote.h"
#include "task/slot.h"

#include <errno.h>

/* How many lines a drain writes about who is left. */
#define STRAGGLERS_TOLD 16

/* Names members of one group, but not those in the background, who stay as long
 * as the others do. Returns how many were named before and now. */
static unsigned tell_members(struct ri_tasks *tasks, struct rota_group *group,
			     unsigned told)
{
	struct rota_node *link = group->members.next;
	char line[RI_TASK_LINE_BYTES];

	for (; link != &group->members; link = link->next) {
		const struct rota_task *task =
			ri_container(link, struct rota_task, member);

		if (task->fiber.flags & RI_TASK_BACKGROUND ||
		    told++ >= STRAGGLERS_TOLD)
			continue;
		ri_task_describe(tasks, task, line);
		ri_log(&tasks->loop.log, "the grace is over: %s", line);
	}
	return told;
}

/* Those of other loops are named there. */
static unsigned tell_of(struct ri_tasks *tasks, struct rota_group *group,
			unsigned told)
{
	if (group->remote)
		ri_remote_order(tasks, group, true);
	return tell_members(tasks, group, told);
}

void ri_drain_tell(struct ri_tasks *tasks, struct rota_group *group)
{
	struct rota_scope *inside = &group->scope;
	unsigned told = 0;

	do {
		if (inside->kind == RI_SCOPE_GROUP)
			told = tell_of(tasks,
				       ri_container(inside, struct rota_group,
						    scope),
				       told);
		inside = ri_scope_next_inside(&group->scope, inside);
	} while (inside);
	if (told > STRAGGLERS_TOLD)
		ri_log(&tasks->loop.log, "the grace is over: %u more tasks",
		       told - STRAGGLERS_TOLD);
}

static void grace_over(struct rota_timer *timer)
{
	struct rota_group *group =
		ri_container(timer, struct rota_group, scope.timer);
	struct ri_tasks *tasks = ri_tasks_here();

	if (group->scope.code)
		return;
	ri_drain_tell(tasks, group);
	ri_scope_cancel(tasks, &group->scope, -ECANCELED,
			(struct rota_cancellation){
				-ESHUTDOWN, "the grace of a drain is over" });
}

static void begin_grace(struct ri_tasks *tasks, struct rota_timer *timer,
			int64_t grace_ns)
{
	const int64_t deadline_ns = rota_after_ns(grace_ns);

	if (deadline_ns == ROTA_NEVER)
		return;
	if (ri_timer_armed(timer)) {
		if (timer->deadline_ns <= deadline_ns)
			return;
		ri_wheel_remove(&tasks->loop.wheel, timer);
	}
	timer->deadline_ns = deadline_ns;
	timer->fire = grace_over;
	/* The wheel's time may lag behind the clock. */
	if (grace_ns <= 0 || !ri_loop_arm(&tasks->loop, timer))
		grace_over(timer);
}

void rota_group_drain(struct rota_group *group, int64_t grace_ns)
{
	struct ri_tasks *tasks = ri_tasks_caller(__func__);

	ri_group_check(tasks, group, __func__);
	if (group->scope.code)
		return;
	if (group->limit) {
		group->limit = 0;
		/* Proxies hear of it before those who wait for slots there. */
		ri_scope_drain(tasks, &group->scope);
		ri_slots_refuse(tasks, group, -ESHUTDOWN);
	}
	begin_grace(tasks, &group->scope.timer, grace_ns);
}
