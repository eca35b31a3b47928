// SPDX-License-Identifier: MIT
/* What has landed and waits to be sent, see landed.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "landed.h"

/* The kernel takes 1024 pieces; this many are a send of its usual size. */
#define PIECES_MAX 64

/* A send never waits, and a peer that is gone is an error, no signal. */
#define SEND_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT)

int landed_open(struct landed *landed, struct bare_buffers *buffers)
{
	*landed = (struct landed){
		.buffers = buffers,
		.views = calloc(buffers->count, sizeof(landed->views[0])),
		.pieces = calloc(buffers->count, sizeof(landed->pieces[0])),
	};
	if (landed->views != NULL && landed->pieces != NULL)
		return 0;
	landed_close(landed);
	return -ENOMEM;
}

void landed_close(struct landed *landed)
{
	free(landed->views);
	free(landed->pieces);
	landed->views = NULL;
	landed->pieces = NULL;
}

void landed_push(struct landed *landed, struct landed_queue *queue,
		 const struct io_uring_cqe *cqe)
{
	const uint16_t id = bare_buffers_take(landed->buffers, cqe);

	landed->views[id] = (struct landed_view){
		.bytes = (uint32_t)cqe->res,
		.next = LANDED_NONE,
	};
	if (landed_is_empty(queue))
		queue->first = id;
	else
		landed->views[queue->last].next = id;
	queue->last = id;
}

void landed_consume(struct landed *landed, struct landed_queue *queue,
		    size_t bytes)
{
	while (bytes > 0) {
		struct landed_view *view = &landed->views[queue->first];
		const size_t rest = view->bytes - view->sent;

		if (bytes < rest) {
			view->sent += (uint32_t)bytes;
			return;
		}
		bytes -= rest;
		bare_buffers_give(landed->buffers, queue->first);
		queue->first = view->next;
	}
}

static struct iovec piece_of(const struct landed *landed, uint16_t id)
{
	const struct landed_view *view = &landed->views[id];

	return (struct iovec){
		.iov_base = bare_buffers_at(landed->buffers, id) + view->sent,
		.iov_len = view->bytes - view->sent,
	};
}

size_t landed_bytes(const struct landed *landed,
		    const struct landed_queue *queue)
{
	size_t bytes = 0;

	for (uint16_t id = queue->first; id != LANDED_NONE;
	     id = landed->views[id].next)
		bytes += piece_of(landed, id).iov_len;
	return bytes;
}

void landed_move(struct landed *landed, struct landed_queue *queue,
		 unsigned char *data)
{
	while (!landed_is_empty(queue)) {
		const struct iovec piece = piece_of(landed, queue->first);

		memcpy(data, piece.iov_base, piece.iov_len);
		data += piece.iov_len;
		landed_consume(landed, queue, piece.iov_len);
	}
}

/* The pieces of the first views, and their bytes; fewer than two: no room. */
static struct msghdr gather(struct landed *landed,
			    const struct landed_queue *queue, uint32_t *bytes)
{
	const uint32_t room = landed->buffers->count - landed->pieces_used;
	const uint32_t most = room < PIECES_MAX ? room : PIECES_MAX;
	struct iovec *pieces = landed->pieces + landed->pieces_used;
	uint32_t count = 0;

	*bytes = 0;
	for (uint16_t id = queue->first; id != LANDED_NONE && count < most;
	     id = landed->views[id].next) {
		pieces[count] = piece_of(landed, id);
		*bytes += (uint32_t)pieces[count++].iov_len;
	}
	return (struct msghdr){ .msg_iov = pieces, .msg_iovlen = count };
}

static bool has_room(const struct landed *landed)
{
	return landed->messages_used < LANDED_SENDS_MAX &&
	       landed->pieces_used + 2 <= landed->buffers->count;
}

uint32_t landed_prepare_send(struct landed *landed,
			     const struct landed_queue *queue,
			     struct io_uring_sqe *entry, int fd)
{
	const struct iovec first = piece_of(landed, queue->first);
	uint32_t bytes = (uint32_t)first.iov_len;

	if (queue->first == queue->last || !has_room(landed)) {
		io_uring_prep_send(entry, fd, first.iov_base, first.iov_len,
				   SEND_FLAGS);
		return bytes;
	}
	struct msghdr *message = &landed->messages[landed->messages_used++];

	*message = gather(landed, queue, &bytes);
	landed->pieces_used += (uint32_t)message->msg_iovlen;
	io_uring_prep_sendmsg(entry, fd, message, SEND_FLAGS);
	return bytes;
}
