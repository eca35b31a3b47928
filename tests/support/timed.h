/* SPDX-License-Identifier: MIT */
/*
 * Running an engine under a clock of the test's (see support/kernel.h): it
 * stands while tasks run, and jumps to the next deadline when all wait. So
 * tests sleep for an hour at no cost, and know to the nanosecond what the time
 * is.
 */
#ifndef TEST_SUPPORT_TIMED_H
#define TEST_SUPPORT_TIMED_H

#include "rota/rota.h"
#include "support/kernel.h"

#include <stdint.h>

/* What the clock shows when the first task starts. */
#define TEST_START_NS (1000 * ROTA_SECOND)

/* test_run(fn, arg) under such a clock. Asserts that the engine gave everything
 * back. */
int test_run_timed(int (*fn)(void *), void *arg);

/* The same with a configuration, and in a kernel that is made afresh there: for
 * tasks that use it. Either may be NULL. */
int test_run_timed_with(const struct rota_config *config,
			struct test_kernel *kernel, int (*fn)(void *),
			void *arg);

/* The same, and asserts that fn returned 0, and that no descriptor is left. */
void test_run_timed_clean(const struct rota_config *config,
			  struct test_kernel *kernel, int (*fn)(void *),
			  void *arg);

/* In a task: what the clock shows, counted from the start. */
int64_t test_now_ns(void);

/* In a task: some whole turns of the loop. */
int test_settle(void);

#endif
