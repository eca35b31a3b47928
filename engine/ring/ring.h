/* SPDX-License-Identifier: MIT */
/*
 * One ring: entries out, completions in.
 *
 * Set up on the loop's own thread, which is the only one that may touch it
 * (SINGLE_ISSUER). Completions appear on an enter with GETEVENTS only
 * (DEFER_TASKRUN); TASKRUN_FLAG tells without a system call that there is
 * something to fetch. liburing does the set-up and the entries; the wait is
 * ours (ri_ring_enter), because it alone knows the absolute deadline.
 *
 * Nothing here knows what an operation is: user_data goes in and comes out.
 */
#ifndef RI_RING_RING_H
#define RI_RING_RING_H

#include "base/kernel.h"
#include "base/log.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

/* Entries of one batch; more of them cause an enter of their own. */
#define RI_RING_ENTRIES 256
/* Completions; the kernel's cancel table grows with them: 10,000 cancels took
 * 21.6 ms with 4096, 16.7 ms with 8192, and more do not help. */
#define RI_RING_COMPLETIONS 8192
/* What is tried at least when memory for completions is refused. */
#define RI_RING_COMPLETIONS_MIN 512

/* Threads of the kernel that work on files, by default. */
#define RI_RING_WORKERS 4

struct ri_ring {
	struct io_uring uring;          /* liburing's: fd, mappings, tails */
	const struct ri_kernel *kernel; /* how the kernel is reached */
	struct ri_log log;              /* where notices go */
	int enter_fd;                   /* the fd, or its registered index */
	unsigned enter_flags;           /* of every enter */
	unsigned wait_flags;            /* more, of those that wait */
	unsigned features;              /* enum ri_feature, unmasked ones */
	uint64_t enters;                /* system calls made, for counters */
	uint64_t submitted;             /* entries taken by the kernel */
};

struct ri_ring_options {
	unsigned entries;     /* 0: RI_RING_ENTRIES */
	unsigned completions; /* 0: RI_RING_COMPLETIONS */
	unsigned workers;     /* threads for files; 0: RI_RING_WORKERS */
	unsigned masked;      /* features to leave out */
};

/* Sets a ring up. 0, or -errno after one line to the log that names the cause:
 * see ring/refusal.c. */
int ri_ring_open(struct ri_ring *ring, const struct ri_kernel *kernel,
		 const struct ri_log *log,
		 const struct ri_ring_options *options);

/* Gives the ring back. Nothing may be in flight. */
void ri_ring_close(struct ri_ring *ring);

/* Submits what is queued and fetches completions.
 *
 * Without wait: returns at once. With wait: returns when there is a completion
 * or when deadline_ns (INT64_MAX: never) has come, whichever is first, or
 * early for a signal. 0, also then; -EAGAIN if the kernel had no memory for
 * the entries, which stay queued. Aborts when the kernel says what it never
 * may (a ring that is gone, completions lost). */
int ri_ring_enter(struct ri_ring *ring, bool wait, int64_t deadline_ns);

/* Submits what is queued and fetches `count` completions at once, if they are
 * to be had without waiting: otherwise the kernel hands over 20 an enter. */
int ri_ring_harvest(struct ri_ring *ring, unsigned count);

/* Waits without handing anything over, until deadline_ns at the latest: for
 * when the kernel takes no entries. */
void ri_ring_rest(struct ri_ring *ring, int64_t deadline_ns);

/* Any thread: a completion with this user_data appears in the ring, and ends a
 * wait of its thread. Needs RI_FEATURE_RING_MESSAGE. */
void ri_ring_message(const struct ri_ring *ring, uint64_t user_data);

/* Makes room by handing over what is queued. The slow path of ri_ring_entry. */
struct io_uring_sqe *ri_ring_entry_slow(struct ri_ring *ring);

/* Entries that are filled in and not yet handed over. */
static inline unsigned ri_ring_queued(const struct ri_ring *ring)
{
	return ring->uring.sq.sqe_tail - *ring->uring.sq.khead;
}

/* Takes the next entry of the batch. The caller fills it in before anything
 * else happens to the ring. NULL: the batch is full and the kernel takes
 * nothing just now. */
static inline struct io_uring_sqe *ri_ring_entry(struct ri_ring *ring)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&ring->uring);

	return __builtin_expect(entry != NULL, 1) ? entry
						  : ri_ring_entry_slow(ring);
}

/* Entries that can still be taken before the batch is full. */
static inline unsigned ri_ring_room(const struct ri_ring *ring)
{
	return ring->uring.sq.ring_entries - ri_ring_queued(ring);
}

/* Are there completions, or is there work whose completions an enter would
 * fetch? Without a system call. */
static inline bool ri_ring_ready(const struct ri_ring *ring)
{
	const unsigned flags =
		__atomic_load_n(ring->uring.sq.kflags, __ATOMIC_RELAXED);

	return flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW) ||
	       __atomic_load_n(ring->uring.cq.ktail, __ATOMIC_RELAXED) !=
		       *ring->uring.cq.khead;
}

/* How many completions wait to be reaped. */
static inline unsigned ri_ring_landed(const struct ri_ring *ring)
{
	/* pairs with the kernel's release of the tail */
	return __atomic_load_n(ring->uring.cq.ktail, __ATOMIC_ACQUIRE) -
	       *ring->uring.cq.khead;
}

/* The index-th of them, the oldest is 0. */
static inline const struct io_uring_cqe *
ri_ring_completion(const struct ri_ring *ring, unsigned index)
{
	const struct io_uring_cq *cq = &ring->uring.cq;

	return &cq->cqes[(*cq->khead + index) & (cq->ring_entries - 1)];
}

/* Gives the oldest `count` of them back to the kernel. */
static inline void ri_ring_reaped(struct ri_ring *ring, unsigned count)
{
	struct io_uring_cq *cq = &ring->uring.cq;

	/* the kernel may write to them from here on */
	__atomic_store_n(cq->khead, *cq->khead + count, __ATOMIC_RELEASE);
}

#endif
