/* SPDX-License-Identifier: MIT */
/*
 * rota-echo: sends back what it receives, one task a connection.
 *
 *	everything (group)               drained when it is to stop
 *	  stop_on_signals()              in the background
 *	  accept_all()
 *	    connections (group, limited) serve() for each connection
 *
 * At the first SIGINT or SIGTERM the outer group drains: whoever is idle ends
 * at once, and who is not has the grace to finish. Nothing that arrived before
 * the signal is lost: the connections that the kernel has accepted already are
 * taken before the listener is closed, and of each connection all is sent back
 * that it had sent. Those that are left after the grace, or at the second
 * signal, are named in the log and cancelled.
 */
#include "echo_options.h"

#include <rota/rota.h>

#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What one receive takes at most. Short messages are received into the small
 * buffer, which shares its page with the frames of the task: 1000 connections
 * that speak in short messages are 4 MB, and few cache misses. */
#define SMALL_BYTES 1280
#define LARGE_BYTES 16384

struct server {
	struct options options;
	struct rota_signals stop; /* what stops it */
	int listener;
	struct rota_group everything;
	struct rota_group connections;
};

struct connection {
	struct server *server;
	int fd;
	bool last_call; /* the server is to stop */
};

/* One that no stack remembers. */
struct record {
	struct connection connection;
	struct rota_stream stream;
};

/* The server is to stop: what the peer has sent by now is the last, and behind
 * it the next receive finds the end, without a wait. */
static bool is_last_call(struct connection *connection, int told)
{
	if (told != -ESHUTDOWN)
		return false;
	connection->last_call = true;
	rota_shutdown(connection->fd, SHUT_RD);
	return true;
}

/* A peer that goes on sending has its connection reset by the close, so first
 * it gets all that it is owed. */
static void hang_up(const struct connection *connection)
{
	int owed = 0;

	while (connection->last_call &&
	       !ioctl(connection->fd, SIOCOUTQ, &owed) && owed)
		if (rota_sleep(ROTA_MILLISECOND))
			break;
	rota_close(connection->fd);
}

/* Receives under the idle timeout, if there is one. */
static int receive_in_time(const struct connection *connection, char *buffer,
			   size_t bytes)
{
	const int64_t idle_ns = connection->server->options.idle_ns;
	struct rota_deadline deadline;
	int n;

	if (!idle_ns)
		return rota_recv(connection->fd, buffer, bytes, 0);
	rota_deadline_begin(&deadline, rota_after_ns(idle_ns));
	n = rota_recv(connection->fd, buffer, bytes, 0);
	rota_deadline_end(&deadline);
	return n;
}

/* Who waits for the next message is idle. */
static int receive(struct connection *connection, char *buffer, size_t bytes)
{
	struct rota_idle idle;
	int n;

	rota_idle_begin(&idle);
	n = receive_in_time(connection, buffer, bytes);
	rota_idle_end(&idle);
	if (is_last_call(connection, n))
		n = receive_in_time(connection, buffer, bytes);
	return n;
}

/* Sends all of it back. Under the idle timeout the peer has to take something
 * each time: one that never reads is silent too. */
static int reply(const struct connection *connection, const char *buffer,
		 size_t bytes)
{
	const int64_t idle_ns = connection->server->options.idle_ns;
	struct rota_deadline idle;
	bool expired;
	size_t done;
	int error;

	if (!idle_ns)
		return rota_send_all(connection->fd, buffer, bytes, NULL);
	do {
		rota_deadline_begin(&idle, rota_after_ns(idle_ns));
		error = rota_send_all(connection->fd, buffer, bytes, &done);
		expired = rota_deadline_end(&idle);
		buffer += done;
		bytes -= done;
	} while (error && expired && done);
	return error;
}

/* Receives once and sends it back. Returns how much; 0 at the end, or -errno. */
static int echo(struct connection *connection, char *buffer, size_t bytes)
{
	const int n = receive(connection, buffer, bytes);
	const int error = n <= 0 ? n : reply(connection, buffer, (size_t)n);

	return error ? error : n;
}

/* Two frames of their own, so that one that is not in use takes no page. */
static __attribute__((noinline)) int echo_small(struct connection *connection)
{
	char buffer[SMALL_BYTES];
	int n;

	do {
		n = echo(connection, buffer, sizeof(buffer));
	} while (n > 0 && n < SMALL_BYTES);
	return n;
}

static __attribute__((noinline)) int echo_large(struct connection *connection)
{
	char buffer[LARGE_BYTES];
	int n;

	do {
		n = echo(connection, buffer, sizeof(buffer));
	} while (n > SMALL_BYTES);
	return n;
}

static int serve(void *value)
{
	struct connection connection = *(struct connection *)value;
	int n;

	do {
		n = echo_small(&connection);
		if (n > 0) /* it filled the buffer: there is more */
			n = echo_large(&connection);
	} while (n > 0);
	hang_up(&connection);
	return n;
}

/* Waits for something to land, under the idle timeout, if there is one. */
static int view_in_time(const struct connection *connection,
			struct rota_stream *stream, struct rota_view *view)
{
	const int64_t idle_ns = connection->server->options.idle_ns;
	struct rota_deadline deadline;
	int n;

	if (!idle_ns)
		return rota_stream_view(stream, view);
	rota_deadline_begin(&deadline, rota_after_ns(idle_ns));
	n = rota_stream_view(stream, view);
	rota_deadline_end(&deadline);
	return n;
}

static int view(struct connection *connection, struct rota_stream *stream,
		struct rota_view *view)
{
	struct rota_idle idle;
	int n;

	rota_idle_begin(&idle);
	n = view_in_time(connection, stream, view);
	rota_idle_end(&idle);
	if (is_last_call(connection, n))
		n = view_in_time(connection, stream, view);
	return n;
}

static int serve_stream(void *value)
{
	struct connection connection = *(struct connection *)value;
	struct rota_stream stream;
	struct rota_view landed;
	int n = rota_receive_stream_open(&stream, connection.fd, NULL);

	if (n < 0) {
		rota_close(connection.fd);
		return n;
	}
	while ((n = view(&connection, &stream, &landed)) > 0)
		if ((n = reply(&connection, landed.data, landed.bytes)))
			break;
	rota_stream_close(&stream);
	hang_up(&connection);
	return n;
}

static int end(struct record *record, int result)
{
	rota_stream_close(&record->stream);
	hang_up(&record->connection);
	free(record);
	return result;
}

/* Something has landed, or the record's sleep is over. */
static int serve_landed(struct rota_stream *stream, void *arg)
{
	struct record *record = arg;
	struct rota_view landed;
	int n = rota_stream_view(stream, &landed);

	if (is_last_call(&record->connection, n))
		return 0; /* the rest lands, and the end */
	if (n > 0)
		n = reply(&record->connection, landed.data, landed.bytes);
	else
		return end(record, n);
	return n ? end(record, n) : 0;
}

static int serve_record(struct server *server, struct connection connection)
{
	const struct rota_stream_options options = {
		.idle_ns = server->options.idle_ns
	};
	struct record *record = malloc(sizeof(*record));
	int error;

	if (!record)
		return -ENOMEM;
	record->connection = connection;
	error = rota_receive_stream_open(&record->stream, connection.fd,
					 &options);
	if (error) {
		free(record);
		return error;
	}
	error = rota_stream_serve(&server->connections, &record->stream,
				  serve_landed, record);
	if (error) {
		rota_stream_close(&record->stream);
		free(record);
	}
	return error;
}

/* At the limit it waits: the backlog holds the others. */
static int hand_over(struct server *server, struct connection connection)
{
	switch (server->options.style) {
	case STYLE_STREAM:
		return rota_go(&server->connections, serve_stream, connection);
	case STYLE_SERVE:
		return serve_record(server, connection);
	default:
		return rota_go(&server->connections, serve, connection);
	}
}

/* What concerns only this connection is no reason to stop. */
static int take(struct server *server, int fd)
{
	const struct connection connection = { .server = server, .fd = fd };
	const int error = hand_over(server, connection);

	if (error)
		rota_close(fd);
	return error == -EAGAIN || error == -ENOMEM ? 0 : error;
}

static int accept_idly(int listener)
{
	struct rota_idle idle;
	int fd;

	rota_idle_begin(&idle);
	fd = rota_accept(listener);
	rota_idle_end(&idle);
	return fd;
}

/* Has the kernel accepted one that nobody has taken? Does not wait. */
static bool has_backlog(int listener)
{
	struct pollfd ready = { .fd = listener, .events = POLLIN };

	return poll(&ready, 1, 0) > 0;
}

/* Takes those that had come before: no more of them than a backlog holds, as
 * others may come as fast as these are served. */
static void take_backlog(struct server *server)
{
	for (int i = 0; i <= SOMAXCONN && has_backlog(server->listener); i++) {
		const int fd = rota_accept(server->listener);

		if (fd < 0 || take(server, fd))
			break;
	}
}

static int accept_all(void *value)
{
	struct server *server = *(struct server **)value;
	const struct rota_group_options options = {
		.name = "connections",
		.limit = server->options.connections_max,
		.mode = ROTA_GROUP_KEEP_GOING,
	};
	int fd, error = 0;

	rota_group_open(&server->connections, &options);
	while (!error && (fd = accept_idly(server->listener)) >= 0)
		error = take(server, fd);
	if (!error)
		error = fd;
	if (error == -ESHUTDOWN)
		take_backlog(server);
	rota_close(server->listener); /* who comes now is refused */
	rota_group_wait(&server->connections);
	return error;
}

/* The second one leaves no time. */
static int stop_on_signals(void *value)
{
	struct server *server = *(struct server **)value;
	int64_t grace_ns = server->options.grace_ns;
	int number;

	while ((number = rota_signals_wait(&server->stop, NULL)) > 0) {
		rota_group_drain(&server->everything, grace_ns);
		grace_ns = 0;
	}
	return number;
}

static int serve_until_stopped(struct server *server)
{
	int error, result;

	rota_group_open(&server->everything, NULL);
	error = rota_go_background(&server->everything, stop_on_signals,
				   server);
	if (!error)
		error = rota_go(&server->everything, accept_all, server);
	if (error) /* nobody else would */
		rota_close(server->listener);
	result = rota_group_wait(&server->everything);
	if (result == -ESHUTDOWN) /* some were left after the grace */
		result = 0;
	return error ? error : result;
}

static int listen_on(const struct options *options, char *name, size_t bytes)
{
	char path[128];

	snprintf(name, bytes, "%s:%u", options->address, options->port);
	if (!options->path)
		return rota_listen(options->address, options->port, NULL);
	snprintf(name, bytes, "unix:%s", options->path);
	/* One that is too long stays too long: rota_listen says so. */
	snprintf(path, sizeof(path), "unix:%s", options->path);
	return rota_listen(path, 0, NULL);
}

static void print_name(const struct server *server)
{
	struct rota_address address;
	char name[160];

	if (server->options.quiet ||
	    rota_local_address(server->listener, &address) ||
	    rota_address_print(&address, name, sizeof(name)) < 0)
		return;
	printf("rota-echo: listening on %s\n", name);
	fflush(stdout);
}

static int listen_and_serve(struct server *server)
{
	char name[160];
	int error;

	server->listener = listen_on(&server->options, name, sizeof(name));
	if (server->listener < 0) {
		fprintf(stderr, "rota-echo: cannot listen on %s: %s\n", name,
			strerror(-server->listener));
		return server->listener;
	}
	print_name(server);
	error = serve_until_stopped(server);
	if (error)
		fprintf(stderr, "rota-echo: cannot accept: %s\n",
			strerror(-error));
	if (server->options.path)
		unlink(server->options.path);
	return error;
}

static int run(void *arg)
{
	struct server *server = arg;
	int error = rota_signals_open(&server->stop, SIGINT, SIGTERM);

	if (error) {
		fprintf(stderr, "rota-echo: cannot wait for signals: %s\n",
			strerror(-error));
		return error;
	}
	error = listen_and_serve(server);
	rota_signals_close(&server->stop);
	return error;
}

int main(int argc, char **argv)
{
	struct server server = { .listener = -1 };
	struct rota_config config = { 0 };

	options_parse(&server.options, argc, argv);
	config.stream_buffers = server.options.buffers;
	return rota_run(&config, run, &server) < 0;
}
