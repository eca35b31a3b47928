/* SPDX-License-Identifier: MIT */
/*
 * No descriptor is left (EMFILE, ENFILE), or no memory for a socket (ENOMEM,
 * ENOBUFS): who needs one waits here, instead of spinning on an accept that
 * fails at once while the connection stays in the backlog.
 */
#ifndef RI_IO_STARVED_H
#define RI_IO_STARVED_H

#include "task/task.h"

/* Is this what a starved accept says? */
bool ri_starved_by(int error);

/* The running task waits until this loop closes a descriptor, or a short while
 * (somebody else may have closed one). 0, the task's code, or -EBADF if it was
 * the listener that was closed. One line in the log, at most one a second.
 * `error` is what the kernel said. */
int ri_starved_wait(struct ri_tasks *tasks, int listener, int error);

/* This descriptor is about to be closed: who would accept from it is told. */
void ri_starved_close(struct ri_tasks *tasks, int listener);

/* A descriptor was closed: the first who waits tries again. */
void ri_starved_wake(struct ri_tasks *tasks);

#endif
