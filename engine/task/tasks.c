/* SPDX-License-Identifier: MIT */
/*
 * The task floor of one loop: its records, from acceptance to end.
 */
#include "task/group.h"
#include "task/operation.h"
#include "task/park.h"
#include "task/remote.h"
#include "task/share.h"
#include "task/slot.h"
#include "task/task.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

size_t ri_task_describe(const struct ri_tasks *tasks,
			const struct rota_task *task,
			char line[RI_TASK_LINE_BYTES])
{
	const struct ri_wait *wait = task->wait;
	const char *group, *state = "is ready";
	int64_t waited_ns = 0;
	int length;

	if (!(task->fiber.flags & RI_TASK_ALIVE))
		return 0;
	group = task->group->name;
	if (wait) {
		state = wait->what;
		waited_ns = tasks->loop.now_ns - wait->since_ns;
	} else if (tasks->loop.current == &task->fiber) {
		state = "runs";
	} else if (!task->fiber.sp && task->scope == &task->group->scope) {
		state = "has not started";
	}
	length = snprintf(line, RI_TASK_LINE_BYTES,
			  "task %u %s (spawned at %s:%d%s%s) %s%s%s",
			  task->fiber.id, ri_task_name(task), task->site->file,
			  task->site->line, group ? ", group " : "",
			  group ? group : "", wait ? "waits in " : "", state,
			  task->scope->code ? ", cancelled" : "");
	if (wait && length > 0 && length < RI_TASK_LINE_BYTES)
		length += snprintf(line + length,
				   RI_TASK_LINE_BYTES - (size_t)length,
				   " for %lld ms",
				   (long long)(waited_ns / 1000000));
	return length < RI_TASK_LINE_BYTES ? (size_t)length
					   : RI_TASK_LINE_BYTES - 1;
}

/* The task has ended: its record is free. Its slot is the caller's to give. */
static inline struct rota_group *retire(struct ri_tasks *tasks,
					struct rota_task *task)
{
	task->fiber.flags &= RI_TASK_LISTED;
	ri_stacks_unreserve(&tasks->loop.stacks, task->fiber.stack_class);
	ri_list_remove(&task->member);
	task->fiber.ready.next = tasks->free;
	tasks->free = &task->fiber.ready;
	return task->group;
}

/* The end of one that failed, or may have won, or has no slot. */
static __attribute__((noinline)) void
end_oddly(struct ri_tasks *tasks, struct rota_task *task, int result)
{
	const bool has_slot = ri_group_judge(tasks, task, result);
	struct rota_group *group = retire(tasks, task);

	if (group->proxy)
		ri_remote_ended(group);
	else if (has_slot)
		ri_slot_release(tasks, group);
	else
		ri_group_left(tasks, group);
}

void ri_task_doze(struct ri_tasks *tasks, struct rota_task *self,
		  rota_task_fn *fn, struct ri_wait *wait)
{
	ri_assert(self->scope != &self->group->scope, "it has no scope");
	self->fiber.flags &= (uint8_t)~RI_TASK_NAMED;
	/* A signal handler may describe it at any time. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	self->fn = fn;
	self->wait = wait;
	self->fiber.sp = NULL;
	tasks->parked++;
}

static void run(struct ri_loop *loop, struct ri_fiber *fiber)
{
	struct ri_tasks *tasks = ri_tasks_of(loop);
	struct rota_task *task = ri_task_of(fiber);
	int result;

	task->stack_low = (uintptr_t)fiber->stack->low;
	result = task->fn(task->value);
	if (__builtin_expect(task->scope != &task->group->scope, 0)) {
		if (!task->wait)
			ri_scope_left_open(task, "has ended");
		loop->live++; /* it dozes: only its stack is left */
		return;
	}
	if (__builtin_expect((result | task->group->odd) >= 0, 1))
		ri_slot_release(tasks, retire(tasks, task));
	else
		end_oddly(tasks, task, result);
}

static bool submit(struct ri_loop *loop)
{
	struct ri_tasks *tasks = ri_tasks_of(loop);

	bool more = false;

	if (!ri_shots_idle(&tasks->shots))
		more = ri_shots_submit(tasks);
	if (__builtin_expect(ri_list_empty(&tasks->sweeps) &&
				     ri_fifo_empty(&tasks->cancels),
			     1))
		return more;
	ri_scopes_sweep(tasks);
	/* Each ends an operation: they are harvested together. */
	loop->expected += ri_operations_cancel(tasks);
	return more || !ri_list_empty(&tasks->sweeps) ||
	       !ri_fifo_empty(&tasks->cancels);
}

/* A new record, or NULL at the bound. */
static struct rota_task *take_record(struct ri_tasks *tasks)
{
	struct ri_fifo_node *node = tasks->free;

	if (__builtin_expect(node != NULL, 1)) {
		tasks->free = node->next;
		return ri_task_of(ri_container(node, struct ri_fiber, ready));
	}
	if (tasks->made == tasks->max)
		return NULL;
	return &tasks->slab[tasks->made++];
}

static void copy_value(struct rota_task *task, const void *value, size_t bytes)
{
	/* The common sizes, without a call. */
	if (bytes == sizeof(int))
		memcpy(task->value, value, sizeof(int));
	else if (bytes == sizeof(void *))
		memcpy(task->value, value, sizeof(void *));
	else
		memcpy(task->value, value, bytes);
}

int ri_task_accept(struct ri_tasks *tasks, struct rota_group *group,
		   rota_task_fn *fn, const void *value,
		   const struct rota_site *site, void *inherited)
{
	struct ri_loop *loop = &tasks->loop;
	struct rota_task *task;
	int error;

	ri_check(site->value_bytes <= ROTA_VALUE_BYTES,
		 "a value of %u bytes, spawned at %s:%d", site->value_bytes,
		 site->file, site->line);
	error = ri_stacks_reserve(&loop->stacks, group->stack_class);
	if (__builtin_expect(error != 0, 0))
		return error;
	task = take_record(tasks);
	if (__builtin_expect(!task, 0)) {
		ri_stacks_unreserve(&loop->stacks, group->stack_class);
		return -EAGAIN;
	}
	task->fiber.sp = NULL;
	task->fiber.stack_class = group->stack_class;
	task->fiber.id = (uint32_t)tasks->next_id++;
	task->scope = &group->scope;
	task->wait = NULL;
	task->group = group;
	task->fn = fn;
	task->site = site;
	task->inherited = inherited;
	copy_value(task, value, site->value_bytes);
	ri_list_append(&group->members, &task->member);
	/* From here on a signal handler may describe it. */
	__atomic_signal_fence(__ATOMIC_RELEASE);
	task->fiber.flags =
		(uint8_t)((task->fiber.flags & RI_TASK_LISTED) | RI_TASK_ALIVE);
	loop->live++;
	ri_loop_ready(loop, &task->fiber);
	return 0;
}

/* There is no task to blame, but all of them: their list goes to the log. */
static void stuck(struct ri_loop *loop)
{
	struct ri_tasks *tasks = ri_tasks_of(loop);
	char line[RI_TASK_LINE_BYTES];

	for (unsigned i = 0; i < tasks->made; i++)
		if (ri_task_describe(tasks, &tasks->slab[i], line))
			ri_log(&loop->log, "%s", line);
	ri_shots_tell_hungry(tasks);
	ri_abort(__FILE__, __LINE__,
		 "deadlock: %u tasks wait for each other, nothing is in flight",
		 loop->live);
}

static bool exchange(struct ri_loop *loop, bool idle)
{
	struct ri_tasks *tasks = ri_tasks_of(loop);

	if (tasks->peers->count == 1)
		return false;
	ri_parcels_flush(tasks);
	return ri_remote_look(tasks, idle);
}

static const struct ri_loop_hooks hooks = {
	.run = run,
	.complete = ri_operation_complete,
	.submit = submit,
	.exchange = exchange,
	.stuck = stuck,
};

/* By descriptor: lists, and counts behind them. */
#define BUCKETS_BYTES (RI_DESCRIPTOR_BUCKETS * (sizeof(void *) + 1))

/* Of the records, with their timers. */
static size_t tables_bytes(const struct ri_tasks *tasks)
{
	return tasks->slab_bytes + tasks->max * sizeof(struct rota_timer);
}

static int map_tables(struct ri_tasks *tasks)
{
	const struct ri_kernel *kernel = tasks->loop.kernel;
	void *start;
	int error;

	tasks->slab_bytes = tasks->max * sizeof(struct rota_task);
	error = kernel->map(kernel, tables_bytes(tasks), &start);
	if (error < 0)
		return error;
	tasks->slab = start;
	tasks->timers = (struct rota_timer *)(void *)(tasks->slab + tasks->max);
	error = kernel->map(kernel, BUCKETS_BYTES, &start);
	if (error < 0) {
		kernel->unmap(kernel, tasks->slab, tables_bytes(tasks));
		return error;
	}
	tasks->descriptors = start;
	tasks->copied = (uint8_t *)&tasks->descriptors[RI_DESCRIPTOR_BUCKETS];
	return 0;
}

static void unmap_tables(struct ri_tasks *tasks)
{
	const struct ri_kernel *kernel = tasks->loop.kernel;

	kernel->unmap(kernel, tasks->descriptors, BUCKETS_BYTES);
	kernel->unmap(kernel, tasks->slab, tables_bytes(tasks));
}

/* What it takes to have members on other loops. */
/* Neighbours get streams that have nothing in common; 0 would stay 0. */
static uint64_t dice_of(const struct ri_tasks_options *options)
{
	const struct ri_kernel *kernel = options->kernel;
	uint64_t dice = options->seed;

	if (!dice)
		dice = (uint64_t)kernel->now_ns(kernel);
	dice = (dice + options->index + 1) * 0x9e3779b97f4a7c15u;
	dice = (dice ^ dice >> 30) * 0xbf58476d1ce4e5b9u;
	return dice | 1;
}

static int init_remote(struct ri_tasks *tasks,
		       const struct ri_tasks_options *options)
{
	int error = 0;

	ri_fifo_init(&tasks->waiting);
	ri_mailbox_init(&tasks->parcels.returned);
	tasks->peers = options->peers;
	tasks->loop.index = options->index;
	tasks->loop.stepped = options->stepped;
	if (!options->open)
		return 0;
	if (tasks->peers->count > 1)
		error = ri_parcels_init(tasks);
	if (!error && tasks->peers->count > 1)
		error = ri_remotes_init(tasks);
	if (!error)
		error = ri_loop_listen(&tasks->loop);
	if (!error) {
		tasks->loop.outside = 1;
		return 0;
	}
	ri_remotes_fini(tasks);
	ri_parcels_fini(tasks);
	return error;
}

/* Memory and the descriptor that wakes the loop are all that is asked for. */
static void explain(const struct ri_tasks *tasks, int error)
{
	if (error == -ENOMEM)
		ri_log(&tasks->loop.log,
		       "no memory for the records of %u tasks: "
		       "config.tasks_max asks for fewer, RLIMIT_AS ('ulimit "
		       "-v') may be the limit",
		       tasks->max);
	else
		ri_log(&tasks->loop.log,
		       "no eventfd to wake a loop by (%s): RLIMIT_NOFILE "
		       "('ulimit -n') may be the limit",
		       strerror(-error));
}

int ri_tasks_init(struct ri_tasks *tasks,
		  const struct ri_tasks_options *options)
{
	const struct ri_loop_options loop = { .kernel = options->kernel,
					      .hooks = &hooks,
					      .log = options->log,
					      .ring = options->ring };
	const int stack_class =
		ri_stacks_class(options->stack_bytes ? options->stack_bytes
						     : RI_STACK_BYTES_DEFAULT);
	int error;

	memset(tasks, 0, sizeof(*tasks));
	if (stack_class < 0) {
		ri_log(&options->log, "stack_bytes is %zu, the most is %zu",
		       options->stack_bytes, RI_STACK_BYTES_MAX);
		return -EINVAL;
	}
	tasks->stack_class = (uint8_t)stack_class;
	tasks->max = options->tasks_max ? options->tasks_max
					: RI_TASKS_MAX_DEFAULT;
	ri_list_init(&tasks->sweeps);
	ri_fifo_init(&tasks->cancels);
	ri_fifo_init(&tasks->retries);
	ri_list_init(&tasks->signals);
	ri_list_init(&tasks->starved);
	ri_shots_init(&tasks->shots);
	tasks->shots.max = options->shots_max ? options->shots_max
					      : RI_SHOTS_MAX_DEFAULT;
	tasks->shots.buffers_options = options->buffers;
	tasks->offload = options->offload;
	tasks->dice = dice_of(options);
	error = ri_loop_init(&tasks->loop, &loop);
	if (error)
		return error;
	error = map_tables(tasks);
	if (!error && (error = init_remote(tasks, options)))
		unmap_tables(tasks);
	if (error) {
		explain(tasks, error);
		ri_loop_fini(&tasks->loop);
	}
	return error;
}

/* Nobody waits for the root group, as for others: if all have ended within the
 * grace of a drain, its timer is still there. */
static void close_root(struct ri_tasks *tasks)
{
	struct rota_timer *timer = &tasks->root.scope.timer;

	if (ri_timer_armed(timer))
		ri_wheel_remove(&tasks->loop.wheel, timer);
}

void ri_tasks_fini(struct ri_tasks *tasks)
{
	ri_check(tasks->parked == 0, "%u tasks are parked", tasks->parked);
	ri_check(tasks->blocked == 0, "%u tasks wait for slots",
		 tasks->blocked);
	ri_shots_fini(tasks);
	close_root(tasks);
	ri_loop_fini(&tasks->loop);
	ri_remotes_fini(tasks);
	ri_parcels_fini(tasks);
	ri_shares_fini(tasks);
	unmap_tables(tasks);
}

/* The first task: keeps its result beside the group's, which has errors only. */
struct first {
	rota_task_fn *fn;
	void *arg;
	int *result;
};

static int run_first(void *value)
{
	const struct first *first = value;

	return *first->result = first->fn(first->arg);
}

/* The group of the first task, or of those that others send. */
static struct rota_group *open_root(struct ri_tasks *tasks,
				    const struct rota_site *site)
{
	static const struct rota_group_options options = {
		.mode = ROTA_GROUP_KEEP_GOING
	};

	ri_group_init(&tasks->root, &options, NULL, site);
	tasks->root.stack_class = tasks->stack_class;
	return &tasks->root;
}

void ri_tasks_open(struct ri_tasks *tasks)
{
	static const struct rota_site site = { "rota_engine_start", "jobs", 0,
					       0 };

	open_root(tasks, &site);
}

void ri_tasks_serve(struct ri_tasks *tasks)
{
	ri_tasks_open(tasks);
	ri_loop_run(&tasks->loop);
	ri_operations_fini(tasks);
}

int ri_tasks_run(struct ri_tasks *tasks, rota_task_fn *fn, void *arg)
{
	static const struct rota_site site = { "rota_run", "main", 0,
					       sizeof(struct first) };
	struct rota_group *root = open_root(tasks, &site);
	int result = 0;
	const struct first first = { fn, arg, &result };
	int error;

	root->live = 1;
	error = ri_task_accept(tasks, root, run_first, &first, &site, NULL);
	if (error) {
		ri_log(&tasks->loop.log,
		       "no memory for stacks (%s): RLIMIT_AS ('ulimit -v') may "
		       "be the limit",
		       strerror(-error));
		return error;
	}
	ri_loop_run(&tasks->loop);
	ri_operations_fini(tasks);
	return result;
}
