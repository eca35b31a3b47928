// SPDX-License-Identifier: MIT
/*
 * Connections that speak once and then are silent. They do not speak at the
 * same time, as those of a server with many do not: what a server needs for
 * each that is active counts for some of them only.
 */
#include "host.h"
#include "load_wire.h"

#define ACTIVE_MAX 64

/* The next connection that is alive speaks, if there is one. */
static void greet_next(struct load *load)
{
	while (load->next < load->options.connections) {
		struct load_connection *connection =
			&load->connections[load->next++];

		if (connection->fd < 0)
			continue;
		load_allow(load, connection);
		return;
	}
}

static void on_returned(struct load *load, struct load_connection *connection,
			uint64_t number)
{
	(void)connection;
	(void)number;
	greet_next(load);
}

/* All have spoken and are answered, as far as they are alive. */
static bool is_done(const struct load *load)
{
	return load->busy == 0 && load->next == load->options.connections;
}

int load_greet(struct load *load, uint64_t idle_ns, struct load_turn *turn)
{
	static const struct load_protocol protocol = { NULL, on_returned };
	const uint64_t start_ns = load_begin(load, &protocol, NULL);

	while (!is_done(load)) {
		/* Also in place of those that were lost. */
		while (load->busy < ACTIVE_MAX &&
		       load->next < load->options.connections)
			greet_next(load);
		if (load_step(load, LOAD_WAIT_NS) < 0)
			return -1;
	}
	const uint64_t until_ns = host_now_ns() + idle_ns;

	for (uint64_t now_ns = host_now_ns(); now_ns < until_ns;
	     now_ns = host_now_ns())
		if (load_step(load, until_ns - now_ns) < 0)
			return -1;
	return load_end(load, start_ns, turn);
}
