// SPDX-License-Identifier: MIT
/*
 * What does it cost to await an operation? Tasks await NOPs, the kernel's
 * cheapest operation, so that little but the two ways through the ring is
 * left: all tasks' entries go out as one batch. Base: batches of as many NOPs
 * on bare liburing, with one enter each.
 */
#include <liburing.h>
#include <rota/rota.h>

#include "bare_ring.h"
#include "host.h"
#include "micro.h"

#define WARM_LAPS 10

/* What the tasks of one group do. */
struct laps {
	uint64_t each; /* NOPs that each of them awaits */
	uint64_t sum;  /* of the results, each with 1 added */
};

static int await_nops(void *value)
{
	struct laps *laps = *(struct laps **)value;
	uint64_t sum = 0;

	for (uint64_t lap = 0; lap < laps->each; lap++) {
		struct io_uring_sqe entry;

		io_uring_prep_nop(&entry);
		const int result = rota_await(&entry);

		if (result < 0)
			return result;
		sum += (uint64_t)result + 1;
	}
	laps->sum += sum;
	return 0;
}

static int run_group(unsigned tasks, struct laps *laps)
{
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned index = 0; index < tasks && error == 0; index++)
		error = rota_go(&group, await_nops, laps);
	const int result = rota_group_wait(&group);

	return error < 0 ? error : result;
}

struct own {
	const struct micro_work *work;
	struct micro_sample *sample;
};

static int run_own(void *arg)
{
	struct own *own = arg;
	const struct micro_work *work = own->work;
	struct laps warm = { .each = WARM_LAPS };
	struct laps laps = { .each = work->ops / work->tasks };
	int error = run_group(work->tasks, &warm);

	if (error < 0)
		return error;
	const uint64_t start_ns = host_now_ns();

	error = run_group(work->tasks, &laps);
	*own->sample =
		micro_per_op(start_ns, host_now_ns(), work->ops, laps.sum);
	return error;
}

int micro_await_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct own own = { work, sample };

	return rota_run(NULL, run_own, &own);
}

static uint64_t reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	uint64_t sum = 0;
	unsigned head;
	unsigned count = 0;

	io_uring_for_each_cqe(ring, head, cqe)
	{
		sum += (uint64_t)cqe->res + 1;
		count++;
	}
	io_uring_cq_advance(ring, count);
	return sum;
}

static int bare_laps(struct io_uring *ring, unsigned batch, struct laps *laps)
{
	for (uint64_t lap = 0; lap < laps->each; lap++) {
		for (unsigned index = 0; index < batch; index++) {
			struct io_uring_sqe *entry = io_uring_get_sqe(ring);

			io_uring_prep_nop(entry);
			io_uring_sqe_set_data64(entry, index);
		}
		const int error = io_uring_submit_and_wait(ring, batch);

		if (error < 0)
			return error;
		laps->sum += reap(ring);
	}
	return 0;
}

int micro_await_base(const struct micro_work *work, struct micro_sample *sample)
{
	struct io_uring ring;
	struct laps warm = { .each = WARM_LAPS };
	struct laps laps = { .each = work->ops / work->tasks };
	int error = bare_ring_open(&ring);

	if (error < 0)
		return error;
	error = bare_laps(&ring, work->tasks, &warm);
	const uint64_t start_ns = host_now_ns();

	if (error == 0)
		error = bare_laps(&ring, work->tasks, &laps);
	*sample = micro_per_op(start_ns, host_now_ns(), work->ops, laps.sum);
	io_uring_queue_exit(&ring);
	return error;
}
