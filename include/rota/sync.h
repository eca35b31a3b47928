/* SPDX-License-Identifier: MIT */
/*
 * What events, locks, limits and the like have in common.
 *
 * Each lives in the caller's memory, from its init to its fini; its address is
 * what it is, so it is not to be copied or moved in between. It is used by
 * tasks of every loop of one engine, and costs no atomic step where there is
 * only one. An object that was made outside of an engine is everybody's.
 *
 * What tasks wait at lives until the last of those waits has returned. That
 * they were served is not enough: one that goes on on another loop, and a
 * select, come by once more. So an event may lie in the frame of the one that
 * waits for it, and what only tasks wait for that were joined may end. But who
 * sets an event for others may not end it at once: they are still on their way.
 * A fini that finds some of them there aborts the program.
 */
#ifndef ROTA_SYNC_H
#define ROTA_SYNC_H

#include "rota/scope.h"

#include <stdbool.h>
#include <stdint.h>

/* What may be said when one is made. */
struct rota_sync_options {
	const char *name; /* for diagnostics, outlives the object; NULL: none */
	bool local;       /* in an engine of several loops: only tasks of the
	                     one that makes it use it, which is cheaper; any
	                     other aborts */
};

/* Who holds something, and where it was taken. Private. */
struct rota_holder {
	const struct rota_task *task; /* NULL: nobody */
	const struct rota_site *site; /* the line of the call */
	uint32_t id;                  /* of the task: its record is reused */
};

#endif
