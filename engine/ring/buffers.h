/* SPDX-License-Identifier: MIT */
/*
 * The buffers that receive streams of a loop share: a ring that the kernel
 * takes from as data comes (io_uring_register(2), IORING_REGISTER_PBUF_RING),
 * and a block of memory behind each entry.
 *
 *	fresh -> ring -> out -> ring ...
 *	                  \---> spare -> ring ...
 *
 * `wanted` blocks are in circulation, in the ring or out. A stream may have as
 * many out as it is allowed; what it has beyond that (it takes a while until
 * the kernel stops) is lent: for each such block another one is put into
 * circulation. So a sender that nobody listens to never takes more than its
 * due from the others. Blocks are bounded; without a spare one they wait.
 *
 * The kernel takes them in turn, so as few are in circulation as will do: at
 * first RI_BUFFERS_FIRST, and twice as many whenever less than a quarter of them
 * is left in the ring, up to the count that users asked for. A server with few
 * busy connections stays in its caches.
 *
 * Blocks lie an odd number of cache lines apart: at the same offset of pages
 * all would begin in the same few sets of the caches.
 */
#ifndef RI_RING_BUFFERS_H
#define RI_RING_BUFFERS_H

#include "ring/ring.h"

#define RI_BUFFERS_DEFAULT 256u
#define RI_BUFFER_BYTES_DEFAULT 4096u
#define RI_BUFFERS_MAX 8192u
#define RI_BUFFER_BYTES_MAX (1u << 20)

/* How many are in circulation at first. */
#define RI_BUFFERS_FIRST 32u

/* No buffer. */
#define RI_BUFFER_NONE UINT16_MAX

/* The group that entries name: there is one a loop. */
#define RI_BUFFER_GROUP 0

/* What is known of a block while it is out. */
struct ri_buffer {
	const void *keeper; /* who keeps it, for the floor above; or NULL */
	void *holder;       /* ... and whom it counts against, or NULL */
	uint32_t length;    /* how much of it is filled */
	uint16_t next;      /* the one that landed after it */
};

struct ri_buffers {
	struct io_uring_buf_ring *ring; /* shared with the kernel; NULL: none */
	struct ri_buffer *table;        /* of all blocks */
	char *blocks;                   /* the first one */
	size_t stride;                  /* bytes from block to block */
	size_t mapped_bytes;            /* ring, table and blocks */
	uint32_t bytes;                 /* of a block */
	unsigned count;                 /* that users asked for, at most */
	unsigned due;                   /* ... so far */
	unsigned max;                   /* blocks; a power of two */
	unsigned made;                  /* of them, used so far */
	unsigned wanted;                /* to be in circulation: those that
					   are due, and those that are lent */
	unsigned in_ring;               /* for the kernel to take */
	unsigned out;                   /* taken and not given back */
	uint16_t spare;                 /* pile of the others, by `next` */
	uint16_t tail;                  /* of the ring */
};

struct ri_buffers_options {
	unsigned count; /* 0: RI_BUFFERS_DEFAULT */
	unsigned bytes; /* of each; 0: RI_BUFFER_BYTES_DEFAULT */
};

/* Maps and registers them. 0, or -errno, with a line in the log. */
int ri_buffers_open(struct ri_buffers *buffers, const struct ri_ring *ring,
		    const struct ri_buffers_options *options);

/* Gives them back. None may be out, and no operation may take from them. */
void ri_buffers_close(struct ri_buffers *buffers, const struct ri_ring *ring);

/* Puts blocks into the ring until as many are in circulation as are wanted, or
 * no more are to be had. */
void ri_buffers_fill(struct ri_buffers *buffers);

/* The kernel has taken this one, and filled it so far. */
void ri_buffers_take(struct ri_buffers *buffers, uint16_t id, uint32_t length);

/* It is free again. */
void ri_buffers_give(struct ri_buffers *buffers, uint16_t id);

/* Somebody has one more, or one less, than it is allowed. */
static inline void ri_buffers_lend(struct ri_buffers *buffers)
{
	buffers->wanted++;
	ri_buffers_fill(buffers);
}

static inline void ri_buffers_settle(struct ri_buffers *buffers)
{
	buffers->wanted--;
}

/* Where a block begins. */
static inline char *ri_buffers_at(const struct ri_buffers *buffers, uint16_t id)
{
	return buffers->blocks + id * buffers->stride;
}

#endif
