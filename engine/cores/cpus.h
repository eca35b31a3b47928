/* SPDX-License-Identifier: MIT */
/*
 * The processors that this process may use, and threads that stay on one.
 */
#ifndef RI_CORES_CPUS_H
#define RI_CORES_CPUS_H

#include "base/kernel.h"

/* What sched_setaffinity(2) takes, for the largest machines there are. */
#define RI_CPUS_MAX 8192u

struct ri_cpus {
	unsigned long mask[RI_CPUS_MAX / (8 * sizeof(long))]; /* a bit each */
	unsigned count; /* how many bits are set */
};

/* Those of this thread. 0 or -errno. */
int ri_cpus_get(struct ri_cpus *cpus, const struct ri_kernel *kernel);

/* Gives this thread all of them. 0 or -errno. */
int ri_cpus_set(const struct ri_cpus *cpus, const struct ri_kernel *kernel);

/* Keeps this thread on one of them: the index-th, counted round. 0 or
 * -errno. */
int ri_cpus_pin(const struct ri_cpus *cpus, const struct ri_kernel *kernel,
		unsigned index);

/* How many of them the control groups of this process let it use, at least 1:
 * a quota of one and a half is 2. */
unsigned ri_cpus_usable(const struct ri_cpus *cpus,
			const struct ri_kernel *kernel);

#endif
