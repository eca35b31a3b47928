// SPDX-License-Identifier: MIT
/*
 * The closed loop: each connection sends a message, waits until all of it is
 * back, records how long that took, and sends the next. A turn of no time is
 * one message of each.
 */
#include "host.h"
#include "load_wire.h"

static void begin(struct load *load, struct load_connection *connection,
		  uint64_t now_ns)
{
	load->left--;
	connection->start_ns = now_ns;
	load_allow(load, connection);
}

void load_begin_closed(struct load *load, uint32_t first)
{
	for (uint32_t index = first; index < load->options.connections; index++)
		if (load->connections[index].fd >= 0 && load->left > 0)
			begin(load, &load->connections[index], host_now_ns());
}

void load_next_closed(struct load *load, struct load_connection *connection,
		      uint64_t now_ns)
{
	if (load->histogram != NULL)
		histogram_record(load->histogram,
				 now_ns - connection->start_ns);
	if (now_ns < load->deadline_ns && load->left > 0)
		begin(load, connection, now_ns);
}

static void on_returned(struct load *load, struct load_connection *connection,
			uint64_t number)
{
	(void)number;
	load_next_closed(load, connection, host_now_ns());
}

int load_turn_closed(struct load *load, const struct load_amount *amount,
		     struct histogram *histogram, struct load_turn *turn)
{
	static const struct load_protocol protocol = { NULL, on_returned };
	const uint64_t start_ns = load_begin(load, &protocol, histogram);

	load_limit(load, amount, start_ns);
	load_begin_closed(load, 0);
	while (load->busy > 0)
		if (load_step(load, LOAD_WAIT_NS) < 0)
			return -1;
	return load_end(load, start_ns, turn);
}
