/* SPDX-License-Identifier: MIT */
#include "task/slot.h"

#include "task/group.h"
#include "task/park.h"

#include <errno.h>

/* The wait for a slot, in the frame of who spawns. */
struct slot_wait {
	struct ri_wait wait;
	struct rota_link link;    /* among the group's waiters */
	struct rota_link beneath; /* listed: where its climb has stopped */
	struct rota_task *task;   /* who waits */
	struct rota_group *group; /* for a slot of this */
	struct rota_group *below; /* counted: the holder joins this one, NULL
				     if the holder is the task itself */
	bool counted;             /* a slot's holder is held up by it */
};

static void count(struct slot_wait *slot, struct rota_group *below)
{
	slot->counted = true;
	slot->below = below;
	if (!below || below->deep++ == 0)
		slot->group->held++;
}

static void uncount(struct slot_wait *slot)
{
	if (ri_list_linked(&slot->beneath))
		ri_list_remove(&slot->beneath);
	if (!slot->counted)
		return;
	slot->counted = false;
	if (!slot->below || --slot->below->deep == 0)
		slot->group->held--;
}

/* Goes on from a task that is held up: a member of `below`'s owner's group, or
 * the one that waits itself. False if no slot of the group can ever become
 * free. */
static bool climb(struct slot_wait *slot, struct rota_task *task,
		  struct rota_group *below)
{
	/* Background members end with the others: they hold nobody up. */
	while (!(task->fiber.flags & RI_TASK_BACKGROUND)) {
		if (task->group == slot->group) {
			count(slot, below);
			return slot->group->held < slot->group->live;
		}
		below = task->group;
		if (!below->joining) {
			ri_list_append(&below->beneath, &slot->beneath);
			return true;
		}
		task = below->scope.owner;
		if (!task)
			break;
	}
	return true;
}

/* Ends the wait of one that is off the list. It holds nobody up from here on,
 * not only when it runs. */
static void leave(struct ri_tasks *tasks, struct slot_wait *slot, int result)
{
	uncount(slot);
	ri_wake(tasks, slot->task, result);
}

static struct slot_wait *slot_of(struct rota_link *link)
{
	return ri_container(link, struct slot_wait, link);
}

/* Why the task gets no slot: its own code first. */
static int refusal(const struct rota_task *task, const struct rota_group *group)
{
	if (task->scope->code)
		return task->scope->code;
	if (group->scope.code)
		return group->scope.code;
	return group->limit ? 0 : -ESHUTDOWN;
}

static void interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	struct slot_wait *slot =
		ri_container(task->wait, struct slot_wait, wait);

	ri_list_remove(&slot->link);
	leave(tasks, slot, refusal(task, slot->group));
}

void ri_slot_release(struct ri_tasks *tasks, struct rota_group *group)
{
	struct rota_link *link = ri_list_take(&group->waiters);

	if (link) {
		leave(tasks, slot_of(link), 0);
		return;
	}
	ri_assert(group->live > 0, "group %p is empty", (void *)group);
	if (--group->live == 0 && group->joining)
		ri_group_emptied(tasks, group);
}

int ri_slot_wait(struct ri_tasks *tasks, struct rota_task *self,
		 struct rota_group *group)
{
	struct slot_wait slot = {
		.wait = { .what = "rota_go", .interrupt = interrupt },
		.task = self,
		.group = group,
	};
	int code = refusal(self, group);

	if (code)
		return code;
	if (!climb(&slot, self, NULL)) {
		uncount(&slot);
		return -EDEADLK;
	}
	ri_list_append(&group->waiters, &slot.link);
	code = ri_park(tasks, self, &slot.wait);
	if (code)
		return code;
	/* Cancelled after the slot was handed over: nobody is accepted now. */
	code = refusal(self, group);
	if (code)
		ri_slot_release(tasks, group);
	return code;
}

void ri_slots_refuse(struct ri_tasks *tasks, struct rota_group *group,
		     int error)
{
	struct rota_link *link;

	while ((link = ri_list_take(&group->waiters)))
		leave(tasks, slot_of(link), error);
}

void ri_slots_join(struct ri_tasks *tasks, struct rota_group *group)
{
	struct rota_link *link;

	group->joining = true;
	while ((link = ri_list_take(&group->beneath))) {
		struct slot_wait *slot =
			ri_container(link, struct slot_wait, beneath);

		if (climb(slot, group->scope.owner, group))
			continue;
		ri_list_remove(&slot->link);
		leave(tasks, slot, -EDEADLK);
	}
}
