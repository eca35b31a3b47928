/* SPDX-License-Identifier: MIT */
/*
 * A callback on cancel: a function that is called when the scope that a task
 * is in is cancelled, for what the engine cannot cancel by itself: a library's
 * own request, a thread that computes.
 *
 *	struct rota_callback stop;
 *
 *	rota_callback_begin(&stop, abort_query, connection);
 *	...a wait that only abort_query can end...
 *	if (!rota_callback_end(&stop))
 *		...abort_query was called
 */
#ifndef ROTA_CALLBACK_H
#define ROTA_CALLBACK_H

#include "rota/scope.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Called on the loop's own stack, not in a task: it must not block, and verbs
 * abort; rota_group_cancel and rota_group_drain are allowed. */
typedef void rota_callback_fn(void *arg);

/* In the frame of who begins it; its fields are private. */
struct rota_callback {
	struct rota_scope scope; /* what it is */
	rota_callback_fn *fn;    /* what is called */
	void *arg;               /* with this */
};

/* Begins a scope: once it is cancelled (it is over with the one around it),
 * fn(arg) is called, once, by the loop, after the task that cancelled has
 * suspended, unless this task ends the callback before. If it is cancelled
 * already, the same happens soon.
 *
 * Cannot fail, never suspends, tasks only; no memory. The function that calls
 * it calls rota_callback_end too: one that returns without it aborts the
 * program, naming this line. */
void rota_callback_begin_at(struct rota_callback *callback,
			    rota_callback_fn *fn, void *arg,
			    const struct rota_site *site);

#define rota_callback_begin(callback, fn, arg)                                \
	__extension__({                                                       \
		static const struct rota_site rota_site_ =                    \
			ROTA_SITE_("callback", 0);                            \
		rota_callback_begin_at((callback), (fn), (arg), &rota_site_); \
	})

/* Ends the innermost scope of the task, which must be this callback (or the
 * program aborts). True if fn was not called, and now never will be; false if
 * it was called and has returned. Never suspends, never refused, the task that
 * began it only. */
bool rota_callback_end(struct rota_callback *callback);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
