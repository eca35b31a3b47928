/* SPDX-License-Identifier: MIT */
/*
 * Scopes: the one structure inside groups, deadlines and (later) shields.
 *
 *	task -> innermost scope -> parent -> ... -> scope of its group -> ...
 *
 * A scope is `code` != 0 when it or one around it is over; the code is that of
 * the outermost one, pushed down at once, so asking is one load. The cause is
 * frozen at the first cancel of the scope itself or of one around it.
 *
 * Cancelling marks the scope and everything inside it, and interrupts owners
 * that are parked there. Members of groups are told by the sweep, in slices.
 */
#ifndef RI_TASK_SCOPE_H
#define RI_TASK_SCOPE_H

#include "task/task.h"

#include <errno.h>

enum ri_scope_kind {
	RI_SCOPE_GROUP,
	RI_SCOPE_DEADLINE,
};

/* Was this the code of the scope, now or before one around it changed it? */
static inline bool ri_scope_had_code(const struct rota_scope *scope, int code)
{
	return (code == -ECANCELED && scope->was_cancelled) ||
	       (code == -ETIME && scope->was_late);
}

/* Makes `scope` the innermost one of `owner`; NULL: of nobody (the root). */
void ri_scope_open(struct rota_scope *scope, enum ri_scope_kind kind,
		   struct rota_task *owner, const struct rota_site *site);

/* Arms the scope's deadline, or cancels it at once if that is past. */
void ri_scope_arm(struct ri_tasks *tasks, struct rota_scope *scope,
		  int64_t deadline_ns);

/* Ends the innermost scope of its owner. */
void ri_scope_close(struct ri_tasks *tasks, struct rota_scope *scope);

/* Cancels: marks, interrupts. Does nothing to a scope that is over already. */
void ri_scope_cancel(struct ri_tasks *tasks, struct rota_scope *scope, int code,
		     struct rota_cancellation cause);

/* Ends the wait of a task early, if it is in one that can be. */
void ri_task_interrupt(struct ri_tasks *tasks, struct rota_task *task);

/* A cancelled group: its waiters for a slot wake, its members are swept.
 * (group.c) */
void ri_group_cancelled(struct ri_tasks *tasks, struct rota_group *group);

#endif
