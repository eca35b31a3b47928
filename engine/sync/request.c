/* SPDX-License-Identifier: MIT */
/*
 * A slot goes round:
 *
 *	          asked              taken             answered
 *	unused ----------> queued ----------> taken ------------> unused
 *	                     \__ withdrawn ________________________/
 *
 * The request is copied into it, the reply never is: that goes from who answers
 * to who waits, under the guard. So who waits stands in the line of its slot,
 * one place long, and when it is cancelled just leaves it: a slot that is taken
 * and has nobody in line is one whose answer is dropped.
 *
 *   1. Somebody waits for a slot: then none is unused.
 *   2. Somebody waits to take a request: then none is queued.
 *   3. Who waits for a slot is not woken when it gets one: its place is moved
 *      to the line of the slot by who gave it.
 */
#include "rota/request.h"

#include "sync/batch.h"
#include "task/scope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct rota_requests) <= 192, "three cache lines");

enum {
	OPEN = 0x5e9a,
	CLOSED = 0xa9e5,
};

struct ri_slot {
	struct rota_node link;  /* among the unused or the queued ones */
	struct rota_line asker; /* who waits for the answer, or nobody */
	unsigned generation;    /* how often it was unused again */
	bool taken;             /* an owner has the request */
	alignas(16) unsigned char request[]; /* a copy */
};

/* In the frame of who asks. */
struct asking {
	struct rota_waiter waiter;
	struct rota_requests *requests; /* whom it asks */
	const void *request;            /* what it asks */
	void *reply;                    /* where the answer is to go */
	struct ri_slot *slot; /* where it is; NULL: it waits for one */
};

static struct asking *asking_of(const struct rota_place *place)
{
	return ri_container(place->waiter, struct asking, waiter);
}

static size_t slot_bytes(size_t request_bytes)
{
	return sizeof(struct ri_slot) + ((request_bytes + 15) & ~(size_t)15);
}

static struct ri_slot *slot_at(const struct rota_requests *requests,
			       unsigned index)
{
	return (void *)(requests->slots + index * requests->slot_bytes);
}

size_t rota_requests_bytes(const struct rota_requests_options *options)
{
	size_t bytes;

	if (!options || !options->capacity ||
	    options->request_bytes > SIZE_MAX / 4 ||
	    options->reply_bytes > SIZE_MAX / 4 ||
	    __builtin_mul_overflow(slot_bytes(options->request_bytes),
				   options->capacity, &bytes) ||
	    bytes > SIZE_MAX / 2)
		return 0;
	return bytes;
}

static void fill_unused(struct rota_requests *requests)
{
	for (unsigned i = 0; i < requests->capacity; i++) {
		struct ri_slot *slot = slot_at(requests, i);

		*slot = (struct ri_slot){ .taken = false };
		ri_line_init(&slot->asker);
		ri_list_append(&requests->unused, &slot->link);
	}
}

int rota_requests_open(struct rota_requests *requests,
		       const struct rota_requests_options *options)
{
	const size_t bytes = rota_requests_bytes(options);
	char *slots;

	if (!bytes || (uintptr_t)options->memory % alignof(struct ri_slot))
		return -EINVAL;
	slots = options->memory ? options->memory : malloc(bytes);
	if (!slots)
		return -ENOMEM;
	*requests = (struct rota_requests){
		.slots = slots,
		.slot_bytes = bytes / options->capacity,
		.request_bytes = options->request_bytes,
		.reply_bytes = options->reply_bytes,
		.capacity = options->capacity,
		.state = OPEN,
		.allocated = !options->memory,
	};
	ri_guard_init(&requests->guard, options->local);
	ri_line_init(&requests->asking);
	ri_line_init(&requests->owning);
	ri_list_init(&requests->queue);
	ri_list_init(&requests->unused);
	fill_unused(requests);
	return 0;
}

/* Enters the guard. False: it is closed; the guard is not entered. */
static bool enter(struct rota_requests *requests, const char *verb)
{
	/* relaxed: only whether it is one of the two; asked again below */
	const unsigned state =
		__atomic_load_n(&requests->state, __ATOMIC_RELAXED);

	ri_check(state == OPEN || state == CLOSED, "%s: it was never opened",
		 verb);
	ri_guard_enter(&requests->guard, verb);
	if (requests->state == OPEN)
		return true;
	ri_guard_leave(&requests->guard);
	return false;
}

static void serve(struct rota_waiter *waiter, int result)
{
	if (waiter)
		ri_waiter_serve(waiter, result);
}

static void copy(void *to, const void *from, size_t bytes)
{
	if (bytes)
		memcpy(to, from, bytes);
}

/* From here to `leave`: under the guard. */

static void give(struct rota_requests *requests, struct ri_slot *slot,
		 struct rota_ticket *ticket)
{
	slot->taken = true;
	requests->taken++;
	*ticket = (struct rota_ticket){
		.request = requests->request_bytes ? slot->request : NULL,
		.requests = requests,
		.slot = slot,
		.generation = slot->generation,
	};
}

/* The request of this one goes into the slot, which goes to who waits to take
 * one: that is to be served then. NULL: nobody, it is queued. */
static struct rota_waiter *put(struct rota_requests *requests,
			       struct ri_slot *slot, struct asking *asking)
{
	struct rota_place *owner = ri_line_take(&requests->owning);

	copy(slot->request, asking->request, requests->request_bytes);
	asking->slot = slot;
	asking->waiter.place.line = &slot->asker;
	ri_line_append(&slot->asker, &asking->waiter.place);
	if (owner) {
		give(requests, slot, owner->item);
		return owner->waiter;
	}
	ri_list_append(&requests->queue, &slot->link);
	requests->queued++;
	return NULL;
}

/* The slot has no request any more: it goes to who waits for one. Whom to serve
 * then, or NULL. */
static struct rota_waiter *release(struct rota_requests *requests,
				   struct ri_slot *slot)
{
	struct rota_place *next = ri_line_take(&requests->asking);

	slot->generation++;
	if (next)
		return put(requests, slot, asking_of(next));
	ri_list_append(&requests->unused, &slot->link);
	return NULL;
}

static struct ri_slot *first_of(struct rota_node *list)
{
	struct rota_node *link = ri_list_take(list);

	return link ? ri_container(link, struct ri_slot, link) : NULL;
}

static int take(struct rota_requests *requests, struct rota_ticket *ticket)
{
	struct ri_slot *slot = first_of(&requests->queue);

	if (!slot)
		return -EAGAIN;
	requests->queued--;
	give(requests, slot, ticket);
	return 0;
}

/* It has left its line before an answer. */
static struct rota_waiter *withdraw(struct rota_requests *requests,
				    struct ri_slot *slot)
{
	if (!slot || slot->taken)
		return NULL;
	ri_list_remove(&slot->link);
	requests->queued--;
	return release(requests, slot);
}

/* The asker is cancelled. */
static void interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	struct asking *asking =
		ri_container(task->wait, struct asking, waiter.wait);
	struct rota_requests *requests = asking->requests;
	struct rota_waiter *owner = NULL;
	bool leaves;

	ri_guard_enter(&requests->guard, "rota_request");
	leaves = ri_list_linked(&asking->waiter.place.link);
	if (leaves) {
		ri_line_remove(asking->waiter.place.line,
			       &asking->waiter.place);
		if (requests->state == OPEN)
			owner = withdraw(requests, asking->slot);
	}
	ri_guard_leave(&requests->guard);
	serve(owner, 0);
	if (leaves)
		ri_wake(tasks, task, task->scope->code);
}

/* With the guard entered, which it leaves. */
static int ask(struct rota_requests *requests, struct rota_task *self,
	       struct asking *asking)
{
	struct rota_waiter *waiter = &asking->waiter, *owner = NULL;
	const bool shared = ri_guard_is_shared(&requests->guard);
	struct ri_tasks *tasks = ri_tasks_here();
	int result = shared ? ri_waiter_listen(tasks) : 0;
	struct ri_slot *slot;

	if (result) {
		ri_guard_leave(&requests->guard);
		return result;
	}
	ri_waiter_init(waiter, tasks, self, "rota_request");
	waiter->wait.interrupt = interrupt;
	waiter->place.guard = &requests->guard;
	waiter->place.line = &requests->asking;
	slot = first_of(&requests->unused);
	if (slot)
		owner = put(requests, slot, asking);
	else
		ri_line_append(&requests->asking, &waiter->place);
	ri_guard_leave(&requests->guard);
	serve(owner, 0);
	result = ri_park(tasks, self, &waiter->wait);
	tasks->loop.outside -= shared;
	return result;
}

int rota_request(struct rota_requests *requests, const void *request,
		 void *reply)
{
	struct asking asking = {
		.requests = requests,
		.request = request,
		.reply = reply,
	};
	struct rota_task *self;
	int error = ri_waiter_begin(&self, &requests->guard, __func__);

	if (error)
		return error;
	if (!enter(requests, __func__))
		return -EPIPE;
	return ask(requests, self, &asking);
}

int rota_requests_take(struct rota_requests *requests,
		       struct rota_ticket *ticket)
{
	struct rota_waiter waiter;
	struct rota_task *self;
	int result = ri_waiter_begin(&self, &requests->guard, __func__);

	if (result)
		return result;
	if (!enter(requests, __func__))
		return -EPIPE;
	result = take(requests, ticket);
	if (result == -EAGAIN) {
		ri_waiter_init(&waiter, ri_tasks_here(), self, __func__);
		waiter.place.item = ticket;
		return ri_waiter_stand(&waiter, &requests->guard,
				       &requests->owning);
	}
	ri_guard_leave(&requests->guard);
	return result;
}

int rota_requests_try_take(struct rota_requests *requests,
			   struct rota_ticket *ticket)
{
	int result;

	if (!enter(requests, __func__))
		return -EPIPE;
	result = take(requests, ticket);
	ri_guard_leave(&requests->guard);
	return result;
}

/* Under the guard: gives the answer to who waits for it. NULL: nobody does. */
static struct rota_waiter *reply_to(struct rota_requests *requests,
				    struct ri_slot *slot, const void *reply)
{
	struct rota_place *asker = ri_line_take(&slot->asker);

	slot->taken = false;
	requests->taken--;
	if (!asker)
		return NULL;
	copy(asking_of(asker)->reply, reply, requests->reply_bytes);
	return asker->waiter;
}

void rota_requests_answer(struct rota_ticket *ticket, const void *reply)
{
	struct rota_requests *requests = ticket->requests;
	const unsigned generation = ticket->generation;
	struct ri_slot *slot = ticket->slot;
	struct rota_waiter *asker, *owner;

	ri_check(requests != NULL,
		 "%s: it was answered already, or nothing was taken", __func__);
	*ticket = (struct rota_ticket){ .requests = NULL };
	if (!enter(requests, __func__))
		return;
	ri_check(slot->taken && slot->generation == generation,
		 "%s: a copy of the ticket was answered already", __func__);
	asker = reply_to(requests, slot, reply);
	owner = release(requests, slot);
	ri_guard_leave(&requests->guard);
	serve(asker, 0);
	serve(owner, 0);
}

/* Whoever waits is told; nobody comes any more, or moves on. With the guard
 * entered, which it leaves. */
static void send_away(struct rota_requests *requests)
{
	ri_line_serve_all(&requests->guard, &requests->owning, -EPIPE);
	for (unsigned next = 0; next < requests->capacity; next++) {
		ri_guard_enter(&requests->guard, "rota_requests_close");
		ri_line_serve_all(&requests->guard,
				  &slot_at(requests, next)->asker, -EPIPE);
	}
	ri_guard_enter(&requests->guard, "rota_requests_close");
	ri_line_serve_all(&requests->guard, &requests->asking, -EPIPE);
}

void rota_requests_close(struct rota_requests *requests)
{
	const bool open = enter(requests, __func__);

	ri_check(open, "%s: it is closed already", __func__);
	/* relaxed: pairs with enter(), which asks again under the guard */
	__atomic_store_n(&requests->state, CLOSED, __ATOMIC_RELAXED);
	send_away(requests);
	if (requests->allocated)
		free(requests->slots);
}

struct rota_requests_state rota_requests_inspect(struct rota_requests *requests)
{
	struct rota_requests_state state = { 0 };

	if (!enter(requests, __func__))
		return state;
	state.waiting = requests->asking.count;
	state.queued = requests->queued;
	state.taken = requests->taken;
	ri_guard_leave(&requests->guard);
	return state;
}
