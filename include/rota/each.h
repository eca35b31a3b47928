/* SPDX-License-Identifier: MIT */
/*
 * A function for each item of an array, some at a time.
 *
 *	error = rota_for_each(&(struct rota_each){
 *			.items = urls, .count = 1000,
 *			.item_bytes = sizeof(urls[0]),
 *			.limit = 8, .fn = fetch }, NULL);
 *
 * There is no task an item: as many as may run at a time take the next item
 * each, in the order of the array, until none is left. The results are best
 * kept in the items.
 */
#ifndef ROTA_EACH_H
#define ROTA_EACH_H

#include "rota/scope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Zero means the default for each field. */
struct rota_each {
	void *items;       /* the first of them; may be NULL if there is none */
	size_t count;      /* how many */
	size_t item_bytes; /* of each, at least 1 */
	unsigned limit;    /* at a time; 0: all of them */
	/* What is done with each: a task, which may suspend. Returns >= 0, or
	 * -errno, which ends it all. */
	int (*fn)(void *item, void *arg);
	void *arg;           /* its second argument */
	const char *name;    /* for dumps; or NULL */
	int64_t deadline_ns; /* a point in time that ends it; 0: none */
	size_t stack_bytes;  /* of each task; 0: the engine's default */
	bool spread;         /* the tasks are dealt round to all loops */
};

/* Calls fn for each item, at most `limit` of them at a time, and returns when
 * all calls have: 0, or the first failure of one, or what a group comes to that
 * is cancelled or past its deadline (rota_group_wait). After that no more are
 * begun. `begun` (or NULL) gets how many were: those are the first ones of the
 * array, fn has returned for each, and the others were not touched.
 *
 * With fewer tasks left in the engine than the limit says it does with those,
 * and is only slower; -EAGAIN, -ENOMEM: there was not one. -EINVAL: no fn, an
 * item of 0 bytes. -ECANCELED, -ETIME, -ESHUTDOWN also at once.
 *
 * It is a scope of the caller, and never waits for anything but its own tasks:
 * one inside of another does not come into its way. Suspends. Tasks only; no
 * memory. */
int rota_for_each_at(const struct rota_each *each, size_t *begun,
		     const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_for_each(...)                                      \
	__extension__({                                         \
		static const struct rota_site rota_site_ =      \
			ROTA_SITE_("for each", sizeof(void *)); \
		rota_for_each_at(__VA_ARGS__, &rota_site_);     \
	})

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
