/* SPDX-License-Identifier: MIT */
/*
 * A pool whose items are numbered, and what became of each of them.
 */
#ifndef TEST_SUPPORT_POOLED_H
#define TEST_SUPPORT_POOLED_H

#include "rota/rota.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define POOLED_ITEMS 100 /* of each pool */

struct pooled {
	struct rota_pool pool;
	struct rota_pool_options options;
	int worked[POOLED_ITEMS];    /* how often each was worked on */
	int discarded[POOLED_ITEMS]; /* ... discarded */
	int refused[POOLED_ITEMS];   /* ... refused */
	unsigned at_work;            /* workers in fn */
	unsigned most;               /* ... at a time, at most */
	int failing;                 /* the item that fails; -1: none */
	int submitted;               /* what the last submit returned */
	int inner;                   /* what something inside came to */
	int result;                  /* of the pool */
	bool finished; /* a worker that was cancelled came to its end */
};

static inline int pooled_work(void *item, void *arg)
{
	struct pooled *seen = arg;
	const int index = *(int *)item;

	seen->worked[index]++;
	if (++seen->at_work > seen->most)
		seen->most = seen->at_work;
	rota_yield();
	seen->at_work--;
	return index == seen->failing ? -EIO : 0;
}

static inline void pooled_discard(void *item, void *arg)
{
	struct pooled *seen = arg;

	seen->discarded[*(int *)item]++;
}

static inline struct pooled pooled_make(unsigned workers, size_t capacity)
{
	return (struct pooled){
		.options = { .workers = workers,
			     .capacity = capacity,
			     .item_bytes = sizeof(int),
			     .fn = pooled_work,
			     .discard = pooled_discard },
		.failing = -1,
	};
}

static inline int pooled_open(struct pooled *seen)
{
	seen->options.arg = seen;
	return rota_pool_open(&seen->pool, &seen->options);
}

/* Until it is refused. */
static inline void pooled_submit_all(struct pooled *seen)
{
	for (int i = 0; i < POOLED_ITEMS; i++) {
		if (!seen->submitted)
			seen->submitted = rota_pool_submit(&seen->pool, &i);
		seen->refused[i] += seen->submitted != 0;
	}
}

static inline int pooled_play(void *arg)
{
	struct pooled *seen = arg;
	const int error = pooled_open(seen);

	if (error)
		return error;
	pooled_submit_all(seen);
	seen->result = rota_pool_close(&seen->pool);
	return 0;
}

static inline void pooled_assert_each_once(const struct pooled *seen)
{
	for (int i = 0; i < POOLED_ITEMS; i++)
		assert_int_equal(seen->worked[i] + seen->discarded[i] +
					 seen->refused[i],
				 1);
}

static inline int pooled_sum(const int counts[POOLED_ITEMS])
{
	int all = 0;

	for (int i = 0; i < POOLED_ITEMS; i++)
		all += counts[i];
	return all;
}

#endif
