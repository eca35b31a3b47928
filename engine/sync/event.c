/* SPDX-License-Identifier: MIT */
#include "rota/event.h"

#include "sync/batch.h"
#include "sync/holder.h"
#include "task/scope.h"

static_assert(sizeof(struct rota_event) == 56, "a guard, a line, two words");

void rota_event_init(struct rota_event *event,
		     const struct rota_sync_options *options)
{
	*event = (struct rota_event){
		.name = options ? options->name : NULL,
		.state = RI_SYNC_READY,
	};
	ri_guard_init(&event->guard, options && options->local);
	ri_line_init(&event->line);
}

static void enter(struct rota_event *event, const char *verb)
{
	ri_sync_check(event->state, verb, "event");
	ri_guard_enter(&event->guard, verb);
}

void rota_event_fini(struct rota_event *event)
{
	enter(event, __func__);
	ri_line_check_empty(&event->line, __func__);
	ri_sync_end(&event->guard, &event->state, __func__);
}

void rota_event_set(struct rota_event *event)
{
	enter(event, __func__);
	event->set = true;
	ri_line_serve_all(&event->guard, &event->line, 0);
}

void rota_event_reset(struct rota_event *event)
{
	enter(event, __func__);
	event->set = false;
	ri_guard_leave(&event->guard);
}

bool rota_event_is_set(struct rota_event *event)
{
	bool set;

	enter(event, __func__);
	set = event->set;
	ri_guard_leave(&event->guard);
	return set;
}

int rota_event_wait(struct rota_event *event)
{
	struct rota_waiter waiter;
	struct rota_task *self;
	int error = ri_waiter_begin(&self, &event->guard, __func__);

	if (error)
		return error;
	enter(event, __func__);
	if (event->set) {
		ri_guard_leave(&event->guard);
		return 0;
	}
	ri_waiter_init(&waiter, ri_tasks_here(), self, __func__);
	return ri_waiter_stand(&waiter, &event->guard, &event->line);
}
