/* SPDX-License-Identifier: MIT */
/*
 * A group whose tasks shield themselves from its cancel: what they saw.
 */
#ifndef TEST_SUPPORT_SHIELDED_H
#define TEST_SUPPORT_SHIELDED_H

#include "support/kernel.h"

#include "rota/rota.h"

struct test_shielded {
	struct test_kernel kernel;
	struct rota_group group;
	int codes[6];
	bool over[3]; /* what ends said */
	int64_t times_ns[3];
	struct rota_cancellation causes[2];
};

/* What it is cancelled with. */
extern const struct rota_cancellation test_enough;

/* Runs fn(seen), which returns 0, on a small stack under the test's clock. */
void test_shielded_run(int (*fn)(void *), struct test_shielded *seen);

/* Cancels the group, whose owner runs. */
void test_shielded_cancel(struct test_shielded *seen);

#endif
