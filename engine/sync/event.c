/* SPDX-License-Identifier: MIT */
#include "rota/event.h"

#include "sync/waiter.h"
#include "task/scope.h"

static_assert(sizeof(struct rota_event) == 48, "a guard, a line and a word");

void rota_event_init(struct rota_event *event, bool local)
{
	ri_guard_init(&event->guard, local);
	ri_line_init(&event->line);
	event->set = false;
}

void rota_event_fini(struct rota_event *event)
{
	ri_guard_enter(&event->guard, __func__);
	ri_line_check_empty(&event->line, __func__);
	ri_guard_leave(&event->guard);
}

void rota_event_set(struct rota_event *event)
{
	ri_guard_enter(&event->guard, __func__);
	event->set = true;
	ri_line_serve_all(&event->guard, &event->line, 0);
}

void rota_event_reset(struct rota_event *event)
{
	ri_guard_enter(&event->guard, __func__);
	event->set = false;
	ri_guard_leave(&event->guard);
}

bool rota_event_is_set(struct rota_event *event)
{
	bool set;

	ri_guard_enter(&event->guard, __func__);
	set = event->set;
	ri_guard_leave(&event->guard);
	return set;
}

int rota_event_wait(struct rota_event *event)
{
	struct rota_task *self = ri_task_self(__func__);
	struct rota_waiter waiter;

	ri_task_check_scope(self);
	if (self->scope->code)
		return self->scope->code;
	ri_guard_enter(&event->guard, __func__);
	if (event->set) {
		ri_guard_leave(&event->guard);
		return 0;
	}
	ri_waiter_init(&waiter, ri_tasks_here(), self, __func__);
	return ri_waiter_stand(&waiter, &event->guard, &event->line);
}
