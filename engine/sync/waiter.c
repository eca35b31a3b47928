/* SPDX-License-Identifier: MIT */
#include "sync/waiter.h"

static void told(void *place, struct rota_mail *mail)
{
	struct rota_waiter *waiter =
		ri_container(mail, struct rota_waiter, mail);

	if (waiter->tell) {
		waiter->tell(waiter);
	} else {
		ri_guard_count_away(waiter->place.guard, -1);
		ri_wake(place, waiter->task, waiter->result);
	}
}

void ri_waiter_tell(struct rota_waiter *waiter)
{
	if (&waiter->tasks->loop == ri_loop_here) {
		waiter->tell(waiter);
		return;
	}
	/* Until it has heard, a cancel has it look where it stood. */
	if (!waiter->tell)
		ri_guard_count_away(waiter->place.guard, 1);
	waiter->mail.deliver = told;
	if (ri_loop_here && ri_tasks_here()->peers == waiter->tasks->peers)
		ri_loop_post(&waiter->tasks->loop, &waiter->mail);
	else
		ri_loop_post_from_outside(&waiter->tasks->loop, &waiter->mail);
}

void ri_line_check_empty(const struct rota_line *line, const char *verb)
{
	const struct rota_waiter *first = ri_line_first(line);
	const struct rota_task *task;

	if (!first)
		return;
	task = first->task;
	ri_abort(task->site->file, task->site->line,
		 "%s: task %s (spawned here) waits for it in %s", verb,
		 ri_task_name(task), first->wait.what);
}

void ri_waiter_interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	struct rota_waiter *waiter =
		ri_container(task->wait, struct rota_waiter, wait);
	bool leaves;

	ri_guard_enter(waiter->place.guard, waiter->wait.what);
	leaves = ri_list_linked(&waiter->place.link);
	if (leaves)
		ri_line_remove(waiter->place.line, &waiter->place);
	ri_guard_leave(waiter->place.guard);
	if (!leaves)
		return; /* served: it hears of that */
	if (waiter->left)
		waiter->left(waiter);
	ri_wake(tasks, task, task->scope->code);
}
