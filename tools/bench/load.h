/* SPDX-License-Identifier: MIT */
/*
 * Load over many connections to one echo server. Connections send messages
 * and compare what comes back; when they send, a protocol decides, and each
 * has a file of its own:
 *
 *	load_closed.c   the next message when the last one is back
 *	load_paced.c    the next message when a schedule says so
 *	load_firehose.c one as fast as it can, the others closed loops
 *	load_idle.c     one message, then nothing
 *	load_short.c    a connection for each message
 *
 * It is made to cost little beside the server, in one thread (several of them
 * make a team, team.h): edge-triggered
 * epoll, so that nothing has to be asked for twice, and none of the read
 * loops that this otherwise needs, because a connection knows how much is
 * still to come. A message is not built but found: it is a piece of one
 * short random pattern, at a place that the connection and the number of the
 * message decide. What comes back is compared where it lands, in one buffer
 * for all.
 *
 * The load is dealt in turns. A turn ends drained: no request is on its way,
 * the server sleeps, and what it has used can be read off exactly.
 *
 * While it waits it asks again and again rather than sleep, if it is told
 * that it has a processor of its own. A load that sleeps has to be woken, and
 * the server pays for that: on a virtual machine with 9 us for a request it
 * paid 22 more, which would hide whatever is to be compared.
 *
 * A connection that fails or brings back what was not sent is counted as an
 * error and closed; the rest goes on.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "histogram.h"

/* A message of a firehose; its neighbours' are as long as is asked for. */
#define LOAD_FIREHOSE_BYTES 65536u

struct load_options {
	struct address address; /* of the server */
	uint32_t connections;   /* at least 1 */
	uint32_t size;          /* bytes of a message, at least 1 */
	uint64_t rate;          /* messages a second; 0: a closed loop */
	bool firehose;          /* the first connection is one */
	bool brief;             /* each message has a connection of its own,
				   and `connections` are open at a time */
	bool spins;             /* rather than sleep while it waits */
	uint64_t first;         /* the number of its first one in the team */
};

/* How much a turn is to deal: what is on its way then is waited for. */
struct load_amount {
	uint64_t ns;       /* for so long; */
	uint64_t requests; /* or, if it is not 0, so many, however long */
};

struct load_connection; /* load_wire.h */
struct load_protocol;   /* load_wire.h */

/* When messages are to be sent, if there is a rate; of load_paced.c. */
struct load_schedule {
	uint64_t next;      /* slot */
	uint64_t done_ns;   /* of it, in turns until now */
	uint64_t origin_ns; /* when it had begun, without the pauses */
	uint64_t late;      /* messages sent late in turns with a histogram */
};

struct load {
	struct load_options options;
	struct load_connection *connections;
	uint32_t alive;  /* connections that are not closed */
	uint64_t busy;   /* messages that they may send and that are not back */
	uint64_t errors; /* connections lost, for whatever reason */
	int first_errno; /* of the first one; 0: wrong content */
	int epoll;
	unsigned char *pattern; /* where all messages are found */
	unsigned char *scratch; /* where all that is received lands */
	struct load_schedule schedule;
	struct histogram *neighbours; /* of the firehose, by connection */
	uint64_t dialed;              /* for one message each */

	/* Of the turn that is under way. */
	const struct load_protocol *protocol;
	uint64_t deadline_ns;          /* after it nothing new is sent */
	uint64_t left;                 /* that may still be sent */
	uint64_t requests;             /* answered */
	uint64_t silent_since_ns;      /* 0, or when waiting began in vain */
	uint32_t next;                 /* connection to send, if in order */
	uint64_t poured;               /* messages of the firehose, answered */
	struct load_connection *apart; /* not looked after by load_step */
	struct histogram *histogram;   /* of latencies in ns; may be NULL */
};

struct load_turn {
	uint64_t requests;   /* sent and answered, without the firehose's */
	uint64_t poured;     /* messages of the firehose; 64 KiB each */
	uint64_t elapsed_ns; /* from the first send to the last answer */
};

/* Takes connections that are open, as many as are asked for (with `brief`:
 * NULL). -1 once it has complained; then they are closed. */
int load_open(struct load *load, const struct load_options *options,
	      const int *fds);

/*
 * Deals requests, in a closed loop or by the schedule (which knows no number of
 * them). -1 once it has complained: no connection is left, or no answer came
 * for 5 s. Also -1, silently, when interrupted.
 */
int load_turn(struct load *load, const struct load_amount *amount,
	      struct histogram *histogram, struct load_turn *turn);

/* Each connection sends one message, all at once. Returns as load_turn. */
int load_once(struct load *load, struct load_turn *turn);

/*
 * Each connection sends one message, a few at a time, then nothing for so
 * long; one that the server closes meanwhile is lost. Returns as load_turn.
 */
int load_greet(struct load *load, uint64_t idle_ns, struct load_turn *turn);

/* How the first of the connections that were lost came to it. */
const char *load_error(const struct load *load);

void load_close(struct load *load);

#endif
