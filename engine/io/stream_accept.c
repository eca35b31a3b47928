/* SPDX-License-Identifier: MIT */
/*
 * Accept streams: what lands is a descriptor. The queue has room for all that
 * may land until the kernel has stopped, and while it takes no entries it does
 * not stop: so for as many as this process may have, which is only a number of
 * pages that nobody touches. It begins anew whenever it is empty.
 */
#include "io/accept.h"
#include "io/starved.h"
#include "io/stream.h"
#include "rota/socket.h"
#include "task/operation.h"

#include <errno.h>
#include <sys/resource.h>

#define ALLOWED_DEFAULT 64u
#define ALLOWED_MAX 4096u

/* Descriptors a process may have, where nobody has asked for more of them. */
#define LANDED_MAX 1048576u

static void prepare(const struct ri_shot *shot, struct io_uring_sqe *entry)
{
	io_uring_prep_multishot_accept(entry, shot->fd, NULL, NULL,
				       SOCK_CLOEXEC);
}

static unsigned landed(const struct ri_shot *shot)
{
	return shot->queue->tail - shot->queue->head;
}

static bool has_item(const struct ri_shot *shot)
{
	return landed(shot) > 0;
}

static bool has_room(const struct ri_shot *shot)
{
	return shot->flags & RI_SHOT_IN_FLIGHT
		       ? landed(shot) < shot->queue->allowed
		       : landed(shot) <= shot->queue->allowed / 2;
}

static void append(struct ri_tasks *tasks, struct ri_shot *shot, int fd)
{
	struct ri_shot_queue *queue = shot->queue;

	ri_check(landed(shot) < queue->room, "%u connections have landed",
		 landed(shot));
	queue->items[queue->tail++ & (queue->room - 1)] = fd;
	if (landed(shot) >= queue->allowed)
		ri_shot_review(tasks, shot);
	ri_shot_wake(tasks, shot);
}

static void land(struct ri_tasks *tasks, struct ri_shot *shot,
		 const struct io_uring_cqe *cqe)
{
	const int result = cqe->res;

	if (result >= 0) {
		append(tasks, shot, result);
	} else if (shot->flags & RI_SHOT_OVER) {
		return;
	} else if (ri_starved_by(result)) {
		shot->flags |= RI_SHOT_STARVED;
		shot->end = result;
		ri_shot_wake(tasks, shot);
	} else if (!ri_result_is_stop(result) && !ri_accept_passes(result)) {
		ri_shot_over(tasks, shot, result);
	}
}

static int pop(struct ri_shot *shot)
{
	struct ri_shot_queue *queue = shot->queue;
	const int fd = queue->items[queue->head++ & (queue->room - 1)];

	if (!landed(shot))
		queue->head = queue->tail = 0;
	return fd;
}

static size_t queue_bytes(unsigned room)
{
	return sizeof(struct ri_shot_queue) + room * sizeof(int);
}

static void drop(struct ri_tasks *tasks, struct ri_shot *shot)
{
	const struct ri_kernel *kernel = tasks->loop.kernel;

	while (has_item(shot))
		rota_close(pop(shot));
	kernel->unmap(kernel, shot->queue, queue_bytes(shot->queue->room));
}

static const struct ri_shot_kind kind = {
	.prepare = prepare,
	.land = land,
	.drop = drop,
	.has_room = has_room,
	.has_item = has_item,
	.verb = "rota_stream_accept",
};

/* A power of two. What the completion ring holds may be there twice: what had
 * landed when it was first looked at, and what came until the kernel heard. */
static unsigned room_for(const struct ri_tasks *tasks, unsigned allowed)
{
	unsigned room = 2 * tasks->loop.ring.uring.cq.ring_entries;
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur > LANDED_MAX)
		limit.rlim_cur = LANDED_MAX;
	while (room < 2 * allowed || room < limit.rlim_cur)
		room *= 2;
	return room;
}

static int map_queue(const struct ri_tasks *tasks, unsigned allowed,
		     struct ri_shot_queue **queue)
{
	const struct ri_kernel *kernel = tasks->loop.kernel;
	const unsigned room = room_for(tasks, allowed);
	void *start;
	int error;

	error = kernel->map(kernel, queue_bytes(room), &start);
	if (error < 0)
		return error;
	*queue = start;
	(*queue)->allowed = allowed;
	(*queue)->room = room;
	return 0;
}

static unsigned allowed(const struct rota_stream_options *options)
{
	unsigned count = options ? options->items_max : 0;

	if (!count)
		count = ALLOWED_DEFAULT;
	if (count < 2)
		count = 2;
	return count < ALLOWED_MAX ? count : ALLOWED_MAX;
}

int rota_accept_stream_open_at(struct rota_stream *stream, int listener,
			       const struct rota_stream_options *options,
			       const struct rota_site *site)
{
	struct ri_stream_start start = {
		.kind = &kind,
		.init = { .fd = listener, .kind = RI_SHOT_ACCEPT },
		.site = site,
	};
	const struct ri_kernel *kernel;
	struct ri_shot_queue *queue;
	int error = ri_stream_refusal("rota_accept_stream_open");

	if (!error && listener < 0)
		error = -EBADF;
	if (error)
		return error;
	error = map_queue(ri_tasks_here(), allowed(options), &queue);
	if (error)
		return error;
	start.init.queue = queue;
	error = ri_stream_open(stream, &start, options);
	if (error) {
		kernel = ri_tasks_here()->loop.kernel;
		kernel->unmap(kernel, queue, queue_bytes(queue->room));
	}
	return error;
}

/* There was no descriptor or no memory for the next one. */
static int outlive_shortage(struct ri_tasks *tasks, struct rota_stream *stream)
{
	struct ri_shot *shot = stream->shot;
	const bool rests = ri_served_rest(stream);
	int error = ri_stream_told(stream);

	if (!error)
		error = ri_starved_wait(tasks, shot->fd, shot->end);
	if (rests)
		ri_served_go_on(stream, error);
	if (error) {
		stream->ended |= error == stream->scope.code;
		return error;
	}
	shot->flags &= (uint8_t)~RI_SHOT_STARVED;
	ri_shot_review(tasks, shot);
	return 0;
}

int rota_stream_accept(struct rota_stream *stream)
{
	struct ri_shot *shot = ri_stream_use(stream, RI_SHOT_ACCEPT, __func__);
	struct ri_tasks *tasks = ri_tasks_here();
	int fd;

	while (!has_item(shot)) {
		bool over = false;
		const int code = shot->flags & RI_SHOT_STARVED
					 ? outlive_shortage(tasks, stream)
					 : ri_stream_wait(stream, &over);

		if (code || over)
			return code;
	}
	fd = pop(shot);
	if (!(shot->flags & RI_SHOT_IN_FLIGHT) && has_room(shot))
		ri_shot_review(tasks, shot);
	return fd;
}
