/* SPDX-License-Identifier: MIT */
#include "task/ask.h"

#include "task/group.h"
#include "task/remote.h"
#include "task/slot.h"

#include <errno.h>

/* On the asker's loop. */
static void mail_is_back(struct ri_ask *ask)
{
	if (--ask->due == 0)
		ri_wake(ask->home, ask->task, ask->result);
}

static void answer_arrived(void *place, struct rota_mail *mail)
{
	(void)place;
	mail_is_back(ri_container(mail, struct ri_ask, mail));
}

static void withdrawal_is_back(void *place, struct rota_mail *mail)
{
	(void)place;
	mail_is_back(ri_container(mail, struct ri_ask, withdraw));
}

/* On the group's loop, as all below up to the next such line. Returns what was
 * answered: less than 0 if nothing came of a slot. */
static int answer(struct ri_tasks *tasks, struct ri_ask *ask, int result)
{
	struct rota_group *group = ask->group;

	if (result == 0)
		result = ask->loop == RI_ASK_SPREAD
				 ? ri_remote_spread(tasks, group, &ask->what)
				 : ri_remote_send(tasks, group, &ask->what,
						  ask->loop);
	ask->result = result;
	ask->mail.deliver = answer_arrived;
	ri_loop_post(&ask->home->loop, &ask->mail);
	return result;
}

bool ri_ask_resolve(struct ri_tasks *tasks, struct ri_ask *ask, int result)
{
	ask->group->asking -= ask->blocked.group != NULL;
	return answer(tasks, ask, result) == result;
}

static void question_arrived(void *place, struct rota_mail *mail)
{
	struct ri_ask *ask = ri_container(mail, struct ri_ask, mail);
	struct rota_group *group = ask->group;
	int result = 0;

	if (group->scope.code)
		result = group->scope.code;
	else if (!group->limit)
		result = -ESHUTDOWN;
	else if (group->live < group->limit)
		group->live++;
	else if (!ask->may_wait)
		result = -EAGAIN;
	else if (ask->blocked.group && ri_slot_closes_circle(group))
		result = -EDEADLK;
	else {
		ri_list_append(&group->waiters, &ask->blocked.link);
		group->asking += ask->blocked.group != NULL;
		return;
	}
	if (answer(place, ask, result) != result)
		ri_slot_release(place, group);
}

static void withdrawal_arrived(void *place, struct rota_mail *mail)
{
	struct ri_ask *ask = ri_container(mail, struct ri_ask, withdraw);

	if (ri_list_linked(&ask->blocked.link)) {
		ri_list_remove(&ask->blocked.link);
		ri_ask_resolve(place, ask, -ECANCELED);
	}
	mail->deliver = withdrawal_is_back;
	ri_loop_post(&ask->home->loop, mail);
}

/* On the asker's loop. */
static void take_back(struct ri_tasks *tasks, struct rota_task *task)
{
	struct ri_ask *ask = ri_container(task->wait, struct ri_ask, wait);

	(void)tasks;
	if (ask->withdrawn)
		return;
	ask->withdrawn = true;
	ask->due++;
	ask->withdraw.deliver = withdrawal_arrived;
	ri_loop_post(ask->group->loop, &ask->withdraw);
}

int ri_ask(struct ri_tasks *tasks, struct rota_group *group, struct ri_ask *ask)
{
	struct rota_task *self = ri_task_of(tasks->loop.current);
	const struct rota_group *proxy = ri_remote_proxy(tasks, group);
	int result;

	if (proxy && proxy->scope.code)
		return proxy->scope.code;
	ask->wait.what = "rota_go";
	ask->wait.interrupt = take_back;
	ask->mail.deliver = question_arrived;
	ask->blocked.link.next = NULL;
	/* A member of this very group holds a slot of it. */
	ask->blocked.group = self->group == proxy ? group : NULL;
	ask->home = tasks;
	ask->task = self;
	ask->group = group;
	ask->withdrawn = false;
	ask->due = 1;
	ri_loop_post(group->loop, &ask->mail);
	result = ri_park(tasks, self, &ask->wait);
	if (result == -ECANCELED && ask->withdrawn)
		return self->scope->code ? self->scope->code : result;
	return result;
}
