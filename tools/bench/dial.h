/* SPDX-License-Identifier: MIT */
/* Thousands of connections to one address, some of them at a time. */
#ifndef BENCH_DIAL_H
#define BENCH_DIAL_H

#include <stdint.h>

#include "address.h"

/*
 * Connects non-blocking stream sockets (TCP_NODELAY) to the address and puts
 * their descriptors into fds: 0, or -errno with none open. -ETIMEDOUT when
 * none got on for 5 s, -EINTR when interrupted.
 */
int dial_all(const struct address *address, uint32_t count, int *fds);

/*
 * Begins one, the number-th so far, from a source that has ports left: 1 if it
 * is under way, 0 if it is connected, with its descriptor in *fd; else -errno.
 */
int dial_one(const struct address *address, uint64_t number, int *fd);

#endif
