/* SPDX-License-Identifier: MIT */
/*
 * Waits for tickers, under a clock of the test's, noted down: what each one
 * said, when, and how many ticks were missed. Times are counted from the start.
 */
#ifndef TEST_SUPPORT_TICKS_H
#define TEST_SUPPORT_TICKS_H

#include "rota/rota.h"
#include "support/kernel.h"

#include <stdbool.h>
#include <stdint.h>

#define TICKS_MAX 8

struct ticks {
	struct test_kernel kernel;
	struct rota_group group;
	unsigned count;              /* of what follows */
	int codes[TICKS_MAX];        /* of each wait */
	uint64_t missed[TICKS_MAX];  /* by it */
	int64_t times_ns[TICKS_MAX]; /* after it */
	bool ended;                  /* what the end of a deadline said */
};

/* Runs fn under the clock, and asserts that it returned 0. */
void ticks_run(int (*fn)(void *), struct ticks *ticks);

/* In a task: one wait, noted down. The engine is not asked for the time: it
 * knows that it is late when it looks itself. */
int ticks_note(struct ticks *ticks, struct rota_ticker *ticker);

/* The i-th wait was for a tick that came at this time, with so many missed. */
void ticks_assert(const struct ticks *ticks, unsigned i, int64_t time_ns,
		  uint64_t missed);

/* The i-th wait ended with this code, and missed nothing by it. */
void ticks_assert_end(const struct ticks *ticks, unsigned i, int code,
		      int64_t time_ns);

#endif
