/* SPDX-License-Identifier: MIT */
/*
 * Completions between the kernel and the engine, in the hands of a test: held
 * back, changed, put into another order. Part of a test kernel
 * (support/kernel.h); its functions are called through that.
 *
 * The kernel keeps count of its own completion queue, so nothing may be taken
 * from the middle of that or put back. Instead the engine is given a queue of
 * ours: what the kernel posts is taken over after each enter, and what is to
 * arrive is copied to ours.
 *
 *	kernel -> its queue -> (held?) -> our queue -> engine
 */
#ifndef TEST_SUPPORT_ARRIVALS_H
#define TEST_SUPPORT_ARRIVALS_H

#include "support/random.h"

#include <liburing.h>
#include <stdbool.h>

/* One completion, and what of its entry tells it from others. */
struct test_arrival {
	uint64_t user_data; /* as the engine will see it, like these two: */
	int32_t res;
	uint32_t flags;
	uint8_t opcode; /* IORING_OP_ASYNC_CANCEL also for an unknown one:
			   of what the engine submits by itself */
	int fd;         /* the entry's descriptor */
};

/* Is this one held back? */
typedef bool test_hold_fn(void *context, const struct test_arrival *arrival);

/* Something that was submitted and has not completed. */
struct test_flight {
	uint64_t user_data;
	uint8_t opcode;
	int fd;
};

struct test_arrivals {
	struct io_uring *ring;     /* the engine's; NULL: none is open */
	struct io_uring_cq kernel; /* its completion queue, as it was */
	unsigned head, tail;       /* of the queue that the engine sees */
	struct io_uring_cqe *queue;
	struct test_arrival *held; /* in the order in which they came */
	unsigned held_count, held_room;
	struct test_flight *flights; /* in the order of submission */
	unsigned flight_count, flight_room;
	unsigned cancels;   /* of the engine's own, submitted so far */
	test_hold_fn *hold; /* NULL: nothing is held back */
	void *context;      /* its first argument */
	bool shuffled;      /* everything is, for a random while */
	struct test_random random;
};

/* Puts our queue between a ring that was just opened and its engine. */
void test_arrivals_attach(struct test_arrivals *arrivals,
			  struct io_uring *ring);

/* Gives the ring its own queue back, to be closed. What is held is lost. */
void test_arrivals_detach(struct test_arrivals *arrivals);

/* Notes entries that an enter has taken, from this head on. */
void test_arrivals_submitted(struct test_arrivals *arrivals, unsigned head,
			     unsigned count);

/* Takes over what the kernel has posted. */
void test_arrivals_collect(struct test_arrivals *arrivals);

/* Is there something for the engine to reap? */
bool test_arrivals_visible(const struct test_arrivals *arrivals);

/* Lets one that is held arrive. */
void test_arrivals_release(struct test_arrivals *arrivals, unsigned index);

/* Lets one arrive that the seed decides on, but keeps the order of those of
 * one operation. False if none is held. */
bool test_arrivals_release_any(struct test_arrivals *arrivals);

#endif
