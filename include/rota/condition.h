/* SPDX-License-Identifier: MIT */
/*
 * Conditions: to wait, with a mutex, for what another task will change under
 * it.
 *
 *	error = rota_mutex_lock(&queue->mutex);
 *	while (!error && !queue->count)
 *		error = rota_condition_wait(&queue->filled, &queue->mutex);
 *	...
 *	rota_mutex_unlock(&queue->mutex);
 *
 * A channel mostly says the same in fewer lines.
 *
 * Nobody is woken without a signal. But somebody else may have the mutex in
 * between, so that what was signalled is to be looked at again.
 */
#ifndef ROTA_CONDITION_H
#define ROTA_CONDITION_H

#include "rota/mutex.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Its fields are private. */
struct rota_condition {
	struct rota_guard guard; /* of what follows */
	unsigned state;          /* initialised; else nobody did it */
	struct rota_line line;   /* who waits */
	const char *name;        /* given by the user, or NULL */
};

/* Makes a condition; options or NULL. Cannot fail, never suspends. Any thread:
 * what is made outside of a task may be used on every loop. */
void rota_condition_init(struct rota_condition *condition,
			 const struct rota_sync_options *options);

/* Its memory is the caller's again, once the last wait for it has returned
 * (sync.h). One that is waited for aborts the program, naming by whom. Never
 * suspends, never refused. Any thread that may use it. */
void rota_condition_fini(struct rota_condition *condition);

/* Unlocks the mutex and waits, as one step: no signal is lost in between. When
 * it returns, whatever it returns, the task holds the mutex again; it waits for
 * that as long as it takes, also in a cancelled task. 0: it was signalled.
 * -ECANCELED, -ETIME, -ESHUTDOWN: the task is cancelled, at once, or when a
 * cancel comes before a signal, which goes to another one then. A signal that
 * came before the cancel is delivered.
 *
 * Suspends. Tasks only, of any loop of the engine; a task that does not hold
 * the mutex aborts. -EMFILE, -ENFILE, at once: one of the two was made outside
 * of a task, in an engine of one loop that cannot be woken from outside. */
int rota_condition_wait_at(struct rota_condition *condition,
			   struct rota_mutex *mutex,
			   const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_condition_wait(condition, mutex)                              \
	__extension__({                                                    \
		static const struct rota_site rota_site_ =                 \
			ROTA_SITE_("mutex", 0);                            \
		rota_condition_wait_at((condition), (mutex), &rota_site_); \
	})

/* Wakes who waits longest; nobody, if nobody does: a signal is not kept. The
 * mutex may be held or not. Never suspends, never refused. Tasks and callbacks;
 * any thread, if the condition may be used on every loop. */
void rota_condition_signal(struct rota_condition *condition);

/* The same for everybody who waits now. */
void rota_condition_broadcast(struct rota_condition *condition);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
