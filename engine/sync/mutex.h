/* SPDX-License-Identifier: MIT */
/*
 * A mutex is never free while somebody waits: who unlocks it makes the first
 * one in line its holder before that one goes on. So whoever comes by has to
 * look at the holder only, and nobody overtakes.
 *
 * Only a holder's own calls, and who makes it one, change `holder`.
 */
#ifndef RI_SYNC_MUTEX_H
#define RI_SYNC_MUTEX_H

#include "rota/mutex.h"
#include "sync/holder.h"

/* Waits for it until it is the task's, whatever is cancelled; takes it at once
 * if it is free. A loop that can be woken: so it cannot fail. */
void ri_mutex_relock(struct rota_mutex *mutex, struct rota_task *self,
		     const struct rota_site *site);

/* Aborts unless the task holds it, which the verb needs. */
void ri_mutex_check_held(struct rota_mutex *mutex, const struct rota_task *self,
			 const char *verb);

#endif
