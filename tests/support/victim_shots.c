/* SPDX-License-Identifier: MIT */
/*
 * Victims that read streams (stream.h), item by item. Each opens one, waits for
 * an item, or for more, has the kernel stop, takes what has landed beyond that,
 * and closes it: so nothing that has landed is thrown away, and if something is
 * lost all the same that shows.
 */
#include "rota/rota.h"
#include "support/victim.h"
#include "task/shot.h"
#include "task/task.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* How many items who serves takes at most before it ends. */
#define SERVED_ITEMS 3

struct kind {
	int (*open)(struct victim *victim, struct rota_stream *stream);
	/* One item: how much it was, or what it is told. */
	int (*ask)(struct victim *victim, struct rota_stream *stream);
};

static int open_receive(struct victim *victim, struct rota_stream *stream)
{
	const struct rota_stream_options options = {
		.items_max = 1 + victim_dice(victim, 3),
		.idle_ns = victim->deadline_ns,
	};

	return rota_receive_stream_open(stream, victim->fd, &options);
}

static int ask_view(struct victim *victim, struct rota_stream *stream)
{
	struct rota_view view;
	const int n = rota_stream_view(stream, &view);

	if (n > 0)
		victim_take(victim, (unsigned char *)view.data, (size_t)n);
	return n;
}

/* A view that is kept outlives the stream's next call. */
static int ask_and_keep(struct victim *victim, struct rota_stream *stream)
{
	struct rota_view view;
	const int n = rota_stream_view(stream, &view);

	if (n <= 0)
		return n;
	rota_view_keep(stream, &view);
	victim_take(victim, (unsigned char *)view.data, (size_t)n);
	rota_view_release(&view);
	return n;
}

static int ask_recv(struct victim *victim, struct rota_stream *stream)
{
	const int n = rota_stream_recv(stream, victim->buffer, victim->bytes);

	if (n > 0)
		victim_take(victim, victim->buffer, (size_t)n);
	return n;
}

static int open_accept(struct victim *victim, struct rota_stream *stream)
{
	const struct rota_stream_options options = {
		.items_max = 1 + victim_dice(victim, 3),
	};

	return rota_accept_stream_open(stream, victim->fd, &options);
}

static int ask_accept(struct victim *victim, struct rota_stream *stream)
{
	const int fd = rota_stream_accept(stream);

	if (fd < 0)
		return fd;
	victim->taken++;
	close(fd);
	return 1;
}

static int open_poll(struct victim *victim, struct rota_stream *stream)
{
	return rota_poll_stream_open(stream, victim->fd, POLLIN);
}

static int ask_poll(struct victim *victim, struct rota_stream *stream)
{
	(void)victim;
	return rota_stream_poll(stream);
}

static bool has_item(const struct rota_stream *stream)
{
	const struct ri_shots *shots = &ri_tasks_here()->shots;
	const struct ri_shot *shot = stream->shot;

	return stream->offset < stream->length ||
	       shots->kinds[shot->kind]->has_item(shot);
}

/* Nothing more lands; what has is taken. By the task whose the stream is. */
static void finish(struct victim *victim, const struct kind *kind,
		   struct rota_stream *stream)
{
	ri_shot_stop(ri_tasks_here(), stream->shot, "a victim");
	while (has_item(stream))
		referee_expect(victim->referee, "an item that has landed",
			       kind->ask(victim, stream) > 0, true);
	victim->record = NULL;
	rota_stream_close(stream);
}

static int open_named(struct victim *victim, const struct kind *kind,
		      struct rota_stream *stream)
{
	const int error = kind->open(victim, stream);

	if (!error)
		victim->record = stream->shot;
	return error;
}

static int call(struct victim *victim, const struct kind *kind)
{
	struct rota_stream stream;
	int result = open_named(victim, kind, &stream);

	if (result)
		return result;
	result = kind->ask(victim, &stream);
	finish(victim, kind, &stream);
	return result;
}

static const struct kind view = { open_receive, ask_view };
static const struct kind keep = { open_receive, ask_and_keep };
static const struct kind copy = { open_receive, ask_recv };
static const struct kind accept_one = { open_accept, ask_accept };
static const struct kind poll_one = { open_poll, ask_poll };

static int call_view(struct victim *victim)
{
	return call(victim, &view);
}

static int call_keep(struct victim *victim)
{
	return call(victim, &keep);
}

static int call_recv(struct victim *victim)
{
	return call(victim, &copy);
}

static int call_accept(struct victim *victim)
{
	return call(victim, &accept_one);
}

static int call_poll(struct victim *victim)
{
	return call(victim, &poll_one);
}

/* A member without a stack. In the frame of who waits for its group. */
struct served {
	struct victim *victim;
	const struct kind *kind;
	struct rota_stream stream;
	unsigned items;
	int result; /* the last one */
};

static int serve(struct rota_stream *stream, void *arg)
{
	struct served *served = arg;
	struct victim *victim = served->victim;

	do {
		served->result = served->kind->ask(victim, stream);
		if (served->result <= 0 || ++served->items == SERVED_ITEMS) {
			finish(victim, served->kind, stream);
			return 0;
		}
	} while (victim->flags && rota_stream_ready(stream));
	return 0;
}

static int call_served(struct victim *victim, const struct kind *kind)
{
	struct served served = { .victim = victim, .kind = kind };
	struct rota_group group;
	int error = open_named(victim, kind, &served.stream);

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_stream_serve(&group, &served.stream, serve, &served);
	if (error)
		finish(victim, kind, &served.stream);
	(void)rota_group_wait(&group);
	return error ? error : served.result;
}

static int call_served_view(struct victim *victim)
{
	return call_served(victim, &view);
}

static int call_served_recv(struct victim *victim)
{
	return call_served(victim, &copy);
}

static int call_served_accept(struct victim *victim)
{
	return call_served(victim, &accept_one);
}

/* An item, or why there is none. */
static int expected(const struct victim *victim, const struct verdict *verdict)
{
	const int result = victim->result;

	if (result > 0 || verdict->told)
		return result;
	if (result == -EBADF && victim->closing)
		return result;
	return verdict->code ? verdict->code : -EIO;
}

/* What a sleep comes to besides. */
static int expected_served(const struct victim *victim,
			   const struct verdict *verdict)
{
	const int result = victim->result;

	if (result == -ETIME && victim->deadline_ns)
		return result;
	if (result == -ESHUTDOWN && verdict->drains)
		return result;
	return expected(victim, verdict);
}

static int prepare_receive(struct victim *victim)
{
	static const size_t sizes[] = { 1, 7, 64, 512, 4096 };

	victim->bytes = sizes[victim_dice(victim, 5)];
	victim->portion =
		1 + victim_dice(victim, 2) * sizes[victim_dice(victim, 5)];
	victim->deadline_ns = 0;
	if (!victim_dice(victim, 5))
		victim_give(victim, victim->peer, victim->portion);
	return 0;
}

/* At times with an idle time; at times it takes all that there is. */
static int prepare_served(struct victim *victim)
{
	const int error = prepare_receive(victim);

	victim->flags = (int)victim_dice(victim, 2);
	if (!victim_dice(victim, 3))
		victim->deadline_ns = ROTA_SECOND / 4;
	return error;
}

static int prepare_served_accept(struct victim *victim)
{
	victim->flags = (int)victim_dice(victim, 2);
	return victim_prepare_accept(victim);
}

static void give_portion(struct victim *victim)
{
	victim_give(victim, victim->peer, victim->portion);
}

static void check_receive(struct victim *victim)
{
	victim_drain(victim, victim->keeper);
	referee_expect(victim->referee, "bytes taken of those given",
		       (int64_t)victim->taken, (int64_t)victim->given);
}

const struct victim_class victim_shots[] = {
	{ "stream_view", VICTIM_STREAM, .set_up = victim_set_up_stream,
	  .prepare = prepare_receive, .call = call_view,
	  .complete = give_portion, .check = check_receive,
	  .expected = expected },
	{ "stream_keep", VICTIM_STREAM, .set_up = victim_set_up_stream,
	  .prepare = prepare_receive, .call = call_keep,
	  .complete = give_portion, .check = check_receive,
	  .expected = expected },
	{ "stream_recv", VICTIM_STREAM, .set_up = victim_set_up_stream,
	  .prepare = prepare_receive, .call = call_recv,
	  .complete = give_portion, .check = check_receive,
	  .expected = expected },
	{ "stream_accept", VICTIM_STREAM, .set_up = victim_set_up_listener,
	  .prepare = victim_prepare_accept, .call = call_accept,
	  .complete = victim_connect, .check = victim_check_accept,
	  .expected = expected },
	{ "stream_poll", VICTIM_STREAM, .set_up = victim_set_up_stream,
	  .prepare = prepare_receive, .call = call_poll,
	  .complete = give_portion, .check = check_receive,
	  .expected = expected },
	{ "served_view", VICTIM_STREAM | VICTIM_SLEEPS,
	  .set_up = victim_set_up_stream, .prepare = prepare_served,
	  .call = call_served_view, .complete = give_portion,
	  .check = check_receive, .expected = expected_served },
	{ "served_recv", VICTIM_STREAM | VICTIM_SLEEPS,
	  .set_up = victim_set_up_stream, .prepare = prepare_served,
	  .call = call_served_recv, .complete = give_portion,
	  .check = check_receive, .expected = expected_served },
	{ "served_accept", VICTIM_STREAM | VICTIM_SLEEPS,
	  .set_up = victim_set_up_listener, .prepare = prepare_served_accept,
	  .call = call_served_accept, .complete = victim_connect,
	  .check = victim_check_accept, .expected = expected_served },
};
const unsigned victim_shots_count =
	sizeof(victim_shots) / sizeof(victim_shots[0]);
