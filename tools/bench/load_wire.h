/* SPDX-License-Identifier: MIT */
/*
 * What the protocols of the load share: messages go out as far as they are
 * allowed and the socket takes them, and are compared as they come back, in
 * order, several on their way at a time or one.
 */
#ifndef BENCH_LOAD_WIRE_H
#define BENCH_LOAD_WIRE_H

#include "load.h"

/* Where in the pattern messages begin; a prime, so that steps reach all. */
#define LOAD_PLACES 4093u

/* More is received in pieces: it stays in the first-level cache this way. */
#define LOAD_SCRATCH_BYTES 16384u

/* Waits are slices of a second, because of signals. */
#define LOAD_WAIT_NS 1000000000u

struct load_connection {
	int fd;              /* -1: closed */
	bool lost;           /* closed for good */
	uint32_t size;       /* bytes of each of its messages */
	uint64_t allowed;    /* messages that it may send, from the first on */
	uint64_t sent;       /* messages that are sent as a whole */
	uint64_t back;       /* messages that are back as a whole, and right */
	uint32_t sent_bytes; /* of the next one to be sent */
	uint32_t back_bytes; /* of the next one to come back */
	uint64_t start_ns;   /* closed loop: when the last one was sent */
	uint64_t first;      /* schedule: its first message in this turn */
	uint64_t first_slot; /* schedule: the slot of that */
};

/* What a protocol does about it; both may lose the connection. */
struct load_protocol {
	/* The first bytes of this message are with the socket; or NULL. */
	void (*begun)(struct load *load, struct load_connection *connection,
		      uint64_t number);

	/* This message is back, and right. */
	void (*returned)(struct load *load, struct load_connection *connection,
			 uint64_t number);
};

/* Turns of the protocols; as load_turn. */
int load_turn_closed(struct load *load, const struct load_amount *amount,
		     struct histogram *histogram, struct load_turn *turn);
int load_turn_short(struct load *load, const struct load_amount *amount,
		    struct histogram *histogram, struct load_turn *turn);
int load_turn_paced(struct load *load, uint64_t duration_ns,
		    struct histogram *histogram, struct load_turn *turn);
int load_turn_firehose(struct load *load, uint64_t duration_ns,
		       struct histogram *histogram, struct load_turn *turn);

/* The closed loop, of all connections from this one on: each sends its first
 * message. */
void load_begin_closed(struct load *load, uint32_t first);

/* ... and the next one, unless it is too late, once the last one is back. */
void load_next_closed(struct load *load, struct load_connection *connection,
		      uint64_t now_ns);

/* One message more may be sent, and is, as far as the socket takes it. */
void load_allow(struct load *load, struct load_connection *connection);

/* Sends what is allowed and the socket takes. */
void load_send(struct load *load, struct load_connection *connection);

/* Bytes that are sent and not back. */
static inline uint64_t load_bytes_out(const struct load_connection *connection)
{
	return (connection->sent - connection->back) * connection->size +
	       connection->sent_bytes - connection->back_bytes;
}

/* Bytes sent and bytes back, since it was opened. */
static inline uint64_t
load_bytes_moved(const struct load_connection *connection)
{
	return (connection->sent + connection->back) * connection->size +
	       connection->sent_bytes + connection->back_bytes;
}

/* Takes a piece of what came; whether there may be more. */
bool load_receive_piece(struct load *load, struct load_connection *connection);

/* Takes what came; edge-triggered, so all of it that can have come. */
void load_receive(struct load *load, struct load_connection *connection);

/* Closes a connection for good; error 0: what came back was wrong. */
void load_lose(struct load *load, struct load_connection *connection,
	       int error);

/* A turn by this protocol begins now, which is returned; no deadline yet. */
uint64_t load_begin(struct load *load, const struct load_protocol *protocol,
		    struct histogram *histogram);

/* No more than that is dealt in the turn that began then; of an amount of
 * nothing, what is sent at its begin. */
void load_limit(struct load *load, const struct load_amount *amount,
		uint64_t start_ns);

/* Looks after a connection that has just been opened: 0 or -errno. */
int load_watch(struct load *load, struct load_connection *connection);

/*
 * Waits for so long at most, not at all if it spins, and deals with what
 * came: 0, or -1 when interrupted or, once it has complained, after a long
 * silence while answers are due.
 */
int load_step(struct load *load, uint64_t wait_ns);

/* The turn is over, drained: -1 once it has complained that all are lost. */
int load_end(struct load *load, uint64_t start_ns, struct load_turn *turn);

/* Says "WHAT ADDRESS: WHY". */
void load_complain(const struct load *load, const char *what, const char *why);

#endif
