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
		ri_list_append(&ri_tasks_here()->callbacks,
			       &callback->scope.sweep);
}

bool rota_callback_end(struct rota_callback *callback)
{
	ri_scope_end(&callback->scope, __func__);
	return !(callback->scope.marks & RI_MARK_CALLED);
}

/* One by one from the list: what is called may cancel, which adds to it. */
void ri_callbacks_run(struct ri_tasks *tasks)
{
	struct rota_link *link;

	for (unsigned slice = RI_CANCEL_SLICE; slice; slice--) {
		struct rota_callback *callback;

		link = ri_list_take(&tasks->callbacks);
		if (!link)
			break;
		callback =
			ri_container(link, struct rota_callback, scope.sweep);
		callback->scope.marks |= RI_MARK_CALLED;
		callback->fn(callback->arg);
	}
}
