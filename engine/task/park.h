/* SPDX-License-Identifier: MIT */
/*
 * The one place that parks a task, and the one that wakes it.
 *
 * A blocking verb is: fill in a wait in its own frame, ri_park, decode. While
 * it is parked, the record points to the wait. Whoever wakes it writes the
 * result, once, into the record: of 1000 tasks that wait, waking does not
 * touch a stack.
 *
 * Each way out of a task checks that its innermost scope is still above the
 * stack pointer: a function that returned past an open group or deadline is
 * found at the next suspension, and named.
 */
#ifndef RI_TASK_PARK_H
#define RI_TASK_PARK_H

#include "task/task.h"

struct ri_wait {
	const char *what; /* the verb, for dumps */
	/* Ends the wait by ri_wake, because a scope of the task is over. NULL:
	 * it always waits to its end, or is an operation of the kernel, which
	 * ri_operation_interrupt asks to end. */
	void (*interrupt)(struct ri_tasks *tasks, struct rota_task *task);
	int64_t since_ns; /* the clock when it parked */
};

/* Aborts, naming the innermost scope of the task and the line that opened
 * it, which the task `did` what it must not before ending. */
__attribute__((cold, noreturn)) void
ri_scope_left_open(const struct rota_task *task, const char *did);

/* Is the innermost scope below the stack pointer, on the task's own stack?
 * Then its frame has returned. To be asked before the scope is read: what
 * is called since has written over it. */
static inline __attribute__((always_inline)) void
ri_task_check_scope(const struct rota_task *self)
{
	const uintptr_t here = ri_switch_here();
	const uintptr_t low = self->stack_low;

	if (__builtin_expect((uintptr_t)self->scope - low < here - low, 0))
		ri_scope_left_open(self, "returned from the function");
}

/* Leaves the running task. The one place. */
static inline __attribute__((always_inline)) void
ri_task_leave(struct ri_tasks *tasks, struct rota_task *self)
{
	ri_loop_leave(&tasks->loop, &self->fiber);
}

/* Parks the running task until it is woken, where the scope was checked by who
 * calls this. Returns the result. */
static inline int ri_park_checked(struct ri_tasks *tasks,
				  struct rota_task *self, struct ri_wait *wait)
{
	ri_assert(!self->wait, "%s is parked already", ri_task_name(self));
	wait->since_ns = tasks->loop.now_ns;
	self->wait = wait;
	tasks->parked++;
	ri_task_leave(tasks, self);
	return self->result;
}

/* Parks the running task until it is woken. Returns the result. */
static inline int ri_park(struct ri_tasks *tasks, struct rota_task *self,
			  struct ri_wait *wait)
{
	ri_task_check_scope(self);
	return ri_park_checked(tasks, self, wait);
}

/* Parks the running task without a stack, in a scope of its own that is not on
 * it: to be called just before its function returns. Woken, it starts again,
 * with this function and the value it has. */
void ri_task_doze(struct ri_tasks *tasks, struct rota_task *self,
		  rota_task_fn *fn, struct ri_wait *wait);

/* Parks the running task for a while, whatever is cancelled. */
void ri_task_rest(const char *verb, int64_t duration_ns);

/* Wakes a parked task: it goes on, with this result, when its turn comes. */
static inline void ri_wake(struct ri_tasks *tasks, struct rota_task *task,
			   int result)
{
	ri_check(task->wait != NULL, "task %s is woken but not parked",
		 ri_task_name(task));
	task->result = result;
	task->wait = NULL;
	tasks->parked--;
	ri_loop_ready(&tasks->loop, &task->fiber);
}

#endif
