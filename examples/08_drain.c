/* SPDX-License-Identifier: MIT */
/*
 * A server that stops in two steps. rota_group_drain ends what is idle at once:
 * the task that accepts, and connections between two requests. One that is in
 * a request has the grace to finish it; what is left then is named in the log
 * and cancelled. (Who calls it, mostly: a task that waits for SIGTERM.)
 *
 * The wrong way: cancel them all, and a request that is half done is dropped,
 * though it needed one more millisecond. Or wait for them all: a client that
 * keeps an idle connection open keeps the server up for ever.
 */
#include <rota/rota.h>

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* GET: the server says DONE. PUT: it says GO_ON, and DONE to the BODY. */
enum word {
	GET = 'g',
	PUT = 'p',
	BODY = 'b',
	GO_ON = 'o',
	DONE = 'd'
};

struct server {
	int listener;
	uint16_t port;
	struct rota_group connections;
};

static int hear(int fd)
{
	char word;
	const int n = rota_recv(fd, &word, 1, 0);

	return n > 0 ? word : n;
}

static int ask(int fd, enum word word)
{
	const int error = rota_send_all(fd, &(char){ (char)word }, 1, NULL);

	return error ? error : hear(fd);
}

static int serve(void *value)
{
	const int fd = *(int *)value;
	struct rota_idle idle;
	int word;

	do {
		rota_idle_begin(&idle);
		word = hear(fd);
		rota_idle_end(&idle);
		if (word == PUT)
			word = ask(fd, GO_ON);
	} while (word > 0 && !rota_send_all(fd, &(char){ DONE }, 1, NULL));
	rota_close(fd);
	return 0; /* one client's error stops nobody else */
}

static int accept_all(void *value)
{
	struct server *server = *(struct server **)value;
	struct rota_idle idle;
	int fd;

	do {
		rota_idle_begin(&idle);
		fd = rota_accept(server->listener);
		rota_idle_end(&idle);
		/* Refused: it is still ours, and the next accept says why. */
		if (fd >= 0 && rota_go(&server->connections, serve, fd))
			rota_close(fd);
	} while (fd >= 0);
	rota_close(server->listener); /* who comes now is refused */
	return fd;
}

/* Three clients, and who stops the server. */
static int talk(void *value)
{
	struct server *server = *(struct server **)value;
	const int idle = rota_dial("127.0.0.1", server->port);
	const int busy = rota_dial("127.0.0.1", server->port);
	const int stuck = rota_dial("127.0.0.1", server->port);
	bool good = ask(idle, GET) == DONE && ask(busy, PUT) == GO_ON &&
		    ask(stuck, PUT) == GO_ON;

	rota_group_drain(&server->connections, 200 * ROTA_MILLISECOND);
	good = good && hear(idle) == 0;
	printf("idle: %s\n", good ? "ended at once" : "lost");
	good = good && ask(busy, BODY) == DONE && hear(busy) == 0;
	printf("busy: %s\n", good ? "served to the end" : "lost");
	good = good && hear(stuck) == 0;
	printf("stuck: %s\n", good ? "cut off after the grace" : "lost");
	rota_close(idle);
	rota_close(busy);
	rota_close(stuck);
	return good ? 0 : -EPROTO;
}

static int run(void *arg)
{
	struct server server = { .listener =
					 rota_listen("127.0.0.1", 0, NULL) };
	struct rota_address address;
	struct rota_group clients;
	int error, result;

	(void)arg;
	if (server.listener < 0 ||
	    rota_local_address(server.listener, &address))
		return -EPROTO;
	server.port = ntohs(address.v4.sin_port);
	rota_group_open(&clients, NULL);
	rota_group_open(&server.connections,
			&(struct rota_group_options){ .name = "connections" });
	error = rota_go(&server.connections, accept_all, &server);
	if (error)
		rota_close(server.listener);
	else
		error = rota_go(&clients, talk, &server);
	if (error) /* nobody else would */
		rota_group_drain(&server.connections, 0);
	result = rota_group_wait(&server.connections);
	if (rota_group_wait(&clients) < 0)
		error = -EPROTO;
	printf("the server: %s\n", strerror(-result));
	return result == -ESHUTDOWN ? error : -EPROTO;
}

/* Passes the lines on, and counts the connections that they name. */
static void log_line(void *context, const char *line)
{
	fprintf(stderr, "%s\n", line);
	*(int *)context += strstr(line, " serve (") != NULL;
}

int main(void)
{
	int named = 0;
	const struct rota_config config = { .log = log_line,
					    .context = &named };

	return rota_run(&config, run, NULL) < 0 || named != 1;
}
