/* SPDX-License-Identifier: MIT */
/*
 * What a storm tells people.
 */
#ifndef TEST_SUPPORT_STORM_REPORT_H
#define TEST_SUPPORT_STORM_REPORT_H

#include "support/storm.h"

/* Prints the round that is played: what was broken, the script, how to play it
 * again. */
void storm_report(const void *storm);

/* Reports a victim (NULL: the director) that does not end, and aborts. */
__attribute__((noreturn)) void storm_hang(struct storm *storm,
					  struct lane *lane);

#endif
