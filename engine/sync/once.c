/* SPDX-License-Identifier: MIT */
#include "rota/once.h"

#include "sync/batch.h"
#include "sync/holder.h"
#include "task/scope.h"

static_assert(sizeof(struct rota_once) == 88, "eleven words");
static_assert(ROTA_ONCE_STATE_ == RI_SYNC_READY, "as made without a call");

void rota_once_init(struct rota_once *once,
		    const struct rota_sync_options *options)
{
	*once = (struct rota_once){
		.state = RI_SYNC_READY,
		.name = options ? options->name : NULL,
	};
	ri_guard_init(&once->guard, options && options->local);
	ri_line_init(&once->line);
}

void rota_once_fini(struct rota_once *once)
{
	ri_sync_check(once->state, __func__, "once");
	ri_guard_enter(&once->guard, __func__);
	if (once->runner.task)
		ri_holder_in_the_way(&once->runner, once->name, __func__, NULL);
	ri_sync_end(&once->guard, &once->state, __func__);
}

static int stand(struct rota_once *once, struct rota_task *self,
		 const struct rota_site *site)
{
	struct rota_waiter waiter;

	if (ri_holder_is(&once->runner, self))
		ri_holder_in_the_way(&once->runner, once->name, "rota_once_run",
				     site);
	ri_waiter_init(&waiter, ri_tasks_here(), self, "rota_once_run");
	return ri_waiter_stand(&waiter, &once->guard, &once->line);
}

static void tell_all(struct rota_once *once, int result)
{
	ri_guard_enter(&once->guard, "rota_once_run");
	once->result = result;
	once->runner.task = NULL;
	/* release: pairs with the load in rota_once_run_at */
	__atomic_store_n(&once->done, 1, __ATOMIC_RELEASE);
	ri_line_serve_all(&once->guard, &once->line, result);
}

static int run(struct rota_once *once, int (*fn)(void *arg), void *arg,
	       const struct rota_site *site)
{
	struct rota_task *self;
	int result = ri_waiter_begin(&self, &once->guard, "rota_once_run");

	if (result)
		return result;
	ri_guard_enter(&once->guard, "rota_once_run");
	if (once->done) {
		ri_guard_leave(&once->guard);
		return once->result;
	}
	if (once->runner.task)
		return stand(once, self, site);
	once->runner = ri_holder_at(self, site);
	ri_guard_leave(&once->guard);
	result = fn(arg);
	tell_all(once, result);
	return result;
}

int rota_once_run_at(struct rota_once *once, int (*fn)(void *arg), void *arg,
		     const struct rota_site *site)
{
	ri_sync_check(once->state, "rota_once_run", "once");
	/* acquire: what fn wrote is seen by all who hear of its result */
	if (__builtin_expect(__atomic_load_n(&once->done, __ATOMIC_ACQUIRE), 1))
		return once->result;
	return run(once, fn, arg, site);
}
