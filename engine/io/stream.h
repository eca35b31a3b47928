/* SPDX-License-Identifier: MIT */
/*
 * What the kinds of streams have in common: a shot (task/shot.h), who owns it,
 * and a way to wait for it.
 */
#ifndef RI_IO_STREAM_H
#define RI_IO_STREAM_H

#include "rota/stream.h"
#include "task/shot.h"
#include "task/task.h"

/* What a stream is opened with, besides its options. */
struct ri_stream_start {
	const struct ri_shot_kind *kind;
	struct ri_shot init;          /* fd, kind, what it lands in */
	const struct rota_site *site; /* where */
};

/* The code of the running task, which a verb that opens a stream returns before
 * it looks at anything else; or 0. */
int ri_stream_refusal(const char *function);

/* Opens it as a scope of the running task. 0, or -EAGAIN, -ENOMEM. */
int ri_stream_open(struct rota_stream *stream,
		   const struct ri_stream_start *start,
		   const struct rota_stream_options *options);

/* The shot of a stream of this kind that is open and the running task's.
 * Aborts otherwise. */
struct ri_shot *ri_stream_use(struct rota_stream *stream,
			      enum ri_shot_kinds kind, const char *function);

/* Why its sleep ended, once; 0: nothing is to be told. */
static inline int ri_stream_told(struct rota_stream *stream)
{
	const int told = stream->told;

	stream->told = 0;
	return told;
}

/* Nothing has landed: waits until something has. 0: it may have; or what the
 * verb returns: `end` once it is over, a code. *over: it was `end`. */
int ri_stream_wait(struct rota_stream *stream, bool *over);

/* Its last view goes back, if there is one. */
void ri_stream_take_back(struct ri_tasks *tasks, struct rota_stream *stream);

/* Who serves the stream waits for what that is short of, which is to sleep,
 * but for its stack. True: it is idle until ri_served_go_on, which is told with
 * which code its wait ended. Else it is not, and may have been told why. */
bool ri_served_rest(struct rota_stream *stream);
void ri_served_go_on(struct rota_stream *stream, int code);

/* A member that serves has closed its stream. */
void ri_served_closed(struct rota_task *self);

#endif
