// SPDX-License-Identifier: MIT
/*
 * One connection sends as fast as its socket takes it, and reads as much; its
 * neighbours do the closed loop. What is asked is how they fare beside it, so
 * each has a histogram of its own.
 *
 * The load itself must not favour it: in each round the firehose may send and
 * receive so much, then neighbours that have something are looked after.
 * Hence its events only wake the load, and it is tried in each round.
 */
#include "host.h"
#include "load_wire.h"

/* In a round: 1 MiB, less than what sockets hold on their way, so it is the
 * server that keeps them full or not. */
#define MESSAGES_MAX 16

/* Pieces of a message. */
#define PIECES (LOAD_FIREHOSE_BYTES / LOAD_SCRATCH_BYTES)

static void on_returned(struct load *load, struct load_connection *connection,
			uint64_t number)
{
	const uint64_t now_ns = host_now_ns();

	(void)number;
	if (connection == load->apart) {
		load->poured++;
		return;
	}
	if (load->histogram != NULL)
		histogram_record(
			&load->neighbours[connection - load->connections],
			now_ns - connection->start_ns);
	load_next_closed(load, connection, now_ns);
}

/* Sends a message and receives as much, as far as the socket goes along;
 * whether it got on. */
static bool pour_message(struct load *load)
{
	struct load_connection *firehose = load->apart;
	const uint64_t before = load_bytes_moved(firehose);

	if (firehose->sent < firehose->allowed)
		load_send(load, firehose);
	else if (host_now_ns() < load->deadline_ns)
		load_allow(load, firehose);
	for (unsigned int piece = 0; piece < PIECES && firehose->fd >= 0 &&
				     load_bytes_out(firehose) > 0;
	     piece++)
		if (!load_receive_piece(load, firehose))
			break;
	return load_bytes_moved(firehose) != before;
}

/* A round of the firehose; whether it may get on at once. */
static bool pour(struct load *load)
{
	for (unsigned int count = 0; count < MESSAGES_MAX; count++)
		if (load->apart->fd < 0 || !pour_message(load))
			return false;
	return true;
}

int load_turn_firehose(struct load *load, uint64_t duration_ns,
		       struct histogram *histogram, struct load_turn *turn)
{
	static const struct load_protocol protocol = { NULL, on_returned };
	const uint64_t start_ns = load_begin(load, &protocol, histogram);

	load->deadline_ns = start_ns + duration_ns;
	load->apart = &load->connections[0];
	load_begin_closed(load, 1);
	do {
		const bool poured = pour(load);

		if (load_step(load, poured ? 0 : LOAD_WAIT_NS) < 0)
			return -1;
	} while (load->busy > 0 || host_now_ns() < load->deadline_ns);
	return load_end(load, start_ns, turn);
}
