/* SPDX-License-Identifier: MIT */
/*
 * Who watches a round of a race (support/storm.h): throws its dice, keeps its
 * clock, and notes the first law that did not hold. What runs in tasks tells
 * it, the test's own stack asserts.
 */
#ifndef TEST_SUPPORT_REFEREE_H
#define TEST_SUPPORT_REFEREE_H

#include "support/random.h"

#include <stdbool.h>

struct referee {
	struct test_random random; /* this round's */
	int64_t *clock_ns;         /* the clock, if it is ours; else NULL */
	int64_t fired_ns;          /* all timers due by then have fired */
	unsigned turn;             /* the loop has had that many, at least */
	const char *broken;        /* the first law that did not hold */
	const char *whose;         /* of which victim; NULL: of the loop */
	int64_t seen, wanted;      /* its values */
};

/* Notes a law that does not hold, the first of a round only. */
static inline void referee_expect(struct referee *referee, const char *law,
				  int64_t seen, int64_t wanted)
{
	if (seen == wanted || referee->broken)
		return;
	referee->broken = law;
	referee->seen = seen;
	referee->wanted = wanted;
}

static inline unsigned referee_dice(struct referee *referee, unsigned end)
{
	return (unsigned)test_random_below(&referee->random, end);
}

#endif
