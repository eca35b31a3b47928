/* SPDX-License-Identifier: MIT */
#include "task/slot.h"

#include "task/ask.h"
#include "task/group.h"

#include <errno.h>

/* Ends the wait of one that is off the list. It holds nobody up from here on,
 * not only when it runs. False: the slot that it was handed is free again. */
static bool leave(struct ri_tasks *tasks, struct rota_node *link, int result)
{
	struct ri_blocked *blocked =
		ri_container(link, struct ri_blocked, link);

	if (!blocked->task)
		return ri_ask_resolve(
			tasks, ri_container(blocked, struct ri_ask, blocked),
			result);
	ri_blocked_end(tasks, blocked);
	ri_wake(tasks, blocked->task, result);
	return true;
}

int ri_slot_refusal(const struct rota_task *task,
		    const struct rota_group *group)
{
	if (task->scope->code)
		return task->scope->code;
	if (group->scope.code)
		return group->scope.code;
	return group->limit ? 0 : -ESHUTDOWN;
}

void ri_slot_refuse(struct ri_tasks *tasks, struct ri_blocked *blocked,
		    int error)
{
	ri_list_remove(&blocked->link);
	leave(tasks, &blocked->link, error);
}

void ri_slot_interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	struct ri_blocked *blocked =
		ri_container(task->wait, struct ri_blocked, wait);

	ri_slot_refuse(tasks, blocked, ri_slot_refusal(task, blocked->group));
}

void ri_slot_release(struct ri_tasks *tasks, struct rota_group *group)
{
	struct rota_node *link;

	while ((link = ri_list_take(&group->waiters)))
		if (leave(tasks, link, 0))
			return;
	ri_assert(group->live > 0, "group %p is empty", (void *)group);
	if (--group->live == 0 && group->joining)
		ri_group_emptied(tasks, group);
}

static bool has_slot_of(const struct rota_task *task,
			const struct rota_group *group)
{
	return task->group == group &&
	       !(task->fiber.flags & RI_TASK_BACKGROUND);
}

/* The counts tell it mostly; of those that wait, some may for something
 * else. */
bool ri_slot_closes_circle(const struct rota_group *group)
{
	const struct rota_node *link = group->waiters.next;
	unsigned others = group->live - 1;

	if (group->asking + group->waiting < others)
		return false;
	for (; others && link != &group->waiters; link = link->next) {
		const struct ri_blocked *blocked =
			ri_container(link, struct ri_blocked, link);

		others -= blocked->task ? has_slot_of(blocked->task, group)
					: blocked->group != NULL;
	}
	return !others;
}

int ri_slot_wait(struct ri_tasks *tasks, struct rota_task *self,
		 struct rota_group *group)
{
	struct ri_blocked blocked = {
		.wait = { .what = "rota_go", .interrupt = ri_slot_interrupt },
		.task = self,
		.group = group,
	};
	int code = ri_slot_refusal(self, group);

	if (code)
		return code;
	ri_blocked_begin(tasks, &blocked);
	if (ri_blocked_find_stuck(tasks, &blocked) ||
	    (group->asking && has_slot_of(self, group) &&
	     ri_slot_closes_circle(group))) {
		ri_blocked_end(tasks, &blocked);
		return -EDEADLK;
	}
	ri_list_append(&group->waiters, &blocked.link);
	code = ri_park(tasks, self, &blocked.wait);
	if (code)
		return code;
	/* Cancelled after the slot was handed over: nobody is accepted now. */
	code = ri_slot_refusal(self, group);
	if (code)
		ri_slot_release(tasks, group);
	return code;
}

void ri_slots_refuse(struct ri_tasks *tasks, struct rota_group *group,
		     int error)
{
	struct rota_node *link;

	while ((link = ri_list_take(&group->waiters)))
		leave(tasks, link, error);
}
