/* SPDX-License-Identifier: MIT */
/*
 * What tests of several loops share: running them, and keeping one of them busy
 * so that mail to it piles up in an order that the test decides on.
 */
#ifndef TEST_SUPPORT_LOOPS_H
#define TEST_SUPPORT_LOOPS_H

#include "support/run.h"

#include <sched.h>
#include <stdatomic.h>

#define TEST_LOOPS 3u

/* Runs fn(arg) on that many loops. */
static inline int test_run_loops(int (*fn)(void *), void *arg)
{
	const struct rota_config config = { .loops = TEST_LOOPS };

	return test_run_with(&config, NULL, fn, arg);
}

/* Until it is set; the loop of the caller does nothing else meanwhile. */
static inline void spin(atomic_bool *flag)
{
	while (!atomic_load(flag))
		sched_yield();
}

/* The same; other tasks of the loop run. */
static inline void await(atomic_bool *flag)
{
	while (!atomic_load(flag))
		if (rota_yield() < 0)
			sched_yield();
}

/* Lets the loop of the caller have some turns. */
static inline void pass(int64_t duration_ns)
{
	if (rota_sleep(duration_ns) < 0)
		sched_yield();
}

/* All loops have told how many tasks they have: each does so at the end of the
 * look in which it gives its first answer, and the second one is given
 * later. */
static inline int let_them_tell(void)
{
	struct rota_loop_stats stats;
	int error = 0;

	for (unsigned i = 0; i < 2 * rota_loops() && !error; i++)
		error = rota_loop_inspect(i % rota_loops(), &stats);
	return error;
}

/* A loop that delivers one mail until it is let go. */
struct hold {
	struct rota_message message;
	atomic_bool begun, let_go, over;
};

static inline void hold_arrived(struct rota_message *message)
{
	struct hold *hold = (struct hold *)(void *)message;

	atomic_store(&hold->begun, true);
	spin(&hold->let_go);
	atomic_store(&hold->over, true);
}

/* By a task of another loop: from here on that loop is busy. */
static inline void hold_begin(struct hold *hold, unsigned loop)
{
	*hold = (struct hold){ .message.fn = hold_arrived };
	rota_message_send(loop, &hold->message);
	spin(&hold->begun);
}

static inline void hold_end(struct hold *hold)
{
	atomic_store(&hold->let_go, true);
	spin(&hold->over);
}

#endif
