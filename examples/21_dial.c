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

struct service {
	int overrun;  /* a listener whose backlog is full, or < 0: no IPv6 */
	int crowd[2]; /* what fills it */
	int serving;  /* a listener that answers */
	uint16_t port;
};

static uint16_t port_of(int listener)
{
	struct rota_address address;

	return rota_local_address(listener, &address)
		       ? 0
		       : ntohs(address.v4.sin_port);
}

/* Both on one port. */
static int open_service(struct service *service)
{
	const struct rota_listen_options options = { .backlog = 1 };

	service->serving = rota_listen("127.0.0.1", 0, NULL);
	if (service->serving < 0)
		return service->serving;
	service->port = port_of(service->serving);
	service->overrun = rota_listen("::1", service->port, &options);
	/* A backlog of 1 holds two that nobody accepts. */
	for (int i = 0; i < 2; i++)
		service->crowd[i] = service->overrun < 0
					    ? -1
					    : rota_dial("::1", service->port);
	return 0;
}

static void close_service(const struct service *service)
{
	rota_close(service->serving);
	if (service->overrun >= 0)
		rota_close(service->overrun);
	for (int i = 0; i < 2; i++)
		if (service->crowd[i] >= 0)
			rota_close(service->crowd[i]);
}

/* Ends with the dial that it counts the time of. */
static int tick(void *value)
{
	unsigned *ticks = *(unsigned **)value;

	while (rota_sleep(10 * ROTA_MILLISECOND) == 0)
		++*ticks;
	return 0;
}

static int print_peer(int fd)
{
	struct rota_address peer;
	char text[64];
	int n = rota_peer_address(fd, &peer);

	if (n == 0)
		n = rota_address_print(&peer, text, sizeof(text));
	if (n >= 0)
		printf("connected to %s\n", text);
	return n;
}

static int dial_and_count(uint16_t port)
{
	struct rota_group others;
	unsigned ticks = 0;
	int error, fd;

	rota_group_open(&others, NULL);
	error = rota_go_background(&others, tick, &ticks);
	fd = error ? error : rota_dial("localhost", port);
	rota_group_wait(&others);
	if (fd < 0)
		return fd;
	printf("meanwhile another task ran %u times\n", ticks);
	error = print_peer(fd);
	rota_close(fd);
	return error;
}

static int run(void *arg)
{
	struct service service;
	int error = open_service(&service);

	(void)arg;
	if (error)
		return error;
	error = dial_and_count(service.port);
	close_service(&service);
	if (error < 0)
		printf("not connected: %s\n", strerror(-error));
	return error;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
