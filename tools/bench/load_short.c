// SPDX-License-Identifier: MIT
/*
 * A connection for each message: it is opened, the message sent, received as a
 * whole, and the connection closed; then the next. So many at a time as there
 * are connections. How long that took counts from before the connect until
 * the last byte is back.
 */
#include <errno.h>
#include <unistd.h>

#include "dial.h"
#include "host.h"
#include "load_wire.h"

/* Opens one and sends, as soon as it is open. */
static void begin(struct load *load, struct load_connection *connection,
		  uint64_t now_ns)
{
	const uint64_t number = load->options.first + load->dialed++;
	int result = dial_one(&load->options.address, number, &connection->fd);

	load->left--;
	connection->start_ns = now_ns;
	if (result >= 0)
		result = load_watch(load, connection);
	else
		connection->fd = -1;
	if (result < 0)
		load_lose(load, connection, -result);
	else
		load_allow(load, connection);
}

static void on_returned(struct load *load, struct load_connection *connection,
			uint64_t number)
{
	const uint64_t now_ns = host_now_ns();

	(void)number;
	if (load->histogram != NULL)
		histogram_record(load->histogram,
				 now_ns - connection->start_ns);
	close(connection->fd);
	connection->fd = -1;
	if (now_ns < load->deadline_ns && load->left > 0)
		begin(load, connection, now_ns);
}

int load_turn_short(struct load *load, const struct load_amount *amount,
		    struct histogram *histogram, struct load_turn *turn)
{
	static const struct load_protocol protocol = { NULL, on_returned };
	const uint64_t start_ns = load_begin(load, &protocol, histogram);

	load_limit(load, amount, start_ns);
	for (uint32_t index = 0; index < load->options.connections; index++)
		if (!load->connections[index].lost && load->left > 0)
			begin(load, &load->connections[index], host_now_ns());
	while (load->busy > 0)
		if (load_step(load, LOAD_WAIT_NS) < 0)
			return -1;
	return load_end(load, start_ns, turn);
}
