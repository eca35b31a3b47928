/* SPDX-License-Identifier: MIT */
/*
 * What has to be left after a round of a storm: nothing. By the director.
 */
#ifndef TEST_SUPPORT_STORM_CHECK_H
#define TEST_SUPPORT_STORM_CHECK_H

#include "support/storm.h"

/* Only the director is left, and has nothing open. */
void storm_check_loop(struct storm *storm);

/* As many descriptors are open as before. Opens those again that the round has
 * closed. */
void storm_check_descriptors(struct storm *storm);

#endif
