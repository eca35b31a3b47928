/* SPDX-License-Identifier: MIT */
/*
 * A pool: some tasks that work off the items which others submit, by value,
 * through one bounded queue.
 *
 *	struct rota_pool pool;
 *
 *	error = rota_pool_open(&pool, &(struct rota_pool_options){
 *			.workers = 4, .capacity = 16,
 *			.item_bytes = sizeof(struct job), .fn = work_on });
 *	...
 *	error = rota_pool_submit(&pool, &job);       (as often as needed)
 *	...
 *	error = rota_pool_close(&pool);              (all worked off; joins)
 *
 * The first error of a worker ends the pool, and so does a cancel or a deadline
 * around it: fn is called for no more items, those in the queue are given to
 * `discard`, and whoever waits to submit goes on. So each item that ever came is
 * worked on, or discarded, or was refused to who submitted it: one of these, and
 * once.
 *
 * From open to close the pool is a scope of its owner, as a group is (group.h):
 * a function that returns past one that it has opened aborts the program.
 *
 * Workers are kept for a stream of items; for an array there is each.h.
 */
#ifndef ROTA_POOL_H
#define ROTA_POOL_H

#include "rota/channel.h"
#include "rota/group.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Works on one item, which is at `item`, aligned to 16 bytes, until it returns:
 * >= 0, or -errno, which ends the pool. What the item owns is its to release.
 * A task: it may suspend, and opens pools and groups of its own. A cancel ends
 * what it waits for, and it comes to its end. */
typedef int rota_pool_fn(void *item, void *arg);

/* What a pool is to be. */
struct rota_pool_options {
	unsigned workers;  /* at least 1 */
	size_t capacity;   /* items that may lie in the queue; 0: each goes from
	                      hand to hand */
	size_t item_bytes; /* of an item, at least 1 */
	rota_pool_fn *fn;  /* what is done with each */
	/* Gets each item that nobody will work on: what it owns is to be
	 * released. Runs on any loop of the pool; must not suspend. NULL: items
	 * own nothing. */
	void (*discard)(void *item, void *arg);
	void *arg;           /* the second argument of both */
	const char *name;    /* for dumps; must outlive the pool; or NULL */
	int64_t deadline_ns; /* a point in time that ends the pool; 0: none */
	size_t stack_bytes;  /* of each worker; 0: the engine's default */
	bool spread;         /* workers are dealt round to all loops */
	bool local; /* in an engine of several loops: only tasks of this one
	               submit, which is cheaper; any other aborts */
};

struct ri_pool_worker;

/* In the frame of who opens it, or wherever lives long enough; its fields are
 * private. */
struct rota_pool {
	struct rota_group group;        /* of the workers; first */
	struct rota_sender sender;      /* into the queue */
	struct ri_pool_worker *workers; /* all of them, one after the other */
	size_t worker_bytes;            /* of each, with room for an item */
	rota_pool_fn *fn;               /* the user's */
	void *arg;                      /* its second argument */
	unsigned searches; /* for circles of workers that submit, so far */
	bool closed;       /* nothing more is to come */
};

/* Opens a pool and starts its workers; memory is allocated here only. 0, or:
 *
 *	-EINVAL             no workers, no fn, items of 0 bytes or more than
 *	                    SIZE_MAX / 2 altogether, both spread and local
 *	-ENOMEM             no memory, or none for the stack of a worker
 *	-EAGAIN             the engine's bound of tasks is reached
 *	-ECANCELED, -ETIME, -ESHUTDOWN
 *	                    the task is cancelled, or the deadline is past
 *
 * Then it is not open. Suspends only to join the workers that there were before
 * it failed. Tasks only. */
int rota_pool_open_at(struct rota_pool *pool,
		      const struct rota_pool_options *options,
		      const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_pool_open(pool, ...)                                    \
	__extension__({                                              \
		static const struct rota_site rota_site_ =           \
			ROTA_SITE_("pool", sizeof(void *));          \
		rota_pool_open_at((pool), __VA_ARGS__, &rota_site_); \
	})

/* Submits a copy of the item; waits while the queue is full. 0: it is the
 * pool's, to be worked on or discarded. Otherwise it is still the caller's:
 *
 *	-ECANCELED, -ETIME, -ESHUTDOWN
 *	            the task is cancelled, at once or when a cancel comes. For
 *	            the owner, whose scope it is, so ends the pool
 *	-EPIPE      the pool has ended: no worker is left; or its owner closes
 *	            it, and nothing more is to come
 *	-EDEADLK    by a worker, or a task inside of one: each worker waits so,
 *	            or has a task inside that does, and nobody is left to take
 *	            an item. (Known of what is on the loop of its worker.)
 *
 * May suspend. Tasks of any loop, while the pool is open: who is none of the
 * owner, the workers or their tasks has to know that it is. -EMFILE, -ENFILE as
 * of rota_channel_send. */
int rota_pool_submit(struct rota_pool *pool, const void *item)
	__attribute__((warn_unused_result));

/* The same without a wait: -EAGAIN if it would be one. Never suspends. */
int rota_pool_try_submit(struct rota_pool *pool, const void *item)
	__attribute__((warn_unused_result));

/* Ends the pool, as a worker's error does. Cannot fail, never suspends; for whom
 * rota_group_cancel is. */
void rota_pool_cancel(struct rota_pool *pool, struct rota_cancellation cause);

/* How full its queue is, and who waits: with items that lie there and senders
 * that wait it wants more workers. Never suspends. As rota_pool_submit. */
struct rota_channel_state rota_pool_inspect(struct rota_pool *pool);

/* Nothing more is to come: waits until every item is worked off, joins the
 * workers, and closes the pool, which can be opened again. Returns the first
 * error of a worker; else what rota_group_wait does. Who waits to submit then
 * is not sent away; who comes later is, with -EPIPE, workers too.
 *
 * Suspends until the last worker is gone, also when cancelled: then nothing
 * more is begun, so that is as soon as each fn returns. The owner only. */
int rota_pool_close(struct rota_pool *pool);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
