/* SPDX-License-Identifier: MIT */
/*
 * Scopes: the one structure inside groups, deadlines, shields, idle sections,
 * callbacks, tickers, streams, outputs, signals and watches.
 *
 *	task -> innermost scope -> parent -> ... -> scope of its group -> ...
 *
 * A scope is `code` != 0 when it or one around it is over; the code is that of
 * the outermost one, pushed down at once, so asking is one load. The cause is
 * frozen at the first cancel of the scope itself or of one around it.
 *
 * Cancelling marks the scope and everything inside it, and interrupts owners
 * that are parked there. Members of groups are told by the sweep, in slices.
 * The walk stops at shields: each begins its grace instead, and is a cancelled
 * scope of its own when that is over.
 *
 * Draining marks everything inside too, shields or not, but cancels idle
 * sections only.
 *
 * A task ends its scopes innermost first, but for tickers, streams, outputs,
 * signals and watches, closed in any order: they are scopes only so that one
 * left open is found. Nothing ends them alone, so what they have come to is what the scope
 * around them has, and they can be taken out from between it and what is
 * inside.
 */
#ifndef RI_TASK_SCOPE_H
#define RI_TASK_SCOPE_H

#include "task/park.h"

#include <errno.h>

enum ri_scope_kind {
	RI_SCOPE_GROUP,
	RI_SCOPE_DEADLINE,
	RI_SCOPE_SHIELD,
	RI_SCOPE_IDLE,
	RI_SCOPE_CALLBACK,
	RI_SCOPE_TICKER,
	RI_SCOPE_STREAM,
	RI_SCOPE_OUTPUT,
	RI_SCOPE_SIGNALS,
	RI_SCOPE_WATCH,
};

/* Not values that memory is likely to have by itself. */
enum ri_scope_state {
	RI_SCOPE_OPEN = 0x5c,
	RI_SCOPE_CLOSED = 0xc5,
};

/* Codes that its tasks have seen, those that were replaced too. */
enum ri_scope_code {
	RI_CODE_CANCELED = 1, /* -ECANCELED */
	RI_CODE_TIME = 2,     /* -ETIME */
	RI_CODE_SHUTDOWN = 4, /* -ESHUTDOWN: a group around it drains */
};

enum ri_scope_mark {
	RI_MARK_EXPIRED = 1, /* its own deadline or grace has ended it */
	RI_MARK_CALLED = 2,  /* its callback was called */
	RI_MARK_DRAINED = 4, /* a drain has been here, and further inside */
};

static inline uint8_t ri_scope_code_bit(int code)
{
	switch (code) {
	case -ECANCELED:
		return RI_CODE_CANCELED;
	case -ETIME:
		return RI_CODE_TIME;
	case -ESHUTDOWN:
		return RI_CODE_SHUTDOWN;
	default:
		return 0;
	}
}

/* Makes `scope` the innermost one of `owner`; NULL: of nobody (the root). */
void ri_scope_open(struct rota_scope *scope, enum ri_scope_kind kind,
		   struct rota_task *owner, const struct rota_site *site);

/* Arms the scope's deadline, or cancels it at once if that is past. */
void ri_scope_arm(struct ri_tasks *tasks, struct rota_scope *scope,
		  int64_t deadline_ns);

/* What that calls when the deadline has come: the scope is over. */
void ri_scope_due(struct rota_timer *timer);

/* Ends the innermost scope of its owner. */
void ri_scope_close(struct ri_tasks *tasks, struct rota_scope *scope);

/* Takes a ticker, stream, output, set of signals or watch out of its owner's
 * scopes, innermost or not. */
void ri_scope_remove(struct ri_tasks *tasks, struct rota_scope *scope);

/* Cancels: marks, interrupts. Does nothing to a scope that is over already. */
void ri_scope_cancel(struct ri_tasks *tasks, struct rota_scope *scope, int code,
		     struct rota_cancellation cause);

/* The same for a scope that may be over by something inside of what ends it
 * now: for the proxy of a group, whose parents are on another loop. */
void ri_scope_recode(struct ri_tasks *tasks, struct rota_scope *scope, int code,
		     const struct rota_cancellation *cause);

/* Ends idle sections inside, now and in future. */
void ri_scope_drain(struct ri_tasks *tasks, struct rota_scope *scope);

/* Tells who has to hear of cancels, a slice of them: members of groups, and
 * callbacks, in the order in which their scopes ended. */
void ri_scopes_sweep(struct ri_tasks *tasks);

/* The next scope inside `top`, parents before children; NULL at the end. No
 * recursion: they nest as deep as a program likes. */
struct rota_scope *ri_scope_next_inside(struct rota_scope *top,
					struct rota_scope *scope);

/* Ends the wait of a task early, if it is in one that can be. */
void ri_task_interrupt(struct ri_tasks *tasks, struct rota_task *task);

/* A cancelled group: its waiters for a slot wake, its members are swept.
 * (group.c) */
void ri_group_cancelled(struct ri_tasks *tasks, struct rota_group *group);

/* The scope of a callback is over. (callback.c) */
void ri_callback_call(struct rota_scope *scope);

/* The scope around a shield is over: its grace begins. (shield.c) */
void ri_shield_outlived(struct ri_tasks *tasks, struct rota_scope *scope);

/* The running task, for a verb that begins a scope. */
static inline struct rota_task *ri_scope_opener(const char *function)
{
	struct rota_task *self = ri_task_self(function);

	ri_task_check_scope(self);
	return self;
}

/* Aborts: it is not the innermost scope of the running task. */
__attribute__((cold, noreturn)) void
ri_scope_misused(const struct rota_scope *scope, const char *function);

/* Aborts: the running task has not got it open. */
__attribute__((cold, noreturn)) void
ri_scope_not_own(const struct rota_scope *scope, const char *function);

/* The running task, for a verb about a scope that it has open, innermost or
 * not. Aborts if it has not. */
static inline struct rota_task *ri_scope_holder(const struct rota_scope *scope,
						enum ri_scope_kind kind,
						const char *function)
{
	struct rota_task *self = ri_scope_opener(function);

	if (__builtin_expect(scope->state != RI_SCOPE_OPEN ||
				     scope->kind != kind ||
				     scope->owner != self,
			     0))
		ri_scope_not_own(scope, function);
	return self;
}

/* For one that ends the innermost scope of the running task. */
static inline void ri_scope_end(struct rota_scope *scope, const char *function)
{
	struct rota_task *self = ri_task_self(function);

	if (__builtin_expect(self->scope != scope, 0))
		ri_scope_misused(scope, function);
	ri_scope_close(ri_tasks_here(), scope);
}

#endif
