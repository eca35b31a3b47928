/* SPDX-License-Identifier: MIT */
/*
 * The buffers that streams share, by themselves: a ring, and a pair of sockets
 * through which the kernel takes them one at a time. On the test's own stack.
 */
#ifndef TEST_SUPPORT_BUFFERS_H
#define TEST_SUPPORT_BUFFERS_H

#include "ring/buffers.h"
#include "support/kernel.h"
#include "support/log.h"

struct test_buffers {
	struct test_kernel kernel;
	struct test_log said;
	struct ri_ring ring;
	struct ri_buffers buffers;
	int pair[2]; /* what is written to 1 lands from 0 */
};

/* For cmocka: *state is a ring whose buffers are not open; what is, is closed
 * after the test. */
int test_buffers_set_up(void **state);
int test_buffers_tear_down(void **state);

#define TEST_BUFFERS(name)                                         \
	cmocka_unit_test_setup_teardown(name, test_buffers_set_up, \
					test_buffers_tear_down)

/* Opens them: 0 or -errno. */
int test_buffers_open(struct test_buffers *test, unsigned count,
		      unsigned bytes);

/* The kernel receives this into the next one: which, or -errno. */
int test_buffers_land(struct test_buffers *test, const void *data,
		      unsigned bytes);

/* Asserts where blocks are, and that each is somewhere. */
void test_buffers_expect(const struct ri_buffers *buffers, unsigned in_ring,
			 unsigned out, unsigned spare);

#endif
