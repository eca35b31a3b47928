/* SPDX-License-Identifier: MIT */
/*
 * What is done once, by whoever comes first; who comes meanwhile waits, and all
 * get the result.
 *
 *	error = rota_once_run(&config->loaded, load_config, config);
 *
 * A once at file scope is initialised by ROTA_ONCE_INIT, and belongs to all
 * loops then:
 *
 *	static struct rota_once tables_made = ROTA_ONCE_INIT(tables_made);
 */
#ifndef ROTA_ONCE_H
#define ROTA_ONCE_H

#include "rota/sync.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Its fields are private. */
struct rota_once {
	struct rota_guard guard;   /* of what follows */
	unsigned state;            /* initialised; else nobody did it */
	unsigned done;             /* there is a result; atomic */
	int result;                /* ... this */
	struct rota_holder runner; /* who is at it */
	struct rota_line line;     /* who waits for the result */
	const char *name;          /* given by the user, or NULL */
};

#define ROTA_ONCE_STATE_ 0x51acu

/* The value of one with static storage that is still to be done, for every loop
 * and every thread. */
#define ROTA_ONCE_INIT(once)                                                   \
	{                                                                      \
		{ NULL, 0, 0 }, ROTA_ONCE_STATE_, 0, 0, { NULL, NULL, 0 },     \
			{ { &(once).line.head, &(once).line.head }, 0 }, NULL, \
	}

/* Makes one that is still to be done; options or NULL. Cannot fail, never
 * suspends. Any thread: what is made outside of a task may be used on every
 * loop. */
void rota_once_init(struct rota_once *once,
		    const struct rota_sync_options *options);

/* Its memory is the caller's again, once the last wait for it has returned
 * (sync.h). One that somebody is at aborts the program, naming who. Never
 * suspends, never refused. Any thread that may use it. */
void rota_once_fini(struct rota_once *once);

/* Calls fn(arg), if nobody has before, and returns what that returned: to its
 * caller, to all who wait meanwhile, and to all who come later (they neither
 * wait nor are refused). An error is a result too, also the -ECANCELED of an fn
 * that was cancelled with its caller: an fn that is not to be runs in a
 * shield (shield.h).
 *
 * -ECANCELED, -ETIME, -ESHUTDOWN, while there is no result: the task is
 * cancelled, at once, and then does not call fn, or when a cancel comes while
 * it waits. May suspend, and so may fn, which runs in the calling task. Tasks
 * only, of any loop of the engine; an fn that comes back here aborts. -EMFILE,
 * -ENFILE: a once that was made outside of a task, in an engine of one loop
 * that cannot be woken from outside. */
int rota_once_run_at(struct rota_once *once, int (*fn)(void *arg), void *arg,
		     const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_once_run(once, fn, arg)                                \
	__extension__({                                             \
		static const struct rota_site rota_site_ =          \
			ROTA_SITE_("once", 0);                      \
		rota_once_run_at((once), (fn), (arg), &rota_site_); \
	})

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
