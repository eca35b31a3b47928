/* SPDX-License-Identifier: MIT */
#include "sync/guard.h"

#include "task/peers.h"

#include <stdio.h>

void ri_guard_init(struct rota_guard *guard, bool local)
{
	struct ri_loop *here = ri_loop_here;

	if (here && !local && ri_tasks_of(here)->peers->count > 1)
		here = NULL;
	*guard = (struct rota_guard){ .loop = here,
				      .held = here ? here->index : 0 };
}

/* The loop may be gone, with its engine: only its address is looked at. */
void ri_guard_foreign(const struct rota_guard *guard, const char *verb)
{
	const struct ri_loop *here = ri_loop_here;
	char there[48] = "a thread without a loop";

	if (ri_loop_forked)
		ri_task_missing(verb);
	if (here)
		snprintf(there, sizeof(there), "loop %u (%p)", here->index,
			 (const void *)here);
	ri_abort(__FILE__, __LINE__,
		 "%s is called on %s for what loop %u (%p) alone may use", verb,
		 there, guard->held, guard->loop);
}

void ri_guard_needed(const struct rota_guard *guard, const char *verb)
{
	ri_abort(__FILE__, __LINE__,
		 "%s: of the tasks that waited for it, %u have gone on but not "
		 "yet returned from their wait",
		 verb, guard->away);
}
