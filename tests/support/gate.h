/* SPDX-License-Identifier: MIT */
/*
 * Something to wait for that another task of the loop opens: no kernel, no
 * clock, so that the order of what happens is the test's alone.
 */
#ifndef TEST_SUPPORT_GATE_H
#define TEST_SUPPORT_GATE_H

#include "task/park.h"

struct gate {
	struct ri_wait wait;
	struct rota_task *task; /* who waits, or NULL */
	bool open;              /* nobody waits any more */
};

static inline void gate_interrupt(struct ri_tasks *tasks,
				  struct rota_task *task)
{
	ri_container(task->wait, struct gate, wait)->task = NULL;
	ri_wake(tasks, task, task->scope->code);
}

/* 0, or why it was stopped; what is stubborn is not. By a task. */
static inline int gate_wait(struct gate *gate, bool stubborn)
{
	struct rota_task *self = ri_task_self(__func__);

	if (self->scope->code && !stubborn)
		return self->scope->code;
	if (gate->open)
		return 0;
	gate->task = self;
	gate->wait.what = "gate";
	gate->wait.interrupt = stubborn ? NULL : gate_interrupt;
	return ri_park(ri_tasks_here(), self, &gate->wait);
}

/* By a task or a callback. */
static inline void gate_open(struct gate *gate)
{
	struct rota_task *task = gate->task;

	gate->open = true;
	gate->task = NULL;
	if (task)
		ri_wake(ri_tasks_here(), task, 0);
}

#endif
