/* SPDX-License-Identifier: MIT */
/*
 * What the director of a storm does in a round.
 */
#ifndef TEST_SUPPORT_STORM_ACT_H
#define TEST_SUPPORT_STORM_ACT_H

#include "support/storm.h"

/* A test_hold_fn whose context is the storm: sees every completion that the
 * kernel posts. */
bool storm_watch(void *context, const struct test_arrival *arrival);

/* Nothing is held back any more. */
void storm_release_all(struct storm *storm);

/* One step of the script, without its gap. */
void storm_act(struct storm *storm, const struct storm_step *step);

/* Gives a victim what it waits for. */
void storm_complete(struct lane *lane);

/* Puts the clock to where the next deadline of the victim has come, or its
 * last. */
void storm_advance(struct storm *storm, const struct lane *lane, bool last);

#endif
