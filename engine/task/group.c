/* SPDX-License-Identifier: MIT */
/*
 * Groups: accept, limit, cancel, join.
 *
 * The slots of a group are counted by `live`. A member that ends hands its
 * slot to the first one that waits, so nobody overtakes. Who was handed a slot
 * and finds the group cancelled hands it on.
 *
 * A cancelled group is swept in slices: its list of members is turned round
 * once, each that is parked right in the group's scope is interrupted. Members
 * may end meanwhile, but none can come, so those not yet told are always ahead
 * of those that were.
 */
#include "rota/group.h"

#include "task/park.h"
#include "task/scope.h"

#include <errno.h>

static_assert(sizeof(struct rota_group) <= 256, "four cache lines");

void rota_group_open_at(struct rota_group *group,
			const struct rota_group_options *options,
			const struct rota_site *site)
{
	static const struct rota_group_options defaults;
	struct rota_task *self = ri_task_self("rota_group_open");
	struct ri_tasks *tasks = ri_tasks_here();
	int stack_class = tasks->stack_class;

	ri_task_check_scope(self);
	if (!options)
		options = &defaults;
	if (options->stack_bytes)
		stack_class = ri_stacks_class(options->stack_bytes);
	if (stack_class < 0)
		ri_abort(site->file, site->line,
			 "stack_bytes is %zu, the most is %zu",
			 options->stack_bytes, RI_STACK_BYTES_MAX);
	ri_scope_open(&group->scope, RI_SCOPE_GROUP, self, site);
	ri_list_init(&group->members);
	ri_list_init(&group->waiters);
	group->name = options->name;
	group->limit = options->limit ? options->limit : UINT32_MAX;
	group->live = 0;
	group->swept = 0;
	group->held = 0;
	group->first_error = 0;
	group->mode = (uint8_t)options->mode;
	group->stack_class = (uint8_t)stack_class;
	group->joining = false;
	if (options->deadline_ns)
		ri_scope_arm(tasks, &group->scope, options->deadline_ns);
}

/* The wait for a slot, in the frame of who spawns. */
struct slot_wait {
	struct ri_wait wait;
	struct rota_link link;    /* among the group's waiters */
	struct rota_task *task;   /* who waits */
	struct rota_group *group; /* for a slot of this */
	bool member;              /* it has a slot of the group already */
};

/* Ends the wait of one that is off the list. It holds nobody up from here on,
 * not only when it runs. */
static void slot_leave(struct ri_tasks *tasks, struct rota_link *link,
		       int result)
{
	struct slot_wait *slot = ri_container(link, struct slot_wait, link);

	slot->group->held -= slot->member;
	ri_wake(tasks, slot->task, result);
}

static void slot_interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	struct slot_wait *slot =
		ri_container(task->wait, struct slot_wait, wait);
	const int code = task->scope->code ? task->scope->code
					   : slot->group->scope.code;

	ri_list_remove(&slot->link);
	slot_leave(tasks, &slot->link, code);
}

/* A slot became free: it goes to the first who waits, or back. */
static void slot_release(struct ri_tasks *tasks, struct rota_group *group)
{
	struct rota_link *link = ri_list_take(&group->waiters);

	if (link) {
		slot_leave(tasks, link, 0);
		return;
	}
	ri_assert(group->live > 0, "group %p is empty", (void *)group);
	if (--group->live == 0 && group->joining) {
		group->joining = false;
		ri_wake(tasks, group->scope.owner, 0);
	}
}

/* Waits until a slot is handed over. Apart, so that its frame costs nothing
 * where a slot is free. */
static __attribute__((noinline)) int slot_wait(struct ri_tasks *tasks,
					       struct rota_task *self,
					       struct rota_group *group)
{
	struct slot_wait slot = {
		.wait = { .what = "rota_go", .interrupt = slot_interrupt },
		.task = self,
		.group = group,
		.member = self->group == group,
	};
	int code;

	/* The last member that does not wait would wait for itself. */
	if (slot.member && group->held + 1 == group->live)
		return -EDEADLK;
	group->held += slot.member;
	ri_list_append(&group->waiters, &slot.link);
	code = ri_park(tasks, self, &slot.wait);
	if (code)
		return code;
	/* Cancelled after the slot was handed over: nobody is accepted now. */
	code = self->scope->code ? self->scope->code : group->scope.code;
	if (code)
		slot_release(tasks, group);
	return code;
}

int rota_group_spawn(struct rota_group *group, rota_task_fn *fn,
		     const void *value, const struct rota_site *site)
{
	struct rota_task *self = ri_task_self("rota_go");
	struct ri_tasks *tasks = ri_tasks_here();
	int error;

	ri_task_check_scope(self);
	error = self->scope->code | group->scope.code;
	if (__builtin_expect(!group->scope.site, 0))
		ri_abort(site->file, site->line, "the group is not open");
	if (__builtin_expect(error != 0, 0))
		return self->scope->code ? self->scope->code
					 : group->scope.code;
	if (group->live < group->limit)
		group->live++;
	else if ((error = slot_wait(tasks, self, group)))
		return error;
	error = ri_task_accept(tasks, group, fn, value, site);
	if (error)
		slot_release(tasks, group);
	return error;
}

static bool has_failed(const struct rota_group *group, int result)
{
	if (result >= 0)
		return false;
	return !ri_scope_had_code(&group->scope, result);
}

void ri_group_leave(struct ri_tasks *tasks, struct rota_task *task, int result)
{
	struct rota_group *group = task->group;

	ri_list_remove(&task->member);
	if (__builtin_expect(has_failed(group, result), 0)) {
		if (!group->first_error)
			group->first_error = result;
		if (group->mode == ROTA_GROUP_FIRST_ERROR)
			ri_scope_cancel(tasks, &group->scope, -ECANCELED,
					(struct rota_cancellation){ result,
								    NULL });
	}
	slot_release(tasks, group);
}

void ri_group_cancelled(struct ri_tasks *tasks, struct rota_group *group)
{
	struct rota_link *link;

	while ((link = ri_list_take(&group->waiters)))
		slot_leave(tasks, link, group->scope.code);
	group->swept = group->live;
	if (group->swept)
		ri_list_append(&tasks->sweeps, &group->scope.sweep);
}

/* Tells the first member and puts it behind those that are told already. */
static void sweep_one(struct ri_tasks *tasks, struct rota_group *group)
{
	struct rota_link *link = ri_list_take(&group->members);
	struct rota_task *task = ri_container(link, struct rota_task, member);

	ri_list_append(&group->members, link);
	if (task->scope == &group->scope)
		ri_task_interrupt(tasks, task);
}

void ri_group_sweep(struct ri_tasks *tasks)
{
	unsigned slice = RI_CANCEL_SLICE;

	while (slice && !ri_list_empty(&tasks->sweeps)) {
		struct rota_group *group = ri_container(
			tasks->sweeps.next, struct rota_group, scope.sweep);

		while (slice && group->swept &&
		       !ri_list_empty(&group->members)) {
			sweep_one(tasks, group);
			group->swept--;
			slice--;
		}
		if (!group->swept || ri_list_empty(&group->members))
			ri_list_remove(&group->scope.sweep);
	}
}

void rota_group_cancel(struct rota_group *group, struct rota_cancellation cause)
{
	ri_task_check_scope(ri_task_self("rota_group_cancel"));
	ri_check(group->scope.site != NULL, "the group is not open");
	ri_check(cause.error <= 0, "the cause is %d, and errors are negative",
		 cause.error);
	if (!cause.error)
		cause.error = -ECANCELED;
	ri_scope_cancel(ri_tasks_here(), &group->scope, -ECANCELED, cause);
}

static int outcome(const struct rota_group *group)
{
	if (group->first_error)
		return group->first_error;
	if (group->scope.expired)
		return -ETIME;
	return group->scope.code ? group->scope.cause.error : 0;
}

int rota_group_wait(struct rota_group *group)
{
	struct rota_task *self = ri_task_self("rota_group_wait");
	struct ri_tasks *tasks = ri_tasks_here();
	struct ri_wait wait = { .what = "rota_group_wait" };
	int result;

	ri_check(group->scope.site != NULL, "the group is not open");
	ri_check(group->scope.owner == self,
		 "group opened at %s:%d is waited for by another task, %s",
		 group->scope.site->file, group->scope.site->line,
		 ri_task_name(self));
	if (self->scope != &group->scope)
		ri_scope_left_open(self, "waits for a group around it");
	/* Before the owner goes on, another task may spawn one more. */
	while (group->live) {
		group->joining = true;
		ri_park(tasks, self, &wait);
	}
	ri_assert(!group->held && ri_list_empty(&group->waiters),
		  "tasks wait for a slot of a group that ended");
	result = outcome(group);
	ri_scope_close(tasks, &group->scope);
	return result;
}
