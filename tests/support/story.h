/* SPDX-License-Identifier: MIT */
/*
 * For tests that tell a whole story: an engine under a clock of the test's, and
 * actors, whose names a trail keeps in the order in which they ended.
 */
#ifndef TEST_SUPPORT_STORY_H
#define TEST_SUPPORT_STORY_H

#include "rota/rota.h"
#include "support/kernel.h"
#include "support/trail.h"

#include <stdint.h>

#define STORY_START_NS (1000 * ROTA_SECOND)

/* fn(arg) as the first task, under a clock that starts at STORY_START_NS.
 * Asserts that the engine gave everything back. */
int story_run(int (*fn)(void *), void *arg);

/* The same with a kernel whose clock is set already: for tasks that use it. */
int story_run_with(struct test_kernel *kernel, int (*fn)(void *), void *arg);

/* What the clock shows since the start. */
int64_t story_now_ns(void);

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

/* Notes a name and how a verb ended, as an actor does. */
void story_note(struct test_trail *trail, const char *name, int code);

#endif
