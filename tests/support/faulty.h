/* SPDX-License-Identifier: MIT */
/*
 * A kernel for engines of several loops: it forwards to Linux from any thread,
 * keeps count of what is open, and one call of a kind fails. (support/kernel.h
 * can do more, for one loop.)
 */
#ifndef TEST_SUPPORT_FAULTY_H
#define TEST_SUPPORT_FAULTY_H

#include "base/kernel.h"
#include "support/kernel.h"

#include <stdatomic.h>

struct test_faulty {
	struct ri_kernel table; /* first: what the engine is given */
	enum test_call call;    /* the kind that fails, or TEST_ANY_CALL */
	unsigned nth;           /* which of them, from 1 on; 0: none */
	int error;              /* what it returns: -errno */
	atomic_uint calls;      /* of that kind, so far */
	atomic_int rings, mappings, events, threads; /* open now */
};

/* No call fails. */
void test_faulty_init(struct test_faulty *faulty);

/* From here on the nth call of this kind does, and nothing but that. */
void test_faulty_set(struct test_faulty *faulty, enum test_call call,
		     unsigned nth, int error);

/* Has that call been made? */
bool test_faulty_failed(const struct test_faulty *faulty);

/* What is open. */
int test_faulty_left(const struct test_faulty *faulty);

#endif
