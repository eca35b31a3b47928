/* SPDX-License-Identifier: MIT */
/*
 * What a storm tells people, and what they tell it by the environment.
 */
#ifndef TEST_SUPPORT_STORM_REPORT_H
#define TEST_SUPPORT_STORM_REPORT_H

#include "support/storm.h"

/* The seed of one round. */
uint64_t storm_round_seed(const struct storm *storm, unsigned round);

/* Is this class to be played? Narrows the storm to ROTA_ROUND. */
bool storm_chosen(struct storm *storm, const struct victim_class *class);

/* Prints the round that is played: what was broken, the script, how to play it
 * again. */
void storm_report(const struct storm *storm);

/* The same when the program aborts, or a sanitizer ends it. */
void storm_report_on_abort(const struct storm *storm);

/* Reports a victim (NULL: the director) that does not end, and aborts. */
__attribute__((noreturn)) void storm_hang(struct storm *storm,
					  struct lane *lane);

#endif
