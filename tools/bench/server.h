/* SPDX-License-Identifier: MIT */
/*
 * A server under test: a child process, started by a command line, pinned to
 * a processor, known by the line with which it says that it is ready, asked
 * for its processor time and memory, and ended. Whatever happens to this
 * process, the child does not outlive it.
 *
 * Processor time is that of the process's clock: nanoseconds, user and
 * system, all threads. The kernel brings it up to date only when a thread
 * leaves its processor, so it is exact for a server that sleeps and up to a
 * tick (4 ms) old for one that runs. Hence the load is drained before.
 */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "address.h"

struct server {
	const char *command;    /* as given, for messages */
	pid_t pid;              /* 0: not running, or not ours */
	clockid_t cpu_clock;    /* of the process */
	int output;             /* its standard output, -1 if closed */
	struct address address; /* where it listens */
};

/*
 * Starts the command by "/bin/sh -c exec COMMAND" on the processor (-1: any)
 * and waits until it listens. -1 once it has complained; then nothing runs.
 */
int server_start(struct server *server, const char *command, int cpu);

/* Processor time used so far; waits up to 10 ms until the server sleeps. */
uint64_t server_cpu_ns(const struct server *server);

/* Resident memory; 0 if the kernel does not tell. */
uint64_t server_rss_bytes(const struct server *server);

/*
 * Whether it still runs; else it has complained of how it ended. What the
 * server has printed meanwhile is read and thrown away, lest it block.
 */
bool server_runs(struct server *server);

/*
 * Ends it by SIGTERM, after some seconds by SIGKILL, and reaps it. -1 once
 * it has complained that it ended otherwise than by that or exit code 0.
 */
int server_stop(struct server *server);

#endif
