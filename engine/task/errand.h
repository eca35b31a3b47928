/* SPDX-License-Identifier: MIT */
/*
 * What a task has another loop do for it: sent as mail, done there on the
 * loop's own stack, and back. In the frame of the task, which waits meanwhile,
 * whatever is cancelled.
 */
#ifndef RI_TASK_ERRAND_H
#define RI_TASK_ERRAND_H

#include "task/park.h"

struct ri_errand {
	struct ri_wait wait;   /* for its return */
	struct rota_mail mail; /* there and back */
	/* What is done; it must not block. */
	void (*act)(struct ri_tasks *there, struct ri_errand *errand);
	struct ri_tasks *home;  /* the loop of the task */
	struct rota_task *task; /* whose it is */
};

/* Has errand->act done by that loop, which may be the running task's own: then
 * it does not suspend. `what` is what dumps say. */
void ri_errand_run(struct ri_errand *errand, struct ri_tasks *there,
		   const char *what);

#endif
