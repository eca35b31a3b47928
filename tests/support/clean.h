/* SPDX-License-Identifier: MIT */
/*
 * What has to be left of an engine when all but one of its tasks have ended:
 * nothing. By the task that is left, which has nothing open.
 */
#ifndef TEST_SUPPORT_CLEAN_H
#define TEST_SUPPORT_CLEAN_H

#include "support/referee.h"

/* Counts what the loop has of everything. */
void clean_expect(struct referee *referee);

/* Which descriptor would be opened next. */
int clean_lowest_descriptor(void);

/* How many of those below `end` somebody waits for. */
unsigned clean_descriptors_waited_for(unsigned end);

#endif
