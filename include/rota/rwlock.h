/* SPDX-License-Identifier: MIT */
/*
 * Locks that many tasks may hold to read, or one to write.
 *
 *	error = rota_rwlock_read_lock(&map->lock);
 *	if (error)
 *		return error;
 *	value = look_up(map, key);
 *	rota_rwlock_read_unlock(&map->lock);
 *
 * Who waits is let in in the order in which it came: a reader that comes after
 * a writer that waits, waits behind it, so readers cannot keep writers out;
 * readers that wait one behind the other are let in together.
 *
 * A task that holds it, to read or to write, may not lock it again: with a
 * writer in between it would wait for itself. That ends the program, naming
 * both lines; of more than 4 readers at a time some are not recorded, and it is
 * found for the others only.
 */
#ifndef ROTA_RWLOCK_H
#define ROTA_RWLOCK_H

#include "rota/sync.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* So many of those who read are recorded. */
#define ROTA_RWLOCK_KNOWN 4

/* Its fields are private. */
struct rota_rwlock {
	struct rota_guard guard;   /* of what follows */
	unsigned state;            /* initialised; else nobody did it */
	unsigned readers;          /* how many read */
	struct rota_holder writer; /* who writes */
	struct rota_line line;     /* who waits, to read or to write */
	unsigned known_count;      /* how many of the readers are below */
	unsigned oldest;           /* which of them makes room for the next */
	struct rota_holder known[ROTA_RWLOCK_KNOWN]; /* the last ones */
	const char *name; /* given by the user, or NULL */
};

/* Makes a lock that nobody holds; options or NULL. Cannot fail, never suspends.
 * Any thread: what is made outside of a task may be used on every loop. */
void rota_rwlock_init(struct rota_rwlock *lock,
		      const struct rota_sync_options *options);

/* Its memory is the caller's again, once the last wait for it has returned
 * (sync.h). A lock that is held or waited for aborts the program, naming by
 * whom. Never suspends, never refused. Any thread that may use it. */
void rota_rwlock_fini(struct rota_rwlock *lock);

/* Locks it to read: waits while it is held otherwise, or somebody
 * waits already. 0: it is this task's until it unlocks it. -ECANCELED, -ETIME,
 * -ESHUTDOWN: the task is cancelled, at once or when a cancel comes: then it is
 * not locked, and those who waited behind this task have their turn.
 *
 * May suspend. Tasks only, of any loop of the engine; who holds it already
 * aborts. -EMFILE, -ENFILE: a lock that was made outside of a task, in an
 * engine of one loop that cannot be woken from outside. */
int rota_rwlock_read_lock_at(struct rota_rwlock *lock,
			     const struct rota_site *site)
	__attribute__((warn_unused_result));
/* As rota_rwlock_read_lock, to write. */
int rota_rwlock_write_lock_at(struct rota_rwlock *lock,
			      const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_rwlock_read_lock(lock)                            \
	__extension__({                                        \
		static const struct rota_site rota_site_ =     \
			ROTA_SITE_("rwlock", 0);               \
		rota_rwlock_read_lock_at((lock), &rota_site_); \
	})

#define rota_rwlock_write_lock(lock)                            \
	__extension__({                                         \
		static const struct rota_site rota_site_ =      \
			ROTA_SITE_("rwlock", 0);                \
		rota_rwlock_write_lock_at((lock), &rota_site_); \
	})

/* The same without a wait: -EAGAIN if it would be one, also behind somebody who
 * waits. Never suspends, not refused in a cancelled task. Tasks only. A task
 * that writes gets -EAGAIN; one that reads aborts if it tries to read, and gets
 * -EAGAIN if it tries to write. */
int rota_rwlock_try_read_lock_at(struct rota_rwlock *lock,
				 const struct rota_site *site)
	__attribute__((warn_unused_result));
/* As rota_rwlock_try_read_lock, to write. */
int rota_rwlock_try_write_lock_at(struct rota_rwlock *lock,
				  const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_rwlock_try_read_lock(lock)                            \
	__extension__({                                            \
		static const struct rota_site rota_site_ =         \
			ROTA_SITE_("rwlock", 0);                   \
		rota_rwlock_try_read_lock_at((lock), &rota_site_); \
	})

#define rota_rwlock_try_write_lock(lock)                            \
	__extension__({                                             \
		static const struct rota_site rota_site_ =          \
			ROTA_SITE_("rwlock", 0);                    \
		rota_rwlock_try_write_lock_at((lock), &rota_site_); \
	})

/* Unlocks what this task holds to read: whose turn it is then is let in. Never
 * suspends, never refused. The task that locked it only: another
 * one aborts, to read as far as that is recorded. */
void rota_rwlock_read_unlock(struct rota_rwlock *lock);

/* The same of what it holds to write. */
void rota_rwlock_write_unlock(struct rota_rwlock *lock);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
