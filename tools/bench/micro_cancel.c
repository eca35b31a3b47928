// SPDX-License-Identifier: MIT
/*
 * How long does it take to cancel a group whose members all wait in the
 * kernel? Each receives from a datagram socket of its own to which nobody
 * sends. When the clock starts, all receives are in the kernel; when it stops,
 * every member has been told, has returned, and the group was waited for.
 * Base: as many receives on bare liburing, each cancelled by its id.
 */
#include <errno.h>
#include <rota/rota.h>
#include <stdlib.h>
#include <unistd.h>

#include "bare_ring.h"
#include "host.h"
#include "micro.h"

#define BUFFER_BYTES 64
#define NS_PER_MS 1e6

/* user_data of a cancel; a receive's is its number. */
#define CANCEL_ID UINT64_MAX

struct sockets {
	unsigned count; /* open ones */
	int *fds;
};

static void close_sockets(struct sockets *sockets)
{
	while (sockets->count > 0)
		close(sockets->fds[--sockets->count]);
	free(sockets->fds);
}

static int open_sockets(struct sockets *sockets, uint64_t count)
{
	*sockets = (struct sockets){ 0 };
	sockets->fds = calloc(count, sizeof(sockets->fds[0]));
	if (sockets->fds == NULL)
		return -ENOMEM;
	while (sockets->count < count) {
		const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		if (fd < 0) {
			const int error = -errno;

			close_sockets(sockets);
			return error;
		}
		sockets->fds[sockets->count++] = fd;
	}
	return 0;
}

struct own {
	const struct sockets *sockets;
	unsigned receiving; /* tasks that have begun to */
	uint64_t cancelled; /* tasks that were told so */
	uint64_t elapsed_ns;
};

struct member {
	struct own *own;
	int fd;
};

static int receive(void *value)
{
	const struct member *member = value;
	char buffer[BUFFER_BYTES];

	member->own->receiving++;
	const int result = rota_recv(member->fd, buffer, sizeof(buffer), 0);

	member->own->cancelled += result == -ECANCELED;
	return result;
}

static int await_nop(void)
{
	struct io_uring_sqe entry;

	io_uring_prep_nop(&entry);
	return rota_await(&entry);
}

/* When it returns 0, all members' receives are in the kernel: a NOP that
 * stood behind them in the queue has come back. */
static int start_members(struct rota_group *group, struct own *own)
{
	const struct sockets *sockets = own->sockets;

	for (unsigned index = 0; index < sockets->count; index++) {
		const struct member member = { own, sockets->fds[index] };
		const int error = rota_go(group, receive, member);

		if (error < 0)
			return error;
	}
	while (own->receiving < sockets->count)
		rota_yield();
	return await_nop();
}

static int run_group(struct own *own)
{
	struct rota_group group;

	own->receiving = 0;
	own->cancelled = 0;

	rota_group_open(&group, NULL);
	const int error = start_members(&group, own);
	const uint64_t start_ns = host_now_ns();

	rota_group_cancel(&group,
			  (struct rota_cancellation){ -ECANCELED, NULL });
	const int result = rota_group_wait(&group);

	own->elapsed_ns = host_now_ns() - start_ns;
	if (error < 0)
		return error;
	return result == -ECANCELED ? 0 : result;
}

/* The first time, stacks are new: that is no part of the question. */
static int run_own(void *arg)
{
	const int error = run_group(arg);

	return error < 0 ? error : run_group(arg);
}

int micro_cancel_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct sockets sockets;
	int error = open_sockets(&sockets, work->ops);

	if (error < 0)
		return error;
	struct own own = { .sockets = &sockets };

	error = rota_run(NULL, run_own, &own);
	*sample = (struct micro_sample){
		.value = (double)own.elapsed_ns / NS_PER_MS,
		.checksum = own.cancelled,
	};
	close_sockets(&sockets);
	return error;
}

struct bare {
	struct io_uring ring;
	const struct sockets *sockets;
	char (*buffers)[BUFFER_BYTES];
	unsigned cancelled; /* receives that ended so */
	uint64_t elapsed_ns;
};

static unsigned batch_of(unsigned left)
{
	return left < BARE_RING_ENTRIES ? left : BARE_RING_ENTRIES;
}

static int bare_receive(struct bare *bare)
{
	const struct sockets *sockets = bare->sockets;
	unsigned index = 0;

	while (index < sockets->count) {
		const unsigned end = index + batch_of(sockets->count - index);

		for (; index < end; index++) {
			struct io_uring_sqe *entry =
				io_uring_get_sqe(&bare->ring);

			io_uring_prep_recv(entry, sockets->fds[index],
					   bare->buffers[index], BUFFER_BYTES,
					   0);
			io_uring_sqe_set_data64(entry, index);
		}
		const int error = io_uring_submit(&bare->ring);

		if (error < 0)
			return error;
	}
	return 0;
}

static void bare_reap(struct bare *bare)
{
	struct io_uring_cqe *cqe;
	unsigned head;
	unsigned count = 0;

	io_uring_for_each_cqe(&bare->ring, head, cqe)
	{
		bare->cancelled += cqe->user_data != CANCEL_ID &&
				   cqe->res == -ECANCELED;
		count++;
	}
	io_uring_cq_advance(&bare->ring, count);
}

/* A batch of cancels, and the completions that they cause. */
static int bare_cancel_batch(struct bare *bare, unsigned first, unsigned count)
{
	for (unsigned index = first; index < first + count; index++) {
		struct io_uring_sqe *entry = io_uring_get_sqe(&bare->ring);

		io_uring_prep_cancel64(entry, index, 0);
		io_uring_sqe_set_data64(entry, CANCEL_ID);
		entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
	}
	const int error = io_uring_submit_and_wait(&bare->ring, count);

	bare_reap(bare);
	return error < 0 ? error : 0;
}

static int bare_cancel(struct bare *bare)
{
	const unsigned count = bare->sockets->count;
	unsigned first = 0;

	while (first < count) {
		const unsigned batch = batch_of(count - first);
		const int error = bare_cancel_batch(bare, first, batch);

		if (error < 0)
			return error;
		first += batch;
	}
	while (bare->cancelled < count) {
		const int error = io_uring_submit_and_wait(&bare->ring, 1);

		if (error < 0)
			return error;
		bare_reap(bare);
	}
	return 0;
}

/* All receives, then the clock, then their cancels. */
static int bare_pass(struct bare *bare)
{
	int error = bare_receive(bare);
	const uint64_t start_ns = host_now_ns();

	bare->cancelled = 0;
	if (error == 0)
		error = bare_cancel(bare);
	bare->elapsed_ns = host_now_ns() - start_ns;
	return error;
}

static int run_bare(struct bare *bare)
{
	int error = bare_ring_open(&bare->ring);

	if (error < 0)
		return error;
	error = bare_pass(bare);
	if (error == 0)
		error = bare_pass(bare);
	io_uring_queue_exit(&bare->ring);
	return error;
}

int micro_cancel_base(const struct micro_work *work,
		      struct micro_sample *sample)
{
	struct sockets sockets;
	int error = open_sockets(&sockets, work->ops);

	if (error < 0)
		return error;
	struct bare bare = { .sockets = &sockets };

	bare.buffers = calloc(sockets.count, sizeof(bare.buffers[0]));
	error = bare.buffers != NULL ? run_bare(&bare) : -ENOMEM;
	*sample = (struct micro_sample){
		.value = (double)bare.elapsed_ns / NS_PER_MS,
		.checksum = bare.cancelled,
	};
	free(bare.buffers);
	close_sockets(&sockets);
	return error;
}
