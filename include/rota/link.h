/* SPDX-License-Identifier: MIT */
/*
 * The links that groups, deadlines and waits are made of: they live in the
 * structures that they link, so nothing allocates. All of it is private; it is
 * here because those structures live in the caller's memory.
 */
#ifndef ROTA_LINK_H
#define ROTA_LINK_H

#include <stdint.h>

/* A node of a ring round a head, and the head. */
struct rota_node {
	struct rota_node *next; /* the following one; NULL: on no list */
	struct rota_node *prev; /* the one before */
};

/* A node of a chain under a plain pointer. */
struct rota_chain {
	struct rota_chain *next;  /* the following one; NULL: the last */
	struct rota_chain **back; /* what points here; NULL: on no chain */
};

/* A place on the loop's wheel of timers. */
struct rota_timer {
	struct rota_node link;             /* in its slot */
	int64_t deadline_ns;               /* when it is due */
	void (*fire)(struct rota_timer *); /* called once it is off the wheel */
};

/* What one thread sends to a loop. */
struct rota_mail {
	struct rota_mail *next; /* posted before it; once taken: after it */
	/* What the loop does with it, on its own stack; `place` is the loop.
	 * The mail is the function's: it may be posted again, or given back. */
	void (*deliver)(void *place, struct rota_mail *mail);
};

#endif
