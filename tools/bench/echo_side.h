/* SPDX-License-Identifier: MIT */
/*
 * One side of a measurement: a server, the load on it, and what came of it.
 */
#ifndef BENCH_ECHO_SIDE_H
#define BENCH_ECHO_SIDE_H

#include <stdint.h>

#include "echo.h"
#include "histogram.h"
#include "team.h"
#include "server.h"

struct echo_side {
	const char *role;           /* "server", "against" or "connect" */
	const char *command;        /* of the server, or where it listens */
	struct server server;       /* its pid is 0 if it is not ours */
	struct team team;           /* all connections to it */
	struct histogram histogram; /* latencies of what is counted, in ns */
	uint64_t requests;          /* counted: answered, */
	uint64_t poured;            /* messages of a firehose besides, */
	uint64_t elapsed_ns;        /* in this time, */
	uint64_t cpu_ns;            /* with this much of the server's */
	uint64_t rss_before;        /* resident bytes without connections */
};

/* What one turn came to. */
struct echo_turn {
	double cpu_ns_per_request; /* with a firehose: per KiB of both */
	double requests_per_second;
};

/* Start the server, or take the one that runs, and connect to it. */
int echo_side_start(struct echo_side *side,
		    const struct echo_settings *settings);
int echo_side_connect(struct echo_side *side,
		      const struct echo_settings *settings);

/*
 * A turn of so much; it counts for the side's figures if `counted`, and is
 * told in *turn. Each begins with one request of every connection that is
 * not counted: it brings the server back into the caches, out of which the
 * other's turn has pushed it.
 */
int echo_side_turn(struct echo_side *side, const struct load_amount *amount,
		   bool counted, struct echo_turn *turn);

/* The side's figures as a row. */
void echo_side_report(const struct echo_side *side,
		      const struct echo_settings *settings,
		      struct report_row *row);

/* Ends the load and the server; -1 if that did not end well. */
int echo_side_stop(struct echo_side *side);

#endif
