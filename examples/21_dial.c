/* SPDX-License-Identifier: MIT */
/*
 * A service by name: rota_dial looks it up and races its addresses. Here
 * "localhost" is ::1 and 127.0.0.1 (if /etc/hosts has both), and the server at
 * the first one is overrun: it does not even refuse. After 250 ms the second
 * one is tried as well, and answers. Meanwhile other tasks go on.
 *
 * The wrong way: to call getaddrinfo(3) in a task. It blocks the loop, with all
 * tasks on it, for as long as a name server takes: 5 s and more. rota_dial and
 * rota_resolve do it on a thread of the engine's, rota_offload any other call
 * that blocks. And to try the addresses one after the other: one that does not
 * answer takes two minutes, while the next would have.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <string.h>

#define TICK_NS (10 * ROTA_MILLISECOND)

static int tick(void *value)
{
	unsigned *ticks = *(unsigned **)value;

	while (rota_sleep(TICK_NS) == 0)
		++*ticks;
	return 0;
}

/* A socket, and how often another task ran while it was dialled. */
static int dial_and_count(uint16_t port, unsigned *ticks)
{
	struct rota_group others;
	int fd;

	rota_group_open(&others, NULL);
	fd = rota_go_background(&others, tick, ticks);
	if (!fd)
		fd = rota_dial("localhost", port);
	rota_group_wait(&others);
	return fd;
}

static int dial(uint16_t port)
{
	const int64_t start_ns = rota_now_ns();
	struct rota_address peer;
	char text[64] = "nobody";
	unsigned ticks = 0;
	const int fd = dial_and_count(port, &ticks);
	const int64_t took_ns = rota_now_ns() - start_ns;
	int n = fd < 0 ? fd : rota_peer_address(fd, &peer);

	if (!n)
		n = rota_address_print(&peer, text, sizeof(text));
	printf("connected to %s: %s\n", text, strerror(n < 0 ? -n : 0));
	printf("meanwhile another task ran %u times\n", ticks);
	rota_close(fd);
	if (n < 0 || peer.v4.sin_family != AF_INET) /* the one that answers */
		return -EPROTO;
	return ticks || took_ns < 20 * TICK_NS ? 0 : -EPROTO;
}

static int run(void *arg)
{
	const struct rota_listen_options options = { .backlog = 1 };
	struct rota_address address;
	int sockets[4], error;
	uint16_t port;

	(void)arg;
	sockets[0] = rota_listen("127.0.0.1", 0, NULL);
	error = rota_local_address(sockets[0], &address);
	if (error)
		return error;
	port = ntohs(address.v4.sin_port);
	/* A backlog of 1 holds two that nobody accepts. (Or no IPv6 here.) */
	sockets[1] = rota_listen("::1", port, &options);
	sockets[2] = rota_dial("::1", port);
	sockets[3] = rota_dial("::1", port);
	error = dial(port);
	for (int i = 0; i < 4; i++)
		rota_close(sockets[i]);
	return error;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
