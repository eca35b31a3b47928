/* SPDX-License-Identifier: MIT */
/*
 * rota-echo: sends back what it receives, one task a connection.
 *
 *	everything (group)               drained when it is to stop
 *	  stop_on_signals()              in the background
 *	  accept_all()                   on each loop, or on the first only
 *	    connections (group, limited) serve() for each connection, on the same
 *	                                 loop, or on the one with the fewest
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
	struct rota_group everything;
	struct lane *lanes; /* one for each loop that accepts */
	unsigned count;     /* how many */
};

/* A listener, and who came by it. */
struct lane {
	const struct options *options;
	int listener;
	struct rota_group connections;
};

struct connection {
	struct lane *lane;
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

static bool is_ready(int fd, short event)
{
	struct pollfd ready = { .fd = fd, .events = event };

	return poll(&ready, 1, 0) > 0 && ready.revents & event;
}

/* A peer that goes on sending has its connection reset by the close, so first
 * it gets all that it is owed. (What is owed to a peer that has reset it, and is
 * gone, stays so for ever.) */
static void hang_up(const struct connection *connection)
{
	const int fd = connection->fd;
	int owed = 0;

	while (connection->last_call && !is_ready(fd, POLLHUP) &&
	       !ioctl(fd, SIOCOUTQ, &owed) && owed)
		if (rota_sleep(ROTA_MILLISECOND))
			break;
	rota_close(fd);
}

/* Receives under the idle timeout, if there is one. */
static int receive_in_time(const struct connection *connection, char *buffer,
			   size_t bytes)
{
	const int64_t idle_ns = connection->lane->options->idle_ns;
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
	const int64_t idle_ns = connection->lane->options->idle_ns;
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
	const int64_t idle_ns = connection->lane->options->idle_ns;
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

static int serve_record(struct lane *lane, struct connection connection)
{
	const struct rota_stream_options options = {
		.idle_ns = lane->options->idle_ns
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
	error = rota_stream_serve(&lane->connections, &record->stream,
				  serve_landed, record);
	if (error) {
		rota_stream_close(&record->stream);
		free(record);
	}
	return error;
}

/* At the limit it waits: the backlog holds the others. */
static int hand_over(struct lane *lane, struct connection connection)
{
	const unsigned loop = lane->options->accept == ACCEPT_LEAST
				      ? ROTA_LOOP_LEAST
				      : rota_loop();

	switch (lane->options->style) {
	case STYLE_STREAM:
		return rota_go_on(&lane->connections, loop, serve_stream,
				  connection);
	case STYLE_SERVE:
		return serve_record(lane, connection);
	default:
		return rota_go_on(&lane->connections, loop, serve, connection);
	}
}

/* What concerns only this connection is no reason to stop. */
static int take(struct lane *lane, int fd)
{
	const struct connection connection = { .lane = lane, .fd = fd };
	const int error = hand_over(lane, connection);

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

/* Takes those that had come before: no more of them than a backlog holds, as
 * others may come as fast as these are served. */
static void take_backlog(struct lane *lane)
{
	for (int i = 0; i <= SOMAXCONN && is_ready(lane->listener, POLLIN);
	     i++) {
		const int fd = rota_accept(lane->listener);

		if (fd < 0 || take(lane, fd))
			break;
	}
}

static int accept_all(void *value)
{
	struct lane *lane = *(struct lane **)value;
	const struct rota_group_options options = {
		.name = "connections",
		.limit = lane->options->connections_max,
		.mode = ROTA_GROUP_KEEP_GOING,
	};
	int fd, error = 0;

	rota_group_open(&lane->connections, &options);
	while (!error && (fd = accept_idly(lane->listener)) >= 0)
		error = take(lane, fd);
	if (!error)
		error = fd;
	if (error == -ESHUTDOWN)
		take_backlog(lane);
	else
		rota_group_drain(&lane->connections, lane->options->grace_ns);
	rota_close(lane->listener); /* who comes now is refused */
	rota_group_wait(&lane->connections);
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

/* On each loop that accepts. Where one could not begin its listener is still
 * open. */
static int start_lanes(struct server *server)
{
	int error = 0;

	for (unsigned i = 0; i < server->count; i++) {
		if (!error)
			error = rota_go_on(&server->everything, i, accept_all,
					   &server->lanes[i]);
		if (error)
			rota_close(server->lanes[i].listener);
	}
	return error;
}

static int serve_until_stopped(struct server *server)
{
	int error, failed, result;

	rota_group_open(&server->everything, NULL);
	error = rota_go_background(&server->everything, stop_on_signals,
				   server);
	failed = start_lanes(server);
	result = rota_group_wait(&server->everything);
	if (result == -ESHUTDOWN) /* some were left after the grace */
		result = 0;
	return error ? error : failed ? failed : result;
}

static int listen_on(const struct options *options, uint16_t port, char *name,
		     size_t bytes)
{
	const struct rota_listen_options shared = {
		.reuse_port = options->accept == ACCEPT_EACH
	};
	char path[128];

	snprintf(name, bytes, "%s:%u", options->address, port);
	if (!options->path)
		return rota_listen(options->address, port, &shared);
	snprintf(name, bytes, "unix:%s", options->path);
	/* One that is too long stays too long: rota_listen says so. */
	snprintf(path, sizeof(path), "unix:%s", options->path);
	return rota_listen(path, 0, NULL);
}

/* The one that the kernel took, if none was asked for. */
static uint16_t port_of(int listener)
{
	struct rota_address address;

	if (rota_local_address(listener, &address))
		return 0;
	return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port
						       : address.v4.sin_port);
}

/* All on one port. Returns 0, or -errno with a line on stderr. */
static int listen_all(struct server *server)
{
	uint16_t port = server->options.port;
	char name[160];

	for (unsigned i = 0; i < server->count; i++) {
		struct lane *lane = &server->lanes[i];

		lane->options = &server->options;
		lane->listener =
			listen_on(&server->options, port, name, sizeof(name));
		if (lane->listener < 0) {
			const int error = lane->listener;

			fprintf(stderr, "rota-echo: cannot listen on %s: %s\n",
				name, strerror(-error));
			while (i)
				rota_close(server->lanes[--i].listener);
			return error;
		}
		port = port_of(lane->listener);
	}
	return 0;
}

static void print_name(const struct server *server)
{
	struct rota_address address;
	char name[160];

	if (server->options.quiet ||
	    rota_local_address(server->lanes[0].listener, &address) ||
	    rota_address_print(&address, name, sizeof(name)) < 0)
		return;
	printf("rota-echo: listening on %s\n", name);
	fflush(stdout);
}

/* How the work was shared. */
static void print_counters(const struct server *server)
{
	struct rota_loop_stats stats;

	for (unsigned i = 0; server->options.counters && i < rota_loops(); i++)
		if (!rota_loop_inspect(i, &stats))
			printf("rota-echo: loop %u: tasks %llu, from other "
			       "loops %llu, enters %llu\n",
			       i, (unsigned long long)stats.tasks,
			       (unsigned long long)stats.arrived,
			       (unsigned long long)stats.enters);
}

static int listen_and_serve(struct server *server)
{
	int error = listen_all(server);

	if (error)
		return error;
	print_name(server);
	error = serve_until_stopped(server);
	if (error)
		fprintf(stderr, "rota-echo: cannot accept: %s\n",
			strerror(-error));
	print_counters(server);
	if (server->options.path)
		unlink(server->options.path);
	return error;
}

static int run_lanes(struct server *server)
{
	int error = -ENOMEM;

	server->count = server->options.accept == ACCEPT_EACH ? rota_loops()
							      : 1;
	server->lanes = calloc(server->count, sizeof(*server->lanes));
	if (server->lanes)
		error = listen_and_serve(server);
	free(server->lanes);
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
	error = run_lanes(server);
	rota_signals_close(&server->stop);
	return error;
}

int main(int argc, char **argv)
{
	struct server server = { 0 };
	struct rota_config config = { 0 };

	options_parse(&server.options, argc, argv);
	config.loops = server.options.loops;
	config.stream_buffers = server.options.buffers;
	return rota_run(&config, run, &server) < 0;
}
