/* SPDX-License-Identifier: MIT */
/*
 * To stop a server in two steps, at SIGTERM, say. rota_group_drain ends what is
 * idle at once: the task that accepts, and connections between two requests. A
 * request has the grace to end; what is left is named in the log and cancelled.
 *
 * The wrong way: cancel them all, and a request that needed one millisecond
 * more is dropped. Or wait for them all: a client that keeps an idle connection
 * open keeps the server up for ever.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A request is a head and a body, of one byte each; both are answered. */
static int serve(void *value)
{
	const int fd = *(int *)value;
	struct rota_idle idle;
	char byte;
	int n;

	do {
		rota_idle_begin(&idle);
		n = rota_recv(fd, &byte, 1, 0); /* a head */
		rota_idle_end(&idle);
		if (n > 0 && !rota_send_all(fd, &byte, 1, NULL))
			n = rota_recv(fd, &byte, 1, 0); /* its body */
	} while (n > 0 && !rota_send_all(fd, &byte, 1, NULL));
	rota_close(fd);
	return 0; /* one client's error stops nobody else */
}

static int accept_all(void *value)
{
	const int listener = *(int *)value;
	struct rota_group connections;
	struct rota_idle idle;
	int fd;

	rota_group_open(&connections, NULL);
	do {
		rota_idle_begin(&idle);
		fd = rota_accept(listener);
		rota_idle_end(&idle);
		if (fd >= 0 && rota_go(&connections, serve, fd))
			rota_close(fd); /* refused: it is still ours */
	} while (fd >= 0);
	rota_close(listener); /* who comes now is refused */
	rota_group_wait(&connections);
	return fd;
}

/* A client's head or body. 0: it was answered. */
static int say(int fd, char byte)
{
	const int error = rota_send_all(fd, &byte, 1, NULL);

	return error ? error : rota_recv_full(fd, &byte, 1, NULL);
}

static int run(void *arg)
{
	struct rota_group server;
	char name[32], byte;

	(void)arg;
	snprintf(name, sizeof(name), "unix:@drain-%d", getpid());
	rota_group_open(&server, NULL);
	bool good = !rota_go(&server, accept_all, rota_listen(name, 0, NULL));
	const int idle = rota_dial(name, 0), busy = rota_dial(name, 0);
	const int stuck = rota_dial(name, 0);

	good = good && !say(busy, 'h') && !say(stuck, 'h');
	rota_group_drain(&server, 200 * ROTA_MILLISECOND);
	good = good && rota_recv(idle, &byte, 1, 0) == 0 && !say(busy, 'b');
	good = rota_group_wait(&server) == -ESHUTDOWN && good;
	rota_close(idle);
	rota_close(busy);
	rota_close(stuck);
	return good ? 0 : -EPROTO;
}

static int named; /* connections that the log names */

static void log_line(void *context, const char *line)
{
	(void)context;
	named += strstr(line, " serve (") != NULL;
	fprintf(stderr, "%s\n", line);
}

int main(void)
{
	return rota_run(&(struct rota_config){ .log = log_line }, run, NULL) ||
	       named != 1;
}
