/* SPDX-License-Identifier: MIT */
/*
 * Shots for which there is no buffer: they wait in turn, and if that takes
 * long it is told who has the buffers.
 */
#include "task/operation.h"
#include "task/shot.h"

/* How many lines are written about who has buffers. */
#define HOLDERS_TOLD 16

/* How long streams may wait for buffers before it is told. */
#define FAMINE_NS ((int64_t)1000000000)

/* Who keeps views. Returns how many lines are left. */
static unsigned tell_keepers(struct ri_tasks *tasks, unsigned left)
{
	const struct ri_buffers *buffers = &tasks->shots.buffers;

	for (unsigned i = 0; left && i < buffers->made; i++) {
		const struct rota_site *site = buffers->table[i].keeper;

		if (!site)
			continue;
		ri_log(&tasks->loop.log,
		       "a view is kept by task %s (spawned at %s:%d)",
		       site->function, site->file, site->line);
		left--;
	}
	return left;
}

void ri_shots_tell_keepers(struct ri_tasks *tasks)
{
	tell_keepers(tasks, HOLDERS_TOLD);
}

/* Whose streams hold buffers: landed ones, views. */
static void tell_holders(struct ri_tasks *tasks, unsigned left)
{
	const struct ri_shots *shots = &tasks->shots;

	for (unsigned i = 0; left && i < shots->made; i++) {
		const struct ri_shot *shot = &shots->slab[i];
		char line[RI_TASK_LINE_BYTES];

		if (shot->flags & RI_SHOT_FREE ||
		    shot->kind != RI_SHOT_RECEIVE || !shot->buffers.held)
			continue;
		if (ri_task_describe(tasks, &tasks->slab[shot->owner], line))
			ri_log(&tasks->loop.log, "%u of the buffers: %s",
			       shot->buffers.held, line);
		left--;
	}
}

void ri_shots_tell_hungry(struct ri_tasks *tasks)
{
	const struct ri_shots *shots = &tasks->shots;
	const int64_t waited_ns = tasks->loop.now_ns - shots->hungry_ns;

	if (ri_list_empty(&shots->hungry)) {
		/* One that keeps all that it may have waits for itself. */
		ri_shots_tell_keepers(tasks);
		return;
	}
	ri_log(&tasks->loop.log,
	       "streams have waited for buffers for %lld ms: of %u, %u are "
	       "out, %u of them kept by rota_view_keep",
	       (long long)(waited_ns / 1000000), shots->buffers.wanted,
	       shots->buffers.out, shots->kept);
	tell_holders(tasks, tell_keepers(tasks, HOLDERS_TOLD));
}

static void famine_due(struct rota_timer *timer)
{
	struct ri_tasks *tasks = ri_tasks_here();
	const int64_t due_ns = tasks->shots.hungry_ns + FAMINE_NS;

	if (ri_list_empty(&tasks->shots.hungry))
		return;
	if (due_ns <= tasks->loop.now_ns) {
		ri_shots_tell_hungry(tasks);
		return;
	}
	/* Some have been fed since, or others have gone hungry. */
	timer->deadline_ns = due_ns;
	ri_loop_arm(&tasks->loop, timer);
}

/* The first one is hungry. */
static void begin_famine(struct ri_tasks *tasks)
{
	struct ri_shots *shots = &tasks->shots;

	shots->hungry_ns = tasks->loop.now_ns;
	if (ri_timer_armed(&shots->famine))
		return;
	shots->famine.deadline_ns = shots->hungry_ns + FAMINE_NS;
	shots->famine.fire = famine_due;
	ri_loop_arm(&tasks->loop, &shots->famine);
}

/* Where one with this turn belongs among the hungry. */
static struct rota_node *turn_of(struct ri_shots *shots, uint32_t ticket)
{
	struct rota_node *link = shots->hungry.next;

	while (link != &shots->hungry &&
	       (int32_t)(ri_shot_placed(link)->ticket - ticket) < 0)
		link = link->next;
	return link;
}

void ri_shot_hunger(struct ri_tasks *tasks, struct ri_shot *shot)
{
	struct ri_shots *shots = &tasks->shots;
	struct rota_node *before = &shots->hungry;

	if (ri_list_linked(&shot->place))
		ri_list_remove(&shot->place);
	if (ri_list_empty(&shots->hungry))
		begin_famine(tasks);
	shot->flags |= RI_SHOT_HUNGRY;
	if (shot->ticket) {
		before = turn_of(shots, shot->ticket);
	} else {
		shot->ticket = shots->next_ticket++;
		shots->next_ticket += !shots->next_ticket;
	}
	ri_list_append(before, &shot->place);
	if (shot->flags & RI_SHOT_COPIES)
		ri_shot_wake(tasks, shot);
}

void ri_shot_feed(struct ri_shot *shot)
{
	if (!(shot->flags & RI_SHOT_HUNGRY))
		return;
	shot->flags &= (uint8_t)~RI_SHOT_HUNGRY;
	ri_list_remove(&shot->place);
}
