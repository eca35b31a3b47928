/* SPDX-License-Identifier: MIT */
/*
 * Receive streams: what lands is a buffer of the loop's.
 *
 *	landed   first -> ... -> last          in order, by ri_buffer.next
 *	lent     the one before them           to the task, until its next call
 *	kept     those it asked for            until rota_view_release
 *
 * All three are `held`. What a stream holds beyond what it is allowed counts as
 * lent by the loop (ring/buffers.h).
 */
#include "io/stream.h"
#include "rota/socket.h"
#include "task/operation.h"

#include <errno.h>
#include <string.h>

#define ALLOWED_PART 16
#define ALLOWED_MIN 2
#define ALLOWED_MAX 32768u

static void prepare(const struct ri_shot *shot, struct io_uring_sqe *entry)
{
	io_uring_prep_recv_multishot(entry, shot->fd, NULL, 0, 0);
	entry->flags |= IOSQE_BUFFER_SELECT;
	entry->buf_group = RI_BUFFER_GROUP;
}

static bool has_item(const struct ri_shot *shot)
{
	return shot->buffers.first != RI_BUFFER_NONE;
}

/* One that was stopped begins again when half is gone: to stop and begin for
 * each buffer would cost more than the buffer. Unless all that it holds is
 * kept: then no more would ever go. */
static bool has_room(const struct ri_shot *shot)
{
	const unsigned allowed = shot->buffers.allowed;

	return shot->flags & RI_SHOT_IN_FLIGHT || !has_item(shot)
		       ? shot->buffers.held < allowed
		       : shot->buffers.held <= allowed / 2;
}

static void append(struct ri_tasks *tasks, struct ri_shot *shot, uint16_t id)
{
	struct ri_shot_buffers *landed = &shot->buffers;

	if (landed->first == RI_BUFFER_NONE)
		landed->first = id;
	else
		tasks->shots.buffers.table[landed->last].next = id;
	landed->last = id;
	if (landed->held++ >= landed->allowed)
		ri_buffers_lend(&tasks->shots.buffers);
	if (!(shot->flags & RI_SHOT_OVER))
		shot->ticket = 0;
	if (landed->held >= landed->allowed)
		ri_shot_review(tasks, shot);
	ri_shot_wake(tasks, shot);
}

/* It may have room again. */
static void go_on(struct ri_tasks *tasks, struct ri_shot *shot)
{
	if (!(shot->flags & (RI_SHOT_IN_FLIGHT | RI_SHOT_CLOSING)) &&
	    has_room(shot))
		ri_shot_review(tasks, shot);
}

/* It holds one less. */
static void settle(struct ri_tasks *tasks, struct ri_shot *shot)
{
	if (shot->buffers.held-- > shot->buffers.allowed)
		ri_buffers_settle(&tasks->shots.buffers);
	go_on(tasks, shot);
}

static void give(struct ri_tasks *tasks, struct ri_shot *shot, uint16_t id)
{
	settle(tasks, shot);
	ri_buffers_give(&tasks->shots.buffers, id);
}

static void end(struct ri_tasks *tasks, struct ri_shot *shot, int result)
{
	if (shot->flags & (RI_SHOT_CLOSING | RI_SHOT_OVER) ||
	    ri_result_is_stop(result))
		return;
	if (result == -ENOBUFS)
		ri_shot_hunger(tasks, shot);
	else
		ri_shot_over(tasks, shot, result);
}

static void land(struct ri_tasks *tasks, struct ri_shot *shot,
		 const struct io_uring_cqe *cqe)
{
	struct ri_buffers *buffers = &tasks->shots.buffers;

	if (cqe->flags & IORING_CQE_F_BUFFER) {
		const uint16_t id =
			(uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
		const uint32_t length = cqe->res > 0 ? (uint32_t)cqe->res : 0;

		ri_buffers_take(buffers, id, length);
		if (length)
			append(tasks, shot, id);
		else
			ri_buffers_give(buffers, id);
	}
	if (cqe->res <= 0 && !(cqe->flags & IORING_CQE_F_MORE))
		end(tasks, shot, cqe->res);
}

static uint16_t pop(struct ri_tasks *tasks, struct ri_shot *shot)
{
	const uint16_t id = shot->buffers.first;

	shot->buffers.first = tasks->shots.buffers.table[id].next;
	return id;
}

/* What its user keeps stays out, and counts against nobody from here on. */
static void orphan(struct ri_tasks *tasks, struct ri_shot *shot)
{
	struct ri_buffers *buffers = &tasks->shots.buffers;

	for (unsigned i = 0; shot->buffers.held && i < buffers->made; i++) {
		if (buffers->table[i].holder != shot)
			continue;
		buffers->table[i].holder = NULL;
		settle(tasks, shot);
		ri_buffers_lend(buffers);
	}
}

static void drop(struct ri_tasks *tasks, struct ri_shot *shot)
{
	while (has_item(shot))
		give(tasks, shot, pop(tasks, shot));
	orphan(tasks, shot);
	ri_assert(shot->buffers.held == 0, "%u buffers are held",
		  shot->buffers.held);
}

static const struct ri_shot_kind kind = {
	.prepare = prepare,
	.land = land,
	.drop = drop,
	.has_room = has_room,
	.has_item = has_item,
	.verb = "rota_stream_view",
};

/* The loop's buffers are there from its first receive stream on. */
static int check_buffers(struct ri_tasks *tasks)
{
	struct ri_shots *shots = &tasks->shots;

	if (__builtin_expect(shots->buffers.ring != NULL, 1))
		return 0;
	return ri_buffers_open(&shots->buffers, &tasks->loop.ring,
			       &shots->buffers_options);
}

/* Other sockets have messages: a buffer that is too short would cut them. */
static int check_socket(const struct ri_kernel *kernel, int fd)
{
	int type = 0;
	struct ri_option option = { .fd = fd,
				    .level = SOL_SOCKET,
				    .name = SO_TYPE,
				    .value = &type,
				    .bytes = sizeof(type) };
	const int error = kernel->get_option(kernel, &option);

	if (error)
		return error;
	return type == SOCK_STREAM ? 0 : -EPROTOTYPE;
}

static uint16_t allowed(const struct ri_buffers *buffers,
			const struct rota_stream_options *options)
{
	unsigned count = options ? options->items_max : 0;

	if (!count)
		count = buffers->count / ALLOWED_PART;
	if (count < ALLOWED_MIN)
		count = ALLOWED_MIN;
	return (uint16_t)(count < ALLOWED_MAX ? count : ALLOWED_MAX);
}

int rota_receive_stream_open_at(struct rota_stream *stream, int fd,
				const struct rota_stream_options *options,
				const struct rota_site *site)
{
	struct ri_stream_start start = {
		.kind = &kind,
		.init = { .fd = fd,
			  .kind = RI_SHOT_RECEIVE,
			  .buffers = { .first = RI_BUFFER_NONE } },
		.site = site,
	};
	int error = ri_stream_refusal("rota_receive_stream_open");
	struct ri_tasks *tasks = ri_tasks_here();

	if (!error)
		error = check_socket(tasks->loop.kernel, fd);
	if (!error)
		error = check_buffers(tasks);
	if (error)
		return error;
	start.init.buffers.allowed = allowed(&tasks->shots.buffers, options);
	return ri_stream_open(stream, &start, options);
}

void ri_stream_take_back(struct ri_tasks *tasks, struct rota_stream *stream)
{
	if (stream->lent == RI_BUFFER_NONE)
		return;
	give(tasks, stream->shot, stream->lent);
	stream->lent = RI_BUFFER_NONE;
	stream->offset = 0;
	stream->length = 0;
}

/* The next buffer that landed becomes the lent one. */
static void lend(struct ri_tasks *tasks, struct rota_stream *stream)
{
	ri_stream_take_back(tasks, stream);
	stream->lent = pop(tasks, stream->shot);
	stream->length = tasks->shots.buffers.table[stream->lent].length;
	stream->offset = 0;
	go_on(tasks, stream->shot);
}

int rota_stream_view(struct rota_stream *stream, struct rota_view *view)
{
	struct ri_shot *shot = ri_stream_use(stream, RI_SHOT_RECEIVE, __func__);
	struct ri_tasks *tasks = ri_tasks_here();

	if (stream->offset == stream->length) {
		ri_stream_take_back(tasks, stream);
		while (!has_item(shot)) {
			bool over;
			const int code = ri_stream_wait(stream, &over);

			if (code || over)
				return code;
		}
		lend(tasks, stream);
	}
	view->data = ri_buffers_at(&tasks->shots.buffers, stream->lent) +
		     stream->offset;
	view->bytes = stream->length - stream->offset;
	view->buffer = stream->lent;
	stream->offset = stream->length;
	return (int)view->bytes;
}

/* No buffer is left for the stream: one operation with the caller's. */
static int receive_past(struct ri_tasks *tasks, struct ri_shot *shot,
			void *buffer, size_t bytes)
{
	const struct rota_task *self = ri_task_self("rota_stream_recv");
	int n;

	ri_shot_feed(shot);
	/* Nothing is to land beside it, whoever gives a buffer back. */
	shot->flags |= RI_SHOT_STARVED;
	n = rota_recv(shot->fd, buffer, bytes < INT_MAX ? bytes : INT_MAX, 0);
	shot->flags &= (uint8_t)~RI_SHOT_STARVED;
	if (n == 0 || (n < 0 && n != self->scope->code && n != -EAGAIN)) {
		/* Told now, it is told again, also if a close came after. */
		shot->end = n;
		ri_shot_over(tasks, shot, n);
	}
	ri_shot_review(tasks, shot);
	return n;
}

static int copy(struct rota_stream *stream, void *buffer, size_t bytes)
{
	const struct ri_buffers *buffers = &ri_tasks_here()->shots.buffers;
	const size_t left = stream->length - stream->offset;
	const size_t count = bytes < left ? bytes : left;

	memcpy(buffer, ri_buffers_at(buffers, stream->lent) + stream->offset,
	       count);
	stream->offset += (uint32_t)count;
	return (int)count;
}

int rota_stream_recv(struct rota_stream *stream, void *buffer, size_t bytes)
{
	struct ri_shot *shot = ri_stream_use(stream, RI_SHOT_RECEIVE, __func__);
	struct ri_tasks *tasks = ri_tasks_here();

	if (!bytes)
		return -EINVAL;
	while (stream->offset == stream->length && !has_item(shot)) {
		bool over;
		int code;

		ri_stream_take_back(tasks, stream);
		if (shot->flags & RI_SHOT_HUNGRY && !stream->told)
			return receive_past(tasks, shot, buffer, bytes);
		shot->flags |= RI_SHOT_COPIES;
		code = ri_stream_wait(stream, &over);
		shot->flags &= (uint8_t)~RI_SHOT_COPIES;
		if (code || over)
			return code;
	}
	if (stream->offset == stream->length)
		lend(tasks, stream);
	return copy(stream, buffer, bytes);
}

void rota_view_keep(struct rota_stream *stream, const struct rota_view *view)
{
	const struct ri_shot *shot =
		ri_stream_use(stream, RI_SHOT_RECEIVE, __func__);
	struct ri_shots *shots = &ri_tasks_here()->shots;
	struct ri_buffer *buffer;

	ri_check(stream->lent != RI_BUFFER_NONE && stream->lent == view->buffer,
		 "rota_view_keep for what is not the stream's last view");
	buffer = &shots->buffers.table[stream->lent];
	buffer->keeper = ri_task_self(__func__)->site;
	buffer->holder = (void *)(uintptr_t)shot;
	shots->kept++;
	stream->lent = RI_BUFFER_NONE;
	stream->offset = 0;
	stream->length = 0;
}

void rota_view_release(struct rota_view *view)
{
	struct ri_tasks *tasks = ri_tasks_caller(__func__);
	struct ri_buffers *buffers = &tasks->shots.buffers;
	struct ri_shot *holder;

	ri_check(buffers->ring && view->buffer < buffers->made &&
			 buffers->table[view->buffer].keeper,
		 "rota_view_release for a view that is not kept");
	holder = buffers->table[view->buffer].holder;
	buffers->table[view->buffer].keeper = NULL;
	buffers->table[view->buffer].holder = NULL;
	tasks->shots.kept--;
	if (holder)
		settle(tasks, holder);
	else
		ri_buffers_settle(buffers);
	ri_buffers_give(buffers, (uint16_t)view->buffer);
	view->data = NULL;
	view->bytes = 0;
	view->buffer = RI_BUFFER_NONE;
}
