/* SPDX-License-Identifier: MIT */
#include "task/scope.h"

#include "task/operation.h"

#include <errno.h>

static const char *kind_name(const struct rota_task *task)
{
	return task->scope_site ? task->scope_site->function : "scope";
}

void ri_scope_left_open(const struct rota_task *task, const char *did)
{
	const struct rota_site *site = task->scope_site;

	ri_abort(site ? site->file : "?", site ? site->line : 0,
		 "the %s opened here is still open, but task %s (spawned at "
		 "%s:%d) %s",
		 kind_name(task), ri_task_name(task), task->site->file,
		 task->site->line, did);
}

/* A scope that is over may get another code later, from one around it: both
 * are codes that its tasks have seen. */
static void set_code(struct rota_scope *scope, int code)
{
	scope->code = code;
	scope->was_cancelled |= code == -ECANCELED;
	scope->was_late |= code == -ETIME;
}

static bool is_around(const struct rota_scope *scope,
		      const struct rota_scope *inside)
{
	while (inside && inside != scope)
		inside = inside->parent;
	return inside != NULL;
}

void ri_scope_open(struct rota_scope *scope, enum ri_scope_kind kind,
		   struct rota_task *owner, const struct rota_site *site)
{
	struct rota_scope *parent = owner ? owner->scope : NULL;

	if (scope == parent)
		ri_abort(site->file, site->line, "the %s is open already",
			 site->function);
	ri_assert(!is_around(scope, parent), "a scope around is opened again");
	scope->parent = parent;
	scope->children = NULL;
	scope->timer.link.next = NULL;
	scope->sweep.next = NULL;
	scope->owner = owner;
	scope->site = site;
	scope->kind = (uint8_t)kind;
	scope->expired = false;
	scope->was_cancelled = false;
	scope->was_late = false;
	scope->code = 0;
	scope->cause = (struct rota_cancellation){ 0, NULL };
	if (!owner)
		return;
	set_code(scope, parent->code);
	scope->cause = parent->cause;
	ri_chain_push(&parent->children, &scope->sibling);
	owner->scope = scope;
	owner->scope_site = site;
}

static void fire_deadline(struct rota_timer *timer)
{
	struct rota_scope *scope =
		ri_container(timer, struct rota_scope, timer);

	/* Cancelled before: then it was not the deadline. */
	if (scope->code)
		return;
	scope->expired = true;
	ri_scope_cancel(ri_tasks_here(), scope, -ETIME,
			(struct rota_cancellation){ -ETIME, NULL });
}

void ri_scope_arm(struct ri_tasks *tasks, struct rota_scope *scope,
		  int64_t deadline_ns)
{
	if (deadline_ns == INT64_MAX)
		return;
	scope->timer.deadline_ns = deadline_ns;
	scope->timer.fire = fire_deadline;
	if (deadline_ns <= tasks->loop.now_ns ||
	    !ri_loop_arm(&tasks->loop, &scope->timer))
		fire_deadline(&scope->timer);
}

void ri_scope_close(struct ri_tasks *tasks, struct rota_scope *scope)
{
	struct rota_task *owner = scope->owner;
	struct rota_scope *parent = scope->parent;

	ri_assert(!scope->children, "scopes are left in %p", (void *)scope);
	if (scope->timer.link.next)
		ri_wheel_remove(&tasks->loop.wheel, &scope->timer);
	if (ri_list_linked(&scope->sweep))
		ri_list_remove(&scope->sweep);
	scope->site = NULL;
	if (!owner)
		return;
	ri_chain_remove(&scope->sibling);
	owner->scope = parent;
	owner->scope_site = parent->site;
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
}

static struct rota_scope *sibling_of(struct rota_chain *link)
{
	return ri_container(link, struct rota_scope, sibling);
}

/* The next scope inside `top`, parents before children; NULL at the end. No
 * recursion: they nest as deep as a program likes. */
static struct rota_scope *next_inside(struct rota_scope *top,
				      struct rota_scope *scope)
{
	if (scope->children)
		return sibling_of(scope->children);
	while (scope != top && !scope->sibling.next)
		scope = scope->parent;
	return scope == top ? NULL : sibling_of(scope->sibling.next);
}

void ri_scope_cancel(struct ri_tasks *tasks, struct rota_scope *scope, int code,
		     struct rota_cancellation cause)
{
	struct rota_scope *inside = scope;

	ri_assert(code < 0, "%d is no code", code);
	if (scope->code)
		return;
	do {
		const bool first = !inside->code;

		/* The outermost one that is over decides the code. */
		set_code(inside, code);
		if (first) {
			inside->cause = cause;
			tell(tasks, inside);
		}
		inside = next_inside(scope, inside);
	} while (inside);
}
