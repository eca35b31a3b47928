// SPDX-License-Identifier: MIT
/* A closed loop of requests, see load.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "dial.h"
#include "host.h"
#include "interrupt.h"
#include "load.h"
#include "options.h"

#define EVENTS_MAX 256

/* Waits are slices of a second, because of signals. */
#define SLICE_MS 1000

/* A turn of a slow server takes a part of that. */
#define SILENT_NS 5000000000u

/* Where in the pattern messages begin; a prime, so that steps reach all. */
#define PATTERN_PLACES 4093u

/* More is received in pieces: it stays in the first-level cache this way. */
#define SCRATCH_BYTES_MAX 16384u

struct load_connection {
	int fd;                       /* -1: closed */
	uint32_t number;              /* of the message, from 0 */
	uint32_t sent;                /* bytes of it */
	uint32_t received;            /* bytes of it, all of them right */
	const unsigned char *message; /* it starts here in the pattern */
	uint64_t start_ns;            /* when it was sent; while busy */
	bool busy;                    /* it is on its way */
};

static const char who[] = "rota-bench echo";

static void complain_of(const struct load *load, const char *what,
			const char *why)
{
	char text[ADDRESS_TEXT_BYTES];

	address_format(&load->options.address, text);
	complain(who, "%s %s: %s", what, text, why);
}

const char *load_error(const struct load *load)
{
	if (load->first_errno == 0)
		return "what came back was not what was sent";
	return strerror(load->first_errno);
}

/* Closes a connection for good; error 0: what came back was wrong. */
static void lose(struct load *load, struct load_connection *connection,
		 int error)
{
	if (load->errors++ == 0)
		load->first_errno = error;
	load->alive--;
	load->busy -= connection->busy;
	connection->busy = false;
	close(connection->fd);
	connection->fd = -1;
}

/* Sends what the socket takes; edge-triggered, so until it takes no more. */
static void send_rest(struct load *load, struct load_connection *connection)
{
	const uint32_t size = load->options.size;

	while (connection->sent < size) {
		const ssize_t sent = send(
			connection->fd, connection->message + connection->sent,
			size - connection->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0 && errno != EINTR) {
			lose(load, connection, errno);
			return;
		}
		connection->sent += sent < 0 ? 0 : (uint32_t)sent;
	}
}

/* Begins the next message. Neighbours in time and place begin elsewhere. */
static void begin(struct load *load, struct load_connection *connection,
		  uint64_t now_ns)
{
	const uint64_t index = (uint64_t)(connection - load->connections);
	const uint64_t place = index * 61 + connection->number * 97ull;

	connection->message = load->pattern + place % PATTERN_PLACES;
	connection->sent = 0;
	connection->received = 0;
	connection->start_ns = now_ns;
	connection->busy = true;
	load->busy++;
	send_rest(load, connection);
}

/* All of a message is back. */
static void finish(struct load *load, struct load_connection *connection)
{
	const uint64_t now_ns = host_now_ns();

	if (load->histogram != NULL)
		histogram_record(load->histogram,
				 now_ns - connection->start_ns);
	load->requests++;
	load->busy--;
	connection->busy = false;
	connection->number++;
	if (now_ns < load->deadline_ns)
		begin(load, connection, now_ns);
}

/* How much may come now; one byte too many is asked for where none may. */
static uint32_t receivable(const struct load *load,
			   const struct load_connection *connection)
{
	const uint32_t rest = load->options.size - connection->received;

	if (!connection->busy)
		return 1;
	return rest < load->scratch_bytes ? rest : load->scratch_bytes;
}

static bool is_right(const struct load *load,
		     const struct load_connection *connection, size_t bytes)
{
	return connection->busy &&
	       memcmp(load->scratch, connection->message + connection->received,
		      bytes) == 0;
}

/* Takes what came. Less than was asked for means that the socket is empty. */
static void receive(struct load *load, struct load_connection *connection)
{
	uint32_t asked;
	ssize_t got;

	do {
		asked = receivable(load, connection);
		got = recv(connection->fd, load->scratch, asked, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0) {
			lose(load, connection, got < 0 ? errno : ECONNRESET);
			return;
		}
		if (!is_right(load, connection, (size_t)got)) {
			lose(load, connection, 0);
			return;
		}
		connection->received += (uint32_t)got;
		if (connection->received == load->options.size) {
			finish(load, connection);
			return;
		}
	} while ((uint32_t)got == asked);
}

static void handle(struct load *load, const struct epoll_event *event)
{
	struct load_connection *connection = event->data.ptr;

	if ((event->events & EPOLLOUT) && connection->busy &&
	    connection->sent < load->options.size)
		send_rest(load, connection);
	if ((event->events & ~(uint32_t)EPOLLOUT) && connection->fd >= 0)
		receive(load, connection);
}

static void begin_all(struct load *load)
{
	for (uint32_t index = 0; index < load->options.connections; index++)
		if (load->connections[index].fd >= 0)
			begin(load, &load->connections[index], host_now_ns());
}

/* Whether nothing has come for too long. */
static bool is_silent(struct load *load, int count)
{
	const uint64_t now_ns = count == 0 ? host_now_ns() : 0;

	if (count != 0 || load->silent_since_ns == 0)
		load->silent_since_ns = now_ns;
	return now_ns - load->silent_since_ns > SILENT_NS;
}

/* Until all is back: 0, or -1 when interrupted or after a long silence. */
static int drain(struct load *load)
{
	const int timeout_ms = load->options.spins ? 0 : SLICE_MS;
	struct epoll_event events[EVENTS_MAX];

	load->silent_since_ns = 0;
	while (load->busy > 0) {
		const int count =
			epoll_wait(load->epoll, events, EVENTS_MAX, timeout_ms);

		if (interrupt_pending())
			return -1;
		if (is_silent(load, count)) {
			complain_of(load, "no answer from", "waited 5 s");
			return -1;
		}
		for (int index = 0; index < count; index++)
			handle(load, &events[index]);
	}
	return 0;
}

int load_turn(struct load *load, uint64_t duration_ns,
	      struct histogram *histogram, struct load_turn *turn)
{
	const uint64_t start_ns = host_now_ns();

	load->requests = 0;
	load->deadline_ns = start_ns + duration_ns;
	if (duration_ns == 0)
		load->deadline_ns = 0;
	load->histogram = histogram;
	begin_all(load);
	if (drain(load) < 0)
		return -1;
	if (load->alive == 0) {
		complain_of(load, "all connections are lost to",
			    load_error(load));
		return -1;
	}
	turn->requests = load->requests;
	turn->elapsed_ns = host_now_ns() - start_ns;
	return 0;
}

static int add_connection(struct load *load, uint32_t index, int fd)
{
	struct load_connection *connection = &load->connections[index];
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = connection,
	};

	connection->fd = fd;
	load->alive++;
	return epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno
								     : 0;
}

/* All or none: 0 or -errno. */
static int connect_all(struct load *load)
{
	const uint32_t count = load->options.connections;
	int *fds = malloc(count * sizeof(fds[0]));
	int result = fds == NULL ? -ENOMEM
				 : dial_all(&load->options.address, count, fds);

	/* Also after an error each is added, to be closed with the load. */
	for (uint32_t index = 0; result >= 0 && index < count; index++) {
		const int added = add_connection(load, index, fds[index]);

		load->first_errno = added < 0 ? -added : load->first_errno;
	}
	free(fds);
	return result < 0 ? result : -load->first_errno;
}

/* Fixed, so that every run sends the same bytes. */
static void fill_pattern(unsigned char *pattern, size_t bytes)
{
	uint64_t state = 0x9e3779b97f4a7c15u;

	for (size_t index = 0; index < bytes; index++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		pattern[index] = (unsigned char)(state >> 32);
	}
}

static int allocate(struct load *load)
{
	const uint32_t count = load->options.connections;
	const uint32_t size = load->options.size;
	const size_t pattern_bytes = (size_t)size + PATTERN_PLACES;

	load->scratch_bytes = size < SCRATCH_BYTES_MAX ? size
						       : SCRATCH_BYTES_MAX;
	load->connections = calloc(count, sizeof(load->connections[0]));
	load->pattern = malloc(pattern_bytes);
	load->scratch = malloc(load->scratch_bytes);
	if (!load->connections || !load->pattern || !load->scratch)
		return -ENOMEM;
	for (uint32_t index = 0; index < count; index++)
		load->connections[index].fd = -1;
	fill_pattern(load->pattern, pattern_bytes);
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	return load->epoll < 0 ? -errno : 0;
}

int load_open(struct load *load, const struct load_options *options)
{
	*load = (struct load){ .options = *options, .epoll = -1 };
	int result = allocate(load);

	if (result == 0)
		result = connect_all(load);
	if (result == 0)
		return 0;
	if (!interrupt_pending())
		complain_of(load, "cannot connect to", strerror(-result));
	load_close(load);
	return -1;
}

void load_close(struct load *load)
{
	const uint32_t count =
		load->connections == NULL ? 0 : load->options.connections;

	for (uint32_t index = 0; index < count; index++)
		if (load->connections[index].fd >= 0)
			close(load->connections[index].fd);
	if (load->epoll >= 0)
		close(load->epoll);
	free(load->connections);
	free(load->pattern);
	free(load->scratch);
	*load = (struct load){ .epoll = -1 };
}
