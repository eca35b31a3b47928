/* SPDX-License-Identifier: MIT */
#include "sync/guard.h"

#include "task/peers.h"

void ri_guard_init(struct rota_guard *guard, bool local)
{
	struct ri_loop *here = ri_loop_here;

	if (here && !local && ri_tasks_of(here)->peers->count > 1)
		here = NULL;
	*guard = (struct rota_guard){ .loop = here };
}

void ri_guard_foreign(const struct rota_guard *guard, const char *verb)
{
	const struct ri_loop *home = guard->loop;

	if (ri_loop_forked)
		ri_task_missing(verb);
	ri_abort(__FILE__, __LINE__,
		 "%s is called on %s for what loop %u (%p) alone may use", verb,
		 ri_loop_here ? "another loop" : "a thread without a loop",
		 home->index, (const void *)home);
}
