/* SPDX-License-Identifier: MIT */
/*
 * Sockets to which nobody sends: who receives from one waits in the kernel.
 * Where there are fewer descriptors than receivers, some share one.
 */
#ifndef BENCH_QUIET_H
#define BENCH_QUIET_H

#include <stdint.h>

struct quiet {
	unsigned count;  /* receivers that it is for */
	unsigned opened; /* the first ones of `fds`; the rest repeat them */
	int *fds;        /* one for each receiver */
};

/* A socket for each of `count` receivers, as far as there are descriptors: 0
 * or -errno, and then nothing is open. */
int quiet_open(struct quiet *quiet, uint64_t count);

/* One socket for all of them. */
int quiet_open_one(struct quiet *quiet, uint64_t count);

/* Closes those that are `opened`. */
void quiet_close(struct quiet *quiet);

#endif
