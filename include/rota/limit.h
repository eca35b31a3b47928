/* SPDX-License-Identifier: MIT */
/*
 * A limit: so many permits, and tasks that take some of them for a while. Who
 * finds too few waits, on one loop or on several.
 *
 *	struct rota_limit memory;
 *
 *	rota_limit_init(&memory, 64 << 20, NULL);
 *	...
 *	error = rota_limit_acquire(&memory, bytes);
 *	if (error)
 *		return error;
 *	work(bytes);
 *	rota_limit_release(&memory, bytes);
 *
 * Strictly first come, first served: while somebody waits for many, nobody who
 * comes later gets the few that are there, so who wants many is not starved.
 * That holds of tries too, and of who asks for none: 0 permits are there at
 * once, but behind those who wait.
 *
 * The limit of a group (group.h) bounds how many tasks there are; this one
 * bounds what tasks do that are there.
 */
#ifndef ROTA_LIMIT_H
#define ROTA_LIMIT_H

#include "rota/scope.h"
#include "rota/sync.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Who has acquired some: for diagnostics. All of it private. */
struct rota_limit_holder {
	struct rota_holder who; /* no task: a callback or a thread */
	uint64_t count;         /* how many it still has; 0: nobody */
};

/* The last ones that are noted. */
#define ROTA_LIMIT_HOLDERS 4

/* In the caller's memory, as long as anybody uses it; its fields are private.
 */
struct rota_limit {
	struct rota_guard guard; /* of what follows */
	struct rota_line line;   /* who waits */
	uint64_t size;           /* all permits there are */
	uint64_t used;           /* those that were acquired */
	const char *name;        /* given by the user, or NULL */
	unsigned state;          /* it was made, and is not gone */
	unsigned next;           /* of the holders: which one is written next */
	struct rota_limit_holder holders[ROTA_LIMIT_HOLDERS]; /* some of them */
};

/* How it goes: read at one moment. */
struct rota_limit_state {
	uint64_t size;    /* all permits */
	uint64_t used;    /* those that were acquired */
	unsigned waiting; /* tasks that wait for some */
};

/* Makes a limit of so many permits; NULL: no options. Cannot fail, never
 * suspends. Any thread: what is made outside of a task may be used on every
 * loop. */
void rota_limit_init(struct rota_limit *limit, uint64_t size,
		     const struct rota_sync_options *options);

/* Its memory is the caller's again, once the last wait for it has returned
 * (sync.h). One that is waited for, or of which permits are acquired, aborts the
 * program, naming by whom. Never suspends, never refused. Any thread that may
 * use it. */
void rota_limit_fini(struct rota_limit *limit);

/* Acquires `count` permits; waits until they are there and everybody who came
 * earlier has had its turn. 0: they are the caller's, to be released by anybody.
 * -EINVAL: more than there will ever be. -ECANCELED, -ETIME, -ESHUTDOWN: the
 * task is cancelled, at once or when a cancel comes: then it has acquired
 * nothing, and those behind it go on who can. Permits that it was given just
 * before the cancel are put back.
 *
 * May suspend. Tasks only, of any loop of the engine. -EMFILE, -ENFILE: a limit
 * that was made outside of a task, in an engine of one loop that cannot be
 * woken from outside. */
int rota_limit_acquire_at(struct rota_limit *limit, uint64_t count,
			  const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_limit_acquire(limit, count)                              \
	__extension__({                                               \
		static const struct rota_site rota_site_ =            \
			ROTA_SITE_("limit", 0);                       \
		rota_limit_acquire_at((limit), (count), &rota_site_); \
	})

/* The same without a wait: -EAGAIN if it would be one. Never suspends, not
 * refused in a cancelled task. Tasks and callbacks; any thread, if the limit may
 * be used on every loop. */
int rota_limit_try_acquire_at(struct rota_limit *limit, uint64_t count,
			      const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_limit_try_acquire(limit, count)                              \
	__extension__({                                                   \
		static const struct rota_site rota_site_ =                \
			ROTA_SITE_("limit", 0);                           \
		rota_limit_try_acquire_at((limit), (count), &rota_site_); \
	})

/* Puts so many permits back, all or some of what was acquired, and serves who
 * waits and has enough now. More than are acquired aborts. Never suspends, never
 * refused. Who may try may release. */
void rota_limit_release(struct rota_limit *limit, uint64_t count);

/* How much of it is in use and who waits. Never suspends. Who may try may
 * ask. */
struct rota_limit_state rota_limit_inspect(struct rota_limit *limit);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
