/* SPDX-License-Identifier: MIT */
#include "rota/callback.h"

#include "task/scope.h"

void rota_callback_begin_at(struct rota_callback *callback,
			    rota_callback_fn *fn, void *arg,
			    const struct rota_site *site)
{
	struct rota_task *self = ri_scope_opener("rota_callback_begin");

	ri_scope_open(&callback->scope, RI_SCOPE_CALLBACK, self, site);
	callback->fn = fn;
	callback->arg = arg;
	if (callback->scope.code)
		ri_list_append(&ri_tasks_here()->sweeps,
			       &callback->scope.sweep);
}

bool rota_callback_end(struct rota_callback *callback)
{
	ri_scope_end(&callback->scope, __func__);
	return !(callback->scope.marks & RI_MARK_CALLED);
}

void ri_callback_call(struct rota_scope *scope)
{
	struct rota_callback *callback =
		ri_container(scope, struct rota_callback, scope);

	scope->marks |= RI_MARK_CALLED;
	callback->fn(callback->arg);
	ri_check(ri_loop_here != NULL, "a callback goes on " RI_LOOP_FORKED);
}
