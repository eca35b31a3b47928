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

/* Keeps tasks of several loops apart while one of them looks at what they
 * share: for some instructions, never across a switch. */
struct rota_guard {
	void *loop;    /* the only one that comes by; NULL: any may */
	unsigned held; /* somebody is inside; atomic. Of one loop: its index */
	unsigned away; /* served, and to come by before they return; atomic */
};

/* Who waits for something, the first one first. */
struct rota_line {
	struct rota_node head; /* of the places */
	unsigned count;        /* how many */
};

struct rota_waiter;

/* A place in a line: of a task that waits for one thing, or for one of
 * several. */
struct rota_place {
	struct rota_node link;      /* in the line */
	struct rota_line *line;     /* this one */
	struct rota_guard *guard;   /* of the line; NULL: it is in none */
	struct rota_waiter *waiter; /* who waits here */
	void *item; /* to or from where an item is copied; else its own */
};

#endif
