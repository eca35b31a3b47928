/* SPDX-License-Identifier: MIT */
#include "support/buffers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

int test_buffers_set_up(void **state)
{
	static struct test_buffers test;
	const struct ri_ring_options options = { .entries = 4 };
	const struct ri_log log = { test_log_write, &test.said };

	memset(&test, 0, sizeof(test));
	test_kernel_init(&test.kernel);
	*state = &test;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, test.pair))
		return -1;
	return ri_ring_open(&test.ring, &test.kernel.table, &log, &options);
}

int test_buffers_tear_down(void **state)
{
	struct test_buffers *test = *state;

	test->buffers.out = 0; /* after a failure some may be */
	ri_buffers_close(&test->buffers, &test->ring);
	ri_ring_close(&test->ring);
	close(test->pair[0]);
	close(test->pair[1]);
	return (int)test_kernel_left(&test->kernel);
}

int test_buffers_open(struct test_buffers *test, unsigned count, unsigned bytes)
{
	return ri_buffers_open(&test->buffers, &test->ring,
			       &(struct ri_buffers_options){ .count = count,
							     .bytes = bytes });
}

/* How many lie on the pile. More than there are blocks: it goes in circles. */
static unsigned spares(const struct ri_buffers *buffers)
{
	unsigned count = 0;

	for (uint16_t id = buffers->spare;
	     id != RI_BUFFER_NONE && count <= buffers->max;
	     id = buffers->table[id].next)
		count++;
	return count;
}

void test_buffers_expect(const struct ri_buffers *buffers, unsigned in_ring,
			 unsigned out, unsigned spare)
{
	assert_int_equal(buffers->in_ring, in_ring);
	assert_int_equal(buffers->out, out);
	assert_int_equal(spares(buffers), spare);
	assert_int_equal(buffers->made, in_ring + out + spare);
}

int test_buffers_land(struct test_buffers *test, const void *data,
		      unsigned bytes)
{
	struct ri_ring *ring = &test->ring;
	struct io_uring_sqe *entry = ri_ring_entry(ring);
	struct io_uring_cqe cqe;
	int result;

	if (write(test->pair[1], data, bytes) != (ssize_t)bytes)
		return -errno;
	io_uring_prep_recv(entry, test->pair[0], NULL, bytes, 0);
	entry->flags |= IOSQE_BUFFER_SELECT;
	entry->buf_group = RI_BUFFER_GROUP;
	do
		result = ri_ring_enter(ring, true, INT64_MAX);
	while (!result && !ri_ring_landed(ring));
	if (result)
		return result;
	memcpy(&cqe, ri_ring_completion(ring, 0), sizeof(cqe));
	ri_ring_reaped(ring, 1);
	if (!(cqe.flags & IORING_CQE_F_BUFFER))
		return cqe.res < 0 ? cqe.res : -EPROTO;
	result = (int)(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
	ri_buffers_take(&test->buffers, (uint16_t)result, (uint32_t)cqe.res);
	return result;
}
