// SPDX-License-Identifier: MIT
/* Rings of the baselines, see bare_ring.h. */
#include "bare_ring.h"

int bare_ring_open(struct io_uring *ring)
{
	return bare_ring_open_sized(ring, BARE_RING_ENTRIES);
}

int bare_ring_open_sized(struct io_uring *ring, unsigned entries)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
		.cq_entries = BARE_RING_COMPLETIONS,
	};
	int error = io_uring_queue_init_params(entries, ring, &params);

	if (error < 0)
		return error;
	error = io_uring_register_ring_fd(ring);
	if (error < 0)
		io_uring_queue_exit(ring);
	return error < 0 ? error : 0;
}
