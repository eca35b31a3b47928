/* SPDX-License-Identifier: MIT */
/*
 * A shield is a scope inside one task that no cancel from outside reaches:
 * what has to be done before a task ends can be done in it, also in a task
 * that is cancelled.
 *
 *	struct rota_shield shield;
 *
 *	rota_shield_begin(&shield, 5 * ROTA_SECOND);
 *	error = rota_send_all(fd, goodbye, sizeof(goodbye), NULL);
 *	rota_shield_end(&shield);
 *
 * So that a shutdown does not hang in one, it has a grace: that long after
 * the scope around it is over, the shield is over too, with -ETIME.
 */
#ifndef ROTA_SHIELD_H
#define ROTA_SHIELD_H

#include "rota/clock.h"
#include "rota/scope.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* In the frame of who begins it; its fields are private. */
struct rota_shield {
	struct rota_scope scope; /* what it is */
	int64_t grace_ns;        /* from the end of the scope around it */
};

/* Begins a shield: what this task calls from here on, and groups that it
 * opens, see neither cancels nor deadlines of the scopes around (rota_cancelled
 * and rota_cause say nothing of them), only scopes begun inside. The grace runs
 * from when the scope around is over, or from here if that is over already; 0
 * or less is none (it ends with the turn of the loop in which the scope around
 * ends), ROTA_NEVER is not bounded. An inner shield's grace
 * runs from the end of the outer one's.
 *
 * Cannot fail, never suspends, tasks only; no memory, no system call. The
 * function that calls it calls rota_shield_end too: one that returns without
 * it aborts the program, naming this line. */
void rota_shield_begin_at(struct rota_shield *shield, int64_t grace_ns,
			  const struct rota_site *site);

#define rota_shield_begin(shield, grace_ns)                              \
	__extension__({                                                  \
		static const struct rota_site rota_site_ =               \
			ROTA_SITE_("shield", 0);                         \
		rota_shield_begin_at((shield), (grace_ns), &rota_site_); \
	})

/* Ends the innermost scope of the task, which must be this shield (or the
 * program aborts): a cancel that was kept out is seen by the next verb. True
 * if the grace ran out. Never suspends, never refused, the task that began it
 * only. */
bool rota_shield_end(struct rota_shield *shield);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
