/* SPDX-License-Identifier: MIT */
#include "task/scope.h"

#include "task/group.h"
#include "task/operation.h"
#include "task/park.h"
#include "task/remote.h"

#include <errno.h>

/* NULL: it is in no scope but its group's. */
static const struct rota_site *opened_at(const struct rota_task *task)
{
	return task->scope == &task->group->scope ? NULL : task->scope_site;
}

void ri_scope_left_open(const struct rota_task *task, const char *did)
{
	const struct rota_site *site = opened_at(task);

	ri_abort(site ? site->file : "?", site ? site->line : 0,
		 "the %s opened here is still open, but task %s (spawned at "
		 "%s:%d) %s",
		 site ? site->function : "scope", ri_task_name(task),
		 task->site->file, task->site->line, did);
}

void ri_scope_misused(const struct rota_scope *scope, const char *function)
{
	const struct rota_task *self = ri_task_self(function);
	const struct rota_scope *around = self->scope;

	while (around && around != scope)
		around = around->parent;
	if (around && around->owner != self)
		ri_abort(scope->site->file, scope->site->line,
			 "the %s opened here is another task's, but task %s "
			 "(spawned at %s:%d) ends it",
			 scope->site->function, ri_task_name(self),
			 self->site->file, self->site->line);
	if (around)
		ri_scope_left_open(self, "ends one around it");
	ri_scope_not_own(scope, function);
}

void ri_scope_not_own(const struct rota_scope *scope, const char *function)
{
	const struct rota_task *self = ri_task_self(function);

	if (scope->state == RI_SCOPE_OPEN && scope->owner != self)
		ri_abort(scope->site->file, scope->site->line,
			 "the %s opened here is another task's, but %s is "
			 "called in task %s (spawned at %s:%d)",
			 scope->site->function, function, ri_task_name(self),
			 self->site->file, self->site->line);
	if (scope->state == RI_SCOPE_CLOSED)
		ri_abort(scope->site->file, scope->site->line,
			 "the %s opened here has ended already, %s in task %s",
			 scope->site->function, function, ri_task_name(self));
	ri_abort(__FILE__, __LINE__, "%s in task %s for what is not open",
		 function, ri_task_name(self));
}

/* A scope that is over may get another code later, from one around it: both
 * are codes that its tasks have seen. */
static void set_code(struct rota_scope *scope, int code)
{
	scope->code = code;
	scope->codes |= ri_scope_code_bit(code);
}

/* How many of a task's scopes are looked at: to nest them stays linear. */
#define AROUND_MAX 16

/* Has the task got it open already? Only it can tell: fresh memory may look as
 * if it were open by somebody else. */
static void check_not_open(const struct rota_scope *scope,
			   const struct rota_task *owner,
			   const struct rota_site *site)
{
	const struct rota_scope *around = owner->scope;
	unsigned left = AROUND_MAX;

	while (around != scope && around->owner == owner && --left)
		around = around->parent;
	if (__builtin_expect(around == scope, 0))
		ri_abort(site->file, site->line,
			 "the %s is open already, since %s:%d", site->function,
			 around->site->file, around->site->line);
}

/* Takes over what the scope around it has come to. Idle sections, callbacks
 * and shields have more to do then. */
static void inherit(struct rota_scope *scope, const struct rota_scope *parent)
{
	scope->codes = parent->codes & RI_CODE_SHUTDOWN;
	scope->marks = parent->marks & RI_MARK_DRAINED;
	if (!parent->code || scope->kind == RI_SCOPE_SHIELD)
		return;
	set_code(scope, parent->code);
	scope->cause = parent->cause;
}

void ri_scope_open(struct rota_scope *scope, enum ri_scope_kind kind,
		   struct rota_task *owner, const struct rota_site *site)
{
	struct rota_scope *parent = NULL;

	if (owner) {
		check_not_open(scope, owner, site);
		parent = owner->scope;
	}
	scope->parent = parent;
	scope->children = NULL;
	scope->timer.link.next = NULL;
	scope->sweep.next = NULL;
	scope->owner = owner;
	scope->site = site;
	scope->cause = (struct rota_cancellation){ 0, NULL };
	scope->code = 0;
	scope->kind = (uint8_t)kind;
	scope->state = RI_SCOPE_OPEN;
	scope->codes = 0;
	scope->marks = 0;
	if (!parent)
		return;
	inherit(scope, parent);
	ri_chain_push(&parent->children, &scope->sibling);
	owner->scope = scope;
	owner->scope_site = site;
}

void ri_scope_due(struct rota_timer *timer)
{
	struct rota_scope *scope =
		ri_container(timer, struct rota_scope, timer);

	/* Cancelled before: then it was not the deadline. */
	if (scope->code)
		return;
	scope->marks |= RI_MARK_EXPIRED;
	ri_scope_cancel(ri_tasks_here(), scope, -ETIME,
			(struct rota_cancellation){ -ETIME, NULL });
}

void ri_scope_arm(struct ri_tasks *tasks, struct rota_scope *scope,
		  int64_t deadline_ns)
{
	if (deadline_ns == INT64_MAX)
		return;
	scope->timer.deadline_ns = deadline_ns;
	scope->timer.fire = ri_scope_due;
	if (deadline_ns <= tasks->loop.now_ns ||
	    !ri_loop_arm(&tasks->loop, &scope->timer))
		ri_scope_due(&scope->timer);
}

/* Nothing comes of it any more. */
static inline void retire(struct ri_tasks *tasks, struct rota_scope *scope)
{
	if (scope->timer.link.next)
		ri_wheel_remove(&tasks->loop.wheel, &scope->timer);
	if (ri_list_linked(&scope->sweep))
		ri_list_remove(&scope->sweep);
	scope->state = RI_SCOPE_CLOSED;
}

void ri_scope_close(struct ri_tasks *tasks, struct rota_scope *scope)
{
	struct rota_task *owner = scope->owner;
	struct rota_scope *parent = scope->parent;

	ri_assert(!scope->children, "scopes are left in %p", (void *)scope);
	retire(tasks, scope);
	if (!owner)
		return;
	ri_chain_remove(&scope->sibling);
	owner->scope = parent;
	owner->scope_site = parent->site;
}

static struct rota_scope *sibling_of(struct rota_chain *link)
{
	return ri_container(link, struct rota_scope, sibling);
}

/* Right in it only its owner opens anything, one at a time: what is opened
 * next is inside of that. */
void ri_scope_remove(struct ri_tasks *tasks, struct rota_scope *scope)
{
	struct rota_chain *child = scope->children;

	if (!child) {
		ri_scope_close(tasks, scope);
		return;
	}
	ri_assert(!child->next, "%p has several scopes in it", (void *)scope);
	retire(tasks, scope);
	ri_chain_remove(&scope->sibling);
	ri_chain_remove(child);
	ri_chain_push(&scope->parent->children, child);
	sibling_of(child)->parent = scope->parent;
}

void ri_task_interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	if (task->fiber.flags & RI_TASK_IN_FLIGHT)
		ri_operation_interrupt(tasks, task);
	else if (task->wait && task->wait->interrupt)
		task->wait->interrupt(tasks, task);
}

/* Tells who waits right in this scope. Deeper ones are told by theirs. */
static void tell(struct ri_tasks *tasks, struct rota_scope *scope)
{
	if (scope->owner && scope->owner->scope == scope)
		ri_task_interrupt(tasks, scope->owner);
	if (scope->kind == RI_SCOPE_GROUP)
		ri_group_cancelled(tasks, ri_container(scope, struct rota_group,
						       scope));
	else if (scope->kind == RI_SCOPE_CALLBACK)
		ri_list_append(&tasks->sweeps, &scope->sweep);
}

/* The same as below, but not into the scope. */
static struct rota_scope *next_beside(struct rota_scope *top,
				      struct rota_scope *scope)
{
	while (scope != top && !scope->sibling.next)
		scope = scope->parent;
	return scope == top ? NULL : sibling_of(scope->sibling.next);
}

struct rota_scope *ri_scope_next_inside(struct rota_scope *top,
					struct rota_scope *scope)
{
	if (scope->children)
		return sibling_of(scope->children);
	return next_beside(top, scope);
}

/* A group's members on other loops are told by mail, also of another code. */
static void tell_proxies(struct ri_tasks *tasks, struct rota_scope *scope)
{
	struct rota_group *group;

	if (scope->kind != RI_SCOPE_GROUP)
		return;
	group = ri_container(scope, struct rota_group, scope);
	if (group->remote)
		ri_remote_order(tasks, group, false);
}

/* The outermost one that is over decides the code. Proxies hear of it before
 * those do who waited for slots there: what they return is a code by then. */
static void end(struct ri_tasks *tasks, struct rota_scope *scope, int code,
		const struct rota_cancellation *cause)
{
	const bool first = !scope->code;

	set_code(scope, code);
	if (first)
		scope->cause = *cause;
	tell_proxies(tasks, scope);
	if (first)
		tell(tasks, scope);
}

void ri_scope_recode(struct ri_tasks *tasks, struct rota_scope *scope, int code,
		     const struct rota_cancellation *cause)
{
	struct rota_scope *inside = scope;

	do {
		if (inside->kind == RI_SCOPE_SHIELD && inside != scope) {
			ri_shield_outlived(tasks, inside);
			inside = next_beside(scope, inside);
		} else if (inside->code == code) {
			/* And so has all inside: from the inside out, each
			 * scope is walked once, not for each one around. */
			inside = next_beside(scope, inside);
		} else {
			end(tasks, inside, code, cause);
			inside = ri_scope_next_inside(scope, inside);
		}
	} while (inside);
}

void ri_scope_cancel(struct ri_tasks *tasks, struct rota_scope *scope, int code,
		     struct rota_cancellation cause)
{
	ri_assert(code < 0, "%d is no code", code);
	if (!scope->code)
		ri_scope_recode(tasks, scope, code, &cause);
}

/* What is called may cancel, and so add to the list. */
void ri_scopes_sweep(struct ri_tasks *tasks)
{
	unsigned slice = RI_CANCEL_SLICE;

	while (slice && !ri_list_empty(&tasks->sweeps)) {
		struct rota_scope *scope = ri_container(
			tasks->sweeps.next, struct rota_scope, sweep);

		if (scope->kind == RI_SCOPE_GROUP) {
			slice -= ri_group_sweep(
				tasks,
				ri_container(scope, struct rota_group, scope),
				slice);
		} else {
			ri_list_remove(&scope->sweep);
			ri_callback_call(scope);
			slice--;
		}
	}
}

void ri_scope_drain(struct ri_tasks *tasks, struct rota_scope *scope)
{
	const struct rota_cancellation cause = { -ESHUTDOWN, NULL };
	struct rota_scope *inside = scope;

	do {
		if (inside != scope && inside->marks & RI_MARK_DRAINED) {
			inside = next_beside(scope, inside);
			continue;
		}
		inside->marks |= RI_MARK_DRAINED;
		inside->codes |= RI_CODE_SHUTDOWN;
		tell_proxies(tasks, inside);
		if (inside->kind == RI_SCOPE_IDLE)
			ri_scope_cancel(tasks, inside, -ESHUTDOWN, cause);
		inside = ri_scope_next_inside(scope, inside);
	} while (inside);
}
