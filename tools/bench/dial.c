// SPDX-License-Identifier: MIT
/*
 * Connections, see dial.h. A listener's queue is short: once it is full TCP
 * drops the request and repeats it a second later, so at most UNDER_WAY_MAX
 * are asked for at once. A unix listener refuses with EAGAIN instead: then
 * the same one is tried again a little later.
 *
 * One address has some 28,000 ports to connect from. On the loopback every
 * 127.0.0.x is ours, so more connections come from more of them.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "dial.h"
#include "host.h"
#include "interrupt.h"

/* Half of the smallest queue that is common (128). */
#define UNDER_WAY_MAX 64

/* Connections from one address; with half of the ports in use, to find one
 * becomes slow. 127.0.0.1 to 127.0.0.250 are enough for a million. */
#define PER_SOURCE 10000
#define SOURCES 250

#define SILENT_NS 5000000000u
#define SLICE_MS 100
#define RETRY_MS 1

struct dial {
	const struct address *address;
	uint32_t count;     /* wanted */
	uint32_t started;   /* in fds, open */
	uint32_t under_way; /* of those, not connected yet */
	int *fds;
	int epoll; /* watches those under way */
};

/* Binds the socket to the source that this connection is to come from; the
 * first ones are the kernel's choice. 0 or -errno. */
static int bind_source(int fd, const struct address *address, uint64_t number)
{
	const struct sockaddr_in *to = (const void *)&address->storage;
	const uint32_t index = (uint32_t)(number / PER_SOURCE % SOURCES);
	const struct sockaddr_in from = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK + index),
	};
	const int one = 1;

	if (index == 0 || to->sin_family != AF_INET ||
	    ntohl(to->sin_addr.s_addr) >> IN_CLASSA_NSHIFT != IN_LOOPBACKNET)
		return 0;
	/* The port is chosen with the peer known, not for all peers. */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0)
		return -errno;
	return 0;
}

/* 1 if the connect is under way, 0 if done, else -errno. */
static int start_connect(int fd, const struct address *address, uint64_t number)
{
	const int one = 1;
	const int result = bind_source(fd, address, number);

	if (result < 0)
		return result;
	if (address->storage.ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&address->storage,
		    address->bytes) == 0)
		return 0;
	return errno == EINPROGRESS ? 1 : -errno;
}

int dial_one(const struct address *address, uint64_t number, int *fd)
{
	*fd = socket(address->storage.ss_family,
		     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	const int result = start_connect(*fd, address, number);

	if (result < 0)
		close(*fd);
	return result;
}

/* One more connection: 0 or -errno. */
static int start_one(struct dial *dial)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLONESHOT };
	int fd, result = dial_one(dial->address, dial->started, &fd);

	if (result < 0)
		return result;
	event.data.fd = fd;
	if (result > 0 && epoll_ctl(dial->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		result = -errno;
	if (result < 0) {
		close(fd);
		return result;
	}
	dial->fds[dial->started++] = fd;
	dial->under_way += (uint32_t)result;
	return 0;
}

static int start_some(struct dial *dial)
{
	int result = 0;

	while (result == 0 && dial->started < dial->count &&
	       dial->under_way < UNDER_WAY_MAX)
		result = start_one(dial);
	return result == -EAGAIN ? 0 : result;
}

/* 0, or -errno by which the connect failed. */
static int finish_one(struct dial *dial, int fd)
{
	socklen_t bytes = sizeof(int);
	int error = 0;

	dial->under_way--;
	epoll_ctl(dial->epoll, EPOLL_CTL_DEL, fd, NULL);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
	return -error;
}

/* Waits until some are connected, or a little while: 0 or -errno. */
static int finish_some(struct dial *dial)
{
	struct epoll_event events[UNDER_WAY_MAX];
	const int timeout_ms = dial->under_way > 0 ? SLICE_MS : RETRY_MS;
	const int count =
		epoll_wait(dial->epoll, events, UNDER_WAY_MAX, timeout_ms);
	int result = count < 0 ? -errno : 0;

	for (int index = 0; result == 0 && index < count; index++)
		result = finish_one(dial, events[index].data.fd);
	return result;
}

static bool is_done(const struct dial *dial)
{
	return dial->started == dial->count && dial->under_way == 0;
}

static int run(struct dial *dial)
{
	uint64_t last_ns = host_now_ns();
	uint32_t last_connected = 0;
	int result = 0;

	while (result == 0 && !is_done(dial)) {
		result = start_some(dial);
		if (result == 0 && !is_done(dial))
			result = finish_some(dial);

		const uint32_t connected = dial->started - dial->under_way;

		if (connected != last_connected)
			last_ns = host_now_ns();
		last_connected = connected;
		if (result == 0 && host_now_ns() - last_ns > SILENT_NS)
			result = -ETIMEDOUT;
		if (interrupt_pending())
			result = -EINTR;
	}
	return result;
}

int dial_all(const struct address *address, uint32_t count, int *fds)
{
	struct dial dial = {
		.address = address,
		.count = count,
		.fds = fds,
		.epoll = epoll_create1(EPOLL_CLOEXEC),
	};

	if (dial.epoll < 0)
		return -errno;
	const int result = run(&dial);

	close(dial.epoll);
	while (result < 0 && dial.started > 0)
		close(fds[--dial.started]);
	return result;
}
