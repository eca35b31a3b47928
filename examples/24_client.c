/* SPDX-License-Identifier: MIT */
/*
 * A client by name, in five lines: call, say it, hear the answer, hang up. Each
 * line waits as if it blocked, and the thread goes on with other tasks. How
 * long all of it together may take is said around it, by who knows: the lookup,
 * the connect, the send and the receive share one deadline.
 *
 * The wrong way: to take one receive for the answer. It may come in pieces;
 * with MSG_WAITALL all of it is waited for, up to the end. Or a timeout for
 * each call: a server that sends a byte a second never breaks one.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <string.h>

/* The client. The answer is as long as what was said, and takes its place. */
static int shout(const char *host, uint16_t port, char *text, size_t bytes)
{
	const int fd = rota_dial(host, port);
	int n = fd < 0 ? fd : rota_send_all(fd, text, bytes, NULL);

	n = n ? n : rota_recv(fd, text, bytes, MSG_WAITALL);
	if (fd >= 0)
		rota_close(fd);
	return n;
}

static int shout_in_time(uint16_t port, char *text, int64_t patience_ns)
{
	struct rota_deadline deadline;
	int n;

	rota_deadline_begin(&deadline, rota_after_ns(patience_ns));
	n = shout("localhost", port, text, strlen(text));
	if (rota_deadline_end(&deadline))
		n = -ETIME; /* some of the answer may have come */
	printf("%s\n", n < 0 ? strerror(-n) : text);
	return n;
}

/* The server answers one letter at a time. */
static int answer(void *value)
{
	const int fd = *(int *)value;
	char letter;
	int error = 0;

	while (!error && rota_recv(fd, &letter, 1, 0) > 0) {
		if (letter == '?') /* it has to think about that */
			error = rota_sleep(60 * ROTA_SECOND);
		letter = (char)(letter < 'a' ? letter : letter - 32);
		error = error ? error : rota_send_all(fd, &letter, 1, NULL);
	}
	rota_close(fd);
	return 0; /* that a client leaves early is no failure */
}

static int accept_all(void *value)
{
	const int listener = *(int *)value;
	struct rota_group connections;
	int fd;

	rota_group_open(&connections, NULL);
	while ((fd = rota_accept(listener)) >= 0)
		if (rota_go(&connections, answer, fd))
			rota_close(fd);
	rota_close(listener);
	return rota_group_wait(&connections);
}

static int run(void *arg)
{
	const int listener = rota_listen("127.0.0.1", 0, NULL);
	char known[] = "good day to you", asked[] = "why? and when?";
	struct rota_address here;
	struct rota_group server;
	int heard, late;

	(void)arg;
	if (listener < 0 || rota_local_address(listener, &here))
		return -EPROTO;
	rota_group_open(&server, NULL);
	if (rota_go_background(&server, accept_all, listener))
		rota_close(listener);
	heard = shout_in_time(ntohs(here.v4.sin_port), known, 10 * ROTA_SECOND);
	late = shout_in_time(ntohs(here.v4.sin_port), asked,
			     50 * ROTA_MILLISECOND);
	rota_group_wait(&server);
	if (heard != 15 || strcmp(known, "GOOD DAY TO YOU") || late != -ETIME)
		return -EPROTO;
	return 0;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
