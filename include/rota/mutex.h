/* SPDX-License-Identifier: MIT */
/*
 * Mutexes: one task at a time. Who waits for one is parked; its loop goes on.
 *
 *	error = rota_mutex_lock(&accounts->mutex);
 *	if (error)
 *		return error;                       cancelled: not locked
 *	accounts->left -= amount;
 *	error = rota_write(accounts->fd, ...);      may suspend under it
 *	rota_mutex_unlock(&accounts->mutex);
 *
 * Tasks of one loop run until they suspend: what is changed without suspending
 * in between needs no mutex there.
 *
 * It is handed over in the order in which tasks came. Who holds it is recorded,
 * with the line: unlocking what another task holds, and locking what one holds
 * already, end the program and name both.
 */
#ifndef ROTA_MUTEX_H
#define ROTA_MUTEX_H

#include "rota/sync.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Its fields are private. */
struct rota_mutex {
	struct rota_guard guard;   /* of what follows */
	unsigned state;            /* initialised; else nobody did it */
	struct rota_holder holder; /* who has it */
	struct rota_line line;     /* who waits for it */
	const char *name;          /* given by the user, or NULL */
};

/* Makes a mutex that nobody holds; options or NULL. Cannot fail, never
 * suspends. Any thread: what is made outside of a task may be used on every
 * loop. */
void rota_mutex_init(struct rota_mutex *mutex,
		     const struct rota_sync_options *options);

/* Its memory is the caller's again, once the last wait for it has returned
 * (sync.h). A mutex that is held or waited for aborts the program, naming by
 * whom. Never suspends, never refused. Any thread that may use it. */
void rota_mutex_fini(struct rota_mutex *mutex);

/* Locks it; waits while another task holds it. 0: it is this task's until it
 * unlocks it. -ECANCELED, -ETIME, -ESHUTDOWN: the task is cancelled, at once or
 * when a cancel comes: then it is not locked, also if it was handed over just
 * before (the next one has it).
 *
 * May suspend. Tasks only, of any loop of the engine; who holds it already
 * aborts. -EMFILE, -ENFILE: a mutex that was made outside of a task, in an
 * engine of one loop that cannot be woken from outside. */
int rota_mutex_lock_at(struct rota_mutex *mutex, const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_mutex_lock(mutex)                             \
	__extension__({                                    \
		static const struct rota_site rota_site_ = \
			ROTA_SITE_("mutex", 0);            \
		rota_mutex_lock_at((mutex), &rota_site_);  \
	})

/* The same without a wait: -EAGAIN if somebody holds it, the caller too. Never
 * suspends, not refused in a cancelled task. Tasks only. */
int rota_mutex_try_lock_at(struct rota_mutex *mutex,
			   const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_mutex_try_lock(mutex)                            \
	__extension__({                                       \
		static const struct rota_site rota_site_ =    \
			ROTA_SITE_("mutex", 0);               \
		rota_mutex_try_lock_at((mutex), &rota_site_); \
	})

/* Unlocks it: who waits longest has it now. Never suspends, never refused. The
 * task that locked it only; any other aborts. */
void rota_mutex_unlock(struct rota_mutex *mutex);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
