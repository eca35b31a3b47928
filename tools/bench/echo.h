/* SPDX-License-Identifier: MIT */
/*
 * What rota-bench echo was asked for, and the measurements of one server or
 * of two of them.
 */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "report.h"

#define ECHO_NOT_GIVEN UINT64_MAX

struct echo_settings {
	const char *connect;    /* ADDR:PORT of a server that runs, or NULL */
	const char *server;     /* command, or NULL */
	const char *against;    /* command of the second one, or NULL */
	struct address address; /* what connect says */
	uint64_t idle;          /* connections that are silent, if given */
	uint64_t connections;   /* to each server */
	uint64_t size;          /* bytes of a message */
	uint64_t seconds_ns;    /* measured, both servers together */
	uint64_t warmup_ns;     /* before that, not counted */
	uint64_t turn_ns;       /* with two servers, of one */
	uint64_t rate;          /* messages a second to each, open loop */
	uint64_t threads;       /* of the load, to each server */
	uint64_t requests;      /* so many, in place of a time, if given */
	int server_cpu;         /* -1: any */
	int load_cpu;           /* -1: any */
	bool open_loop;         /* by a schedule, not when answered */
	bool firehose;          /* one connection sends all that it can */
	bool brief;             /* a connection for each message */
	bool placed;            /* --cpus is given */
	bool sleeps;            /* the load sleeps while it waits */
	bool spins;             /* the load does not, because it need not */
	bool json;
	bool help;
};

/* What is missing or at odds with itself: 0, or -1 once it has complained. */
int echo_check(const struct echo_settings *settings);

/* What was not given becomes what is usual. */
void echo_complete(struct echo_settings *settings);

/* Measure and report: an exit code; a failure has been complained of. */
int echo_alone(const struct echo_settings *settings, struct report *report);
int echo_against(const struct echo_settings *settings, struct report *report);
int echo_idle(const struct echo_settings *settings, struct report *report);

#endif
