// SPDX-License-Identifier: MIT
/*
 * The open loop: messages are sent by a schedule, so many a second over all
 * connections, evenly, whether or not earlier ones are back, and latency
 * counts from when a message was to be sent. A closed loop sends nothing
 * while the server stalls, so it sees one slow answer where users would have
 * met thousands; here each of them counts.
 *
 * Slot s of the schedule is at s / rate seconds, and belongs to connection
 * s mod connections. The schedule runs on from turn to turn and stands still
 * in between. Nothing is queued: which slot a message was follows from its
 * number.
 */
#include "host.h"
#include "load_wire.h"

#define NS_PER_SECOND 1000000000u

/* Sent later than that, by a busy load or into a full socket, is late. */
#define LATE_NS 100000u

/* When a slot is, from the first one on; no overflow within centuries. */
static uint64_t slot_ns(const struct load *load, uint64_t slot)
{
	const uint64_t rate = load->options.rate;

	return slot / rate * NS_PER_SECOND + slot % rate * NS_PER_SECOND / rate;
}

/* When this message of this turn was to be sent. */
static uint64_t intended_ns(const struct load *load,
			    const struct load_connection *connection,
			    uint64_t number)
{
	const uint64_t slot =
		connection->first_slot +
		(number - connection->first) * load->options.connections;

	return load->schedule.origin_ns + slot_ns(load, slot);
}

static void on_begun(struct load *load, struct load_connection *connection,
		     uint64_t number)
{
	const uint64_t now_ns = host_now_ns();

	if (load->histogram != NULL &&
	    now_ns > intended_ns(load, connection, number) + LATE_NS)
		load->schedule.late++;
}

static void on_returned(struct load *load, struct load_connection *connection,
			uint64_t number)
{
	const uint64_t now_ns = host_now_ns();

	if (load->histogram != NULL)
		histogram_record(load->histogram,
				 now_ns -
					 intended_ns(load, connection, number));
}

/* The first message of each connection in this turn, and its slot. */
static void place(struct load *load)
{
	const uint32_t count = load->options.connections;
	uint64_t slot = load->schedule.next;

	for (uint32_t step = 0; step < count; step++, slot++) {
		struct load_connection *connection =
			&load->connections[slot % count];

		connection->first = connection->allowed;
		connection->first_slot = slot;
	}
}

/* Slots of connections that are lost pass by. */
static void send_due(struct load *load, uint64_t until_ns)
{
	struct load_schedule *schedule = &load->schedule;
	const uint32_t count = load->options.connections;

	while (slot_ns(load, schedule->next) < until_ns) {
		struct load_connection *connection =
			&load->connections[schedule->next++ % count];

		if (connection->fd >= 0)
			load_allow(load, connection);
	}
}

/* From now to the next slot or the end of the turn; after it, any time. */
static uint64_t wait_ns(const struct load *load, uint64_t now_ns,
			uint64_t deadline_ns)
{
	const uint64_t slot_at_ns =
		load->schedule.origin_ns + slot_ns(load, load->schedule.next);
	const uint64_t next_ns = slot_at_ns < deadline_ns ? slot_at_ns
							  : deadline_ns;

	if (now_ns >= deadline_ns)
		return LOAD_WAIT_NS;
	return next_ns > now_ns ? next_ns - now_ns : 0;
}

/* No slot of the turn is left, and all answers are there. */
static bool is_over(const struct load *load, uint64_t now_ns)
{
	const struct load_schedule *schedule = &load->schedule;

	return load->busy == 0 &&
	       now_ns >= schedule->origin_ns + schedule->done_ns &&
	       slot_ns(load, schedule->next) >= schedule->done_ns;
}

int load_turn_paced(struct load *load, uint64_t duration_ns,
		    struct histogram *histogram, struct load_turn *turn)
{
	static const struct load_protocol protocol = { on_begun, on_returned };
	const uint64_t start_ns = load_begin(load, &protocol, histogram);
	const uint64_t deadline_ns = start_ns + duration_ns;
	struct load_schedule *schedule = &load->schedule;

	schedule->origin_ns = start_ns - schedule->done_ns;
	schedule->done_ns += duration_ns;
	place(load);
	for (uint64_t now_ns = start_ns; !is_over(load, now_ns);
	     now_ns = host_now_ns()) {
		const uint64_t until_ns = now_ns < deadline_ns ? now_ns
							       : deadline_ns;

		send_due(load, until_ns - schedule->origin_ns);
		if (load_step(load, wait_ns(load, now_ns, deadline_ns)) < 0)
			return -1;
	}
	return load_end(load, start_ns, turn);
}
