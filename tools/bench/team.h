/* SPDX-License-Identifier: MIT */
/*
 * Loads on one server from several threads: the connections, the rate and the
 * number of requests are dealt over them, each has its own epoll, and what
 * comes of it is summed. One load stays on the thread that asks for it.
 */
#ifndef BENCH_TEAM_H
#define BENCH_TEAM_H

#include "load.h"

struct team {
	uint32_t count;            /* of loads, and threads in a turn */
	struct load *loads;        /* the first is run by who asks */
	struct team_member *turns; /* what each does in a turn; of team.c */
};

/*
 * Opens all connections (with `brief`: none yet) and deals them; there are at
 * least as many as threads, and messages a second if there is a rate. -1 once
 * it has complained, with nothing open.
 */
int team_open(struct team *team, const struct load_options *options,
	      uint32_t threads);

/* As load_turn() by all of them at once: from the first to begin to the last
 * to end. */
int team_turn(struct team *team, const struct load_amount *amount,
	      struct histogram *histogram, struct load_turn *turn);

/* As load_once(). */
int team_once(struct team *team, struct load_turn *turn);

/* Connections lost, and messages sent late. */
uint64_t team_errors(const struct team *team);
uint64_t team_late(const struct team *team);

/* Whether a load has lost all of its connections. */
bool team_is_broken(const struct team *team);

/* As load_error(), of the first that lost one. */
const char *team_error(const struct team *team);

void team_close(struct team *team);

#endif
