/* SPDX-License-Identifier: MIT */
#include "rota/idle.h"

#include "task/scope.h"

void rota_idle_begin_at(struct rota_idle *idle, const struct rota_site *site)
{
	struct rota_task *self = ri_scope_opener("rota_idle_begin");

	ri_scope_open(&idle->scope, RI_SCOPE_IDLE, self, site);
	if (idle->scope.codes & RI_CODE_SHUTDOWN)
		ri_scope_drain(ri_tasks_here(), &idle->scope);
}

bool rota_idle_end(struct rota_idle *idle)
{
	ri_scope_end(&idle->scope, __func__);
	return idle->scope.codes & RI_CODE_SHUTDOWN;
}
