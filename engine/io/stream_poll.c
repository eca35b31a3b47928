/* SPDX-License-Identifier: MIT */
/*
 * Poll streams: what lands are events, and all that have landed are one item.
 */
#include "io/stream.h"
#include "task/operation.h"

#include <errno.h>
#include <poll.h>

static void prepare(const struct ri_shot *shot, struct io_uring_sqe *entry)
{
	io_uring_prep_poll_multishot(entry, shot->fd, shot->polled.wanted);
}

static bool has_item(const struct ri_shot *shot)
{
	return shot->polled.landed != 0;
}

/* One that ended has told all there was. It begins again when that is taken:
 * what cannot be waited for, as a file, is ready again at once. */
static bool has_room(const struct ri_shot *shot)
{
	return shot->flags & RI_SHOT_IN_FLIGHT || !has_item(shot);
}

static void land(struct ri_tasks *tasks, struct ri_shot *shot,
		 const struct io_uring_cqe *cqe)
{
	if (cqe->res >= 0) {
		shot->polled.landed |= (uint32_t)cqe->res;
		ri_shot_wake(tasks, shot);
	} else if (!ri_result_is_stop(cqe->res)) {
		ri_shot_over(tasks, shot, cqe->res);
	}
}

static void drop(struct ri_tasks *tasks, struct ri_shot *shot)
{
	(void)tasks;
	(void)shot;
}

static const struct ri_shot_kind kind = {
	.prepare = prepare,
	.land = land,
	.drop = drop,
	.has_room = has_room,
	.has_item = has_item,
	.verb = "rota_stream_poll",
};

int rota_poll_stream_open_at(struct rota_stream *stream, int fd,
			     unsigned events, const struct rota_site *site)
{
	const struct ri_stream_start start = {
		.kind = &kind,
		.init = { .fd = fd,
			  .kind = RI_SHOT_POLL,
			  .polled = { .wanted = events } },
		.site = site,
	};
	const int code = ri_stream_refusal("rota_poll_stream_open");

	if (code)
		return code;
	return fd < 0 ? -EBADF : ri_stream_open(stream, &start, NULL);
}

int rota_stream_poll(struct rota_stream *stream)
{
	struct ri_shot *shot = ri_stream_use(stream, RI_SHOT_POLL, __func__);
	int events;

	while (!has_item(shot)) {
		bool over;
		const int code = ri_stream_wait(stream, &over);

		if (code || over)
			return code;
	}
	events = (int)shot->polled.landed;
	shot->polled.landed = 0;
	if (!(shot->flags & RI_SHOT_IN_FLIGHT))
		ri_shot_review(ri_tasks_here(), shot);
	return events;
}
