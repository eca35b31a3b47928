// SPDX-License-Identifier: MIT
/* Connections to a server and what comes from them, see load.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "interrupt.h"
#include "load_wire.h"
#include "options.h"

#define EVENTS_MAX 256
#define NS_PER_SECOND 1000000000u

/* A turn of a slow server takes a part of that. */
#define SILENT_NS 5000000000u

static const char who[] = "rota-bench echo";

void load_complain(const struct load *load, const char *what, const char *why)
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

static void handle(struct load *load, const struct epoll_event *event)
{
	struct load_connection *connection = event->data.ptr;

	if (connection == load->apart)
		return;
	if ((event->events & EPOLLOUT) &&
	    connection->sent < connection->allowed)
		load_send(load, connection);
	if ((event->events & ~(uint32_t)EPOLLOUT) && connection->fd >= 0)
		load_receive(load, connection);
}

/* Whether nothing has come for too long, though something should. */
static bool is_silent(struct load *load, int count)
{
	const bool waits = count == 0 && load->busy > 0;
	const uint64_t now_ns = waits ? host_now_ns() : 0;

	if (!waits || load->silent_since_ns == 0)
		load->silent_since_ns = now_ns;
	return now_ns - load->silent_since_ns > SILENT_NS;
}

int load_step(struct load *load, uint64_t wait_ns)
{
	const uint64_t kept_ns = load->options.spins ? 0 : wait_ns;
	const struct timespec wait = {
		.tv_sec = (time_t)(kept_ns / NS_PER_SECOND),
		.tv_nsec = (long)(kept_ns % NS_PER_SECOND),
	};
	struct epoll_event events[EVENTS_MAX];
	const int count =
		epoll_pwait2(load->epoll, events, EVENTS_MAX, &wait, NULL);

	if (interrupt_pending())
		return -1;
	if (is_silent(load, count)) {
		load_complain(load, "no answer from", "waited 5 s");
		return -1;
	}
	for (int index = 0; index < count; index++)
		handle(load, &events[index]);
	return 0;
}

void load_limit(struct load *load, const struct load_amount *amount,
		uint64_t start_ns)
{
	if (amount->requests > 0) {
		load->deadline_ns = UINT64_MAX;
		load->left = amount->requests;
	} else if (amount->ns > 0) {
		load->deadline_ns = start_ns + amount->ns;
	}
}

uint64_t load_begin(struct load *load, const struct load_protocol *protocol,
		    struct histogram *histogram)
{
	load->protocol = protocol;
	load->histogram = histogram;
	load->requests = 0;
	load->deadline_ns = 0;
	load->left = UINT64_MAX;
	load->silent_since_ns = 0;
	load->next = 0;
	load->poured = 0;
	load->apart = NULL;
	return host_now_ns();
}

int load_end(struct load *load, uint64_t start_ns, struct load_turn *turn)
{
	if (load->alive == 0) {
		load_complain(load, "all connections are lost to",
			      load_error(load));
		return -1;
	}
	turn->requests = load->requests - load->poured;
	turn->poured = load->poured;
	turn->elapsed_ns = host_now_ns() - start_ns;
	return 0;
}

int load_turn(struct load *load, const struct load_amount *amount,
	      struct histogram *histogram, struct load_turn *turn)
{
	if (load->options.rate > 0)
		return load_turn_paced(load, amount->ns, histogram, turn);
	if (load->options.firehose)
		return load_turn_firehose(load, amount->ns, histogram, turn);
	if (load->options.brief)
		return load_turn_short(load, amount, histogram, turn);
	return load_turn_closed(load, amount, histogram, turn);
}

int load_once(struct load *load, struct load_turn *turn)
{
	static const struct load_amount none;

	return load->options.brief ? load_turn_short(load, &none, NULL, turn)
				   : load_turn_closed(load, &none, NULL, turn);
}

int load_watch(struct load *load, struct load_connection *connection)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = connection,
	};

	return epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0
		       ? -errno
		       : 0;
}

/* All of them, also after an error, to be closed with the load: 0 or -errno. */
static int add_all(struct load *load, const int *fds)
{
	int result = 0;

	for (uint32_t index = 0; index < load->options.connections; index++) {
		struct load_connection *connection = &load->connections[index];
		int watched;

		connection->fd = fds[index];
		load->alive++;
		watched = load_watch(load, connection);
		result = watched < 0 ? watched : result;
	}
	return result;
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

/* Who sends what; nobody is connected yet. */
static void set_up_connections(struct load *load)
{
	for (uint32_t index = 0; index < load->options.connections; index++)
		load->connections[index] = (struct load_connection){
			.fd = -1,
			.size = load->options.size,
		};
	if (load->options.firehose)
		load->connections[0].size = LOAD_FIREHOSE_BYTES;
}

static int allocate(struct load *load)
{
	const struct load_options *options = &load->options;
	const uint32_t count = options->connections;
	const size_t most = options->size > LOAD_FIREHOSE_BYTES
				    ? options->size
				    : LOAD_FIREHOSE_BYTES;

	load->connections = calloc(count, sizeof(load->connections[0]));
	load->pattern = malloc(most + LOAD_PLACES);
	load->scratch = malloc(LOAD_SCRATCH_BYTES);
	if (options->firehose)
		load->neighbours = calloc(count, sizeof(load->neighbours[0]));
	if (!load->connections || !load->pattern || !load->scratch ||
	    (options->firehose && !load->neighbours))
		return -ENOMEM;
	set_up_connections(load);
	fill_pattern(load->pattern, most + LOAD_PLACES);
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	return load->epoll < 0 ? -errno : 0;
}

static void close_fds(const int *fds, uint32_t count)
{
	for (uint32_t index = 0; fds != NULL && index < count; index++)
		close(fds[index]);
}

int load_open(struct load *load, const struct load_options *options,
	      const int *fds)
{
	*load = (struct load){ .options = *options, .epoll = -1 };
	int result = allocate(load);

	if (result < 0)
		close_fds(fds, options->connections);
	else if (fds != NULL)
		result = add_all(load, fds);
	else
		load->alive = options->connections;
	if (result == 0)
		return 0;
	load_complain(load, "cannot load", strerror(-result));
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
	free(load->neighbours);
	free(load->pattern);
	free(load->scratch);
	*load = (struct load){ .epoll = -1 };
}
