/* SPDX-License-Identifier: MIT */
#include "io/stream.h"

#include "task/scope.h"

#include <errno.h>

static_assert(sizeof(struct rota_stream) <= 168, "part of every connection");

int ri_stream_refusal(const char *function)
{
	return ri_scope_opener(function)->scope->code;
}

int ri_stream_open(struct rota_stream *stream,
		   const struct ri_stream_start *start,
		   const struct rota_stream_options *options)
{
	struct rota_task *self = ri_scope_opener("rota_stream_open");
	const int error = ri_shot_open(ri_tasks_here(), start->kind,
				       &start->init, &stream->shot);

	if (error)
		return error;
	ri_scope_open(&stream->scope, RI_SCOPE_STREAM, self, start->site);
	stream->idle_ns = options ? options->idle_ns : 0;
	stream->offset = 0;
	stream->length = 0;
	stream->told = 0;
	stream->lent = RI_BUFFER_NONE;
	stream->served = false;
	stream->read = false;
	stream->ended = false;
	stream->drained = false;
	stream->state = RI_SCOPE_OPEN;
	return 0;
}

static __attribute__((cold, noreturn)) void
misused(const struct rota_stream *stream, const char *function)
{
	const struct rota_task *self = ri_task_self(function);
	const struct rota_site *site = stream->scope.site;

	switch (stream->state) {
	case RI_SCOPE_OPEN:
		ri_abort(site->file, site->line,
			 "%s: the stream opened here is another task's than %s "
			 "(spawned at %s:%d)",
			 function, ri_task_name(self), self->site->file,
			 self->site->line);
	case RI_SCOPE_CLOSED:
		ri_abort(site->file, site->line,
			 "%s: the stream opened here is closed, in task %s",
			 function, ri_task_name(self));
	default:
		ri_abort(__FILE__, __LINE__,
			 "%s in task %s for a stream that is not open",
			 function, ri_task_name(self));
	}
}

static inline struct rota_task *check(const struct rota_stream *stream,
				      const char *function)
{
	struct rota_task *self = ri_task_self(function);

	ri_task_check_scope(self);
	if (__builtin_expect(stream->state != RI_SCOPE_OPEN ||
				     stream->scope.owner != self,
			     0))
		misused(stream, function);
	return self;
}

struct ri_shot *ri_stream_use(struct rota_stream *stream,
			      enum ri_shot_kinds kind, const char *function)
{
	check(stream, function);
	if (stream->shot->kind != kind)
		ri_abort(stream->scope.site->file, stream->scope.site->line,
			 "%s is not for the kind of stream opened here",
			 function);
	stream->read = true;
	return stream->shot;
}

int ri_stream_wait(struct rota_stream *stream, bool *over)
{
	struct ri_shot *shot = stream->shot;
	int code;

	*over = ri_shot_is_over(shot);
	if (*over) {
		stream->ended = true;
		return shot->end;
	}
	code = ri_stream_told(stream);
	if (code)
		return code;
	code = ri_shot_wait(ri_tasks_here(), shot);
	/* Not of a scope inside of it: then who serves has to end. */
	stream->ended |= code && code == stream->scope.code;
	return code;
}

bool rota_stream_ready(const struct rota_stream *stream)
{
	check(stream, __func__);
	return stream->offset < stream->length || stream->told ||
	       ri_shot_ready(ri_tasks_here(), stream->shot);
}

void rota_stream_close(struct rota_stream *stream)
{
	struct rota_task *self = check(stream, __func__);
	struct ri_tasks *tasks = ri_tasks_here();
	struct ri_shot *shot = stream->shot;

	ri_stream_take_back(tasks, stream);
	ri_shot_stop(tasks, shot, __func__);
	tasks->shots.kinds[shot->kind]->drop(tasks, shot);
	ri_shot_free(tasks, shot);
	stream->state = RI_SCOPE_CLOSED;
	if (stream->served)
		ri_served_closed(self);
	ri_scope_remove(tasks, &stream->scope);
}
