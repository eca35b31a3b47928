/* SPDX-License-Identifier: MIT */
#ifndef RI_RING_REFUSAL_H
#define RI_RING_REFUSAL_H

#include "base/kernel.h"
#include "base/log.h"

/* Why io_uring_setup(2) said `error` (a -errno), as one logged sentence that
 * names the cause and the mend. Looks into /proc to tell causes apart. */
void ri_ring_refused(const struct ri_kernel *kernel, const struct ri_log *log,
		     int error);

#endif
