/* SPDX-License-Identifier: MIT */
#include "support/arrivals.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

/* Memory for one more; tests do without the case that there is none. */
static void *grown(void *items, unsigned count, unsigned *room, size_t bytes)
{
	if (count < *room)
		return items;
	*room = *room ? *room * 2 : 64;
	items = realloc(items, *room * bytes);
	ri_check(items != NULL, "no memory for the test");
	return items;
}

void test_arrivals_attach(struct test_arrivals *arrivals, struct io_uring *ring)
{
	ri_check(!arrivals->ring, "a test kernel has one ring at a time");
	arrivals->ring = ring;
	arrivals->kernel = ring->cq;
	arrivals->head = 0;
	arrivals->tail = 0;
	arrivals->held_count = 0;
	arrivals->flight_count = 0;
	arrivals->queue =
		calloc(ring->cq.ring_entries, sizeof(*arrivals->queue));
	ri_check(arrivals->queue != NULL, "no memory for the test");
	ring->cq.khead = &arrivals->head;
	ring->cq.ktail = &arrivals->tail;
	ring->cq.cqes = arrivals->queue;
}

void test_arrivals_detach(struct test_arrivals *arrivals)
{
	arrivals->ring->cq.khead = arrivals->kernel.khead;
	arrivals->ring->cq.ktail = arrivals->kernel.ktail;
	arrivals->ring->cq.cqes = arrivals->kernel.cqes;
	arrivals->ring = NULL;
	free(arrivals->queue);
	free(arrivals->held);
	free(arrivals->flights);
	arrivals->queue = NULL;
	arrivals->held = NULL;
	arrivals->flights = NULL;
	arrivals->held_count = arrivals->held_room = 0;
	arrivals->flight_count = arrivals->flight_room = 0;
}

void test_arrivals_submitted(struct test_arrivals *arrivals, unsigned head,
			     unsigned count)
{
	const struct io_uring_sq *sq = &arrivals->ring->sq;

	for (unsigned i = 0; i < count; i++) {
		const struct io_uring_sqe *entry =
			&sq->sqes[(head + i) & (sq->ring_entries - 1)];

		arrivals->cancels += entry->opcode == IORING_OP_ASYNC_CANCEL;
		/* It mostly has no completion; then nobody would forget it. */
		if (entry->flags & IOSQE_CQE_SKIP_SUCCESS)
			continue;
		arrivals->flights =
			grown(arrivals->flights, arrivals->flight_count,
			      &arrivals->flight_room,
			      sizeof(*arrivals->flights));
		arrivals->flights[arrivals->flight_count++] =
			(struct test_flight){ entry->user_data, entry->opcode,
					      entry->fd };
	}
}

/* What the completion is of. Its last one ends the flight. */
static struct test_arrival identify(struct test_arrivals *arrivals,
				    const struct io_uring_cqe *cqe)
{
	struct test_arrival arrival = { .user_data = cqe->user_data,
					.res = cqe->res,
					.flags = cqe->flags,
					.opcode = IORING_OP_ASYNC_CANCEL,
					.fd = -1 };
	struct test_flight *flights = arrivals->flights;
	unsigned i = 0;

	while (i < arrivals->flight_count &&
	       flights[i].user_data != cqe->user_data)
		i++;
	if (i == arrivals->flight_count)
		return arrival;
	arrival.opcode = flights[i].opcode;
	arrival.fd = flights[i].fd;
	if (!(cqe->flags & IORING_CQE_F_MORE))
		memmove(&flights[i], &flights[i + 1],
			(--arrivals->flight_count - i) * sizeof(*flights));
	return arrival;
}

static bool has_room(const struct test_arrivals *arrivals)
{
	return arrivals->tail - arrivals->head < arrivals->kernel.ring_entries;
}

static void deliver(struct test_arrivals *arrivals,
		    const struct test_arrival *arrival)
{
	const unsigned mask = arrivals->kernel.ring_entries - 1;
	struct io_uring_cqe *cqe;

	ri_check(has_room(arrivals), "more arrives than fits the queue");
	cqe = &arrivals->queue[arrivals->tail++ & mask];
	cqe->user_data = arrival->user_data;
	cqe->res = arrival->res;
	cqe->flags = arrival->flags;
}

static void accept_one(struct test_arrivals *arrivals,
		       const struct io_uring_cqe *cqe)
{
	const struct test_arrival arrival = identify(arrivals, cqe);
	const bool held = arrivals->hold &&
			  arrivals->hold(arrivals->context, &arrival);

	if (!held && !arrivals->shuffled) {
		deliver(arrivals, &arrival);
		return;
	}
	arrivals->held = grown(arrivals->held, arrivals->held_count,
			       &arrivals->held_room, sizeof(*arrivals->held));
	arrivals->held[arrivals->held_count++] = arrival;
}

void test_arrivals_collect(struct test_arrivals *arrivals)
{
	const struct io_uring_cq *cq = &arrivals->kernel;
	const unsigned mask = cq->ring_entries - 1;
	unsigned head = *cq->khead;
	/* pairs with the kernel's release of the tail */
	const unsigned end = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);

	for (; head != end && has_room(arrivals); head++)
		accept_one(arrivals, &cq->cqes[head & mask]);
	/* the kernel may reuse them from here on */
	__atomic_store_n(cq->khead, head, __ATOMIC_RELEASE);
	while (arrivals->shuffled && has_room(arrivals) &&
	       test_random_below(&arrivals->random, 2))
		if (!test_arrivals_release_any(arrivals))
			break;
}

bool test_arrivals_visible(const struct test_arrivals *arrivals)
{
	return arrivals->head != arrivals->tail;
}

void test_arrivals_release(struct test_arrivals *arrivals, unsigned index)
{
	ri_check(index < arrivals->held_count, "%u are held, not %u",
		 arrivals->held_count, index + 1);
	deliver(arrivals, &arrivals->held[index]);
	memmove(&arrivals->held[index], &arrivals->held[index + 1],
		(--arrivals->held_count - index) * sizeof(*arrivals->held));
}

bool test_arrivals_release_any(struct test_arrivals *arrivals)
{
	unsigned index = 0, chosen;

	if (!arrivals->held_count)
		return false;
	chosen = (unsigned)test_random_below(&arrivals->random,
					     arrivals->held_count);
	while (arrivals->held[index].user_data !=
	       arrivals->held[chosen].user_data)
		index++;
	test_arrivals_release(arrivals, index);
	return true;
}
