/* SPDX-License-Identifier: MIT */
/*
 * Deadlines by chance, but the same in each run: spread over a minute, so that
 * each one meets other neighbours in the engine's timer structure.
 */
#ifndef BENCH_DICE_H
#define BENCH_DICE_H

#include <stdint.h>

struct dice {
	int64_t from_ns; /* points in time are from here on */
	uint64_t state;  /* decides the next one */
};

/* The minute begins so long from now. */
struct dice dice_take(int64_t lead_ns, uint64_t seed);

/* The next point in time. */
int64_t dice_roll(struct dice *dice);

/* Begins and ends so many deadlines at such points, one after the other: how
 * many did not come. In a task. */
uint64_t dice_arm_and_leave(struct dice *dice, uint64_t ops);

#endif
