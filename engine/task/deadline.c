/* SPDX-License-Identifier: MIT */
#include "rota/deadline.h"

#include "task/scope.h"

void rota_deadline_begin_at(struct rota_deadline *deadline, int64_t deadline_ns,
			    const struct rota_site *site)
{
	struct rota_task *self = ri_scope_opener("rota_deadline_begin");

	ri_scope_open(&deadline->scope, RI_SCOPE_DEADLINE, self, site);
	ri_scope_arm(ri_tasks_here(), &deadline->scope, deadline_ns);
}

bool rota_deadline_end(struct rota_deadline *deadline)
{
	ri_scope_end(&deadline->scope, __func__);
	return deadline->scope.marks & RI_MARK_EXPIRED;
}
