/* SPDX-License-Identifier: MIT */
/*
 * Connections that are mostly idle. Each is a member of a group, with limit,
 * cancel and drain as every member, but one that has neither a stack nor a
 * receive buffer while it has nothing to do: when something lands, in buffers
 * that all of them share, its function is called on a stack that is warm, and
 * returns.
 *
 * The wrong ways: a thread each, which is a stack each; a task each that waits
 * in a receive, with a page of stack and a buffer for hours of silence; or
 * callbacks, which forget what they were about at each wait. Here the function
 * may wait as it likes, for the reply to be sent, say: it is a task meanwhile.
 *
 * It greets some hundred connections that speak once and then are silent, tells
 * what one of them costs, and drains them.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECTIONS 400

struct connection {
	struct rota_stream stream; /* what lands; stays here */
	int fd;
	int peer; /* the other end, which is ours too in this example */
};

static int end(struct connection *connection, int result)
{
	rota_stream_close(&connection->stream);
	rota_close(connection->fd);
	return result;
}

/* Something has landed, or the connection is to end: -ESHUTDOWN, 0, ... */
static int greet(struct rota_stream *stream, void *arg)
{
	struct connection *connection = arg;
	struct rota_view name;
	char text[64];
	int n = rota_stream_view(stream, &name);

	if (n <= 0)
		return end(connection, n == -ESHUTDOWN ? 0 : n);
	n = snprintf(text, sizeof(text), "hello %.*s", n, name.data);
	n = rota_send_all(connection->fd, text, (size_t)n, NULL);
	return n < 0 ? end(connection, n) : 0; /* sleeps until more lands */
}

static int open_connection(struct rota_group *group,
			   struct connection *connection)
{
	int pair[2], error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	connection->fd = pair[0];
	connection->peer = pair[1];
	error = rota_receive_stream_open(&connection->stream, pair[0], NULL);
	if (error)
		return error;
	error = rota_stream_serve(group, &connection->stream, greet,
				  connection);
	if (error)
		end(connection, error);
	return error;
}

/* The other end of all of them. */
static int speak(const struct connection *connection)
{
	char text[64] = "";
	const int error =
		rota_send_all(connection->peer, "rota", strlen("rota"), NULL);

	if (error || rota_recv(connection->peer, text, sizeof(text) - 1, 0) < 0)
		return -EIO;
	return strcmp(text, "hello rota") ? -EPROTO : 0;
}

static int run(void *arg)
{
	struct connection *connections = arg;
	struct rota_group group;
	int error = 0, result;

	rota_group_open(&group, &(struct rota_group_options){
					.name = "connections",
					.mode = ROTA_GROUP_KEEP_GOING });
	for (int i = 0; i < CONNECTIONS && !error; i++)
		error = open_connection(&group, &connections[i]);
	for (int i = 0; i < CONNECTIONS && !error; i++)
		error = speak(&connections[i]);
	printf("%d connections were greeted and are silent\n", CONNECTIONS);
	printf("each: %zu bytes of ours, no stack, no buffer\n",
	       sizeof(struct connection));
	rota_group_drain(&group, ROTA_SECOND);
	result = rota_group_wait(&group);
	printf("all of them have ended: %d\n", result);
	for (int i = 0; i < CONNECTIONS; i++)
		if (connections[i].peer > 0)
			close(connections[i].peer);
	return error ? error : result;
}

int main(void)
{
	struct connection *connections =
		calloc(CONNECTIONS, sizeof(connections[0]));
	int result = -ENOMEM;

	if (connections)
		result = rota_run(NULL, run, connections);
	free(connections);
	if (result)
		fprintf(stderr, "%s\n", strerror(-result));
	return result < 0;
}
