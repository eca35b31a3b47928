/* SPDX-License-Identifier: MIT */
/*
 * A task that is idle has nothing to lose: it waits for the next piece of
 * work, as a connection between two requests does, or who accepts them. When a
 * group around it drains (rota_group_drain), what it waits in ends at once
 * with -ESHUTDOWN, while those who work have the grace to finish.
 *
 *	struct rota_idle idle;
 *
 *	rota_idle_begin(&idle);
 *	n = rota_recv(fd, request, sizeof(request), 0);
 *	rota_idle_end(&idle);
 *
 * -ESHUTDOWN does not say that nothing has come: a request may be in the socket
 * that nobody has received yet, and closing loses it. After rota_shutdown with
 * SHUT_RD a receive, outside of the section, waits for nothing: it finds what
 * has come, and then the end.
 */
#ifndef ROTA_IDLE_H
#define ROTA_IDLE_H

#include "rota/scope.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* In the frame of who begins it; its fields are private. */
struct rota_idle {
	struct rota_scope scope; /* what it is */
};

/* Begins an idle section: a scope that a drain cancels, with -ESHUTDOWN, at
 * once if one has begun already. A verb that is done before it can be stopped
 * returns its result, as always.
 *
 * Cannot fail, never suspends, tasks only. The function that calls it calls
 * rota_idle_end too: one that returns without it aborts the program, naming
 * this line. */
void rota_idle_begin_at(struct rota_idle *idle, const struct rota_site *site);

#define rota_idle_begin(idle)                              \
	__extension__({                                    \
		static const struct rota_site rota_site_ = \
			ROTA_SITE_("idle section", 0);     \
		rota_idle_begin_at((idle), &rota_site_);   \
	})

/* Ends the innermost scope of the task, which must be this section (or the
 * program aborts). True if a group around it drains. Never suspends, never
 * refused, the task that began it only. */
bool rota_idle_end(struct rota_idle *idle);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
