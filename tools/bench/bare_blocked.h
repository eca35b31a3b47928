/* SPDX-License-Identifier: MIT */
/*
 * What blocked.h does, on bare liburing: receives from sockets to which nobody
 * sends, each then cancelled by its id.
 */
#ifndef BENCH_BARE_BLOCKED_H
#define BENCH_BARE_BLOCKED_H

#include "quiet.h"

struct bare_blocked {
	const struct quiet *sockets; /* of the receives that are cancelled */
	const struct quiet *others;  /* of more that look on; or NULL */
	unsigned entries;            /* of the ring */
	uint64_t cancelled;          /* found: receives that ended so */
	uint64_t elapsed_ns;         /* found: that took so long */
};

/* 0 or -errno. Does it twice, tells of the second time. */
int bare_blocked_measure(struct bare_blocked *blocked);

#endif
