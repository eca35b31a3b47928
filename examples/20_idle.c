/* SPDX-License-Identifier: MIT */
/*
 * Connections that are mostly idle. Each is a member of a group, with limit,
 * cancel and drain as every member, but has neither a stack nor a receive buffer
 * while it has nothing to do: when something lands, in buffers that all of them
 * share, its function runs on a stack that is warm, and returns.
 *
 * The wrong ways: a thread each, which is a stack each; a task each that waits
 * in a receive, with a page of stack and a buffer for hours of silence; or
 * callbacks, which forget what they were about at each wait. Here the function
 * may wait as it likes, for the reply to be sent, say: it is a task meanwhile.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <string.h>

#define CONNECTIONS 400

struct connection {
	struct rota_stream stream; /* what lands; stays here */
	int ends[2]; /* its own; and its peer's, which is here too */
};

static struct connection connections[CONNECTIONS];

static int end(struct connection *connection, int result)
{
	rota_stream_close(&connection->stream);
	rota_close(connection->ends[0]);
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
	n = snprintf(text, sizeof(text), "hello %.*s", n < 40 ? n : 40,
		     name.data);
	n = rota_send_all(connection->ends[0], text, (size_t)n, NULL);
	return n < 0 ? end(connection, n) : 0; /* sleeps until more lands */
}

static int open_one(struct rota_group *group, struct connection *connection)
{
	struct rota_stream *stream = &connection->stream;
	int error;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, connection->ends) < 0)
		return -errno;
	error = rota_receive_stream_open(stream, connection->ends[0], NULL);
	if (error)
		return error;
	error = rota_stream_serve(group, stream, greet, connection);
	return error ? end(connection, error) : 0;
}

/* The other end of all of them. */
static int speak(int peer)
{
	char text[sizeof("hello rota")] = "";
	int error = rota_send_all(peer, "rota", strlen("rota"), NULL);

	if (!error)
		error = rota_recv_full(peer, text, strlen("hello rota"), NULL);
	return error ? error : strcmp(text, "hello rota") ? -EPROTO : 0;
}

static int run(void *arg)
{
	struct rota_group group;
	int error = 0, result;

	(void)arg;
	rota_group_open(&group, &(struct rota_group_options){
					.mode = ROTA_GROUP_KEEP_GOING });
	for (int i = 0; i < CONNECTIONS && !error; i++)
		error = open_one(&group, &connections[i]);
	for (int i = 0; i < CONNECTIONS && !error; i++)
		error = speak(connections[i].ends[1]);
	printf("%d were greeted and are silent; each: %zu bytes, no stack\n",
	       CONNECTIONS, sizeof(struct connection));
	rota_group_drain(&group, ROTA_SECOND);
	result = rota_group_wait(&group);
	for (int i = 0; i < CONNECTIONS && connections[i].ends[1]; i++)
		rota_close(connections[i].ends[1]);
	return error ? error : result;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
