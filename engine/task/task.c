/* SPDX-License-Identifier: MIT */
/*
 * What a task asks about itself, and its own suspensions: yield and sleep.
 */
#include "rota/task.h"

#include "rota/clock.h"
#include "task/park.h"
#include "task/scope.h"

void ri_task_missing(const char *function)
{
	ri_abort(__FILE__, __LINE__, "%s is called %s", function,
		 ri_loop_forked ? RI_LOOP_FORKED : "outside of a task");
}

struct ri_tasks *ri_tasks_caller(const char *function)
{
	if (!ri_loop_here)
		ri_task_missing(function);
	if (ri_loop_in_fiber(ri_loop_here))
		ri_task_check_scope(ri_task_of(ri_loop_here->current));
	return ri_tasks_here();
}

const char *ri_task_name(const struct rota_task *task)
{
	if (task->fiber.flags & RI_TASK_NAMED)
		return task->name;
	return task->site->function;
}

int rota_cancelled(void)
{
	const struct rota_task *self = ri_task_self("rota_cancelled");

	ri_task_check_scope(self);
	return self->scope->code;
}

struct rota_cancellation rota_cause(void)
{
	const struct rota_task *self = ri_task_self("rota_cause");

	ri_task_check_scope(self);
	return self->scope->cause;
}

void rota_task_set_name(const char *name)
{
	struct rota_task *self = ri_task_self("rota_task_set_name");

	/* A signal handler may describe it at any time. */
	self->fiber.flags &= (uint8_t)~RI_TASK_NAMED;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	self->name = name;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (name)
		self->fiber.flags |= RI_TASK_NAMED;
}

const char *rota_task_name(void)
{
	return ri_task_name(ri_task_self("rota_task_name"));
}

void rota_task_set_inherited(void *pointer)
{
	ri_task_self(__func__)->inherited = pointer;
}

void *rota_task_inherited(void)
{
	return ri_task_self(__func__)->inherited;
}

int rota_yield(void)
{
	struct rota_task *self = ri_task_self("rota_yield");
	struct ri_tasks *tasks = ri_tasks_here();
	int code;

	ri_task_check_scope(self);
	code = self->scope->code;
	if (__builtin_expect(code != 0, 0))
		return code;
	ri_loop_ready(&tasks->loop, &self->fiber);
	ri_task_leave(tasks, self);
	return 0;
}

static void sleep_interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	struct rota_timer *timer = ri_task_timer(tasks, task);

	if (ri_timer_armed(timer))
		ri_wheel_remove(&tasks->loop.wheel, timer);
	ri_wake(tasks, task, task->scope->code);
}

static void sleep_over(struct rota_timer *timer)
{
	struct ri_tasks *tasks = ri_tasks_here();

	ri_wake(tasks, &tasks->slab[timer - tasks->timers], 0);
}

int rota_sleep_until(int64_t deadline_ns)
{
	struct rota_task *self = ri_task_self("rota_sleep");
	struct ri_tasks *tasks = ri_tasks_here();
	struct ri_wait wait = { .what = "sleep", .interrupt = sleep_interrupt };
	struct rota_timer *timer = ri_task_timer(tasks, self);

	ri_task_check_scope(self);
	if (self->scope->code)
		return self->scope->code;
	timer->deadline_ns = deadline_ns;
	timer->fire = sleep_over;
	if (deadline_ns != INT64_MAX && !ri_loop_arm_wait(&tasks->loop, timer))
		return rota_yield();
	return ri_park(tasks, self, &wait);
}

void ri_task_rest(const char *verb, int64_t duration_ns)
{
	struct rota_task *self = ri_task_self(verb);
	struct ri_tasks *tasks = ri_tasks_here();
	struct ri_wait wait = { .what = verb };
	struct rota_timer *timer = ri_task_timer(tasks, self);

	timer->deadline_ns = rota_after_ns(duration_ns);
	timer->fire = sleep_over;
	ri_loop_arm(&tasks->loop, timer);
	ri_park(tasks, self, &wait);
}

int rota_sleep(int64_t duration_ns)
{
	return rota_sleep_until(rota_after_ns(duration_ns));
}
