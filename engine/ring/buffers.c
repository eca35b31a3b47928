/* SPDX-License-Identifier: MIT */
#include "ring/buffers.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>

#define PAGE_BYTES ((size_t)4096)
#define LINE_BYTES ((size_t)64)

/* Blocks there are for each one that is wanted at first, and at least: some
 * tens of streams may have 33 too many, which is how many the kernel hands
 * over in one go. */
#define BLOCKS_EACH 4
#define BLOCKS_MIN 128

static size_t whole(size_t bytes, size_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

static unsigned blocks_for(unsigned count)
{
	unsigned blocks = BLOCKS_MIN;

	while (blocks < count * BLOCKS_EACH)
		blocks *= 2;
	return blocks;
}

/* One mapping: the ring, which starts on a page, the table, the blocks. */
static int map(struct ri_buffers *buffers, const struct ri_kernel *kernel)
{
	const size_t ring =
		whole(buffers->max * sizeof(struct io_uring_buf), PAGE_BYTES);
	const size_t table =
		whole(buffers->max * sizeof(struct ri_buffer), PAGE_BYTES);
	void *start;
	int error;

	buffers->stride = whole(buffers->bytes, LINE_BYTES);
	if (buffers->stride / LINE_BYTES % 2 == 0)
		buffers->stride += LINE_BYTES;
	buffers->mapped_bytes = ring + table + buffers->max * buffers->stride;
	error = kernel->map(kernel, buffers->mapped_bytes, &start);
	if (error < 0)
		return error;
	buffers->ring = start;
	buffers->table = (struct ri_buffer *)(void *)((char *)start + ring);
	buffers->blocks = (char *)start + ring + table;
	return 0;
}

static int enroll(struct ri_buffers *buffers, const struct ri_ring *ring)
{
	struct io_uring_buf_reg request = {
		.ring_addr = (uintptr_t)buffers->ring,
		.ring_entries = buffers->max,
		.bgid = RI_BUFFER_GROUP,
	};

	return ring->kernel->enroll(ring->kernel, ring->uring.ring_fd,
				    IORING_REGISTER_PBUF_RING, &request, 1);
}

int ri_buffers_open(struct ri_buffers *buffers, const struct ri_ring *ring,
		    const struct ri_buffers_options *options)
{
	int error;

	memset(buffers, 0, sizeof(*buffers));
	buffers->count = options->count ? options->count : RI_BUFFERS_DEFAULT;
	buffers->due = buffers->count < RI_BUFFERS_FIRST ? buffers->count
							 : RI_BUFFERS_FIRST;
	buffers->wanted = buffers->due;
	buffers->bytes = options->bytes ? options->bytes
					: RI_BUFFER_BYTES_DEFAULT;
	buffers->max = blocks_for(buffers->count);
	buffers->spare = RI_BUFFER_NONE;
	error = map(buffers, ring->kernel);
	if (error < 0)
		goto out;
	error = enroll(buffers, ring);
	if (error < 0)
		goto out_unmap;
	ri_buffers_fill(buffers);
	return 0;
out_unmap:
	ring->kernel->unmap(ring->kernel, buffers->ring, buffers->mapped_bytes);
	buffers->ring = NULL;
out:
	ri_log(&ring->log,
	       "no memory for the %u buffers of streams (%s): their ring "
	       "counts as locked memory (RLIMIT_MEMLOCK, 'ulimit -l')",
	       buffers->count, strerror(-error));
	return error;
}

void ri_buffers_close(struct ri_buffers *buffers, const struct ri_ring *ring)
{
	struct io_uring_buf_reg request = { .bgid = RI_BUFFER_GROUP };

	if (!buffers->ring)
		return;
	ri_check(buffers->out == 0, "%u buffers are out", buffers->out);
	ring->kernel->enroll(ring->kernel, ring->uring.ring_fd,
			     IORING_UNREGISTER_PBUF_RING, &request, 1);
	ring->kernel->unmap(ring->kernel, buffers->ring, buffers->mapped_bytes);
	buffers->ring = NULL;
}

static void publish(struct ri_buffers *buffers, uint16_t id)
{
	struct io_uring_buf *slot =
		&buffers->ring->bufs[buffers->tail & (buffers->max - 1)];

	/* Field by field: the ring's tail is in the padding of the first. */
	slot->addr = (uintptr_t)ri_buffers_at(buffers, id);
	slot->len = buffers->bytes;
	slot->bid = id;
	buffers->tail++;
	/* pairs with the kernel's acquire: what it takes is filled in */
	__atomic_store_n(&buffers->ring->tail, buffers->tail, __ATOMIC_RELEASE);
	buffers->in_ring++;
}

void ri_buffers_fill(struct ri_buffers *buffers)
{
	while (buffers->in_ring + buffers->out < buffers->wanted) {
		uint16_t id = buffers->spare;

		if (id != RI_BUFFER_NONE)
			buffers->spare = buffers->table[id].next;
		else if (buffers->made < buffers->max)
			id = (uint16_t)buffers->made++;
		else
			return;
		publish(buffers, id);
	}
}

/* Few are left. */
static __attribute__((noinline)) void grow(struct ri_buffers *buffers)
{
	const unsigned left = buffers->count - buffers->due;
	const unsigned more = left < buffers->due ? left : buffers->due;

	buffers->due += more;
	buffers->wanted += more;
	ri_buffers_fill(buffers);
}

void ri_buffers_take(struct ri_buffers *buffers, uint16_t id, uint32_t length)
{
	struct ri_buffer *buffer = &buffers->table[id];

	ri_check(id < buffers->made, "buffer %u of %u", id, buffers->made);
	ri_check(buffers->in_ring > 0, "a buffer that is not in the ring");
	ri_check(length <= buffers->bytes, "%u bytes in a buffer of %u", length,
		 buffers->bytes);
	buffers->in_ring--;
	buffers->out++;
	buffer->length = length;
	buffer->next = RI_BUFFER_NONE;
	buffer->keeper = NULL;
	buffer->holder = NULL;
	if (buffers->in_ring < buffers->due / 4 &&
	    buffers->due < buffers->count)
		grow(buffers);
}

void ri_buffers_give(struct ri_buffers *buffers, uint16_t id)
{
	ri_assert(id < buffers->made, "buffer %u of %u", id, buffers->made);
	ri_check(buffers->out > 0, "a buffer that is not out");
	buffers->out--;
	if (buffers->in_ring + buffers->out < buffers->wanted) {
		publish(buffers, id);
		return;
	}
	buffers->table[id].next = buffers->spare;
	buffers->spare = id;
}
