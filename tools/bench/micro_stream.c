// SPDX-License-Identifier: MIT
/*
 * What does a message cost on its way through a receive stream? In each lap
 * one message of 64 bytes is written to each of so many connections, by plain
 * sends, and all are waited for: read as views by a task each, or by members
 * without a stack. Base: the same on bare liburing, multishot receives and a
 * ring of as many buffers, which go back when a lap's completions are seen.
 * The sends, which are the same for all, cost most of it.
 */
#include <errno.h>
#include <liburing.h>
#include <rota/rota.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bare_buffers.h"
#include "bare_ring.h"
#include "host.h"
#include "micro.h"

#define WARM_LAPS 10
#define BUFFERS 256
#define BUFFER_BYTES 4096

static const char message[64] = "a message";

/* The connections of a round. */
struct pairs {
	unsigned count; /* of them */
	int (*fds)[2];  /* where it is written, where it is read */
};

static void close_pairs(struct pairs *pairs)
{
	while (pairs->count--) {
		close(pairs->fds[pairs->count][0]);
		close(pairs->fds[pairs->count][1]);
	}
	free(pairs->fds);
}

static int open_pairs(struct pairs *pairs, unsigned count)
{
	pairs->count = 0;
	pairs->fds = calloc(count, sizeof(pairs->fds[0]));
	if (pairs->fds == NULL)
		return -ENOMEM;
	while (pairs->count < count) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			       pairs->fds[pairs->count]) < 0) {
			const int error = -errno;

			close_pairs(pairs);
			return error;
		}
		pairs->count++;
	}
	return 0;
}

static int write_lap(const struct pairs *pairs)
{
	for (unsigned index = 0; index < pairs->count; index++)
		if (send(pairs->fds[index][0], message, sizeof(message),
			 MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(message))
			return -EIO;
	return 0;
}

struct own {
	const struct micro_work *work;
	struct micro_sample *sample;
	struct pairs pairs;
	rota_serve_fn *serve; /* NULL: a task each */
	uint64_t bytes;       /* read so far, by all */
	int ready;            /* readers that have opened their stream */
};

/* One that reads. */
struct reader {
	struct rota_stream stream;
	struct own *own;
	int fd;
};

static int read_all(void *value)
{
	const struct reader *reader = *(struct reader **)value;
	struct rota_stream stream;
	struct rota_view view;
	int n = rota_receive_stream_open(&stream, reader->fd, NULL);

	if (n < 0)
		return n;
	reader->own->ready++;
	while ((n = rota_stream_view(&stream, &view)) > 0)
		reader->own->bytes += view.bytes;
	rota_stream_close(&stream);
	return n;
}

static int read_landed(struct rota_stream *stream, void *arg)
{
	struct reader *reader = arg;
	struct rota_view view;
	const int n = rota_stream_view(stream, &view);

	if (n > 0) {
		reader->own->bytes += view.bytes;
		return 0;
	}
	rota_stream_close(stream);
	return n;
}

static int start(struct own *own, struct rota_group *group,
		 struct reader *reader)
{
	int error;

	if (own->serve == NULL)
		return rota_go(group, read_all, reader);
	error = rota_receive_stream_open(&reader->stream, reader->fd, NULL);
	if (error < 0)
		return error;
	own->ready++;
	error = rota_stream_serve(group, &reader->stream, own->serve, reader);
	if (error < 0)
		rota_stream_close(&reader->stream);
	return error;
}

/* So many laps: each is over when all of it is read. */
static int run_laps(struct own *own, uint64_t laps)
{
	const uint64_t each = own->pairs.count * sizeof(message);
	int error = 0;

	for (uint64_t lap = 0; lap < laps && error == 0; lap++) {
		const uint64_t goal = own->bytes + each;

		error = write_lap(&own->pairs);
		while (error == 0 && own->bytes < goal)
			error = rota_yield();
	}
	return error;
}

static int measure(struct own *own)
{
	const struct micro_work *work = own->work;
	int error = 0;

	while (error == 0 && own->ready < (int)work->tasks)
		error = rota_yield();
	if (error == 0)
		error = run_laps(own, WARM_LAPS);
	own->bytes = 0;
	const uint64_t start_ns = host_now_ns();

	if (error == 0)
		error = run_laps(own, work->ops / work->tasks);
	*own->sample =
		micro_per_op(start_ns, host_now_ns(), work->ops, own->bytes);
	return error;
}

static int run_own(void *arg)
{
	struct own *own = arg;
	struct rota_group group;
	struct reader *readers = calloc(own->pairs.count, sizeof(readers[0]));
	int error = readers == NULL ? -ENOMEM : 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < own->pairs.count && error == 0; i++) {
		readers[i].own = own;
		readers[i].fd = own->pairs.fds[i][1];
		error = start(own, &group, &readers[i]);
	}
	if (error == 0)
		error = measure(own);
	/* Each of them reads the end. */
	for (unsigned i = 0; i < own->pairs.count; i++)
		shutdown(own->pairs.fds[i][0], SHUT_RDWR);
	const int result = rota_group_wait(&group);

	free(readers);
	return error < 0 ? error : result;
}

static int run(const struct micro_work *work, struct micro_sample *sample,
	       rota_serve_fn *serve)
{
	struct own own = { .work = work, .sample = sample, .serve = serve };
	int error = open_pairs(&own.pairs, work->tasks);

	if (error < 0)
		return error;
	error = rota_run(NULL, run_own, &own);
	close_pairs(&own.pairs);
	return error;
}

int micro_stream_own(const struct micro_work *work, struct micro_sample *sample)
{
	return run(work, sample, NULL);
}

int micro_stream_serve_own(const struct micro_work *work,
			   struct micro_sample *sample)
{
	return run(work, sample, read_landed);
}

struct base {
	struct io_uring ring;
	struct bare_buffers buffers;
	struct pairs pairs;
	uint64_t bytes; /* read so far */
};

static int arm(struct base *base, int fd)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(&base->ring);

	if (entry == NULL)
		return -EAGAIN;
	io_uring_prep_recv_multishot(entry, fd, NULL, 0, 0);
	entry->flags |= IOSQE_BUFFER_SELECT;
	entry->buf_group = BARE_BUFFERS_GROUP;
	io_uring_sqe_set_data64(entry, (unsigned)fd);
	return 0;
}

static int reap(struct base *base)
{
	struct io_uring_cqe *cqe;
	unsigned head;
	unsigned count = 0;
	int error = 0;

	io_uring_for_each_cqe(&base->ring, head, cqe)
	{
		count++;
		if (cqe->res > 0) {
			base->bytes += (uint64_t)cqe->res;
			bare_buffers_give(&base->buffers,
					  bare_buffers_take(&base->buffers,
							    cqe));
		}
		if (cqe->res <= 0 && cqe->res != -ENOBUFS)
			error = -EIO;
		else if (!(cqe->flags & IORING_CQE_F_MORE))
			error = arm(base, (int)cqe->user_data);
	}
	io_uring_cq_advance(&base->ring, count);
	bare_buffers_publish(&base->buffers);
	return error;
}

static int run_bare_laps(struct base *base, uint64_t laps)
{
	const uint64_t each = base->pairs.count * sizeof(message);
	int error = 0;

	for (uint64_t lap = 0; lap < laps && error >= 0; lap++) {
		const uint64_t goal = base->bytes + each;

		error = write_lap(&base->pairs);
		while (error >= 0 && base->bytes < goal) {
			error = io_uring_submit_and_wait(&base->ring, 1);
			if (error >= 0)
				error = reap(base);
		}
	}
	return error;
}

static int measure_bare(struct base *base, const struct micro_work *work,
			struct micro_sample *sample)
{
	int error = 0;

	for (unsigned i = 0; i < base->pairs.count && error == 0; i++)
		error = arm(base, base->pairs.fds[i][1]);
	if (error == 0)
		error = run_bare_laps(base, WARM_LAPS);
	base->bytes = 0;
	const uint64_t start_ns = host_now_ns();

	if (error >= 0)
		error = run_bare_laps(base, work->ops / work->tasks);
	*sample = micro_per_op(start_ns, host_now_ns(), work->ops, base->bytes);
	return error < 0 ? error : 0;
}

int micro_stream_base(const struct micro_work *work,
		      struct micro_sample *sample)
{
	struct base base = { .bytes = 0 };
	int error = open_pairs(&base.pairs, work->tasks);

	if (error < 0)
		return error;
	error = bare_ring_open(&base.ring);
	if (error < 0)
		goto out_pairs;
	error = bare_buffers_open(&base.buffers, &base.ring, BUFFERS,
				  BUFFER_BYTES);
	if (error == 0)
		error = measure_bare(&base, work, sample);
	io_uring_queue_exit(&base.ring);
	bare_buffers_close(&base.buffers);
out_pairs:
	close_pairs(&base.pairs);
	return error;
}
