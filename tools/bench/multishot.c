// SPDX-License-Identifier: MIT
/* What a connection does next, see multishot.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "multishot.h"

struct multishot_backlog {
	size_t bytes; /* in data */
	size_t sent;  /* of them, so far */
	unsigned char data[];
};

static uint64_t tag_of(enum multishot_kind kind, int fd)
{
	return (uint64_t)kind << 32 | (uint32_t)fd;
}

struct io_uring_sqe *multishot_entry(struct multishot *server)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&server->ring);

	if (entry == NULL)
		abort();
	return entry;
}

void multishot_tag(struct io_uring_sqe *entry, enum multishot_kind kind, int fd)
{
	io_uring_sqe_set_data64(entry, tag_of(kind, fd));
}

void multishot_cancel(struct multishot *server, enum multishot_kind kind,
		      int fd)
{
	struct io_uring_sqe *entry = multishot_entry(server);

	io_uring_prep_cancel64(entry, tag_of(kind, fd), 0);
	multishot_tag(entry, MULTISHOT_CANCEL, fd);
}

static void start_receive(struct multishot *server, int fd)
{
	struct io_uring_sqe *entry = multishot_entry(server);

	io_uring_prep_recv_multishot(entry, fd, NULL, 0, 0);
	entry->flags |= IOSQE_BUFFER_SELECT;
	entry->buf_group = BARE_BUFFERS_GROUP;
	multishot_tag(entry, MULTISHOT_RECEIVE, fd);
	server->connections[fd].armed = true;
}

static void start_send(struct multishot *server, int fd)
{
	struct multishot_connection *connection = &server->connections[fd];
	struct io_uring_sqe *entry = multishot_entry(server);

	connection->sending = landed_prepare_send(
		&server->landed, &connection->landed, entry, fd);
	multishot_tag(entry, MULTISHOT_SEND, fd);
}

/* MSG_WAITALL: the kernel itself goes on after a short send. */
static void start_backlog(struct multishot *server, int fd)
{
	struct multishot_connection *connection = &server->connections[fd];
	const struct multishot_backlog *backlog = connection->backlog;
	const size_t rest = backlog->bytes - backlog->sent;
	struct io_uring_sqe *entry = multishot_entry(server);

	io_uring_prep_send(entry, fd, backlog->data + backlog->sent, rest,
			   MSG_NOSIGNAL | MSG_WAITALL);
	multishot_tag(entry, MULTISHOT_SEND, fd);
	connection->sending = (uint32_t)rest;
}

static void drop_landed(struct multishot *server,
			struct multishot_connection *connection)
{
	struct landed_queue *queue = &connection->landed;

	landed_consume(&server->landed, queue,
		       landed_bytes(&server->landed, queue));
}

/* Nothing goes to it any more: its receive, if there is one, ends as well. */
static void break_connection(struct multishot *server, int fd)
{
	struct multishot_connection *connection = &server->connections[fd];

	connection->broken = true;
	drop_landed(server, connection);
	free(connection->backlog);
	connection->backlog = NULL;
	shutdown(fd, SHUT_RDWR);
}

/* What it did not take holds buffers no longer. */
static void keep_rest(struct multishot *server, int fd)
{
	struct multishot_connection *connection = &server->connections[fd];
	const size_t bytes = landed_bytes(&server->landed, &connection->landed);
	struct multishot_backlog *backlog = malloc(sizeof(*backlog) + bytes);

	if (backlog == NULL) {
		break_connection(server, fd);
		return;
	}
	*backlog = (struct multishot_backlog){ .bytes = bytes };
	landed_move(&server->landed, &connection->landed, backlog->data);
	connection->backlog = backlog;
}

static void close_connection(struct multishot *server, int fd)
{
	server->connections[fd].open = false;
	server->live--;
	close(fd);
}

/* Nothing is to be sent: more is received, unless that is over. */
static void settle_input(struct multishot *server, int fd)
{
	const struct multishot_connection *connection =
		&server->connections[fd];

	if (connection->armed || connection->starved)
		return;
	if (connection->ended || connection->broken)
		close_connection(server, fd);
	else
		start_receive(server, fd);
}

/* What a connection does next; one entry at most. */
static void settle(struct multishot *server, int fd)
{
	struct multishot_connection *connection = &server->connections[fd];

	if (!connection->open || connection->sending > 0)
		return;
	if (connection->blocked && !connection->armed &&
	    !landed_is_empty(&connection->landed))
		keep_rest(server, fd);
	if (connection->backlog != NULL)
		start_backlog(server, fd);
	else if (landed_is_empty(&connection->landed))
		settle_input(server, fd);
	else if (!connection->blocked)
		start_send(server, fd);
}

static void starve(struct multishot *server, int fd)
{
	struct multishot_connection *connection = &server->connections[fd];

	connection->starved = true;
	connection->next = MULTISHOT_NOBODY;
	if (server->starved_first == MULTISHOT_NOBODY)
		server->starved_first = fd;
	else
		server->connections[server->starved_last].next = fd;
	server->starved_last = fd;
}

/* As many as there are buffers: each may take one. */
static void feed_starved(struct multishot *server)
{
	const struct bare_buffers *buffers = &server->buffers;
	uint32_t left = io_uring_sq_space_left(&server->ring);

	if (left > buffers->count - buffers->held)
		left = buffers->count - buffers->held;
	while (left-- > 0 && server->starved_first != MULTISHOT_NOBODY) {
		const int fd = server->starved_first;

		server->starved_first = server->connections[fd].next;
		server->connections[fd].starved = false;
		settle(server, fd);
	}
}

void multishot_settle(struct multishot *server)
{
	/* Sends that were submitted are over, so are their descriptions. */
	if (io_uring_sq_ready(&server->ring) == 0)
		landed_forget(&server->landed);
	for (unsigned int index = 0; index < server->touched_count; index++) {
		const int fd = server->touched[index];

		server->connections[fd].touched = false;
		settle(server, fd);
	}
	server->touched_count = 0;
	feed_starved(server);
	bare_buffers_publish(&server->buffers);
}

bool multishot_may_sleep(const struct multishot *server)
{
	const struct bare_buffers *buffers = &server->buffers;

	return server->starved_first == MULTISHOT_NOBODY ||
	       buffers->held == buffers->count;
}

static void touch(struct multishot *server, int fd)
{
	struct multishot_connection *connection = &server->connections[fd];

	if (connection->touched)
		return;
	connection->touched = true;
	server->touched[server->touched_count++] = fd;
}

static bool table_reaches(struct multishot *server, int fd)
{
	const size_t needed = (size_t)fd + 1;

	if (needed <= server->room)
		return true;
	const size_t room = needed * 2;
	struct multishot_connection *grown =
		realloc(server->connections, room * sizeof(grown[0]));

	if (grown == NULL)
		return false;
	memset(grown + server->room, 0,
	       (room - server->room) * sizeof(grown[0]));
	server->connections = grown;
	server->room = room;
	return true;
}

void multishot_open(struct multishot *server, int fd)
{
	if (!table_reaches(server, fd)) {
		close(fd);
		return;
	}
	server->connections[fd] = (struct multishot_connection){
		.landed.first = LANDED_NONE,
		.open = true,
	};
	server->live++;
	touch(server, fd);
}

void multishot_on_receive(struct multishot *server, int fd,
			  const struct io_uring_cqe *cqe)
{
	struct multishot_connection *connection = &server->connections[fd];

	connection->armed = (cqe->flags & IORING_CQE_F_MORE) != 0;
	if (cqe->res > 0)
		landed_push(&server->landed, &connection->landed, cqe);
	else if (cqe->res == -ENOBUFS)
		starve(server, fd);
	else if (cqe->res != -ECANCELED && cqe->res != -EINTR)
		connection->ended = true;
	if (connection->broken)
		drop_landed(server, connection);
	touch(server, fd);
}

static void on_backlog(struct multishot *server, int fd, int result)
{
	struct multishot_connection *connection = &server->connections[fd];
	struct multishot_backlog *backlog = connection->backlog;

	if (result <= 0) {
		break_connection(server, fd);
		return;
	}
	backlog->sent += (size_t)result;
	if (backlog->sent < backlog->bytes)
		return;
	free(backlog);
	connection->backlog = NULL;
	connection->blocked = false;
}

/* A send out of the buffers is over; it has not waited. */
static void on_sent(struct multishot *server, int fd, uint32_t asked,
		    int result)
{
	struct multishot_connection *connection = &server->connections[fd];
	const bool none = result == -EAGAIN || result == -EINTR;

	if (result < 0 && !none) {
		break_connection(server, fd);
		return;
	}
	const uint32_t sent = none ? 0 : (uint32_t)result;

	landed_consume(&server->landed, &connection->landed, sent);
	connection->blocked = sent < asked;
	if (connection->blocked && connection->armed)
		multishot_cancel(server, MULTISHOT_RECEIVE, fd);
}

void multishot_on_send(struct multishot *server, int fd, int result)
{
	struct multishot_connection *connection = &server->connections[fd];
	const uint32_t asked = connection->sending;

	connection->sending = 0;
	if (connection->backlog != NULL)
		on_backlog(server, fd, result);
	else
		on_sent(server, fd, asked, result);
	touch(server, fd);
}

/* One that is armed, but was not found, was on its way: once more. */
void multishot_on_cancel(struct multishot *server, int fd, int result)
{
	const struct multishot_connection *connection =
		&server->connections[fd];

	if (result < 0 && connection->open && connection->blocked &&
	    connection->armed)
		multishot_cancel(server, MULTISHOT_RECEIVE, fd);
}
