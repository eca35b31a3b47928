/* SPDX-License-Identifier: MIT */
/*
 * What a verb may return, by what was done to it and what the kernel said.
 */
#ifndef TEST_SUPPORT_LANE_JUDGE_H
#define TEST_SUPPORT_LANE_JUDGE_H

#include "support/lane.h"

/* A law about this lane's victim. */
void lane_expect(struct lane *lane, const char *law, int64_t seen,
		 int64_t wanted);

/* The verb has returned: was that right? By its task, at once. */
void lane_judge(struct lane *lane);

#endif
