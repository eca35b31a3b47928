/* SPDX-License-Identifier: MIT */
/*
 * Who waits stands in line before the mutex is unlocked, so nobody who locks it
 * then can signal too early. No two guards are entered at a time.
 */
#include "rota/condition.h"

#include "sync/batch.h"
#include "sync/mutex.h"
#include "task/scope.h"

static_assert(sizeof(struct rota_condition) == 56, "seven words");

void rota_condition_init(struct rota_condition *condition,
			 const struct rota_sync_options *options)
{
	ri_guard_init(&condition->guard, options && options->local);
	ri_line_init(&condition->line);
	condition->name = options ? options->name : NULL;
	condition->state = RI_SYNC_READY;
}

void rota_condition_fini(struct rota_condition *condition)
{
	ri_sync_check(condition->state, __func__, "condition");
	ri_guard_enter(&condition->guard, __func__);
	ri_line_check_empty(&condition->line, __func__);
	ri_sync_end(&condition->guard, &condition->state, __func__);
}

/* Once a loop can be woken, it can be for good: the mutex will be had again. */
static int make_sure(struct ri_tasks *tasks, const struct rota_mutex *mutex)
{
	if (ri_guard_is_shared(&mutex->guard))
		return ri_loop_listen(&tasks->loop);
	return 0;
}

/* Both at once: what ri_waiter_stand does, with the mutex unlocked between
 * standing in line and the wait. */
static int stand_and_unlock(struct rota_waiter *waiter,
			    struct rota_condition *condition,
			    struct rota_mutex *mutex)
{
	struct ri_tasks *tasks = waiter->tasks;
	const bool shared = ri_guard_is_shared(&condition->guard);
	int result;

	if (shared && (result = ri_waiter_listen(tasks)))
		return result;
	waiter->place.guard = &condition->guard;
	waiter->place.line = &condition->line;
	ri_guard_enter(&condition->guard, waiter->wait.what);
	ri_line_append(&condition->line, &waiter->place);
	ri_guard_leave(&condition->guard);
	rota_mutex_unlock(mutex);
	result = ri_park(tasks, waiter->task, &waiter->wait);
	tasks->loop.outside -= shared;
	ri_mutex_relock(mutex, waiter->task, waiter->place.item);
	return result;
}

int rota_condition_wait_at(struct rota_condition *condition,
			   struct rota_mutex *mutex,
			   const struct rota_site *site)
{
	struct ri_tasks *tasks = ri_tasks_here();
	struct rota_waiter waiter;
	struct rota_task *self;
	int error = ri_waiter_begin(&self, &condition->guard,
				    "rota_condition_wait");

	ri_sync_check(condition->state, "rota_condition_wait", "condition");
	ri_mutex_check_held(mutex, self, "rota_condition_wait");
	if (!error)
		error = make_sure(tasks, mutex);
	if (error)
		return error;
	ri_waiter_init(&waiter, tasks, self, "rota_condition_wait");
	ri_waiter_set_site(&waiter, site);
	return stand_and_unlock(&waiter, condition, mutex);
}

void rota_condition_signal(struct rota_condition *condition)
{
	struct rota_place *place;

	ri_sync_check(condition->state, __func__, "condition");
	ri_guard_enter(&condition->guard, __func__);
	place = ri_line_take(&condition->line);
	ri_guard_leave(&condition->guard);
	if (place)
		ri_waiter_serve(place->waiter, 0);
}

void rota_condition_broadcast(struct rota_condition *condition)
{
	ri_sync_check(condition->state, __func__, "condition");
	ri_guard_enter(&condition->guard, __func__);
	ri_line_serve_all(&condition->guard, &condition->line, 0);
}
