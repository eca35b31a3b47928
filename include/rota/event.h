/* SPDX-License-Identifier: MIT */
/*
 * An event has happened or not. Who waits for it goes on when it has, at once
 * if it has already, until somebody resets it.
 *
 * It is no answer: who sets it is not told whether anybody has heard, and twice
 * may be heard as once; for an acknowledgement there is request.h.
 */
#ifndef ROTA_EVENT_H
#define ROTA_EVENT_H

#include "rota/link.h"
#include "rota/sync.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* In the caller's memory; its fields are private. */
struct rota_event {
	struct rota_guard guard; /* of what follows */
	struct rota_line line;   /* who waits for it */
	const char *name;        /* given by the user, or NULL */
	unsigned state;          /* it was made, and is not gone */
	bool set;                /* it has happened */
};

/* Makes an event that has not happened; options or NULL. Made outside of a task
 * it is for every loop and every thread. Cannot fail, never suspends. */
void rota_event_init(struct rota_event *event,
		     const struct rota_sync_options *options);

/* The end of an event; while tasks wait for it, aborts. Never suspends. */
void rota_event_fini(struct rota_event *event);

/* It has happened: all who wait go on, in the order in which they came. Again:
 * does nothing. Never suspends, never refused. Whatever was done before is seen
 * by who goes on. Any task or callback, and any thread if it may be used on
 * every loop. */
void rota_event_set(struct rota_event *event);

/* It has not happened yet; who was to go on still does. As rota_event_set. */
void rota_event_reset(struct rota_event *event);

/* Has it happened? As rota_event_set. */
bool rota_event_is_set(struct rota_event *event);

/* Waits until it happens. 0; -ECANCELED, -ETIME, -ESHUTDOWN: the task is
 * cancelled, at once or when a cancel comes. If it happened first, 0. Suspends,
 * unless it has happened; tasks only. -EMFILE, -ENFILE: one that was made
 * outside of a task, in an engine of one loop that cannot be woken from
 * outside. */
int rota_event_wait(struct rota_event *event)
	__attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
