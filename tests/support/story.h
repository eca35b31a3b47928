/* SPDX-License-Identifier: MIT */
/*
 * For tests that tell a whole story, under a clock of the test's
 * (support/timed.h): actors, whose names a trail keeps in the order in which
 * they ended.
 */
#ifndef TEST_SUPPORT_STORY_H
#define TEST_SUPPORT_STORY_H

#include "rota/rota.h"
#include "support/timed.h"
#include "support/trail.h"

#include <stdint.h>

/* A member that sleeps, notes its name, and ends: "name " if it slept through,
 * "name! " if it was cancelled, "name~ " if a deadline came, "name. " if it was
 * idle when its group drained. */
struct actor {
	struct test_trail *trail; /* where it notes */
	const char *name;         /* what */
	int64_t sleep_ns;
	int result;  /* what it returns when it slept through */
	int spoiled; /* and when it did not; 0: what the verb said */
};

/* For rota_go with a struct actor. */
int act(void *value);

/* The same in a shield, so that it sleeps through whatever comes: "name! " if
 * it was cancelled meanwhile. It returns its result in either case. */
int act_in_shield(void *value);

/* Notes a name and how a verb ended, as an actor does. */
void story_note(struct test_trail *trail, const char *name, int code);

#endif
