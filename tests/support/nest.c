/* SPDX-License-Identifier: MIT */
#include "support/nest.h"

#include "task/task.h"

#include <errno.h>
#include <string.h>

int64_t nest_now_ns(const struct referee *referee)
{
	const int64_t *clock_ns = referee->clock_ns;

	return clock_ns ? *clock_ns : referee->fired_ns;
}

void nest_look(struct model *model, const struct referee *referee)
{
	model->now_ns = nest_now_ns(referee);
}

/* What is over shows in the model once the timers have fired; a task that
 * begins something sees the clock as the engine read it last. */
void nest_open(struct model *model, const struct referee *referee,
	       struct model_scope *scope, struct model_scope *parent)
{
	const int64_t engine_ns = ri_tasks_here()->loop.now_ns;

	nest_look(model, referee);
	model_open(model, scope, parent);
	if (scope->deadline_ns > engine_ns || scope->kind == MODEL_SHIELD)
		return;
	scope->deadline_ns = ROTA_NEVER;
	scope->expired = !scope->code;
	model_cancel(model, scope, -ETIME, -ETIME);
}

void nest_cancel(struct model *model, const struct referee *referee,
		 struct model_scope *scope, int cause)
{
	nest_look(model, referee);
	model_cancel(model, scope, -ECANCELED, cause);
}

/* A grace of nothing may end now or with the next timers. */
void nest_drained(struct model *model, const struct referee *referee,
		  struct model_scope *scope, int64_t grace_ns)
{
	nest_look(model, referee);
	model_drain(model, scope, grace_ns);
	if (grace_ns > 0 || scope->code || !scope->group->scope.code)
		return;
	scope->deadline_ns = ROTA_NEVER;
	nest_look(model, referee);
	model_cancel(model, scope, -ECANCELED, -ESHUTDOWN);
}

void nest_expect(const struct nest *nest, const char *law, int64_t seen,
		 int64_t wanted)
{
	if (seen == wanted || nest->referee->broken)
		return;
	referee_expect(nest->referee, law, seen, wanted);
	nest->referee->whose = nest->name;
}

void nest_prepare(struct nest *nest, const struct nest_inner *inner,
		  unsigned count)
{
	nest->inner = inner;
	nest->count = count;
	nest->here = NULL;
	memset(nest->callbacks, 0, sizeof(nest->callbacks));
	for (unsigned i = 0; i < NEST_MAX; i++)
		nest->callbacks[i].nest = nest;
	for (unsigned i = 0; i < count; i++) {
		const bool deadline = inner[i].kind == MODEL_DEADLINE;

		nest->scopes[i] = (struct model_scope){
			.kind = inner[i].kind,
			.deadline_ns = deadline ? inner[i].time_ns : ROTA_NEVER,
			.grace_ns = inner[i].time_ns,
		};
	}
}

void nest_fired(struct nest *nest)
{
	for (unsigned i = 0; i < nest->count; i++)
		if (!nest->callbacks[i].over_turn && nest->scopes[i].code)
			nest->callbacks[i].over_turn = nest->referee->turn;
}

static void run_inside(struct nest *nest, unsigned depth);

static void run_in_deadline(struct nest *nest, unsigned depth)
{
	const struct model_scope *scope = &nest->scopes[depth];
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, nest->inner[depth].time_ns);
	run_inside(nest, depth + 1);
	nest_expect(nest, "whether the deadline came",
		    rota_deadline_end(&deadline), scope->expired);
}

static void run_in_shield(struct nest *nest, unsigned depth)
{
	const struct model_scope *scope = &nest->scopes[depth];
	struct rota_shield shield;

	rota_shield_begin(&shield, nest->inner[depth].time_ns);
	run_inside(nest, depth + 1);
	nest_expect(nest, "whether the grace ran out", rota_shield_end(&shield),
		    scope->expired);
}

static void run_in_idle(struct nest *nest, unsigned depth)
{
	const struct model_scope *scope = &nest->scopes[depth];
	struct rota_idle idle;

	rota_idle_begin(&idle);
	run_inside(nest, depth + 1);
	nest_expect(nest, "whether the group drains", rota_idle_end(&idle),
		    scope->drains);
}

static void call_back(void *arg)
{
	struct nest_callback *known = arg;

	known->calls++;
	if (known->nest->called)
		known->nest->called(known->nest);
}

/* It is called by the loop before the next timers but one. */
static void run_in_callback(struct nest *nest, unsigned depth)
{
	const struct model_scope *scope = &nest->scopes[depth];
	struct nest_callback *known = &nest->callbacks[depth];
	struct rota_callback callback;
	bool missed;

	rota_callback_begin(&callback, call_back, known);
	run_inside(nest, depth + 1);
	missed = rota_callback_end(&callback);
	nest_expect(nest, "calls of the callback", known->calls, !missed);
	if (!scope->code)
		nest_expect(nest, "a callback without a cancel", missed, true);
	else if (known->over_turn && nest->referee->turn > known->over_turn + 1)
		nest_expect(nest, "a cancel without a callback", missed, false);
}

static void run_inside(struct nest *nest, unsigned depth)
{
	static void (*const run_in[])(struct nest *, unsigned) = {
		[MODEL_DEADLINE] = run_in_deadline,
		[MODEL_SHIELD] = run_in_shield,
		[MODEL_IDLE] = run_in_idle,
		[MODEL_CALLBACK] = run_in_callback,
	};
	struct model_scope *scope = &nest->scopes[depth], *around = nest->here;

	if (depth == nest->count) {
		nest->fn(nest->arg);
		return;
	}
	nest_open(nest->model, nest->referee, scope, around);
	nest->here = scope;
	run_in[scope->kind](nest, depth);
	model_close(nest->model, scope);
	nest->here = around;
}

void nest_run(struct nest *nest, struct model_scope *around,
	      void (*fn)(void *arg), void *arg)
{
	nest->fn = fn;
	nest->arg = arg;
	nest->here = around;
	run_inside(nest, 0);
}
