// SPDX-License-Identifier: MIT
/*
 * An echo server on bare liburing: each connection has a buffer of its own
 * and one operation in flight, a receive or a send, one-shot. A turn is one
 * submit-and-wait, then all completions; what they ask for goes out with the
 * next turn. The ring is set up as rota's is, so that what differs is what
 * the engine adds.
 *
 * A connection's record and its buffer lie together, a cache line and then
 * the buffer, in slots of a slab: a small message touches one page, and the
 * odd stride keeps the buffers from all beginning in the same few sets of
 * the caches. A freed slot is used again first.
 *
 * Once a signal came, all connections are shut down, which completes what
 * they have in flight; slabs are freed when no connection is left, so the
 * kernel never writes to what was freed.
 *
 * Tried: linking the receive to the send saves an enter, 3% with one
 * connection and nothing with 50 or 1000. Straight-line code cannot know its
 * next receive before the send is done, so the base does not do it either.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bare_ring.h"
#include "serve_bare.h"

/* Taken in a turn: none asks for more than two entries, so all find room. */
#define COMPLETIONS_MAX (BARE_RING_ENTRIES / 2)

#define SLAB_SLOTS 64
#define CACHE_LINE 64

/* user_data of what is no connection; those are aligned addresses. */
enum {
	TAG_ACCEPT = 1,
	TAG_SIGNAL,
	TAG_REST,
	TAG_CANCEL
};

struct connection {
	_Alignas(CACHE_LINE) int fd; /* -1: the slot is free */
	uint32_t length;             /* received, to send; 0: receiving */
	uint32_t sent;               /* of them, so far */
	struct connection *next;     /* free slots only */
	_Alignas(CACHE_LINE) unsigned char buffer[];
};

struct slab {
	_Alignas(CACHE_LINE) struct slab *next; /* all that there are */
	_Alignas(CACHE_LINE) unsigned char slots[];
};

struct server {
	const struct serve_options *options;
	struct io_uring ring;
	size_t stride;           /* bytes from slot to slot */
	struct slab *slabs;      /* newest first */
	struct connection *free; /* last freed first */
	size_t live;             /* connections, each with an operation */
	bool stopping;           /* a signal came */
};

static struct connection *slot_at(const struct server *server,
				  struct slab *slab, size_t index)
{
	return (void *)(slab->slots + index * server->stride);
}

static void free_slot(struct server *server, struct connection *connection)
{
	connection->fd = -1;
	connection->next = server->free;
	server->free = connection;
}

static bool add_slab(struct server *server)
{
	struct slab *slab = aligned_alloc(
		CACHE_LINE, sizeof(*slab) + SLAB_SLOTS * server->stride);

	if (slab == NULL)
		return false;
	slab->next = server->slabs;
	server->slabs = slab;
	for (size_t index = SLAB_SLOTS; index-- > 0;)
		free_slot(server, slot_at(server, slab, index));
	return true;
}

/* The next entry to fill in; COMPLETIONS_MAX sees to it that there is one. */
static struct io_uring_sqe *next_entry(struct server *server)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&server->ring);

	if (entry == NULL)
		abort();
	return entry;
}

static void start_accept(struct server *server)
{
	struct io_uring_sqe *entry = next_entry(server);

	io_uring_prep_multishot_accept(entry, server->options->listener, NULL,
				       NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data64(entry, TAG_ACCEPT);
}

static void start_rest(struct server *server)
{
	static struct __kernel_timespec rest = {
		.tv_nsec = SERVE_REST_MS * 1000000,
	};
	struct io_uring_sqe *entry = next_entry(server);

	io_uring_prep_timeout(entry, &rest, 0, 0);
	io_uring_sqe_set_data64(entry, TAG_REST);
}

static void start_receive(struct server *server, struct connection *connection)
{
	struct io_uring_sqe *entry = next_entry(server);

	connection->length = 0;
	io_uring_prep_recv(entry, connection->fd, connection->buffer,
			   server->options->buffer_bytes, 0);
	io_uring_sqe_set_data(entry, connection);
}

/* MSG_WAITALL: the kernel itself goes on after a short send. */
static void start_send(struct server *server, struct connection *connection)
{
	struct io_uring_sqe *entry = next_entry(server);

	io_uring_prep_send(entry, connection->fd,
			   connection->buffer + connection->sent,
			   connection->length - connection->sent,
			   MSG_NOSIGNAL | MSG_WAITALL);
	io_uring_sqe_set_data(entry, connection);
}

static void open_connection(struct server *server, int fd)
{
	if (server->stopping || (server->free == NULL && !add_slab(server))) {
		close(fd);
		return;
	}
	struct connection *connection = server->free;

	server->free = connection->next;
	server->live++;
	connection->fd = fd;
	start_receive(server, connection);
}

static void close_connection(struct server *server,
			     struct connection *connection)
{
	close(connection->fd);
	free_slot(server, connection);
	server->live--;
}

static void on_accept(struct server *server, const struct io_uring_cqe *cqe)
{
	if (cqe->res >= 0)
		open_connection(server, cqe->res);
	if ((cqe->flags & IORING_CQE_F_MORE) || server->stopping)
		return;
	if (cqe->res < 0 && cqe->res != -ECONNABORTED)
		start_rest(server);
	else
		start_accept(server);
}

static void on_connection(struct server *server, struct connection *connection,
			  int result)
{
	if (result <= 0) {
		close_connection(server, connection);
	} else if (connection->length == 0) {
		connection->length = (uint32_t)result;
		connection->sent = 0;
		start_send(server, connection);
	} else {
		connection->sent += (uint32_t)result;
		if (connection->sent < connection->length)
			start_send(server, connection);
		else
			start_receive(server, connection);
	}
}

static void start_stop(struct server *server)
{
	struct io_uring_sqe *entry = next_entry(server);

	server->stopping = true;
	io_uring_prep_cancel64(entry, TAG_ACCEPT, 0);
	io_uring_sqe_set_data64(entry, TAG_CANCEL);
	for (struct slab *slab = server->slabs; slab; slab = slab->next)
		for (size_t index = 0; index < SLAB_SLOTS; index++)
			if (slot_at(server, slab, index)->fd >= 0)
				shutdown(slot_at(server, slab, index)->fd,
					 SHUT_RDWR);
}

static void dispatch(struct server *server, const struct io_uring_cqe *cqe)
{
	switch (cqe->user_data) {
	case TAG_ACCEPT:
		on_accept(server, cqe);
		break;
	case TAG_REST:
		if (!server->stopping)
			start_accept(server);
		break;
	case TAG_SIGNAL:
		start_stop(server);
		break;
	case TAG_CANCEL:
		break;
	default:
		on_connection(server, io_uring_cqe_get_data(cqe), cqe->res);
	}
}

static void reap(struct server *server)
{
	struct io_uring_cqe *cqe;
	unsigned int head;
	unsigned int count = 0;

	io_uring_for_each_cqe(&server->ring, head, cqe)
	{
		if (count == COMPLETIONS_MAX)
			break;
		dispatch(server, cqe);
		count++;
	}
	io_uring_cq_advance(&server->ring, count);
}

static int run(struct server *server)
{
	struct io_uring_sqe *entry = next_entry(server);

	io_uring_prep_poll_add(entry, server->options->signals, POLLIN);
	io_uring_sqe_set_data64(entry, TAG_SIGNAL);
	start_accept(server);
	while (!server->stopping || server->live > 0) {
		const int result = io_uring_submit_and_wait(&server->ring, 1);

		if (result < 0 && result != -EINTR && result != -EAGAIN &&
		    result != -EBUSY)
			return result;
		reap(server);
	}
	return 0;
}

/* After an error operations may be in flight: then their memory stays. */
static void release(struct server *server)
{
	io_uring_queue_exit(&server->ring);
	while (server->live == 0 && server->slabs != NULL) {
		struct slab *slab = server->slabs;

		server->slabs = slab->next;
		free(slab);
	}
}

int serve_uring(const struct serve_options *options)
{
	const size_t line = CACHE_LINE;
	struct server server = {
		.options = options,
		.stride = sizeof(struct connection) +
			  ((options->buffer_bytes + line - 1) & ~(line - 1)),
	};
	int result = bare_ring_open(&server.ring);

	if (result < 0)
		return result;
	options->announce(options->listener);
	result = run(&server);
	release(&server);
	return result;
}
