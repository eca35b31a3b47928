/* SPDX-License-Identifier: MIT */
/*
 * The end of a member on another loop than its group's, if that matters to the
 * group: a failure, or a success where the first one wins. Only the group's
 * loop knows whether it is the first, so the member asks as its last act, and
 * ends when it is told.
 */
#include "task/group.h"
#include "task/remote.h"

/* In the frame of the member that ends. */
struct verdict {
	struct ri_wait wait;
	struct rota_mail mail;
	struct ri_tasks *home;    /* the member's loop */
	struct rota_task *task;   /* the member */
	struct rota_group *group; /* the group itself */
	int result;               /* what it returned */
	bool late;                /* another one has won */
};

/* On the member's loop. */
static void answer_arrived(void *place, struct rota_mail *mail)
{
	struct verdict *verdict = ri_container(mail, struct verdict, mail);

	ri_wake(place, verdict->task, 0);
}

/* On the group's loop. What the group has been told since may not have come to
 * the member's loop yet, but to the member, by what it asked here. */
static void result_arrived(void *place, struct rota_mail *mail)
{
	struct verdict *verdict = ri_container(mail, struct verdict, mail);
	struct rota_group *group = verdict->group;

	if (verdict->result < 0) {
		if (!(group->scope.codes & ri_scope_code_bit(verdict->result)))
			ri_group_failed(place, group, verdict->result,
					verdict->task->site);
	} else {
		verdict->late = !ri_group_won(place, group, verdict->result);
	}
	mail->deliver = answer_arrived;
	ri_loop_post(&verdict->home->loop, mail);
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
	struct verdict verdict = {
		.wait = { .what = "the group's loop, its end told" },
		.mail = { .deliver = result_arrived },
		.home = tasks,
		.task = task,
		.group = ri_proxy_of(task->group)->remote->group,
		.result = result,
	};

	ri_loop_post(&ri_proxy_of(task->group)->remote->tasks->loop,
		     &verdict.mail);
	ri_park(tasks, task, &verdict.wait);
	if (verdict.late)
		throw_away(tasks, task, result);
}
