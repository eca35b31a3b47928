// SPDX-License-Identifier: MIT
/* Absolute timeouts of the baselines, see bare_timer.h. */
#include "bare_timer.h"

#include <errno.h>

#define NS_PER_SECOND 1000000000u

int bare_timer_wait(struct io_uring *ring, uint64_t deadline_ns)
{
	struct __kernel_timespec time = {
		.tv_sec = (int64_t)(deadline_ns / NS_PER_SECOND),
		.tv_nsec = (int64_t)(deadline_ns % NS_PER_SECOND),
	};
	struct io_uring_sqe *entry = io_uring_get_sqe(ring);
	struct io_uring_cqe *completion;

	if (entry == NULL)
		return -EAGAIN;
	io_uring_prep_timeout(entry, &time, 0, IORING_TIMEOUT_ABS);

	const int submitted = io_uring_submit_and_wait(ring, 1);

	if (submitted < 0)
		return submitted;
	const int error = io_uring_wait_cqe(ring, &completion);

	if (error < 0)
		return error;
	const int result = completion->res;

	io_uring_cqe_seen(ring, completion);
	return result == -ETIME ? 0 : result;
}
