/* SPDX-License-Identifier: MIT */
#include "rota/deadline.h"

#include "task/park.h"
#include "task/scope.h"

void rota_deadline_begin_at(struct rota_deadline *deadline, int64_t deadline_ns,
			    const struct rota_site *site)
{
	struct rota_task *self = ri_task_self("rota_deadline_begin");
	struct ri_tasks *tasks = ri_tasks_here();

	ri_task_check_scope(self);
	ri_scope_open(&deadline->scope, RI_SCOPE_DEADLINE, self, site);
	ri_scope_arm(tasks, &deadline->scope, deadline_ns);
}

bool rota_deadline_end(struct rota_deadline *deadline)
{
	struct rota_task *self = ri_task_self("rota_deadline_end");

	if (self->scope != &deadline->scope)
		ri_scope_left_open(self, "ends a deadline around it, or one "
					 "that is not open");
	ri_scope_close(ri_tasks_here(), &deadline->scope);
	return deadline->scope.expired;
}
