/* SPDX-License-Identifier: MIT */
/*
 * fetch_server: a web server for tests, on loopback, that misbehaves where it
 * is asked to (answers.h). It prints the port that it took, and ends at SIGTERM
 * or SIGINT: who waits is sent home, who is being answered has a second.
 *
 * Clients leave at any point. For the server that is no failure: what a
 * connection ends with concerns nobody else.
 */
#include "answers.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

struct visitor {
	struct server *server;
	int fd;
};

static int serve(void *value)
{
	const struct visitor visitor = *(struct visitor *)value;
	struct exchange exchange = { .server = visitor.server,
				     .fd = visitor.fd };
	char in[4096], out[8192];
	int error = 0;

	rota_reader_init(&exchange.reader, visitor.fd, in, sizeof(in));
	rota_writer_init(&exchange.writer, visitor.fd, out, sizeof(out));
	while (!error && http_hear(&exchange) > 0)
		error = answer(&exchange);
	rota_close(visitor.fd);
	return 0;
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

static int accept_all(void *value)
{
	struct server *server = *(struct server **)value;
	const struct rota_group_options options = {
		.name = "connections",
		.mode = ROTA_GROUP_KEEP_GOING
	};
	struct visitor visitor = { .server = server };

	rota_group_open(&server->connections, &options);
	while ((visitor.fd = accept_idly(server->listener)) >= 0)
		if (rota_go(&server->connections, serve, visitor))
			rota_close(visitor.fd);
	rota_close(server->listener);
	rota_group_wait(&server->connections);
	return visitor.fd == -ESHUTDOWN ? 0 : visitor.fd;
}

static int stop_on_signals(void *value)
{
	struct server *server = *(struct server **)value;
	const int number = rota_signals_wait(&server->stop, NULL);

	if (number > 0)
		rota_group_drain(&server->everything, ROTA_SECOND);
	return number < 0 ? number : 0;
}

static int serve_all(struct server *server)
{
	int error;

	rota_group_open(&server->everything, NULL);
	error = rota_go_background(&server->everything, stop_on_signals,
				   server);
	if (!error)
		error = rota_go(&server->everything, accept_all, server);
	if (error)
		rota_close(server->listener);
	return rota_group_wait(&server->everything) | error;
}

static int run(void *arg)
{
	struct server *server = arg;
	struct rota_address here;
	int error = rota_signals_open(&server->stop, SIGINT, SIGTERM);

	if (error)
		return error;
	server->listener = rota_listen("127.0.0.1", 0, NULL);
	error = server->listener;
	if (error >= 0)
		error = rota_local_address(server->listener, &here);
	if (!error) {
		printf("%u\n", ntohs(here.v4.sin_port));
		fflush(stdout);
		error = serve_all(server);
	}
	rota_signals_close(&server->stop);
	return error;
}

int main(void)
{
	static struct server server;
	const int error = rota_run(NULL, run, &server);

	if (error < 0)
		fprintf(stderr, "fetch_server: %s\n", strerror(-error));
	return error < 0;
}
