/* SPDX-License-Identifier: MIT */
/*
 * A ring of buffers on bare liburing that receives of many connections share:
 * the kernel takes one when there is something to put into it, and whoever
 * has dealt with that gives it back. What is given back lies in the ring, but
 * the kernel sees it only once it is published, all of a turn at once.
 */
#ifndef BENCH_BARE_BUFFERS_H
#define BENCH_BARE_BUFFERS_H

#include <liburing.h>
#include <stdint.h>

#define BARE_BUFFERS_GROUP 0
#define BARE_BUFFERS_MOST 32768 /* the kernel's limit */

struct bare_buffers {
	struct io_uring_buf_ring *ring; /* what the kernel takes from */
	unsigned char *memory;          /* of all buffers, one after another */
	uint32_t count;                 /* of buffers, a power of two */
	uint32_t bytes;                 /* of each */
	uint32_t held;                  /* taken by us, not given back */
	uint32_t given;                 /* back, but not published */
};

/* `count` is a power of two: 0 or -errno, and then nothing is there. */
int bare_buffers_open(struct bare_buffers *buffers, struct io_uring *ring,
		      uint32_t count, uint32_t bytes);

/* Once the ring of operations is closed. */
void bare_buffers_close(struct bare_buffers *buffers);

static inline unsigned char *bare_buffers_at(const struct bare_buffers *buffers,
					     uint32_t id)
{
	return buffers->memory + (size_t)id * buffers->bytes;
}

/* The buffer that a completion brought; it is ours until it is given back. */
static inline uint16_t bare_buffers_take(struct bare_buffers *buffers,
					 const struct io_uring_cqe *cqe)
{
	buffers->held++;
	return (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
}

static inline void bare_buffers_give(struct bare_buffers *buffers, uint16_t id)
{
	io_uring_buf_ring_add(buffers->ring, bare_buffers_at(buffers, id),
			      buffers->bytes, id, (int)buffers->count - 1,
			      (int)buffers->given);
	buffers->given++;
	buffers->held--;
}

static inline void bare_buffers_publish(struct bare_buffers *buffers)
{
	io_uring_buf_ring_advance(buffers->ring, (int)buffers->given);
	buffers->given = 0;
}

#endif
