/* SPDX-License-Identifier: MIT */
/*
 * What a task does about itself. All of it is for tasks only: a call from
 * elsewhere aborts the program. Tasks are spawned in group.h.
 */
#ifndef ROTA_TASK_H
#define ROTA_TASK_H

#include "rota/scope.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Lets every other ready task run first. Returns 0, or at once -ECANCELED,
 * -ETIME or -ESHUTDOWN if the task is cancelled. Suspends; a cancel while it is
 * suspended is told by the next verb. */
int rota_yield(void);

/* Sleeps for at least duration_ns (0 or less: not at all, but see rota_yield).
 * Returns 0, or as rota_yield, at once or when a cancel comes, which ends the
 * sleep. Suspends. */
int rota_sleep(int64_t duration_ns) __attribute__((warn_unused_result));

/* The same until a point in time; ROTA_NEVER sleeps until cancelled. */
int rota_sleep_until(int64_t deadline_ns) __attribute__((warn_unused_result));

/* 0, or the code (-ECANCELED, -ETIME, -ESHUTDOWN) that every verb would return
 * now: that of the outermost scope that is over. One load; for loops that
 * compute. Never suspends. */
int rota_cancelled(void);

/* Why: what the innermost scope was cancelled with first. {0, NULL} if it is
 * not. Never suspends. */
struct rota_cancellation rota_cause(void);

/* Gives this task a name for dumps: text that outlives it. Without one, or
 * with NULL, it goes by the name of its function. Never suspends. */
void rota_task_set_name(const char *name);

/* This task's name. Never suspends. */
const char *rota_task_name(void);

/* One pointer a task, which the tasks that it spawns inherit as it is then: who
 * a request is for, say. What it points to has to outlive them. Never
 * suspends. */
void rota_task_set_inherited(void *pointer);

/* That pointer; NULL where nobody has set one. Never suspends. */
void *rota_task_inherited(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
