// SPDX-License-Identifier: MIT
/*
 * An echo server on bare epoll: level-triggered, one buffer for all, what
 * was read is written straight back. A connection costs no memory here until
 * a write falls short: then the rest is copied into its backlog, and until
 * that is gone only EPOLLOUT is asked for, so a client that does not read is
 * not read from.
 *
 * Tried: edge-triggered events save 3% with one connection and nothing with
 * 50 or 1000.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"
#include "serve_bare.h"

#define EVENTS_MAX 256

/* Connections accepted before the others are looked at again. */
#define ACCEPTS_MAX 64

/* What a connection still has to get; there while a write is short only. */
struct backlog {
	size_t bytes;         /* in data */
	size_t sent;          /* of them, so far */
	unsigned char data[]; /* at most one buffer */
};

struct server {
	const struct serve_options *options;
	int epoll;
	uint64_t rest_until_ns;    /* 0, or the listener is not watched */
	unsigned char *buffer;     /* one for all connections */
	struct backlog **backlogs; /* by descriptor, mostly NULL */
	size_t backlogs_count;     /* room in backlogs */
};

static int watch(const struct server *server, int operation, int fd,
		 uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(server->epoll, operation, fd, &event) < 0 ? -errno : 0;
}

static void close_connection(struct server *server, int fd)
{
	free(server->backlogs[fd]);
	server->backlogs[fd] = NULL;
	close(fd); /* which takes it out of epoll, too */
}

/* The socket took only part of a buffer: keep the rest, wait for room. */
static void keep_rest(struct server *server, int fd, const void *data,
		      size_t bytes)
{
	struct backlog *backlog = malloc(sizeof(*backlog) + bytes);

	if (backlog == NULL || watch(server, EPOLL_CTL_MOD, fd, EPOLLOUT) < 0) {
		free(backlog);
		close_connection(server, fd);
		return;
	}
	*backlog = (struct backlog){ .bytes = bytes };
	memcpy(backlog->data, data, bytes);
	server->backlogs[fd] = backlog;
}

static void echo(struct server *server, int fd)
{
	const ssize_t received =
		recv(fd, server->buffer, server->options->buffer_bytes, 0);

	if (received <= 0) {
		if (received == 0 || (errno != EAGAIN && errno != EINTR))
			close_connection(server, fd);
		return;
	}
	ssize_t sent = send(fd, server->buffer, (size_t)received, MSG_NOSIGNAL);

	if (sent == received)
		return;
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		close_connection(server, fd);
		return;
	}
	sent = sent < 0 ? 0 : sent;
	keep_rest(server, fd, server->buffer + sent, (size_t)(received - sent));
}

static void flush(struct server *server, int fd)
{
	struct backlog *backlog = server->backlogs[fd];
	const ssize_t sent = send(fd, backlog->data + backlog->sent,
				  backlog->bytes - backlog->sent, MSG_NOSIGNAL);

	if (sent < 0) {
		if (errno != EAGAIN && errno != EINTR)
			close_connection(server, fd);
		return;
	}
	backlog->sent += (size_t)sent;
	if (backlog->sent < backlog->bytes)
		return;
	free(backlog);
	server->backlogs[fd] = NULL;
	if (watch(server, EPOLL_CTL_MOD, fd, EPOLLIN) < 0)
		close_connection(server, fd);
}

static bool backlogs_reach(struct server *server, int fd)
{
	const size_t needed = (size_t)fd + 1;

	if (needed <= server->backlogs_count)
		return true;
	const size_t count = needed * 2;
	struct backlog **grown =
		realloc(server->backlogs, count * sizeof(grown[0]));

	if (grown == NULL)
		return false;
	memset(grown + server->backlogs_count, 0,
	       (count - server->backlogs_count) * sizeof(grown[0]));
	server->backlogs = grown;
	server->backlogs_count = count;
	return true;
}

/* Level-triggered, an untaken connection would wake every turn for nothing. */
static void accept_rest(struct server *server)
{
	server->rest_until_ns = host_now_ns() + SERVE_REST_MS * 1000000u;
	watch(server, EPOLL_CTL_MOD, server->options->listener, 0);
}

static void accept_resume(struct server *server)
{
	server->rest_until_ns = 0;
	watch(server, EPOLL_CTL_MOD, server->options->listener, EPOLLIN);
}

static void accept_some(struct server *server)
{
	for (int count = 0; count < ACCEPTS_MAX; count++) {
		const int fd = accept4(server->options->listener, NULL, NULL,
				       SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && errno == ECONNABORTED)
			continue;
		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR)
				accept_rest(server);
			return;
		}
		if (!backlogs_reach(server, fd) ||
		    watch(server, EPOLL_CTL_ADD, fd, EPOLLIN) < 0)
			close(fd);
	}
}

/* One event; false once a signal came. */
static bool dispatch(struct server *server, const struct epoll_event *event)
{
	const int fd = event->data.fd;

	if (fd == server->options->signals)
		return false;
	if (fd == server->options->listener)
		accept_some(server);
	else if (server->backlogs[fd] != NULL)
		flush(server, fd);
	else
		echo(server, fd);
	return true;
}

static int run(struct server *server)
{
	struct epoll_event events[EVENTS_MAX];

	for (;;) {
		const bool resting = server->rest_until_ns != 0;
		const int count = epoll_wait(server->epoll, events, EVENTS_MAX,
					     resting ? SERVE_REST_MS : -1);

		if (count < 0 && errno != EINTR)
			return -errno;
		for (int index = 0; index < count; index++)
			if (!dispatch(server, &events[index]))
				return 0;
		if (resting && host_now_ns() >= server->rest_until_ns)
			accept_resume(server);
	}
}

/* Descriptors end with the process; the backlogs are what is ours. */
static void release(struct server *server)
{
	for (size_t fd = 0; fd < server->backlogs_count; fd++)
		free(server->backlogs[fd]);
	free(server->backlogs);
	free(server->buffer);
	if (server->epoll >= 0)
		close(server->epoll);
}

int serve_epoll(const struct serve_options *options)
{
	struct server server = {
		.options = options,
		.epoll = epoll_create1(EPOLL_CLOEXEC),
		.buffer = aligned_alloc(64, (options->buffer_bytes + 63) &
						    ~(size_t)63),
	};
	int result = server.epoll < 0 ? -errno : 0;

	if (server.buffer == NULL)
		result = -ENOMEM;
	if (result == 0)
		result = watch(&server, EPOLL_CTL_ADD, options->signals,
			       EPOLLIN);
	if (result == 0)
		result = watch(&server, EPOLL_CTL_ADD, options->listener,
			       EPOLLIN);
	if (result == 0 && fcntl(options->listener, F_SETFL, O_NONBLOCK) < 0)
		result = -errno;
	if (result == 0) {
		options->announce(options->listener);
		result = run(&server);
	}
	release(&server);
	return result;
}
