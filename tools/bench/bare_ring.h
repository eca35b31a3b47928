/* SPDX-License-Identifier: MIT */
/*
 * A ring on bare liburing for the baselines, set up as the engine sets up its
 * own: the same flags, entries and completions, its descriptor registered.
 */
#ifndef BENCH_BARE_RING_H
#define BENCH_BARE_RING_H

#include <liburing.h>

/* The engine's defaults. */
#define BARE_RING_ENTRIES 256
#define BARE_RING_COMPLETIONS 8192

/* 0 or -errno; to be closed by io_uring_queue_exit. */
int bare_ring_open(struct io_uring *ring);

/* The same with other entries than the engine's default. */
int bare_ring_open_sized(struct io_uring *ring, unsigned entries);

#endif
