/* SPDX-License-Identifier: MIT */
/*
 * No descriptor is left (EMFILE, ENFILE): who needs one waits here, instead of
 * spinning on an accept that fails at once while the connection stays in the
 * backlog.
 */
#ifndef RI_IO_STARVED_H
#define RI_IO_STARVED_H

#include "task/task.h"

/* Waits until this loop closes a descriptor, or a short while (somebody else
 * may have closed one). 0, or the task's code. One line in the log, at most one
 * a second. `error` is what the kernel said. */
int ri_starved_wait(struct ri_tasks *tasks, struct rota_task *self, int error);

/* A descriptor was closed: the first who waits tries again. */
void ri_starved_wake(struct ri_tasks *tasks);

#endif
