/* SPDX-License-Identifier: MIT */
#include "support/lane.h"

#include "base/list.h"
#include "support/lane_judge.h"
#include "task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <string.h>

/* Memory that nobody may write to, or read, any more. */
#define POISON 0xa5

void lane_fired(struct lane *lane)
{
	if (!lane->model.open_count)
		return;
	model_time(&lane->model);
	nest_fired(&lane->nest);
}

int lane_code(const struct lane *lane)
{
	return lane->nest.here ? lane->nest.here->code : 0;
}

/* As tasks do that release what they have before they end. */
static void linger(struct lane *lane)
{
	const int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);

	lane_expect(lane, "closing at the end", rota_close(fd), 0);
}

static void call_verb(void *arg)
{
	struct lane *lane = arg;
	struct victim *victim = &lane->victim;
	const bool timed = victim->class->traits & VICTIM_TIMED;

	lane->verdict.before = lane_code(lane);
	lane->verdict.due = victim->deadline_ns <= nest_now_ns(lane->referee);
	lane->timer.deadline_ns = victim->deadline_ns;
	if (timed)
		model_open(&lane->model, &lane->timer, lane->nest.here);
	lane->task = ri_task_of(ri_tasks_here()->loop.current);
	victim->called = true;
	victim->result = victim->class->call(victim);
	victim->returned = true;
	if (timed)
		model_close(&lane->model, &lane->timer);
	lane->verdict.came = lane->timer.expired;
	lane_judge(lane);
	lane->task = NULL;
	memset(victim->buffer, POISON, victim->bytes);
	if (lane->shape.lingers)
		linger(lane);
}

static int run_victim(void *value)
{
	struct lane *lane = *(struct lane **)value;

	nest_run(&lane->nest, &lane->group_scopes[LANE_GROUP], call_verb, lane);
	model_end(&lane->model, &lane->group_scopes[LANE_GROUP],
		  lane->victim.result, false);
	return lane->victim.result;
}

/* Runs fn in a group of its own, and says what that came to. */
static int run_group(struct lane *lane, enum lane_group name, rota_task_fn *fn)
{
	struct model_scope *scope = &lane->group_scopes[name];
	struct rota_group_options options = { .deadline_ns =
						      scope->deadline_ns };
	struct rota_group group;
	int error, result;

	rota_group_open(&group, &options);
	nest_open(&lane->model, lane->referee, scope,
		  name == LANE_GROUP ? scope - 1 : &lane->outer_deadline);
	lane->groups[name] = scope->group = &group;
	model_spawn(scope);
	error = rota_go(&group, fn, lane);
	lane_expect(lane, "whether it was spawned", error,
		    model_refusal(scope, scope));
	model_spawned(&lane->model, scope, error);
	/* Then it never runs, and needs nothing. */
	if (error)
		lane->victim.returned = true;
	model_join(&lane->model, scope);
	result = rota_group_wait(&group);
	lane_expect(lane, "what a group came to", result, model_outcome(scope));
	model_close(&lane->model, scope);
	lane->groups[name] = NULL;
	memset(&group, POISON, sizeof(group));
	return result;
}

static int own_group(void *value)
{
	struct lane *lane = *(struct lane **)value;
	const int result = run_group(lane, LANE_GROUP, run_victim);

	model_end(&lane->model, &lane->group_scopes[LANE_OUTER_GROUP], result,
		  false);
	return result;
}

static int own_outer_group(void *value)
{
	struct lane *lane = *(struct lane **)value;
	struct model_scope *scope = &lane->outer_deadline;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, scope->deadline_ns);
	nest_open(&lane->model, lane->referee, scope, &lane->all);
	run_group(lane, LANE_OUTER_GROUP, own_group);
	lane_expect(lane, "whether the outer deadline came",
		    rota_deadline_end(&deadline), scope->expired);
	model_close(&lane->model, scope);
	model_close(&lane->model, &lane->all);
	return 0;
}

static void shape_scopes(struct lane *lane)
{
	const struct lane_shape *shape = &lane->shape;

	lane->all = (struct model_scope){ .kind = MODEL_GROUP,
					  .deadline_ns = ROTA_NEVER };
	lane->outer_deadline =
		(struct model_scope){ .kind = MODEL_DEADLINE,
				      .deadline_ns = shape->outer_deadline_ns };
	lane->group_scopes[LANE_OUTER_GROUP] =
		(struct model_scope){ .kind = MODEL_GROUP,
				      .deadline_ns = ROTA_NEVER };
	lane->group_scopes[LANE_GROUP] =
		(struct model_scope){ .kind = MODEL_GROUP,
				      .deadline_ns = shape->group_deadline_ns };
	lane->timer = (struct model_scope){ .kind = MODEL_DEADLINE };
}

int lane_prepare(struct lane *lane, const struct lane_shape *shape)
{
	lane->shape = *shape;
	lane->model.clock_ns = &lane->referee->fired_ns;
	lane->model.together = true;
	lane->model.open_count = 0;
	lane->model.order = 0;
	shape_scopes(lane);
	model_open(&lane->model, &lane->all, NULL);
	memset(&lane->verdict, 0, sizeof(lane->verdict));
	lane->task = NULL;
	lane->nest = (struct nest){ .model = &lane->model,
				    .referee = lane->referee,
				    .name = lane->victim.class->name };
	nest_prepare(&lane->nest, shape->inner, shape->inner_count);
	return victim_prepare(&lane->victim);
}

int lane_go(struct lane *lane, struct rota_group *all)
{
	return rota_go(all, own_outer_group, lane);
}

void lane_cancelled(struct lane *lane)
{
	nest_cancel(&lane->model, lane->referee, &lane->all, -ECANCELED);
}

void lane_cancel(struct lane *lane, enum lane_group name)
{
	if (!lane->groups[name])
		return;
	rota_group_cancel(lane->groups[name], (struct rota_cancellation){ 0 });
	nest_cancel(&lane->model, lane->referee, &lane->group_scopes[name],
		    -ECANCELED);
}

void lane_drain(struct lane *lane, enum lane_group name, int64_t grace_ns)
{
	if (!lane->groups[name])
		return;
	rota_group_drain(lane->groups[name], grace_ns);
	nest_drained(&lane->model, lane->referee, &lane->group_scopes[name],
		     grace_ns);
}

static int fail(void *value)
{
	struct lane *lane = *(struct lane **)value;

	nest_look(&lane->model, lane->referee);
	model_end(&lane->model, &lane->group_scopes[LANE_GROUP], -EIO, false);
	return -EIO;
}

void lane_fail(struct lane *lane)
{
	static const struct model_scope nowhere;
	struct model_scope *scope = &lane->group_scopes[LANE_GROUP];
	int error;

	if (!lane->groups[LANE_GROUP])
		return;
	model_spawn(scope);
	error = rota_go(lane->groups[LANE_GROUP], fail, lane);
	lane_expect(lane, "whether one more was spawned", error,
		    model_refusal(&nowhere, scope));
	model_spawned(&lane->model, scope, error);
}

void lane_close(struct lane *lane)
{
	struct victim *victim = &lane->victim;
	const int fd = victim->fd;

	if (fd < 0 || victim->class->traits & VICTIM_OPEN)
		return;
	victim_forget(victim);
	lane_expect(lane, "a close", rota_close(fd), 0);
}

int64_t lane_deadline(const struct lane *lane, bool last)
{
	int64_t found_ns = ROTA_NEVER;

	for (unsigned i = 0; i < lane->model.open_count; i++) {
		const int64_t deadline_ns = lane->model.open[i]->deadline_ns;

		if (deadline_ns != ROTA_NEVER &&
		    (found_ns == ROTA_NEVER ||
		     last == (deadline_ns > found_ns)))
			found_ns = deadline_ns;
	}
	return found_ns;
}

void lane_check(struct lane *lane)
{
	struct victim *victim = &lane->victim;
	size_t poisoned = 0;

	if (lane->referee->broken)
		return;
	while (poisoned < victim->bytes && victim->buffer[poisoned] == POISON)
		poisoned++;
	if (victim->called)
		lane_expect(lane, "bytes of the buffer that stay",
			    (int64_t)poisoned, (int64_t)victim->bytes);
	lane_expect(lane, "scopes open", lane->model.open_count, 0);
	lane_expect(lane, "bytes out of order", victim->torn, false);
	if (victim->class->check)
		victim->class->check(victim);
	lane_expect(lane, "bytes out of order that were left", victim->torn,
		    false);
}
