// SPDX-License-Identifier: MIT
/*
 * An echo server on bare liburing with multishot operations and shared
 * buffers: one accept for all connections, one receive for the life of each,
 * which takes a buffer out of one ring when something comes. What landed is
 * sent straight from there, and the buffer goes back after that. A turn is
 * one submit-and-wait, then all completions; what they ask for goes out with
 * the next turn. The ring is set up as rota's is.
 *
 * Once a signal came, all connections are shut down, which completes what
 * they have in flight, and the server ends with the last of them.
 *
 * Tried: direct descriptors, with 50 and 1000 connections of 64 and 1024
 * bytes between 0.98 and 1.02 of this.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "multishot.h"
#include "serve_bare.h"

static void start_accept(struct multishot *server, int listener)
{
	struct io_uring_sqe *entry = multishot_entry(server);

	io_uring_prep_multishot_accept(entry, listener, NULL, NULL,
				       SOCK_CLOEXEC);
	multishot_tag(entry, MULTISHOT_ACCEPT, listener);
}

static void start_rest(struct multishot *server, int listener)
{
	static struct __kernel_timespec rest = {
		.tv_nsec = SERVE_REST_MS * 1000000,
	};
	struct io_uring_sqe *entry = multishot_entry(server);

	io_uring_prep_timeout(entry, &rest, 0, 0);
	multishot_tag(entry, MULTISHOT_REST, listener);
}

static void on_accept(struct multishot *server, int listener,
		      const struct io_uring_cqe *cqe)
{
	if (cqe->res >= 0 && server->stopping)
		close(cqe->res);
	else if (cqe->res >= 0)
		multishot_open(server, cqe->res);
	if ((cqe->flags & IORING_CQE_F_MORE) || server->stopping)
		return;
	if (cqe->res < 0 && cqe->res != -ECONNABORTED)
		start_rest(server, listener);
	else
		start_accept(server, listener);
}

static void start_stop(struct multishot *server, int listener)
{
	server->stopping = true;
	multishot_cancel(server, MULTISHOT_ACCEPT, listener);
	for (size_t fd = 0; fd < server->room; fd++)
		if (server->connections[fd].open)
			shutdown((int)fd, SHUT_RDWR);
}

static void dispatch(struct multishot *server, const struct io_uring_cqe *cqe)
{
	const int fd = (int)(uint32_t)cqe->user_data;

	switch ((enum multishot_kind)(cqe->user_data >> 32)) {
	case MULTISHOT_ACCEPT:
		on_accept(server, fd, cqe);
		break;
	case MULTISHOT_SIGNAL:
		start_stop(server, fd);
		break;
	case MULTISHOT_REST:
		if (!server->stopping)
			start_accept(server, fd);
		break;
	case MULTISHOT_CANCEL:
		if (!server->stopping)
			multishot_on_cancel(server, fd, cqe->res);
		break;
	case MULTISHOT_RECEIVE:
		multishot_on_receive(server, fd, cqe);
		break;
	case MULTISHOT_SEND:
		multishot_on_send(server, fd, cqe->res);
		break;
	}
}

static void reap(struct multishot *server)
{
	struct io_uring_cqe *cqe;
	unsigned int head;
	unsigned int count = 0;

	io_uring_for_each_cqe(&server->ring, head, cqe)
	{
		if (count == MULTISHOT_COMPLETIONS_MAX)
			break;
		dispatch(server, cqe);
		count++;
	}
	io_uring_cq_advance(&server->ring, count);
}

static int submit(struct multishot *server)
{
	if (multishot_may_sleep(server))
		return io_uring_submit_and_wait(&server->ring, 1);
	return io_uring_submit_and_get_events(&server->ring);
}

static int run(struct multishot *server, const struct serve_options *options)
{
	struct io_uring_sqe *entry = multishot_entry(server);

	io_uring_prep_poll_add(entry, options->signals, POLLIN);
	multishot_tag(entry, MULTISHOT_SIGNAL, options->listener);
	start_accept(server, options->listener);
	while (!server->stopping || server->live > 0) {
		const int result = submit(server);

		if (result < 0 && result != -EINTR && result != -EAGAIN &&
		    result != -EBUSY)
			return result;
		reap(server);
		multishot_settle(server);
	}
	return 0;
}

/* After an error operations may be in flight: then their memory stays. */
static void release(struct multishot *server)
{
	io_uring_queue_exit(&server->ring);
	if (server->live > 0)
		return;
	free(server->connections);
	landed_close(&server->landed);
	bare_buffers_close(&server->buffers);
}

int serve_multishot(const struct serve_options *options)
{
	struct multishot server = { .starved_first = MULTISHOT_NOBODY };
	int result = bare_ring_open(&server.ring);

	if (result < 0)
		return result;
	result = bare_buffers_open(&server.buffers, &server.ring,
				   options->buffers,
				   (uint32_t)options->buffer_bytes);
	if (result == 0)
		result = landed_open(&server.landed, &server.buffers);
	if (result == 0) {
		options->announce(options->listener);
		result = run(&server, options);
	}
	release(&server);
	return result;
}
