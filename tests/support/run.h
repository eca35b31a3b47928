/* SPDX-License-Identifier: MIT */
/*
 * Running an engine inside a test, so that a hang is a failure that tells what
 * hung.
 *
 * cmocka's asserts jump to the test's own stack, and a task's is another one:
 * tasks RECORD what they saw (in a struct that `arg` points to, or by what
 * they return), and the test asserts after the run.
 */
#ifndef TEST_SUPPORT_RUN_H
#define TEST_SUPPORT_RUN_H

#include "base/kernel.h"
#include "rota/rota.h"
#include "support/watch.h"

/* rota_run(NULL, fn, arg) under a deadline of real time: 30 s, or what
 * ROTA_TEST_SECONDS says (support/watch.h). */
int test_run(int (*fn)(void *), void *arg);

/* The same with a configuration and a kernel; either may be NULL. The kernel is
 * then test_linux(). */
int test_run_with(const struct rota_config *config,
		  const struct ri_kernel *kernel, int (*fn)(void *), void *arg);

/* Linux, with patience: locked memory of rings that were closed comes back a
 * moment later, and tests of an ordinary user soon have had all of it. */
const struct ri_kernel *test_linux(void);

/* Prints why on one line and leaves the test as skipped. On the test's own
 * stack only. */
__attribute__((noreturn)) void test_skip(const char *why);

#endif
