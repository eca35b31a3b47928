/* SPDX-License-Identifier: MIT */
/*
 * A rate: how often something may be done, however many tasks want to do it, on
 * one loop or on several. A bucket gets a token each `interval_ns`, and holds
 * `burst` of them at most; who takes one goes on, who finds too few waits.
 *
 *	struct rota_rate rate;
 *
 *	error = rota_rate_init(&rate, &(struct rota_rate_options){
 *			.interval_ns = ROTA_SECOND / 100, .burst = 10 });
 *	...
 *	while (!(error = rota_rate_wait(&rate, 1)))
 *		ask_the_peer();
 *
 * The schedule is absolute, as a ticker's is: who goes on a little late does
 * not move the moment of the next one, so what is asked for 100 times a second
 * comes 100 times a second. What nobody takes adds up to `burst`, and no
 * further: also after a stall no more go on at once than `burst` and the one
 * that was due.
 *
 * First come, first served: while somebody waits for many tokens, nobody who
 * comes later gets those that are there.
 */
#ifndef ROTA_RATE_H
#define ROTA_RATE_H

#include "rota/link.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct rota_task;

/* In the caller's memory, as long as anybody uses it; its fields are private.
 */
struct rota_rate {
	struct rota_guard guard; /* of what follows */
	struct rota_line line;   /* who waits, behind the front one */
	struct rota_task *front; /* who waits for its moment; NULL: nobody */
	int64_t interval_ns;     /* from one token to the next */
	uint64_t burst;          /* tokens it holds at most */
	int64_t empty_ns; /* when it was empty, had it been so: since then a
			     token has come each interval */
	const char *name; /* given by the user, or NULL */
	unsigned state;   /* it was made, and is not gone */
};

/* What a rate is to be. */
struct rota_rate_options {
	int64_t interval_ns; /* from one token to the next */
	uint64_t burst;      /* tokens it holds at most, and at first; 0: 1 */
	const char *name;    /* for diagnostics; NULL: none */
	bool local;          /* in an engine of several loops: only tasks of
	                        this one use it; any other aborts */
};

/* How it goes: read at one moment. */
struct rota_rate_state {
	uint64_t tokens;  /* that are there */
	unsigned waiting; /* tasks that wait for some */
};

/* Makes a rate, with a full bucket. 0; -EINVAL: an interval of 0 or less, or
 * one that would fill the bucket in more than 70 years; then there is nothing
 * to end. Never suspends. Any thread: what is made outside of a task may be
 * used on every loop. */
int rota_rate_init(struct rota_rate *rate,
		   const struct rota_rate_options *options)
	__attribute__((warn_unused_result));

/* Its memory is the caller's again, once the last wait for it has returned
 * (sync.h). One that is waited for aborts the program, naming by whom. Never
 * suspends, never refused. Any thread that may use it. */
void rota_rate_fini(struct rota_rate *rate);

/* Takes `count` tokens; waits until they are there and everybody who came
 * earlier has had its turn. 0: they are taken. -EINVAL: more than the bucket
 * holds. -ECANCELED, -ETIME, -ESHUTDOWN: the task is cancelled, at once or when
 * a cancel comes: then it has taken nothing, and those behind it go on as if it
 * had never come.
 *
 * May suspend. Tasks only, of any loop of the engine. -EMFILE, -ENFILE: a rate
 * that was made outside of a task, in an engine of one loop that cannot be
 * woken from outside. */
int rota_rate_wait(struct rota_rate *rate, uint64_t count)
	__attribute__((warn_unused_result));

/* The same without a wait: -EAGAIN if it would be one. Never suspends, not
 * refused in a cancelled task. Tasks and callbacks; any thread, if the rate may
 * be used on every loop. */
int rota_rate_try(struct rota_rate *rate, uint64_t count)
	__attribute__((warn_unused_result));

/* How many tokens there are and who waits. Never suspends. Who may try may
 * ask. */
struct rota_rate_state rota_rate_inspect(struct rota_rate *rate);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
