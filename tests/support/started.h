/* SPDX-License-Identifier: MIT */
/*
 * An engine beside the test's own thread, under watch from its start until it
 * is stopped or given up.
 */
#ifndef TEST_SUPPORT_STARTED_H
#define TEST_SUPPORT_STARTED_H

#include "cores/engine.h"
#include "rota/rota.h"
#include "support/watch.h"

struct test_started {
	struct rota_engine *engine;
	struct test_watch watch;
};

/* Config and kernel may be NULL; the kernel is then test_linux(). */
int test_start(struct test_started *started, const struct rota_config *config,
	       const struct ri_kernel *kernel);

int test_stop(struct test_started *started, int64_t grace_ns);
void test_abandon(struct test_started *started);

/* Submits a job that takes a pointer, to loop 0. */
#define test_submit(started, job, fn, pointer)                      \
	(*(job) = (struct rota_job){ .engine = (started)->engine }, \
	 rota_submit((job), fn, pointer))

#endif
