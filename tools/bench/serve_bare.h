/* SPDX-License-Identifier: MIT */
/*
 * The bare echo servers that rota is measured against. Each is given a
 * listening socket (blocking, TCP_NODELAY set: on Linux what it accepts
 * inherits that) and a signalfd, and runs until a signal is read from it.
 *
 * Each promises what a real echo server does: all bytes come back, also to a
 * client that closed its sending half; one that never reads is not read from
 * either; when descriptors run out, accepting rests for a while instead of
 * spinning.
 */
#ifndef BENCH_SERVE_BARE_H
#define BENCH_SERVE_BARE_H

#include <stddef.h>
#include <stdint.h>

/* How long accepting rests when it failed, mostly for want of descriptors. */
#define SERVE_REST_MS 50

struct serve_options {
	int listener;        /* listening, blocking */
	int signals;         /* signalfd of those that end the server */
	size_t buffer_bytes; /* of a receive */
	uint32_t buffers;    /* shared by all; of serve_multishot only */

	/* Called once all is set up: tells the world where the listener is. */
	void (*announce)(int listener);
};

/* Serve until a signal came: 0, or -errno if it could not go on. */
int serve_epoll(const struct serve_options *options);
int serve_uring(const struct serve_options *options);
int serve_multishot(const struct serve_options *options);

#endif
