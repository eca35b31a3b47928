/* SPDX-License-Identifier: MIT */
/*
 * Victims that make connections. One that was accepted is the task's, whatever
 * was cancelled; one that was not is still in the backlog.
 */
#include "rota/rota.h"
#include "support/victim.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Where the victim's listener listens. */
union name {
	struct sockaddr any;
	struct sockaddr_un local;
	struct sockaddr_in internet;
};

static socklen_t name_of(int fd, union name *name)
{
	socklen_t bytes = sizeof(*name);

	if (getsockname(fd, &name->any, &bytes))
		return 0;
	return bytes;
}

static int new_socket(int domain)
{
	const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	/* Ports are few: no connection is remembered after its end. */
	const struct linger none = { .l_onoff = 1 };
	const int fd = socket(domain, type, 0);

	if (fd >= 0 && domain == AF_INET)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	return fd;
}

static int listen_at(const union name *name, socklen_t bytes, int backlog)
{
	const int fd =
		socket(name->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, &name->any, bytes) || listen(fd, backlog))
		return -errno;
	return fd;
}

/* An abstract address, which the kernel chooses. */
static const union name local = { .local = { .sun_family = AF_UNIX } };

static union name loopback(void)
{
	return (union name){ .internet = { .sin_family = AF_INET,
					   .sin_addr.s_addr =
						   htonl(INADDR_LOOPBACK) } };
}

int victim_set_up_listener(struct victim *victim)
{
	victim->keeper = listen_at(&local, sizeof(sa_family_t), 16);
	return victim->keeper < 0 ? victim->keeper : 0;
}

static int set_up_internet(struct victim *victim)
{
	const union name name = loopback();

	victim->keeper = listen_at(&name, sizeof(name.internet), 16);
	return victim->keeper < 0 ? victim->keeper : 0;
}

static void add_client(struct victim *victim, int listener)
{
	union name name;
	const socklen_t bytes = name_of(listener, &name);
	int fd;

	if (victim->client_count == VICTIM_CLIENTS)
		return;
	fd = new_socket(name.any.sa_family);
	if (fd < 0)
		return;
	victim->clients[victim->client_count++] = fd;
	/* EINPROGRESS: it is on its way. */
	if (!connect(fd, &name.any, bytes) || errno == EINPROGRESS)
		victim->given++;
}

void victim_connect(struct victim *victim)
{
	add_client(victim, victim->keeper);
}

static void close_clients(struct victim *victim)
{
	while (victim->client_count)
		close(victim->clients[--victim->client_count]);
}

int victim_prepare_accept(struct victim *victim)
{
	if (!victim_dice(victim, 5))
		victim_connect(victim);
	return 0;
}

static int call_accept(struct victim *victim)
{
	const int fd = rota_accept(victim->fd);

	if (fd >= 0) {
		victim->taken++;
		close(fd);
	}
	return fd;
}

static int call_accept_from(struct victim *victim)
{
	struct rota_address from;
	const int fd = rota_accept_from(victim->fd, &from);

	if (fd >= 0) {
		victim->taken++;
		close(fd);
	}
	return fd;
}

/* One connection of the backlog. False if there is none for so long. */
static bool take_connection(struct victim *victim, int listener, int wait_ms)
{
	struct pollfd readable = { .fd = listener, .events = POLLIN };
	int fd;

	if (poll(&readable, 1, wait_ms) != 1)
		return false;
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return false;
	victim->taken++;
	close(fd);
	return true;
}

/* Those that are due may be on their way through the network. */
static void take_connections(struct victim *victim, int listener)
{
	const bool slow = victim->class->traits & VICTIM_SLOW;

	while (take_connection(victim, listener,
			       slow && victim->taken < victim->given ? 1000
								     : 0))
		;
}

void victim_check_accept(struct victim *victim)
{
	take_connections(victim, victim->keeper);
	close_clients(victim);
	referee_expect(victim->referee, "connections taken of those made",
		       (int64_t)victim->taken, (int64_t)victim->given);
}

/* For connect the listener is `peer`, and fd is new in each round. Its backlog
 * is for one connection; it is full at times. */
static int set_up_connect(struct victim *victim)
{
	victim->peer = listen_at(&local, sizeof(sa_family_t), 0);
	return victim->peer < 0 ? victim->peer : 0;
}

static int set_up_connect_internet(struct victim *victim)
{
	const union name name = loopback();

	victim->peer = listen_at(&name, sizeof(name.internet), 4);
	return victim->peer < 0 ? victim->peer : 0;
}

static int prepare_connect(struct victim *victim)
{
	union name name;

	name_of(victim->peer, &name);
	victim->fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (victim->fd < 0)
		return -errno;
	if (name.any.sa_family == AF_UNIX && victim_dice(victim, 2))
		add_client(victim, victim->peer);
	return 0;
}

static int call_connect(struct victim *victim)
{
	const struct linger none = { .l_onoff = 1 };
	union name name;
	const socklen_t bytes = name_of(victim->peer, &name);
	int error;

	if (name.any.sa_family == AF_INET)
		setsockopt(victim->fd, SOL_SOCKET, SO_LINGER, &none,
			   sizeof(none));
	error = rota_connect(victim->fd, &name.any, bytes);
	victim->given += !error;
	return error;
}

static void accept_one(struct victim *victim)
{
	take_connection(victim, victim->peer, 0);
}

static void close_victim(struct victim *victim)
{
	if (victim->fd >= 0)
		close(victim->fd);
	victim->fd = -1;
}

static void check_connect(struct victim *victim)
{
	take_connections(victim, victim->peer);
	close_clients(victim);
	close_victim(victim);
	referee_expect(victim->referee, "connections there of those made",
		       (int64_t)victim->taken, (int64_t)victim->given);
}

/* Over TCP one may be there that the victim was not told of any more. */
static void check_connect_internet(struct victim *victim)
{
	take_connections(victim, victim->peer);
	if (victim->taken == victim->given + 1)
		victim->given++;
	check_connect(victim);
}

static int prepare_pair(struct victim *victim)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	victim->fd = pair[0];
	victim->peer = pair[1];
	return 0;
}

static int call_shutdown(struct victim *victim)
{
	return rota_shutdown(victim->fd, SHUT_RDWR);
}

static void check_shutdown(struct victim *victim)
{
	char byte;

	if (victim->called && !victim->result)
		referee_expect(victim->referee, "what the peer receives",
			       recv(victim->peer, &byte, 1, MSG_DONTWAIT), 0);
	close_victim(victim);
	close(victim->peer);
	victim->peer = -1;
}

static int call_socket(struct victim *victim)
{
	const int fd = rota_socket(AF_UNIX, SOCK_STREAM, 0);

	(void)victim;
	if (fd >= 0)
		close(fd);
	return fd;
}

static void close_at_once(int fd)
{
	const struct linger none = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
}

/* A socket, and a connect of it: or nothing is left open. */
static int call_dial(struct victim *victim)
{
	union name name;
	int fd;

	name_of(victim->peer, &name);
	fd = rota_dial("127.0.0.1", ntohs(name.internet.sin_port));
	if (fd < 0)
		return fd;
	victim->given++;
	close_at_once(fd);
	return 0;
}

static int call_listen(struct victim *victim)
{
	const int fd = rota_listen("127.0.0.1", 0, NULL);

	(void)victim;
	if (fd < 0)
		return fd;
	close_at_once(fd);
	return 0;
}

/* The last of their operations may be a close of what was opened. */
static int expected_open(const struct victim *victim,
			 const struct verdict *verdict)
{
	return !victim->result || verdict->told ? victim->result
						: verdict->code;
}

const struct victim_class victim_sockets[] = {
	{ "accept", VICTIM_MANY, .set_up = victim_set_up_listener,
	  .prepare = victim_prepare_accept, .call = call_accept,
	  .complete = victim_connect, .check = victim_check_accept },
	{ "accept_tcp", VICTIM_SLOW | VICTIM_MANY, .set_up = set_up_internet,
	  .prepare = victim_prepare_accept, .call = call_accept,
	  .complete = victim_connect, .check = victim_check_accept },
	{ "accept_from", VICTIM_MANY, .set_up = victim_set_up_listener,
	  .prepare = victim_prepare_accept, .call = call_accept_from,
	  .complete = victim_connect, .check = victim_check_accept },
	{ "connect", VICTIM_SLOW, .set_up = set_up_connect,
	  .prepare = prepare_connect, .call = call_connect,
	  .complete = accept_one, .check = check_connect },
	{ "connect_tcp", VICTIM_SLOW, .set_up = set_up_connect_internet,
	  .prepare = prepare_connect, .call = call_connect,
	  .check = check_connect_internet },
	{ "socket", .call = call_socket },
	{ "dial", VICTIM_SLOW | VICTIM_MANY, .set_up = set_up_connect_internet,
	  .call = call_dial, .check = check_connect_internet,
	  .expected = expected_open },
	{ "listen", VICTIM_MANY, .call = call_listen,
	  .expected = expected_open },
	{ "shutdown", VICTIM_RELEASE | VICTIM_SLOW, .prepare = prepare_pair,
	  .call = call_shutdown, .check = check_shutdown },
};
const unsigned victim_sockets_count =
	sizeof(victim_sockets) / sizeof(victim_sockets[0]);
