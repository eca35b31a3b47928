/* SPDX-License-Identifier: MIT */
#include "support/model.h"

#include "base/check.h"

#include <errno.h>

static void set_code(const struct model *model, struct model_scope *scope,
		     int code)
{
	if (!scope->code)
		scope->over_ns = model->now_ns;
	scope->code = code;
	scope->canceled |= code == -ECANCELED;
	scope->late |= code == -ETIME;
	scope->idle_over |= code == -ESHUTDOWN;
	scope->drains |= code == -ESHUTDOWN;
}

bool model_was_told(const struct model_scope *scope, int code)
{
	return (code == -ECANCELED && scope->canceled) ||
	       (code == -ETIME && scope->late) ||
	       (code == -ESHUTDOWN && scope->idle_over);
}

bool model_had_code(const struct model_scope *group, int code)
{
	return model_was_told(group, code) ||
	       (code == -ESHUTDOWN && group->drains);
}

static bool is_inside(const struct model_scope *scope,
		      const struct model_scope *top)
{
	while (scope && scope != top)
		scope = scope->parent;
	return scope != NULL;
}

/* Is there a shield between them? `scope` itself counts. */
static bool is_shielded(const struct model_scope *scope,
			const struct model_scope *top)
{
	while (scope != top && scope->kind != MODEL_SHIELD)
		scope = scope->parent;
	return scope != top;
}

static void set_deadline(struct model *model, struct model_scope *scope,
			 int64_t deadline_ns)
{
	scope->deadline_ns = deadline_ns;
	scope->order = model->order++;
}

static int64_t after(const struct model *model, int64_t duration_ns)
{
	int64_t deadline_ns;

	if (__builtin_add_overflow(model->now_ns, duration_ns, &deadline_ns))
		return INT64_MAX;
	return deadline_ns;
}

/* A shield's grace begins, unless it has, or there is another shield around
 * that keeps the cancel away from it. */
static void outlive(struct model *model, struct model_scope *shield,
		    const struct model_scope *top)
{
	if (shield->code || shield->deadline_ns != INT64_MAX)
		return;
	if (is_shielded(shield->parent, top))
		return;
	set_deadline(model, shield,
		     after(model, shield->grace_ns > 0 ? shield->grace_ns : 1));
}

void model_cancel(struct model *model, struct model_scope *top, int code,
		  int cause)
{
	if (top->code)
		return;
	for (unsigned i = 0; i < model->open_count; i++) {
		struct model_scope *scope = model->open[i];

		if (!is_inside(scope, top))
			continue;
		if (scope != top && scope->kind == MODEL_SHIELD)
			outlive(model, scope, top);
		if (is_shielded(scope, top))
			continue;
		if (!scope->code)
			scope->cause = cause;
		set_code(model, scope, code);
	}
}

static struct model_scope *due_first(const struct model *model)
{
	struct model_scope *due = NULL;

	for (unsigned i = 0; i < model->open_count; i++) {
		struct model_scope *scope = model->open[i];

		if (scope->deadline_ns <= *model->clock_ns &&
		    (!due || scope->deadline_ns < due->deadline_ns ||
		     (scope->deadline_ns == due->deadline_ns &&
		      scope->order < due->order)))
			due = scope;
	}
	return due;
}

void model_time(struct model *model)
{
	struct model_scope *due;

	while ((due = due_first(model))) {
		if (model->together)
			model->now_ns = *model->clock_ns;
		else if (due->deadline_ns > model->now_ns)
			model->now_ns = due->deadline_ns;
		due->deadline_ns = INT64_MAX;
		if (due->by_drain) {
			model_cancel(model, due, -ECANCELED, -ESHUTDOWN);
			continue;
		}
		due->expired = !due->code;
		model_cancel(model, due, -ETIME, -ETIME);
	}
	model->now_ns = *model->clock_ns;
}

void model_open(struct model *model, struct model_scope *scope,
		struct model_scope *parent)
{
	const bool shield = scope->kind == MODEL_SHIELD;

	ri_check(model->open_count < MODEL_SCOPES_MAX, "too many scopes");
	scope->parent = parent;
	model->open[model->open_count++] = scope;
	if (shield)
		scope->deadline_ns = INT64_MAX;
	set_deadline(model, scope, scope->deadline_ns);
	scope->drains = parent && parent->drains;
	if (parent && parent->code && shield) {
		set_deadline(model, scope,
			     scope->grace_ns > 0 ? after(model, scope->grace_ns)
						 : INT64_MIN);
	} else if (parent) {
		set_code(model, scope, parent->code);
		scope->cause = parent->cause;
	}
	if (scope->kind == MODEL_IDLE && scope->drains)
		model_cancel(model, scope, -ESHUTDOWN, -ESHUTDOWN);
	model_time(model);
}

void model_close(struct model *model, struct model_scope *scope)
{
	unsigned i = 0;

	while (model->open[i] != scope)
		i++;
	model->open[i] = model->open[--model->open_count];
}

void model_drain(struct model *model, struct model_scope *group,
		 int64_t grace_ns)
{
	const int64_t end_ns = grace_ns > 0 ? after(model, grace_ns)
					    : model->now_ns;

	if (group->code)
		return;
	if (!group->closed)
		group->closed_ns = model->now_ns;
	group->closed = true;
	for (unsigned i = 0; i < model->open_count; i++) {
		struct model_scope *scope = model->open[i];

		if (!is_inside(scope, group))
			continue;
		scope->drains = true;
		if (scope->kind == MODEL_IDLE)
			model_cancel(model, scope, -ESHUTDOWN, -ESHUTDOWN);
	}
	if (end_ns < group->deadline_ns) {
		group->by_drain = true;
		set_deadline(model, group, end_ns);
	}
	model_time(model);
}

int model_refusal(const struct model_scope *here,
		  const struct model_scope *group)
{
	if (here->code)
		return here->code;
	if (group->code)
		return group->code;
	return group->closed ? -ESHUTDOWN : 0;
}

static void end_background(struct model *model, struct model_scope *group)
{
	const bool empty = group->accepted == group->ended && !group->spawning;

	if (!group->joining || !empty || !group->background || group->code)
		return;
	group->ending = true;
	model_cancel(model, group, -ECANCELED, -ECANCELED);
}

void model_spawn(struct model_scope *group)
{
	group->spawning++;
}

void model_spawned(struct model *model, struct model_scope *group, int result)
{
	group->spawning--;
	group->accepted += !result;
	end_background(model, group);
}

static void fail(struct model *model, struct model_scope *group, int error)
{
	if (group->failure_count < MODEL_FAILURES_MAX)
		group->failures[group->failure_count] = error;
	group->failure_count++;
	if (!group->first_error)
		group->first_error = error;
	if (group->mode == ROTA_GROUP_FIRST_ERROR)
		model_cancel(model, group, -ECANCELED, error);
}

static void succeed(struct model *model, struct model_scope *group, int result)
{
	if (group->won) {
		group->discarded++;
		return;
	}
	group->won = true;
	group->result = result;
	model_cancel(model, group, -ECANCELED, -ECANCELED);
}

void model_end(struct model *model, struct model_scope *group, int result,
	       bool background)
{
	const bool race = group->mode == ROTA_GROUP_FIRST_SUCCESS;

	if (result < 0 && !model_had_code(group, result))
		fail(model, group, result);
	else if (result >= 0 && race && !background)
		succeed(model, group, result);
	if (background) {
		group->background--;
	} else {
		group->tried = true;
		group->ended++;
	}
	end_background(model, group);
}

void model_join(struct model *model, struct model_scope *group)
{
	group->joining = true;
	end_background(model, group);
}

int model_outcome(const struct model_scope *group)
{
	if (group->won)
		return group->result;
	if (group->first_error)
		return group->first_error;
	if (group->expired)
		return -ETIME;
	if (group->code && !group->ending)
		return group->cause;
	if (group->mode == ROTA_GROUP_FIRST_SUCCESS)
		return group->tried ? -ESHUTDOWN : -ECHILD;
	return 0;
}
