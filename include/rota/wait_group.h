/* SPDX-License-Identifier: MIT */
/*
 * A count of what is under way, and a wait for its end: for work that is not
 * tasks of one group (group.h waits for those by itself, and knows their
 * errors).
 *
 *	rota_wait_group_add(&requests, 1);          before it can be done
 *	...
 *	rota_wait_group_done(&requests);            wherever it ends
 *	...
 *	error = rota_wait_group_wait(&requests);
 *
 * It may be used again and again, also while those who waited have still to go
 * on.
 */
#ifndef ROTA_WAIT_GROUP_H
#define ROTA_WAIT_GROUP_H

#include "rota/sync.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Its fields are private. */
struct rota_wait_group {
	struct rota_guard guard; /* of what follows */
	unsigned state;          /* initialised; else nobody did it */
	unsigned count;          /* under way */
	struct rota_line line;   /* who waits for none to be */
	const char *name;        /* given by the user, or NULL */
};

/* Makes one that counts 0; options or NULL. Cannot fail, never suspends. Any
 * thread: what is made outside of a task may be used on every loop. */
void rota_wait_group_init(struct rota_wait_group *group,
			  const struct rota_sync_options *options);

/* Its memory is the caller's again, once the last wait for it has returned
 * (sync.h). One that does not count 0, or is waited for, aborts the program.
 * Never suspends, never refused. Any thread that may use it. */
void rota_wait_group_fini(struct rota_wait_group *group);

/* Counts so many more; UINT_MAX in all is the most there may be, more aborts.
 * Never suspends, never refused. Tasks and callbacks; any thread, if it may be
 * used on every loop. */
void rota_wait_group_add(struct rota_wait_group *group, unsigned count);

/* Counts one less; at 0 all who wait go on. One that counts 0 already aborts.
 * Never suspends, never refused. As rota_wait_group_add. */
void rota_wait_group_done(struct rota_wait_group *group);

/* Waits until it counts 0: returns 0 at once, if it does, or when it has come
 * to that, whatever was added since. -ECANCELED, -ETIME, -ESHUTDOWN: the task
 * is cancelled, at once or when a cancel comes before that.
 *
 * May suspend. Tasks only, of any loop of the engine. -EMFILE, -ENFILE: one
 * that was made outside of a task, in an engine of one loop that cannot be
 * woken from outside. */
int rota_wait_group_wait(struct rota_wait_group *group)
	__attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
