/* SPDX-License-Identifier: MIT */
/*
 * A set of hashes that only grows: which states were met.
 */
#ifndef TEST_SUPPORT_MET_H
#define TEST_SUPPORT_MET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test_met {
	uint64_t *hashes; /* open addressing; 0: none */
	size_t room;      /* for so many, a power of two */
	size_t count;     /* that are in it */
};

void test_met_init(struct test_met *met);

void test_met_fini(struct test_met *met);

/* Adds one, which is not 0. False: it was in it. */
bool test_met_add(struct test_met *met, uint64_t hash);

#endif
