/* SPDX-License-Identifier: MIT */
/*
 * A stage for accept streams that do not go on: an engine under a clock of the
 * test's, a listener and its callers, one stream, and refusals that are hard to
 * get, put into the completions.
 */
#ifndef TEST_SUPPORT_ACCEPTS_H
#define TEST_SUPPORT_ACCEPTS_H

#include "rota/rota.h"
#include "support/callers.h"
#include "support/kernel.h"
#include "support/log.h"

#include <stdbool.h>
#include <stdint.h>

struct accepts {
	struct test_kernel kernel;
	struct test_log log;
	struct rota_group group;
	struct callers callers;
	struct rota_stream stream;
	int refusal;       /* what accepts say in place of their result */
	unsigned refusals; /* how many do */
	bool done;         /* the member has accepted its last one */
	int codes[8];      /* what the test notes */
	int64_t times_ns[4];
};

/* Runs fn under the clock, and asserts that no descriptor is left. */
void accepts_run(int (*fn)(void *), struct accepts *accepts);

/* In tasks. Opens the listener and the stream; closes both: 0 or -errno. */
int accepts_open(struct accepts *accepts);
int accepts_close(struct accepts *accepts);

/* Only the listener. 0 or -errno. */
int accepts_close_listener(struct accepts *accepts);

/* The next one that came; as callers_take. */
int accepts_take(struct accepts *accepts);

/* A member, whose value is the struct accepts *: takes until it is told
 * something, and once more. Both go to the codes. */
int accepts_until_told(void *value);

/* What accepts complete with is held from now on. */
void accepts_hold(struct accepts *accepts);

/* For `on_idle` of the kernel; the context is the struct accepts. Refuses what
 * is held instead of connections: those are closed, and the clients gone. */
void accepts_refuse_held(struct test_kernel *kernel, void *context);

#endif
