/* SPDX-License-Identifier: MIT */
/*
 * The end of a member on another loop than its group's, if that matters to the
 * group: a failure, or a success where the first one wins. Only the group's
 * loop knows whether it is the first, so the member asks as its last act, and
 * ends when it is told.
 */
#include "task/errand.h"
#include "task/group.h"
#include "task/remote.h"

/* In the frame of the member that ends. */
struct verdict {
	struct ri_errand errand;      /* to the group's loop */
	const struct rota_task *task; /* the member */
	struct rota_group *group;     /* the group itself */
	int result;                   /* what the member returned */
	bool late;                    /* another one has won */
};

/* On the group's loop. What the group has been told since may not have come to
 * the member's loop yet, but to the member, by what it asked here. */
static void judge(struct ri_tasks *there, struct ri_errand *errand)
{
	struct verdict *verdict = ri_container(errand, struct verdict, errand);
	struct rota_group *group = verdict->group;
	const int result = verdict->result;

	if (result >= 0)
		verdict->late = !ri_group_won(there, group, result);
	else if (!(group->scope.codes & ri_scope_code_bit(result)))
		ri_group_failed(there, group, result, verdict->task->site);
}

/* Of a race that another member has won, maybe before this loop has heard. */
static void throw_away(struct ri_tasks *tasks, struct rota_task *task,
		       int result)
{
	struct rota_group *proxy = task->group;

	ri_scope_cancel(tasks, &proxy->scope, -ECANCELED, ri_group_race_over);
	ri_group_discard(task, proxy->discard, result);
}

void ri_remote_judge(struct ri_tasks *tasks, struct rota_task *task, int result)
{
	const struct ri_remote *remote = ri_proxy_of(task->group)->remote;
	struct verdict verdict = {
		.errand.act = judge,
		.task = task,
		.group = remote->group,
		.result = result,
	};

	ri_errand_run(&verdict.errand, remote->tasks,
		      "the group's loop, its end told");
	if (verdict.late)
		throw_away(tasks, task, result);
}
