/* SPDX-License-Identifier: MIT */
#include "support/storm_check.h"

#include "support/clean.h"

void storm_check_loop(struct storm *storm)
{
	clean_expect(&storm->referee);
	referee_expect(&storm->referee, "completions held",
		       test_kernel_held(&storm->kernel), 0);
}

/* Those that were closed are opened again: then as many are open as before. */
void storm_check_descriptors(struct storm *storm)
{
	struct referee *referee = &storm->referee;

	storm->lanes[STORM_TWIN].victim.fd = -1;
	for (unsigned i = 0; i < STORM_LANES; i++)
		referee_expect(referee, "opening what was closed",
			       victim_restore(&storm->lanes[i].victim), 0);
	referee_expect(referee, "the lowest descriptor that is free",
		       clean_lowest_descriptor(), storm->lowest);
}
