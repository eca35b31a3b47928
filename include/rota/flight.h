/* SPDX-License-Identifier: MIT */
/*
 * Flights: of several tasks that ask for the same thing at the same time one
 * does the work, and the others share what it got, on one loop or on several.
 *
 *	static int fetch(void *arg, void *value)
 *	...
 *	struct rota_flight flight = {
 *		.key = name, .key_bytes = strlen(name),
 *		.fn = fetch, .arg = name,
 *		.value = &entry, .value_bytes = sizeof(entry),
 *	};
 *
 *	error = rota_flight_run(&flights, &flight);
 *
 * The first one with a key leads: it calls its own function, in its own task.
 * Who comes with the same key meanwhile waits, and gets a copy of the value and
 * what the function returned, an error too. Once it has returned nothing is
 * remembered: this is no cache. Who has one looks into it before, and where
 * several loops use it once more at the start of the function: the flight that
 * filled it may have landed in between.
 *
 * If the one that leads is cancelled, that is no reason why the others should
 * fail: the first of them that waits leads then, with its own function.
 *
 * Nothing is allocated: what is needed lies in the frames of those who call.
 */
#ifndef ROTA_FLIGHT_H
#define ROTA_FLIGHT_H

#include "rota/link.h"
#include "rota/sync.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Chains of flights; each is short as long as some hundred run at a time. */
#define ROTA_FLIGHTS_BUCKETS 64

/* Flights of one kind, by their keys. In the caller's memory, as long as
 * anybody uses it; its fields are private. */
struct rota_flights {
	struct rota_guard guard; /* of what follows */
	struct rota_line line;   /* counts who waits; they are elsewhere */
	struct rota_chain *buckets[ROTA_FLIGHTS_BUCKETS]; /* flights, by key */
	const char *name; /* given by the user, or NULL */
	unsigned state;   /* it was made, and is not gone */
	unsigned running; /* flights, also those that were forgotten */
};

/* What a task asks for. All of it stays where it is until it was told. */
struct rota_flight {
	const void *key;  /* what it is about: compared byte by byte */
	size_t key_bytes; /* how long that is; may be 0 */
	/* Gets it: writes it to `value` and returns 0 or more; or -errno, then
	 * the value counts for nothing. May suspend. */
	int (*fn)(void *arg, void *value);
	void *arg;          /* its first argument */
	void *value;        /* its second one; here it is copied to, too */
	size_t value_bytes; /* of the value: the same for each with this key */
	bool shared;        /* is set to whether others got the same */
};

/* How it goes: read at one moment. */
struct rota_flights_state {
	unsigned running; /* flights */
	unsigned waiting; /* tasks that wait for what one of them gets */
};

/* Makes flights; NULL: no options. Cannot fail, never suspends. Any thread: what
 * is made outside of a task may be used on every loop. */
void rota_flights_init(struct rota_flights *flights,
		       const struct rota_sync_options *options);

/* Ends them: one that is under way aborts the program. Never suspends. Any
 * thread that may use it. */
void rota_flights_fini(struct rota_flights *flights);

/* Gets what is asked for, or waits for who does already. Returns what the
 * function that was called has returned; 0 or more: the value is there.
 * -ECANCELED, -ETIME, -ESHUTDOWN: the task is cancelled, at once or when a
 * cancel comes while it waits: then only it goes without; what was got before
 * is delivered. -EINVAL: its value is of another size than that of who leads.
 * -EDEADLK: it leads already, and asks its own function's question.
 *
 * When the function of who leads returns the code with which its own task was
 * cancelled, only that one is told so, and the next one leads.
 *
 * May suspend. Tasks only, of any loop of the engine. -EMFILE, -ENFILE: what
 * was made outside of a task, in an engine of one loop that cannot be woken
 * from outside. */
int rota_flight_run(struct rota_flights *flights, struct rota_flight *flight)
	__attribute__((warn_unused_result));

/* Who comes with this key from now on waits for nobody who came before, but
 * leads anew: what is being got is out of date. Those who wait already get it
 * still. Never suspends, never refused. Tasks and callbacks; any thread, if the
 * flights may be used on every loop. */
void rota_flight_forget(struct rota_flights *flights, const void *key,
			size_t key_bytes);

/* How many there are and who waits. Never suspends. Who may forget may ask. */
struct rota_flights_state rota_flights_inspect(struct rota_flights *flights);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
