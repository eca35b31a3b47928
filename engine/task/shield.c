/* SPDX-License-Identifier: MIT */
#include "rota/shield.h"

#include "task/scope.h"

/* The walk that meets many shields must not walk on into one: a grace that is
 * over at once ends with this turn, on the wheel. */
void ri_shield_outlived(struct ri_tasks *tasks, struct rota_scope *scope)
{
	const struct rota_shield *shield =
		ri_container(scope, struct rota_shield, scope);
	const int64_t grace_ns = shield->grace_ns > 0 ? shield->grace_ns : 1;

	if (scope->code || ri_timer_armed(&scope->timer))
		return;
	ri_scope_arm(tasks, scope, rota_after_ns(grace_ns));
}

void rota_shield_begin_at(struct rota_shield *shield, int64_t grace_ns,
			  const struct rota_site *site)
{
	struct rota_task *self = ri_scope_opener("rota_shield_begin");
	struct ri_tasks *tasks = ri_tasks_here();
	const bool outlived = self->scope->code != 0;

	ri_scope_open(&shield->scope, RI_SCOPE_SHIELD, self, site);
	shield->grace_ns = grace_ns;
	if (outlived && grace_ns <= 0)
		ri_scope_arm(tasks, &shield->scope, INT64_MIN);
	else if (outlived)
		ri_shield_outlived(tasks, &shield->scope);
}

bool rota_shield_end(struct rota_shield *shield)
{
	ri_scope_end(&shield->scope, __func__);
	return shield->scope.marks & RI_MARK_EXPIRED;
}
