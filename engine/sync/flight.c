/* SPDX-License-Identifier: MIT */
/*
 * A call is a key that somebody works on: a record in the frame of who leads.
 * It is in its bucket, until it lands or is forgotten, and those who wait for
 * it are in its ring.
 *
 *	bucket -> call -> call         each in the frame of a leader
 *	           |
 *	         places of those who wait, each in the frame of one
 *
 * When a leader gives up, the record moves to the frame of the first one that
 * waits, and the ring to the new record, in one step however long it is: what a
 * waiter knows of where it stands are its neighbours, and the line of all
 * flights, which counts.
 *
 * A value is copied by who leads, before it serves: once served, a waiter may be
 * gone, and once it has returned, so is its own value.
 */
#include "rota/flight.h"

#include "sync/holder.h"
#include "task/scope.h"

#include <errno.h>
#include <string.h>

/* What a waiter is served with. */
enum landing {
	LANDED, /* its result and its value are there */
	LEADS,  /* the call is its own now */
};

static_assert(sizeof(struct rota_flights) == 56 + 8 * ROTA_FLIGHTS_BUCKETS,
	      "a guard, a line and the buckets");

struct call {
	struct rota_chain link; /* in its bucket; not linked: forgotten */
	struct rota_node ring;  /* places of those who wait */
	const struct rota_flight *flight; /* the leader's: key, size */
	const struct rota_task *leader;   /* who works on it */
	uint64_t hash;                    /* of the key */
};

/* In the frame of who waits. */
struct passenger {
	struct rota_waiter waiter;
	struct rota_flight *flight; /* what it asks for */
	struct call call;           /* for when it leads */
	int result;                 /* of who led */
};

static void enter(struct rota_flights *flights, const char *verb)
{
	ri_sync_check(flights->state, verb, "set of flights");
	ri_guard_enter(&flights->guard, verb);
}

void rota_flights_init(struct rota_flights *flights,
		       const struct rota_sync_options *options)
{
	*flights = (struct rota_flights){
		.name = options ? options->name : NULL,
		.state = RI_SYNC_READY,
	};
	ri_guard_init(&flights->guard, options && options->local);
	ri_line_init(&flights->line);
}

void rota_flights_fini(struct rota_flights *flights)
{
	enter(flights, __func__);
	ri_check(flights->running == 0,
		 "%u of the flights %s are under way when they end, %u tasks "
		 "wait for them",
		 flights->running, flights->name ? flights->name : "",
		 flights->line.count);
	ri_sync_end(&flights->guard, &flights->state, __func__);
}

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const void *key, size_t bytes)
{
	const unsigned char *at = key;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static struct rota_chain **bucket_of(struct rota_flights *flights,
				     uint64_t hash)
{
	return &flights->buckets[(hash ^ hash >> 32) % ROTA_FLIGHTS_BUCKETS];
}

/* Under the guard, as all below that does not say otherwise. */
static struct call *find(struct rota_flights *flights, uint64_t hash,
			 const void *key, size_t bytes)
{
	struct rota_chain *link = *bucket_of(flights, hash);

	for (; link; link = link->next) {
		struct call *call = ri_container(link, struct call, link);

		if (call->hash == hash && call->flight->key_bytes == bytes &&
		    (bytes == 0 || !memcmp(call->flight->key, key, bytes)))
			return call;
	}
	return NULL;
}

static void begin(struct call *call, const struct rota_flight *flight,
		  const struct rota_task *leader, uint64_t hash)
{
	ri_list_init(&call->ring);
	call->link.back = NULL;
	call->flight = flight;
	call->leader = leader;
	call->hash = hash;
}

/* Nobody finds it any more. */
static void forget(struct call *call)
{
	if (call->link.back)
		ri_chain_remove(&call->link);
}

/* The first one that waits, off the ring; NULL: nobody does. */
static struct passenger *next_of(struct rota_flights *flights,
				 struct call *call)
{
	struct rota_node *node = ri_list_take(&call->ring);

	if (!node)
		return NULL;
	flights->line.count--;
	return ri_container(ri_container(node, struct rota_place, link)->waiter,
			    struct passenger, waiter);
}

static void move_ring(struct rota_node *from, struct rota_node *to)
{
	if (ri_list_empty(from))
		return;
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	ri_list_init(from);
}

/* Outside of the guard: its leader is cancelled. The first one that waits leads
 * now. */
static void hand_over(struct rota_flights *flights, struct call *call)
{
	struct passenger *heir;

	ri_guard_enter(&flights->guard, "rota_flight_run");
	heir = next_of(flights, call);
	if (heir) {
		begin(&heir->call, heir->flight, heir->waiter.task, call->hash);
		move_ring(&call->ring, &heir->call.ring);
		if (call->link.back)
			ri_chain_push(bucket_of(flights, call->hash),
				      &heir->call.link);
	} else {
		flights->running--;
	}
	forget(call);
	ri_guard_leave(&flights->guard);
	if (heir)
		ri_waiter_serve(&heir->waiter, LEADS);
}

/* Outside of the guard: gives one that waited what its leader got. */
static void deliver(struct passenger *passenger,
		    const struct rota_flight *flight, int result)
{
	struct rota_flight *to = passenger->flight;

	if (result >= 0 && to->value_bytes)
		memcpy(to->value, flight->value, to->value_bytes);
	to->shared = true;
	passenger->result = result;
	ri_waiter_serve(&passenger->waiter, LANDED);
}

/* Outside of the guard: it is over, and everybody is told. */
static void land(struct rota_flights *flights, struct call *call,
		 struct rota_flight *flight, int result)
{
	struct passenger *passenger;

	ri_guard_enter(&flights->guard, "rota_flight_run");
	forget(call);
	while ((passenger = next_of(flights, call))) {
		ri_guard_leave(&flights->guard);
		deliver(passenger, flight, result);
		flight->shared = true;
		ri_guard_enter(&flights->guard, "rota_flight_run");
	}
	flights->running--;
	ri_guard_leave(&flights->guard);
}

/* The running task leads. */
static int lead(struct rota_flights *flights, struct call *call,
		struct rota_flight *flight)
{
	const struct rota_task *self = call->leader;
	const int result = flight->fn(flight->arg, flight->value);

	ri_task_check_scope(self); /* the function is the user's */
	if (self->scope->code && result == self->scope->code)
		hand_over(flights, call);
	else
		land(flights, call, flight, result);
	return result;
}

/* Called with the guard entered, which it leaves: somebody else leads. */
static int ride(struct rota_flights *flights, struct call *call,
		struct rota_flight *flight, struct rota_task *self)
{
	struct passenger passenger;
	int result;

	passenger.flight = flight;
	ri_waiter_init(&passenger.waiter, ri_tasks_here(), self,
		       "rota_flight_run");
	result = ri_waiter_stand_among(&passenger.waiter, &flights->guard,
				       &flights->line, &call->ring);
	if (result == LANDED)
		return passenger.result;
	if (result != LEADS)
		return result;
	if (!self->scope->code)
		return lead(flights, &passenger.call, flight);
	hand_over(flights, &passenger.call);
	return self->scope->code;
}

/* Why it cannot wait for this call; 0: it can. */
static int refusal(const struct call *call, const struct rota_flight *flight,
		   const struct rota_task *self)
{
	if (call->leader == self)
		return -EDEADLK;
	return call->flight->value_bytes == flight->value_bytes ? 0 : -EINVAL;
}

int rota_flight_run(struct rota_flights *flights, struct rota_flight *flight)
{
	const uint64_t hash = hash_of(flight->key, flight->key_bytes);
	struct call *call, own;
	struct rota_task *self;
	int error = ri_waiter_begin(&self, &flights->guard, __func__);

	flight->shared = false;
	if (error)
		return error;
	enter(flights, __func__);
	call = find(flights, hash, flight->key, flight->key_bytes);
	if (!call) {
		begin(&own, flight, self, hash);
		ri_chain_push(bucket_of(flights, hash), &own.link);
		flights->running++;
		ri_guard_leave(&flights->guard);
		return lead(flights, &own, flight);
	}
	error = refusal(call, flight, self);
	if (!error)
		return ride(flights, call, flight, self);
	ri_guard_leave(&flights->guard);
	return error;
}

void rota_flight_forget(struct rota_flights *flights, const void *key,
			size_t key_bytes)
{
	const uint64_t hash = hash_of(key, key_bytes);
	struct call *call;

	enter(flights, __func__);
	call = find(flights, hash, key, key_bytes);
	if (call)
		forget(call);
	ri_guard_leave(&flights->guard);
}

struct rota_flights_state rota_flights_inspect(struct rota_flights *flights)
{
	struct rota_flights_state state;

	enter(flights, __func__);
	state = (struct rota_flights_state){
		.running = flights->running,
		.waiting = flights->line.count,
	};
	ri_guard_leave(&flights->guard);
	return state;
}
