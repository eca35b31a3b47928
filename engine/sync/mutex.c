/* SPDX-License-Identifier: MIT */
#include "sync/mutex.h"

#include "task/scope.h"

static_assert(sizeof(struct rota_mutex) == 80, "ten words");

void rota_mutex_init(struct rota_mutex *mutex,
		     const struct rota_sync_options *options)
{
	ri_guard_init(&mutex->guard, options && options->local);
	ri_line_init(&mutex->line);
	mutex->holder.task = NULL;
	mutex->name = options ? options->name : NULL;
	mutex->state = RI_SYNC_READY;
}

void rota_mutex_fini(struct rota_mutex *mutex)
{
	ri_sync_check(mutex->state, __func__, "mutex");
	ri_guard_enter(&mutex->guard, __func__);
	if (mutex->holder.task)
		ri_holder_in_the_way(&mutex->holder, mutex->name, __func__,
				     NULL);
	ri_sync_end(&mutex->guard, &mutex->state, __func__);
	mutex->guard.loop = NULL;
}

/* Somebody holds it: waits, and is its holder when that ends with 0. The guard
 * is entered, and left. */
static int stand(struct rota_mutex *mutex, struct rota_task *self,
		 const struct rota_site *site, bool relock)
{
	struct rota_waiter waiter;

	if (ri_holder_is(&mutex->holder, self))
		ri_holder_in_the_way(&mutex->holder, mutex->name,
				     "rota_mutex_lock", site);
	ri_waiter_init(&waiter, ri_tasks_here(), self, "rota_mutex_lock");
	ri_waiter_set_site(&waiter, site);
	if (relock)
		waiter.wait.interrupt = NULL;
	return ri_waiter_stand(&waiter, &mutex->guard, &mutex->line);
}

/* What was handed to a task that is cancelled meanwhile is handed on. */
static int stand_and_look(struct rota_mutex *mutex, struct rota_task *self,
			  const struct rota_site *site)
{
	const int result = stand(mutex, self, site, false);

	if (result == 0 && self->scope->code) {
		rota_mutex_unlock(mutex);
		return self->scope->code;
	}
	return result;
}

static __attribute__((noinline)) int lock(struct rota_mutex *mutex,
					  const struct rota_site *site)
{
	struct rota_task *self;
	int error = ri_waiter_begin(&self, &mutex->guard, "rota_mutex_lock");

	if (error)
		return error;
	ri_sync_check(mutex->state, "rota_mutex_lock", "mutex");
	ri_guard_enter(&mutex->guard, "rota_mutex_lock");
	if (mutex->holder.task)
		return stand_and_look(mutex, self, site);
	mutex->holder = ri_holder_at(self, site);
	ri_guard_leave(&mutex->guard);
	return 0;
}

/* Most are this loop's, and free: without a call, and so without a frame. A
 * mutex that has had its fini is no loop's. */
int rota_mutex_lock_at(struct rota_mutex *mutex, const struct rota_site *site)
{
	struct ri_loop *here = ri_loop_here;

	if (__builtin_expect(here && mutex->guard.loop == here &&
				     ri_loop_in_fiber(here) &&
				     !mutex->holder.task,
			     1)) {
		struct rota_task *self = ri_task_of(here->current);

		ri_task_check_scope(self);
		if (__builtin_expect(!self->scope->code, 1))
			mutex->holder = ri_holder_at(self, site);
		return self->scope->code;
	}
	return lock(mutex, site);
}

int rota_mutex_try_lock_at(struct rota_mutex *mutex,
			   const struct rota_site *site)
{
	struct rota_task *self = ri_task_self("rota_mutex_try_lock");
	bool free;

	ri_sync_check(mutex->state, "rota_mutex_try_lock", "mutex");
	ri_guard_enter(&mutex->guard, "rota_mutex_try_lock");
	free = !mutex->holder.task;
	if (free)
		mutex->holder = ri_holder_at(self, site);
	ri_guard_leave(&mutex->guard);
	return free ? 0 : -EAGAIN;
}

void ri_mutex_relock(struct rota_mutex *mutex, struct rota_task *self,
		     const struct rota_site *site)
{
	int error;

	ri_guard_enter(&mutex->guard, "rota_mutex_lock");
	if (mutex->holder.task) {
		error = stand(mutex, self, site, true);
		ri_check(!error, "a mutex is not had again: %d", error);
		return;
	}
	mutex->holder = ri_holder_at(self, site);
	ri_guard_leave(&mutex->guard);
}

/* The guard is entered, and left. */
static void hand_over(struct rota_mutex *mutex)
{
	struct rota_place *place = ri_line_take(&mutex->line);

	mutex->holder = ri_holder_of(place);
	ri_guard_leave(&mutex->guard);
	ri_waiter_serve(place->waiter, 0);
}

static __attribute__((cold, noreturn)) void
not_held(const struct rota_mutex *mutex, const char *verb)
{
	if (mutex->holder.task)
		ri_holder_in_the_way(&mutex->holder, mutex->name, verb, NULL);
	ri_holder_missing("mutex", mutex->name, verb);
}

void ri_mutex_check_held(struct rota_mutex *mutex, const struct rota_task *self,
			 const char *verb)
{
	ri_sync_check(mutex->state, verb, "mutex");
	ri_guard_enter(&mutex->guard, verb);
	if (!ri_holder_is(&mutex->holder, self))
		not_held(mutex, verb);
	ri_guard_leave(&mutex->guard);
}

static __attribute__((noinline)) void unlock(struct rota_mutex *mutex)
{
	const struct rota_task *self = ri_task_self("rota_mutex_unlock");

	ri_sync_check(mutex->state, "rota_mutex_unlock", "mutex");
	ri_guard_enter(&mutex->guard, "rota_mutex_unlock");
	if (!ri_holder_is(&mutex->holder, self))
		not_held(mutex, "rota_mutex_unlock");
	if (!ri_line_empty(&mutex->line)) {
		hand_over(mutex);
		return;
	}
	mutex->holder.task = NULL;
	ri_guard_leave(&mutex->guard);
}

/* The same as in rota_mutex_lock_at. */
void rota_mutex_unlock(struct rota_mutex *mutex)
{
	struct ri_loop *here = ri_loop_here;

	if (__builtin_expect(here && mutex->guard.loop == here &&
				     ri_holder_is(&mutex->holder,
						  ri_task_of(here->current)) &&
				     ri_line_empty(&mutex->line),
			     1))
		mutex->holder.task = NULL;
	else
		unlock(mutex);
}
