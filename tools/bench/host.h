/* SPDX-License-Identifier: MIT */
/*
 * What a figure depends on besides the code: the kernel, the processor, and
 * which of its cores and descriptors this process may use.
 */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include <stddef.h>
#include <stdint.h>

/* Release of the kernel, "6.1.0-18-amd64"; lives as long as the process. */
const char *host_kernel(void);

/* Model of the processor, else its architecture; lives as long as well. */
const char *host_cpu(void);

/* Monotonic time. */
uint64_t host_now_ns(void);

/* The Nth usable processor, from 0; -1 if there are not as many. */
int host_usable_cpu(unsigned int index);

/* Keeps the calling thread on one processor: 0 or -errno. */
int host_pin(int cpu);

/* Raises the soft limit of descriptors to the hard one; returns it. */
uint64_t host_raise_descriptors(void);

/* Raises the hard limit, for children too, if it is less and we may. */
void host_widen_descriptors(uint64_t needed);

#endif
