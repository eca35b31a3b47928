/* SPDX-License-Identifier: MIT */
/*
 * What has landed in shared buffers and waits to be sent: for each connection
 * a queue of views, in the order in which they landed. A queue is two numbers
 * in the connection's record, its links lie beside the buffers. A buffer goes
 * back as soon as all of its view is sent.
 */
#ifndef BENCH_LANDED_H
#define BENCH_LANDED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bare_buffers.h"

#define LANDED_NONE UINT16_MAX /* no buffer has this number */

/* Sends that can be described at once. */
#define LANDED_SENDS_MAX 128

struct landed_view {
	uint32_t bytes; /* that landed */
	uint32_t sent;  /* of them, so far */
	uint16_t next;  /* buffer of what landed after it, or LANDED_NONE */
};

struct landed_queue {
	uint16_t first; /* a buffer, or LANDED_NONE: the queue is empty */
	uint16_t last;  /* valid if there is a first one */
};

struct landed {
	struct bare_buffers *buffers;
	struct landed_view *views; /* by buffer */
	struct iovec *pieces;      /* of sends, as many as there are buffers */
	uint32_t pieces_used;      /* since they were last forgotten */
	uint32_t messages_used;    /* as well */
	struct msghdr messages[LANDED_SENDS_MAX];
};

/* 0 or -ENOMEM, and then nothing is there. */
int landed_open(struct landed *landed, struct bare_buffers *buffers);
void landed_close(struct landed *landed);

static inline bool landed_is_empty(const struct landed_queue *queue)
{
	return queue->first == LANDED_NONE;
}

/* What a completion brought, at least a byte, goes to the end of the queue. */
void landed_push(struct landed *landed, struct landed_queue *queue,
		 const struct io_uring_cqe *cqe);

/* The first so many bytes are sent; the queue has as many. */
void landed_consume(struct landed *landed, struct landed_queue *queue,
		    size_t bytes);

/* All that is in the queue. */
size_t landed_bytes(const struct landed *landed,
		    const struct landed_queue *queue);

/* Moves it to `data`, which has room; the queue is empty after it. */
void landed_move(struct landed *landed, struct landed_queue *queue,
		 unsigned char *data);

/*
 * Prepares a send of the first views of a queue that is not empty, of as many
 * as can be described; returns how many bytes that are. The description has
 * to stay until the send is submitted: then landed_forget.
 */
uint32_t landed_prepare_send(struct landed *landed,
			     const struct landed_queue *queue,
			     struct io_uring_sqe *entry, int fd);

/* All sends that were prepared are submitted. */
static inline void landed_forget(struct landed *landed)
{
	landed->pieces_used = 0;
	landed->messages_used = 0;
}

#endif
