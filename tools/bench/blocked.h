/* SPDX-License-Identifier: MIT */
/*
 * Tasks that are blocked in the kernel, each in a receive from a socket to
 * which nobody sends, until something stops them all.
 */
#ifndef BENCH_BLOCKED_H
#define BENCH_BLOCKED_H

#include <rota/rota.h>

#include "quiet.h"

struct blocked {
	const struct quiet *sockets; /* one for each task */
	unsigned receiving;          /* tasks that have begun to */
	unsigned resumed;            /* tasks whose receive has returned */
	uint64_t told;               /* of these, with what was expected */
	uint64_t last_ns;            /* when the last one's did */
};

/* What a task is given. */
struct blocked_member {
	struct blocked *all; /* what it counts in */
	int fd;              /* of its socket */
};

/* Starts a task for each socket. When it returns 0, all their receives are in
 * the kernel. Counts anew. */
int blocked_start(struct blocked *blocked, struct rota_group *group,
		  rota_task_fn *fn);

/* For that function: receives, and counts what comes of it. Returns what
 * rota_recv has returned. */
int blocked_receive(const struct blocked_member *member, int expected);

#endif
