/* SPDX-License-Identifier: MIT */
/*
 * What kernels after Linux 6.1 have and rota uses, or what may be refused.
 * Found by trying, never by version; ROTA_MASK in the environment hides them,
 * so that the code for older kernels is run on newer ones.
 */
#ifndef RI_RING_FEATURES_H
#define RI_RING_FEATURES_H

#include "base/kernel.h"
#include "base/log.h"

enum ri_feature {
	/* Linux 6.12: a wait ends at a point in time, not after a while. */
	RI_FEATURE_ABS_TIMER = 1,
	/* Linux 6.15: an idle loop is not counted as waiting for a disk. */
	RI_FEATURE_NO_IOWAIT = 2,
	/* Linux 6.13: guard pages that split no mapping. */
	RI_FEATURE_GUARD = 4,
	/* Linux 6.7: operations that wait for a futex. */
	RI_FEATURE_FUTEX = 8,
	/* Linux 6.7: one that waits for a process. */
	RI_FEATURE_WAITID = 16,
	/* Linux 6.9: one that cuts a file. */
	RI_FEATURE_FTRUNCATE = 32,
	/* Linux 6.0: sends out of the caller's memory. */
	RI_FEATURE_SEND_ZC = 64,
	/* Linux 6.2: they tell whether the kernel copied all the same. */
	RI_FEATURE_ZC_USAGE = 128,
	/* Linux 6.13: a thread without a ring can send a message to one. */
	RI_FEATURE_RING_MESSAGE = 256,
};

/* The operations behind some of them. They are enumerators of newer headers of
 * liburing, hence names of our own. */
enum ri_opcode {
	RI_OP_SEND_ZC = 47,
	RI_OP_WAITID = 50,
	RI_OP_FUTEX_WAIT = 51,
	RI_OP_FTRUNCATE = 55,
};

/* Reads ROTA_MASK, words with commas between, by secure_getenv(3): *mask gets
 * the features to leave out. -EINVAL, and a line that names the words there
 * are, when one is unknown. */
int ri_features_masked(const struct ri_log *log, unsigned *mask);

/* Which features the ring with this descriptor has as operations. */
unsigned ri_features_of_opcodes(const struct ri_kernel *kernel, int fd);

#endif
