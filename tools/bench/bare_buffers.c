// SPDX-License-Identifier: MIT
/*
 * Shared buffers, see bare_buffers.h. The helper of liburing that maps and
 * registers such a ring in one call is younger than 2.3.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bare_buffers.h"

#define PAGE 4096

static void *allocate(size_t bytes)
{
	return aligned_alloc(PAGE, (bytes + PAGE - 1) & ~(size_t)(PAGE - 1));
}

static int start(struct bare_buffers *buffers, struct io_uring *ring)
{
	struct io_uring_buf_reg registration = {
		.ring_addr = (uintptr_t)buffers->ring,
		.ring_entries = buffers->count,
		.bgid = BARE_BUFFERS_GROUP,
	};

	if (buffers->ring == NULL || buffers->memory == NULL)
		return -ENOMEM;
	io_uring_buf_ring_init(buffers->ring);
	return io_uring_register_buf_ring(ring, &registration, 0);
}

int bare_buffers_open(struct bare_buffers *buffers, struct io_uring *ring,
		      uint32_t count, uint32_t bytes)
{
	*buffers = (struct bare_buffers){
		.ring = allocate(count * sizeof(struct io_uring_buf)),
		.memory = allocate((size_t)count * bytes),
		.count = count,
		.bytes = bytes,
		.held = count,
	};
	const int result = start(buffers, ring);

	if (result < 0) {
		bare_buffers_close(buffers);
		return result;
	}
	for (uint32_t id = 0; id < count; id++)
		bare_buffers_give(buffers, (uint16_t)id);
	bare_buffers_publish(buffers);
	return 0;
}

void bare_buffers_close(struct bare_buffers *buffers)
{
	free(buffers->ring);
	free(buffers->memory);
	*buffers = (struct bare_buffers){ 0 };
}
