/* SPDX-License-Identifier: MIT */
/*
 * The multishot echo server between its two files: serve_multishot.c accepts,
 * waits and ends, multishot.c knows what a connection does next.
 *
 *	receive armed -> landed -> one send a turn -> buffers given back
 *	                              | falls short
 *	                              v
 *	                 receive cancelled and over -> backlog -> armed again
 *
 * 1. A send never waits: it is over when the turn's submit is. So nobody
 *    holds buffers for longer than a turn, however slowly it reads.
 * 2. A send that falls short ends its connection's receive. After that what
 *    is left is copied into a backlog and sent from there by a send that
 *    waits, and only then more is received.
 * 3. A receive that found no buffer (ENOBUFS, which may also be the end of
 *    the input) is armed again once there are some, first come first.
 * 4. What a connection does next is decided in one place, when all
 *    completions of a turn are told: what landed of one connection goes out
 *    in one send.
 *
 * Connections are known by their descriptor, in a table. The kernel never has
 * its address, so it may move. A late cancel that meets the next connection
 * of the same descriptor makes that arm its receive once more.
 */
#ifndef BENCH_MULTISHOT_H
#define BENCH_MULTISHOT_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bare_buffers.h"
#include "bare_ring.h"
#include "landed.h"

/* Taken in a turn: none asks for more than two entries, so all find room. */
#define MULTISHOT_COMPLETIONS_MAX (BARE_RING_ENTRIES / 2)

#define MULTISHOT_NOBODY (-1)

/* The upper half of user_data; the lower one is the descriptor. */
enum multishot_kind {
	MULTISHOT_ACCEPT = 1,
	MULTISHOT_SIGNAL,
	MULTISHOT_REST,
	MULTISHOT_CANCEL,
	MULTISHOT_RECEIVE,
	MULTISHOT_SEND
};

struct multishot_backlog; /* multishot.c */

struct multishot_connection {
	struct multishot_backlog *backlog; /* what it did not take, or NULL */
	uint32_t sending;           /* bytes of the send in flight; 0: none */
	struct landed_queue landed; /* to be sent */
	int next;                   /* starved after it, or NOBODY */
	bool open;                  /* the descriptor is a connection */
	bool armed;                 /* its receive is in flight */
	bool starved;               /* in the queue of those */
	bool blocked;               /* it did not take all of a send */
	bool ended;                 /* nothing more comes from it */
	bool broken;                /* nothing more can be sent to it */
	bool touched;               /* to be settled in this turn */
};

struct multishot {
	struct io_uring ring;
	struct bare_buffers buffers;
	struct landed landed;
	struct multishot_connection *connections; /* by descriptor */
	size_t room;                              /* in connections */
	size_t live;                              /* open ones */
	int starved_first;                        /* or NOBODY */
	int starved_last;           /* valid if there is a first one */
	bool stopping;              /* a signal came */
	unsigned int touched_count; /* in touched */
	int touched[MULTISHOT_COMPLETIONS_MAX]; /* connections of this turn */
};

/* The next entry to fill in; COMPLETIONS_MAX sees to it that there is one. */
struct io_uring_sqe *multishot_entry(struct multishot *server);

/* What its completion is known by; once it is prepared. */
void multishot_tag(struct io_uring_sqe *entry, enum multishot_kind kind,
		   int fd);

/* Asks for the end of what was asked for. */
void multishot_cancel(struct multishot *server, enum multishot_kind kind,
		      int fd);

/* A connection was accepted; without memory it is closed. */
void multishot_open(struct multishot *server, int fd);

/* What completions of RECEIVE, SEND and CANCEL tell. */
void multishot_on_receive(struct multishot *server, int fd,
			  const struct io_uring_cqe *cqe);
void multishot_on_send(struct multishot *server, int fd, int result);
void multishot_on_cancel(struct multishot *server, int fd, int result);

/* Asks for all that the completions of a turn lead to, once a turn. */
void multishot_settle(struct multishot *server);

/*
 * Whether something will come to wake it. Not while receives starve beside
 * free buffers: those that were armed instead may have nothing to take.
 */
bool multishot_may_sleep(const struct multishot *server);

#endif
