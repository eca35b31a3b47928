/* SPDX-License-Identifier: MIT */
/*
 * Request and reply: tasks ask another one, the owner of something, and wait for
 * its answer. So what it owns needs no lock.
 *
 *	struct rota_requests requests;
 *
 *	error = rota_requests_open(&requests, &(struct rota_requests_options){
 *			.request_bytes = sizeof(struct query),
 *			.reply_bytes = sizeof(struct row), .capacity = 16 });
 *	...
 *	while (rota_requests_take(&requests, &ticket) == 0) {     the owner
 *		look_up(table, ticket.request, &row);
 *		rota_requests_answer(&ticket, &row);
 *	}
 *	rota_requests_close(&requests);
 *	...
 *	error = rota_request(&requests, &query, &row);            who asks
 *
 * Requests and replies are of fixed size and are copied. A request is in one of
 * so many slots, which are there from the start, until it is answered. Who asks
 * while none is free waits its turn; the owner never waits to answer.
 *
 * An asker that is cancelled goes on at once, and its memory with it: if the
 * owner has not taken its request, nobody ever will; if it has, the slot stays
 * with the owner, and its answer is dropped.
 *
 * Askers and owners may be on any loop, and there may be several owners. The
 * structure has to outlive all use of it: askers are told -EPIPE once it is
 * closed.
 */
#ifndef ROTA_REQUEST_H
#define ROTA_REQUEST_H

#include "rota/link.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* How much they carry, and how many there may be. */
struct rota_requests_options {
	size_t request_bytes; /* of a request; 0: there is nothing to say */
	size_t reply_bytes;   /* of a reply; 0: that it was answered is all */
	unsigned capacity;    /* slots: requests that were asked and not yet
	                         answered; at least 1 */
	/* Where the slots are to live: rota_requests_bytes() of them, aligned
	 * to 16, until it is closed. NULL: allocated once. */
	void *memory;
	bool local; /* in an engine of several loops: only tasks of this one
	               use it, which is cheaper; any other aborts */
};

struct ri_slot;

/* All of it is private. */
struct rota_requests {
	struct rota_guard guard; /* of what follows */
	struct rota_line asking; /* who waits for a slot */
	struct rota_line owning; /* who waits to take a request */
	struct rota_node queue;  /* slots with a request that nobody took */
	struct rota_node unused; /* slots without a request */
	char *slots;             /* all of them */
	size_t slot_bytes;       /* of each */
	size_t request_bytes;    /* of a request */
	size_t reply_bytes;      /* of a reply */
	unsigned capacity;       /* how many slots */
	unsigned queued;         /* how many are in the queue */
	unsigned taken;          /* how many have a request that was taken */
	unsigned state;          /* open, closed; else nobody opened it */
	bool allocated;          /* the slots are, by rota */
};

/* A request that was taken: to be answered once. Only `request` is public: it
 * may be read, and written, until the answer; NULL if it has 0 bytes. */
struct rota_ticket {
	void *request;                  /* a copy of what was asked */
	struct rota_requests *requests; /* whose; NULL: it was answered */
	struct ri_slot *slot;           /* where it is */
	unsigned generation;            /* of the slot when it was taken */
};

/* How it goes: read at one moment. */
struct rota_requests_state {
	unsigned waiting; /* askers without a slot */
	unsigned queued;  /* requests that nobody has taken */
	unsigned taken;   /* requests that are to be answered */
};

/* How much memory the slots take; 0 for options that cannot be. Any thread. */
size_t rota_requests_bytes(const struct rota_requests_options *options);

/* 0; -EINVAL: no slots, more than SIZE_MAX / 2 bytes altogether, memory that is
 * not aligned; -ENOMEM. Then it is not open. Never suspends. Any thread: what
 * is opened outside of a task may be used on every loop. */
int rota_requests_open(struct rota_requests *requests,
		       const struct rota_requests_options *options)
	__attribute__((warn_unused_result));

/* Asks: waits for a slot, first come, first served, then for the answer, which
 * is copied to `reply`. 0: answered. -EPIPE: it is closed, before or while this
 * waited; if an owner had taken the request, what came of it is not known.
 * -ECANCELED, -ETIME, -ESHUTDOWN: the task is cancelled, at once or when a
 * cancel comes: then nothing is written to `reply`. An answer that came before
 * the cancel is delivered.
 *
 * Suspends. Tasks only, of any loop. -EMFILE, -ENFILE: as rota_channel_send. */
int rota_request(struct rota_requests *requests, const void *request,
		 void *reply) __attribute__((warn_unused_result));

/* Takes the request that has waited longest; waits for one. 0: it is in the
 * ticket, and has to be answered. -EPIPE: it is closed. -ECANCELED, -ETIME,
 * -ESHUTDOWN: the task is cancelled, at once or when a cancel comes; then
 * nothing was taken. A request that was handed over before the cancel is
 * delivered.
 *
 * Suspends if there is none; else as rota_request. */
int rota_requests_take(struct rota_requests *requests,
		       struct rota_ticket *ticket)
	__attribute__((warn_unused_result));

/* The same without a wait: -EAGAIN if it would be one. Never suspends, not
 * refused in a cancelled task. Any thread that may use it. */
int rota_requests_try_take(struct rota_requests *requests,
			   struct rota_ticket *ticket)
	__attribute__((warn_unused_result));

/* Answers: the reply is copied to the asker, if that still waits; in any case
 * the slot is free for the next one, and the ticket is used up: a second answer
 * aborts. After rota_requests_close nothing is done. Never suspends, never
 * refused, cannot fail. Any thread that may use it. */
void rota_requests_answer(struct rota_ticket *ticket, const void *reply);

/* Nobody will answer any more: whoever asks, waits for a slot or for an answer,
 * or waits to take a request, is told -EPIPE, now and from now on. Memory that
 * was allocated is given back, so another owner must not be reading a request
 * then (in memory of the caller's it may). Never suspends, never refused; a
 * second time aborts. Any thread that may use it. */
void rota_requests_close(struct rota_requests *requests);

/* Never suspends. Any thread that may use it. */
struct rota_requests_state
rota_requests_inspect(struct rota_requests *requests);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
