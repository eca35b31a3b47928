/* SPDX-License-Identifier: MIT */
#include "task/errand.h"

static void is_back(void *place, struct rota_mail *mail)
{
	ri_wake(place, ri_container(mail, struct ri_errand, mail)->task, 0);
}

static void has_arrived(void *place, struct rota_mail *mail)
{
	struct ri_errand *errand = ri_container(mail, struct ri_errand, mail);

	errand->act(place, errand);
	mail->deliver = is_back;
	ri_loop_post(&errand->home->loop, mail);
}

void ri_errand_run(struct ri_errand *errand, struct ri_tasks *there,
		   const char *what)
{
	struct rota_task *self = ri_task_self(what);
	struct ri_tasks *here = ri_tasks_here();

	if (there == here) {
		errand->act(here, errand);
		return;
	}
	errand->wait = (struct ri_wait){ .what = what };
	errand->mail.deliver = has_arrived;
	errand->home = here;
	errand->task = self;
	ri_loop_post(&there->loop, &errand->mail);
	ri_park(here, self, &errand->wait);
}
