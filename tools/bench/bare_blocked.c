// SPDX-License-Identifier: MIT
/* Receives that wait on a bare ring, see bare_blocked.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "bare_blocked.h"
#include "bare_ring.h"
#include "host.h"

#define BUFFER_BYTES 64

/* user_data of a cancel, and of a receive that looks on; that of others is
 * their number. */
#define CANCEL_ID UINT64_MAX
#define OTHERS_ID ((uint64_t)1 << 32)

/* While it is measured. */
struct bare {
	struct io_uring ring;
	struct bare_blocked *blocked;
	char (*buffers)[BUFFER_BYTES]; /* of what is cancelled */
	char idle[BUFFER_BYTES];       /* of all others: nobody sends */
};

static unsigned batch_of(const struct bare *bare, unsigned left)
{
	const unsigned entries = bare->ring.sq.ring_entries;

	return left < entries ? left : entries;
}

static void prepare_receive(struct bare *bare, const struct quiet *sockets,
			    unsigned index)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&bare->ring);
	const bool idle = sockets != bare->blocked->sockets;

	io_uring_prep_recv(entry, sockets->fds[index],
			   idle ? bare->idle : bare->buffers[index],
			   BUFFER_BYTES, 0);
	io_uring_sqe_set_data64(entry, idle ? OTHERS_ID + index : index);
}

static int receive_all(struct bare *bare, const struct quiet *sockets)
{
	unsigned index = 0;

	while (index < sockets->count) {
		const unsigned end =
			index + batch_of(bare, sockets->count - index);

		for (; index < end; index++)
			prepare_receive(bare, sockets, index);
		const int error = io_uring_submit(&bare->ring);

		if (error < 0)
			return error;
	}
	return 0;
}

static void reap(struct bare *bare)
{
	struct io_uring_cqe *cqe;
	unsigned head;
	unsigned count = 0;

	io_uring_for_each_cqe(&bare->ring, head, cqe)
	{
		bare->blocked->cancelled += cqe->user_data < OTHERS_ID &&
					    cqe->res == -ECANCELED;
		count++;
	}
	io_uring_cq_advance(&bare->ring, count);
}

/* A batch of cancels, and the completions that they cause. */
static int cancel_batch(struct bare *bare, unsigned first, unsigned count)
{
	for (unsigned index = first; index < first + count; index++) {
		struct io_uring_sqe *entry = io_uring_get_sqe(&bare->ring);

		io_uring_prep_cancel64(entry, index, 0);
		io_uring_sqe_set_data64(entry, CANCEL_ID);
		entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
	}
	const int error = io_uring_submit_and_wait(&bare->ring, count);

	reap(bare);
	return error < 0 ? error : 0;
}

static int cancel_all(struct bare *bare)
{
	const unsigned count = bare->blocked->sockets->count;
	unsigned first = 0;

	while (first < count) {
		const unsigned batch = batch_of(bare, count - first);
		const int error = cancel_batch(bare, first, batch);

		if (error < 0)
			return error;
		first += batch;
	}
	while (bare->blocked->cancelled < count) {
		const int error = io_uring_submit_and_wait(&bare->ring, 1);

		if (error < 0)
			return error;
		reap(bare);
	}
	return 0;
}

/* All receives, then the clock, then their cancels. */
static int pass(struct bare *bare)
{
	int error = receive_all(bare, bare->blocked->sockets);
	const uint64_t start_ns = host_now_ns();

	bare->blocked->cancelled = 0;
	if (error == 0)
		error = cancel_all(bare);
	bare->blocked->elapsed_ns = host_now_ns() - start_ns;
	return error;
}

static int run(struct bare *bare)
{
	const struct quiet *others = bare->blocked->others;
	int error = bare_ring_open_sized(&bare->ring, bare->blocked->entries);

	if (error < 0)
		return error;
	if (others != NULL)
		error = receive_all(bare, others);
	if (error == 0)
		error = pass(bare);
	if (error == 0)
		error = pass(bare);
	io_uring_queue_exit(&bare->ring);
	return error;
}

int bare_blocked_measure(struct bare_blocked *blocked)
{
	struct bare bare = { .blocked = blocked };

	bare.buffers = calloc(blocked->sockets->count, sizeof(bare.buffers[0]));
	if (bare.buffers == NULL)
		return -ENOMEM;
	const int error = run(&bare);

	free(bare.buffers);
	return error;
}
