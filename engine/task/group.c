/* SPDX-License-Identifier: MIT */
/*
 * Groups: accept, judge, cancel, drain, join.
 *
 * A cancelled group is swept in slices: its list of members is turned round
 * once, each that is parked right in the group's scope is interrupted. Members
 * may end meanwhile, but none can come, so those not yet told are always ahead
 * of those that were.
 *
 * Who ends with a result >= 0 in a group that is not odd only gives its slot
 * back. Odd are groups in which a result may win, or with members that have no
 * slot.
 */
#include "rota/group.h"

#include "rota/loop.h"

#include "task/ask.h"
#include "task/group.h"
#include "task/park.h"
#include "task/remote.h"
#include "task/share.h"
#include "task/slot.h"

#include <errno.h>

static_assert(sizeof(struct rota_group) <= 320, "five cache lines");

void ri_group_init(struct rota_group *group,
		   const struct rota_group_options *options,
		   struct rota_task *owner, const struct rota_site *site)
{
	ri_scope_open(&group->scope, RI_SCOPE_GROUP, owner, site);
	ri_list_init(&group->members);
	ri_list_init(&group->waiters);
	group->loop = ri_loop_here;
	group->remote = NULL;
	group->name = options->name;
	group->failures = options->failures;
	group->discard = options->discard;
	group->limit = options->limit ? options->limit : UINT32_MAX;
	group->live = 0;
	group->background = 0;
	group->swept = 0;
	group->waiting = 0;
	group->asking = 0;
	group->odd = options->mode == ROTA_GROUP_FIRST_SUCCESS ? RI_GROUP_ODD
							       : 0;
	group->first_error = 0;
	group->result = 0;
	group->mode = (uint8_t)options->mode;
	group->joining = false;
	group->ending = false;
	group->won = false;
	group->tried = false;
	group->proxy = false;
	group->asked = RI_ASKED_NO;
	group->share = 0;
	if (group->failures)
		group->failures->count = 0;
}

void rota_group_open_at(struct rota_group *group,
			const struct rota_group_options *options,
			const struct rota_site *site)
{
	static const struct rota_group_options defaults;
	struct rota_task *self = ri_scope_opener("rota_group_open");
	struct ri_tasks *tasks = ri_tasks_here();
	int stack_class = tasks->stack_class;

	if (!options)
		options = &defaults;
	if (options->stack_bytes)
		stack_class = ri_stacks_class(options->stack_bytes);
	if (stack_class < 0)
		ri_abort(site->file, site->line,
			 "stack_bytes is %zu, the most is %zu",
			 options->stack_bytes, RI_STACK_BYTES_MAX);
	ri_group_init(group, options, self, site);
	group->stack_class = (uint8_t)stack_class;
	if (options->deadline_ns)
		ri_scope_arm(tasks, &group->scope, options->deadline_ns);
}

/* Can this loop's tasks use it? */
static inline bool is_usable(const struct ri_tasks *tasks,
			     const struct rota_group *group)
{
	return group->loop == &tasks->loop;
}

/* Aborts: the group was never opened, or was waited for, or is another loop's
 * that is none of this engine, or does not do this for other loops. */
static __attribute__((cold, noreturn)) void
misused(const struct rota_group *group, const struct rota_site *site)
{
	const struct rota_site *opened = group->scope.site;

	switch (group->scope.state) {
	case RI_SCOPE_OPEN:
		if (ri_remote_is(ri_tasks_here(), group))
			ri_abort(site->file, site->line,
				 "%s: the group is of another loop (opened at "
				 "%s:%d), and this is for tasks of its own",
				 site->function, opened->file, opened->line);
		ri_abort(site->file, site->line,
			 "%s: the group is of another thread's engine (opened "
			 "at %s:%d)",
			 site->function, opened->file, opened->line);
	case RI_SCOPE_CLOSED:
		ri_abort(site->file, site->line,
			 "%s: the group is not open, it was waited for already "
			 "(opened at %s:%d)",
			 site->function, opened->file, opened->line);
	default:
		ri_abort(site->file, site->line, "%s: the group is not open",
			 site->function);
	}
}

/* For functions, whose callers' lines are not known. */
void ri_group_check(const struct ri_tasks *tasks,
		    const struct rota_group *group, const char *function)
{
	const struct rota_site site = { __FILE__, function, __LINE__, 0 };

	if (__builtin_expect(!is_usable(tasks, group), 0))
		misused(group, &site);
}

/* One for the running task, of a group of this loop. 0, or why it gets none. */
static inline __attribute__((always_inline)) int
take_slot(struct ri_tasks *tasks, struct rota_task *self,
	  struct rota_group *group, bool may_wait)
{
	if (__builtin_expect((self->scope->code | group->scope.code) != 0, 0))
		return ri_slot_refusal(self, group);
	if (group->live < group->limit)
		group->live++;
	else if (!may_wait)
		return group->limit ? -EAGAIN : -ESHUTDOWN;
	else
		return ri_slot_wait(tasks, self, group);
	return 0;
}

/* Spawns into a group of another loop, or aborts if it is none of this engine.
 * The member runs on the loop of this number. */
static __attribute__((noinline)) int spawn_there(struct rota_group *group,
						 struct ri_ask *ask,
						 const void *value,
						 const struct rota_site *site)
{
	struct rota_task *self = ri_task_self("rota_go");
	struct ri_tasks *tasks = ri_tasks_here();

	if (!ri_remote_is(tasks, group))
		misused(group, site);
	if (self->scope->code)
		return self->scope->code;
	ri_parcel_fill(&ask->what, self, value, site);
	return ri_ask(tasks, group, ask);
}

static inline __attribute__((always_inline)) int
spawn(struct rota_group *group, rota_task_fn *fn, const void *value,
      const struct rota_site *site, bool may_wait)
{
	struct rota_task *self = ri_task_self("rota_go");
	struct ri_tasks *tasks = ri_tasks_here();
	int error;

	ri_task_check_scope(self);
	if (__builtin_expect(!is_usable(tasks, group), 0)) {
		struct ri_ask ask = { .what.fn = fn,
				      .loop = tasks->loop.index,
				      .may_wait = may_wait };

		return spawn_there(group, &ask, value, site);
	}
	error = take_slot(tasks, self, group, may_wait);
	if (error)
		return error;
	error = ri_task_accept(tasks, group, fn, value, site, self->inherited);
	if (error)
		ri_slot_release(tasks, group);
	return error;
}

int rota_group_spawn(struct rota_group *group, rota_task_fn *fn,
		     const void *value, const struct rota_site *site)
{
	return spawn(group, fn, value, site, true);
}

int rota_group_try_spawn(struct rota_group *group, rota_task_fn *fn,
			 const void *value, const struct rota_site *site)
{
	return spawn(group, fn, value, site, false);
}

/* To the loop of this number, or wherever one has nothing else to do. */
static int spawn_at(struct rota_group *group, struct rota_start start,
		    const void *value, const struct rota_site *site)
{
	struct rota_task *self = ri_task_self("rota_go_on");
	struct ri_tasks *tasks = ri_tasks_here();
	struct ri_ask ask = { .what.fn = start.fn,
			      .what.counted = start.chosen,
			      .loop = start.loop,
			      .may_wait = !start.tries };
	int error;

	ri_task_check_scope(self);
	if (!is_usable(tasks, group))
		return spawn_there(group, &ask, value, site);
	error = take_slot(tasks, self, group, !start.tries);
	if (error)
		return error;
	ri_parcel_fill(&ask.what, self, value, site);
	if (start.loop == RI_ASK_SPREAD)
		error = ri_remote_spread(tasks, group, &ask.what);
	else
		error = ri_remote_send(tasks, group, &ask.what, start.loop);
	if (error)
		ri_slot_release(tasks, group);
	return error;
}

int rota_group_spawn_on(struct rota_group *group, struct rota_start start,
			const void *value, const struct rota_site *site)
{
	const unsigned loops = rota_loops();

	start.chosen = start.loop == ROTA_LOOP_LEAST;
	if (start.chosen)
		start.loop = rota_loop_least();
	if (start.loop >= loops)
		return -EINVAL;
	if (start.loop == ri_loop_here->index)
		return spawn(group, start.fn, value, site, !start.tries);
	return spawn_at(group, start, value, site);
}

int rota_group_spawn_spread(struct rota_group *group, rota_task_fn *fn,
			    const void *value, const struct rota_site *site)
{
	if (rota_loops() == 1)
		return spawn(group, fn, value, site, true);
	return spawn_at(group, rota_start_on(RI_ASK_SPREAD, fn), value, site);
}

int rota_group_spawn_background(struct rota_group *group, rota_task_fn *fn,
				const void *value, const struct rota_site *site)
{
	struct rota_task *self = ri_task_self("rota_go_background");
	struct ri_tasks *tasks = ri_tasks_here();
	struct rota_task *task;
	int error;

	ri_task_check_scope(self);
	if (!is_usable(tasks, group))
		misused(group, site);
	error = ri_slot_refusal(self, group);
	if (!error)
		error = ri_task_accept(tasks, group, fn, value, site,
				       self->inherited);
	if (error)
		return error;
	task = ri_container(group->members.prev, struct rota_task, member);
	task->fiber.flags |= RI_TASK_BACKGROUND;
	group->background++;
	group->odd = RI_GROUP_ODD;
	return 0;
}

void ri_group_failed(struct ri_tasks *tasks, struct rota_group *group,
		     int error, const struct rota_site *site)
{
	struct rota_failures *failures = group->failures;

	if (failures) {
		if (failures->count < failures->max)
			failures->list[failures->count] =
				(struct rota_failure){ error, site };
		failures->count++;
	}
	if (!group->first_error)
		group->first_error = error;
	if (group->mode == ROTA_GROUP_FIRST_ERROR)
		ri_scope_cancel(tasks, &group->scope, -ECANCELED,
				(struct rota_cancellation){ error, NULL });
}

bool ri_group_won(struct ri_tasks *tasks, struct rota_group *group, int result)
{
	if (group->won)
		return false;
	group->won = true;
	group->result = result;
	ri_scope_cancel(tasks, &group->scope, -ECANCELED, ri_group_race_over);
	return true;
}

void ri_group_discard(struct rota_task *task,
		      void (*discard)(int result, void *value), int result)
{
	if (!discard)
		return;
	discard(result, task->value);
	if (task->scope != &task->group->scope)
		ri_scope_left_open(task, "has ended");
}

/* Did it win, or fail? Then the group has to know. */
static bool matters(const struct rota_task *task, int result)
{
	const struct rota_group *group = task->group;

	if (result < 0)
		return !(group->scope.codes & ri_scope_code_bit(result));
	return group->mode == ROTA_GROUP_FIRST_SUCCESS &&
	       !(task->fiber.flags & RI_TASK_BACKGROUND);
}

bool ri_group_judge(struct ri_tasks *tasks, struct rota_task *task, int result)
{
	struct rota_group *group = task->group;
	const bool background = task->fiber.flags & RI_TASK_BACKGROUND;

	group->tried |= !background;
	if (!matters(task, result))
		return !background;
	if (group->proxy)
		ri_remote_judge(tasks, task, result);
	else if (result < 0)
		ri_group_failed(tasks, group, result, task->site);
	else if (!ri_group_won(tasks, group, result))
		ri_group_discard(task, group->discard, result);
	return !background;
}

/* All but the background members have ended. */
static void end_background(struct ri_tasks *tasks, struct rota_group *group)
{
	if (group->scope.code)
		return;
	group->ending = true;
	ri_scope_cancel(tasks, &group->scope, -ECANCELED,
			(struct rota_cancellation){
				-ECANCELED, "the other members have ended" });
}

void ri_group_emptied(struct ri_tasks *tasks, struct rota_group *group)
{
	struct rota_task *owner = group->scope.owner;

	if (group->background) {
		end_background(tasks, group);
		return;
	}
	if (ri_remote_busy(group))
		return;
	group->joining = false;
	ri_blocked_end(tasks,
		       ri_container(owner->wait, struct ri_blocked, wait));
	ri_wake(tasks, owner, 0);
}

void ri_group_left(struct ri_tasks *tasks, struct rota_group *group)
{
	if (--group->background == 0 && !group->live && group->joining)
		ri_group_emptied(tasks, group);
}

void ri_group_settled(struct ri_tasks *tasks, struct rota_group *group)
{
	if (!group->live && !group->background && group->joining)
		ri_group_emptied(tasks, group);
}

void ri_group_cancelled(struct ri_tasks *tasks, struct rota_group *group)
{
	ri_slots_refuse(tasks, group, group->scope.code);
	group->swept = group->live + group->background;
	if (group->swept)
		ri_list_append(&tasks->sweeps, &group->scope.sweep);
}

/* Tells the first member and puts it behind those that are told already. */
static void sweep_one(struct ri_tasks *tasks, struct rota_group *group)
{
	struct rota_node *link = ri_list_take(&group->members);
	struct rota_task *task = ri_container(link, struct rota_task, member);

	ri_list_append(&group->members, link);
	if (task->scope == &group->scope)
		ri_task_interrupt(tasks, task);
}

unsigned ri_group_sweep(struct ri_tasks *tasks, struct rota_group *group,
			unsigned slice)
{
	unsigned told = 0;

	while (told < slice && group->swept &&
	       !ri_list_empty(&group->members)) {
		sweep_one(tasks, group);
		group->swept--;
		told++;
	}
	if (!group->swept || ri_list_empty(&group->members))
		ri_list_remove(&group->scope.sweep);
	return told;
}

void rota_group_cancel(struct rota_group *group, struct rota_cancellation cause)
{
	struct ri_tasks *tasks = ri_tasks_caller(__func__);

	ri_check(cause.error <= 0, "the cause is %d, and errors are negative",
		 cause.error);
	if (!cause.error)
		cause.error = -ECANCELED;
	if (ri_remote_is(tasks, group)) {
		ri_remote_cancel(tasks, group, cause);
		return;
	}
	ri_group_check(tasks, group, __func__);
	ri_scope_cancel(tasks, &group->scope, -ECANCELED, cause);
}

/* What wait returns. Background members that were ended because all others
 * had are no cancel. */
static int outcome(const struct rota_group *group)
{
	const bool race = group->mode == ROTA_GROUP_FIRST_SUCCESS;

	if (group->won)
		return group->result;
	if (group->first_error)
		return group->first_error;
	if (group->scope.marks & RI_MARK_EXPIRED)
		return -ETIME;
	if (group->scope.code && !group->ending)
		return group->scope.cause.error;
	if (!race)
		return 0;
	/* Nobody won or failed, nothing was cancelled: it drains. */
	return group->tried ? -ESHUTDOWN : -ECHILD;
}

void ri_join_interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	/* It always joins. */
	(void)tasks;
	(void)task;
}

/* Refuses waits for slots until the owner is not stuck with them. */
static void break_circles(struct ri_tasks *tasks, struct ri_blocked *joining)
{
	struct ri_blocked *stuck;

	while ((stuck = ri_blocked_find_stuck(tasks, joining)))
		ri_slot_refuse(tasks, stuck, -EDEADLK);
}

/* Before the owner goes on, another task may spawn one more. */
static void join(struct ri_tasks *tasks, struct rota_task *self,
		 struct rota_group *group)
{
	struct ri_blocked blocked = {
		.wait = { .what = "rota_group_wait",
			  .interrupt = ri_join_interrupt },
		.task = self,
		.group = group,
	};

	while (group->live || group->background || ri_remote_busy(group)) {
		group->joining = true;
		if (!group->live && group->background)
			end_background(tasks, group);
		ri_blocked_begin(tasks, &blocked);
		if (tasks->blocked && group->waiting)
			break_circles(tasks, &blocked);
		ri_park(tasks, self, &blocked.wait);
	}
}

int rota_group_wait(struct rota_group *group)
{
	struct rota_task *self = ri_task_self(__func__);
	struct ri_tasks *tasks = ri_tasks_here();
	int result;

	ri_group_check(tasks, group, __func__);
	ri_check(group->scope.owner == self,
		 "group opened at %s:%d is waited for by another task, %s",
		 group->scope.site->file, group->scope.site->line,
		 ri_task_name(self));
	if (self->scope != &group->scope)
		ri_scope_left_open(self, "waits for a group around it");
	join(tasks, self, group);
	ri_assert(!group->waiting && ri_list_empty(&group->waiters),
		  "tasks wait for a slot of a group that ended");
	result = outcome(group);
	group->loop = NULL;
	if (group->remote)
		ri_remote_close(tasks, group);
	if (group->share)
		ri_share_close(tasks, group);
	ri_scope_close(tasks, &group->scope);
	return result;
}
