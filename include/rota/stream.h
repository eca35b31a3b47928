/* SPDX-License-Identifier: MIT */
/*
 * A stream is one operation of the kernel that goes on by itself: it accepts,
 * receives or polls until the stream is closed, and what it finds lands here,
 * to be taken item by item.
 *
 *	struct rota_stream stream;
 *	struct rota_view view;
 *
 *	error = rota_receive_stream_open(&stream, fd, NULL);
 *	while ((n = rota_stream_view(&stream, &view)) > 0)
 *		...n bytes at view.data, until the next call
 *	rota_stream_close(&stream);
 *
 * A receive stream has no buffer of its own: what it receives lands in buffers
 * that all streams of the loop share (engine.h: stream_buffers), so that an
 * idle connection holds none. rota_recv into a buffer of the caller's is as
 * fast; streams are for servers with many connections that are mostly idle.
 *
 * What the kernel ends is begun again by rota, in order and without loss: when
 * its completions overflowed, when buffers ran out, when there was no
 * descriptor left. While a stream has as many items as its options allow, the
 * kernel is asked to stop, and what comes waits in the socket: so a fast
 * sender is slowed down, and its neighbours go on. Streams for which there is
 * no buffer wait for one in turn, first come, first served.
 *
 * Law: a function that opens a stream closes it, or hands it over by
 * rota_stream_serve; one that returns past it aborts the program, naming the
 * line that opened it. Only the task that opened it (then: the member that
 * serves it) may use it; another one aborts.
 *
 * Cancels, deadlines: a verb of a stream never waits in a cancelled task, and
 * one that waits is woken. What has landed by then is handed out still, and
 * then the code: as such a task waits for nothing, that is soon. The stream goes
 * on, and can be read on in a shield or when the deadline is ended.
 *
 * Closes: a rota_close of the descriptor by another task ends the stream with
 * -EBADF, behind what has landed.
 */
#ifndef ROTA_STREAM_H
#define ROTA_STREAM_H

#include "rota/scope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct rota_group;
struct ri_shot;

/* Zero means the default for each field. */
struct rota_stream_options {
	unsigned items_max; /* that may have landed, the view included, before
	                       the kernel is asked to stop; some more may land
	                       until it has. 0: a sixteenth of the loop's
	                       buffers (accept: 64), at least 2. With as many as
	                       there are buffers one stream may have them all */
	int64_t idle_ns;    /* of a stream that is served: how long nothing may
	                       land. 0: any time */
};

/* In the frame of who opens it, or in the record of what it serves, where it
 * stays until it is closed; its fields are private. */
struct rota_stream {
	struct rota_scope scope; /* open: who has to close it */
	struct ri_shot *shot;    /* what the kernel knows of it */
	int64_t idle_ns;         /* as in its options */
	int64_t due_ns;          /* when that is over, while it is served */
	uint32_t offset;         /* of the lent buffer: how much was copied */
	uint32_t length;         /* ... and how much it holds */
	int told;                /* why its sleep ended, still to be told */
	uint16_t lent;           /* the buffer of its last view */
	uint8_t state;           /* open or closed; else nobody has opened it */
	bool served;             /* a member of a group serves it */
	bool read;               /* ... and has, since it was called */
	bool ended;              /* ... and was told its end, or its own */
	bool drained;            /* ... and was told that its group drains */
};

/* Bytes that have landed, where they are. */
struct rota_view {
	char *data;      /* the first one; may be written to */
	size_t bytes;    /* how many */
	uint32_t buffer; /* private */
};

/* Opens a receive stream on a connected stream socket, best left blocking:
 * 0, and it receives from now on. -ENOTSOCK, -EBADF; -EPROTOTYPE for another
 * kind of socket (rota_recvfrom has datagrams, whole); -EAGAIN: the engine's
 * bound of streams is reached; -ENOMEM: no memory for the loop's buffers, with
 * a line in the log (RLIMIT_MEMLOCK counts their ring). In a cancelled task
 * its code. `options` may be NULL.
 *
 * Nobody else may receive from the socket meanwhile. Never suspends, tasks
 * only. */
int rota_receive_stream_open_at(struct rota_stream *stream, int fd,
				const struct rota_stream_options *options,
				const struct rota_site *site)
	__attribute__((warn_unused_result));

/* Opens an accept stream on a listening socket: 0, and it accepts from now on,
 * close-on-exec. -EAGAIN, -ENOMEM, codes as above; that it does not listen
 * (-EINVAL, -ENOTSOCK) is told by the first rota_stream_accept. That it was
 * shut down is -EINVAL too, but not for a Unix socket: Linux does not say so.
 * Never suspends, tasks only. */
int rota_accept_stream_open_at(struct rota_stream *stream, int listener,
			       const struct rota_stream_options *options,
			       const struct rota_site *site)
	__attribute__((warn_unused_result));

/* Opens a poll stream: it tells when the descriptor becomes ready for `events`
 * (POLLIN, POLLOUT, ...; POLLERR, POLLHUP and POLLRDHUP always). 0, -EAGAIN,
 * -ENOMEM, codes as above. Never suspends, tasks only. */
int rota_poll_stream_open_at(struct rota_stream *stream, int fd,
			     unsigned events, const struct rota_site *site)
	__attribute__((warn_unused_result));

#define ROTA_STREAM_OPEN_(open, stream, fd, ...)                \
	__extension__({                                         \
		static const struct rota_site rota_site_ =      \
			ROTA_SITE_("stream", 0);                \
		open((stream), (fd), __VA_ARGS__, &rota_site_); \
	})

#define rota_receive_stream_open(stream, fd, ...) \
	ROTA_STREAM_OPEN_(rota_receive_stream_open_at, stream, fd, __VA_ARGS__)
#define rota_accept_stream_open(stream, fd, ...) \
	ROTA_STREAM_OPEN_(rota_accept_stream_open_at, stream, fd, __VA_ARGS__)
#define rota_poll_stream_open(stream, fd, events) \
	ROTA_STREAM_OPEN_(rota_poll_stream_open_at, stream, fd, events)

/* Lends the next bytes that have landed, in order: how many (and *view); 0
 * when the peer has shut down its side and all is read; -errno as recv(2), as
 * -ECONNRESET. The end, or an error, is told again by each later call. The
 * view stands until the next call for this stream, which takes its buffer
 * back; rota_view_keep keeps it. Bytes that rota_stream_recv has left over come
 * first.
 *
 * May suspend, until something lands. A cancel takes nothing: what landed
 * before it is returned. */
int rota_stream_view(struct rota_stream *stream, struct rota_view *view)
	__attribute__((warn_unused_result));

/* The same as a copy, as rota_recv: up to `bytes` of what has landed next, the
 * rest stays. While there is no buffer for the stream it receives straight into
 * this one. -EINVAL for 0 bytes. */
int rota_stream_recv(struct rota_stream *stream, void *buffer, size_t bytes)
	__attribute__((warn_unused_result));

/* The next connection: its descriptor. Connections that failed before they
 * were accepted are passed over; while there is no descriptor or no memory for
 * one it waits: both as rota_accept does. A cancel loses none: what was
 * accepted is returned by the next call, or closed by rota_stream_close. */
int rota_stream_accept(struct rota_stream *stream)
	__attribute__((warn_unused_result));

/* What the descriptor became ready for since the last call, as bits of
 * poll(2); the first call tells what it is ready for already. Edges: each
 * tells once, so do what it is ready for until that is -EAGAIN. What cannot be
 * waited for, as a file, is always ready. May suspend. */
int rota_stream_poll(struct rota_stream *stream)
	__attribute__((warn_unused_result));

/* Would the stream's verb return at once: because something has landed, or the
 * stream has ended? True also of an accept stream for which there is no
 * descriptor or no memory: that its verb waits for. Never suspends. */
bool rota_stream_ready(const struct rota_stream *stream);

/* Closes it: when it returns, the kernel has let go of it, what had landed is
 * thrown away (bytes; connections are closed), and a view of it is gone. The
 * descriptor stays open. A release verb: never refused, never cancelled; may
 * suspend. */
void rota_stream_close(struct rota_stream *stream);

/* The last view of this stream is the caller's from here on, until
 * rota_view_release; it counts against items_max as long as the stream is
 * open, and may outlive it. Aborts if it is not the last view. Never
 * suspends. */
void rota_view_keep(struct rota_stream *stream, const struct rota_view *view);

/* Gives a kept view's buffer back. Any task of the loop, once. A view that is
 * still kept when the engine ends aborts the program, naming who kept it.
 * Never suspends. */
void rota_view_release(struct rota_view *view);

/* Serves a stream: called when something has landed or the stream's sleep is
 * over. It takes what there is, may suspend and spawn as any task, and returns
 * 0 with the stream open: then it sleeps until more lands. Or it closes the
 * stream and what belongs to it, and returns what a task returns: this member
 * has ended. Another result with the stream open aborts, naming where it was
 * opened; so does 0 once it was told the stream's end, or that its group is
 * cancelled, and a return without having looked at the stream at all. */
typedef int rota_serve_fn(struct rota_stream *stream, void *arg);

/* Who serves. */
struct rota_service {
	rota_serve_fn *fn; /* is called with `arg` */
	void *arg;         /* all that it remembers */
};

/* Spawns a member of the group that has no stack while there is nothing to do:
 * fn(stream, arg) runs on a warm one when something has landed, or at once if
 * something has. What is left of an idle connection is the task's record, the
 * stream, and what fn keeps in *arg.
 *
 * The stream is the member's from here on, if this returns 0; otherwise it stays
 * the caller's, with all that belongs to it: as rota_go, and as that it may wait
 * for a slot, holding what has landed. It stays where it is, so that has to
 * outlive the member: a record of the connection, rather than a frame.
 *
 * To sleep is to be idle (idle.h): it ends with the code of the group when that
 * is cancelled, with -ESHUTDOWN when it drains, with -ETIME after idle_ns, and
 * the stream's verb in fn then returns that code, once, if nothing has landed.
 * To wait for a descriptor in rota_stream_accept is to be idle too. A name given
 * by rota_task_set_name stands until fn returns. Its value, as a group's
 * `discard` gets it, is private. */
int rota_stream_serve_at(struct rota_group *group, struct rota_stream *stream,
			 struct rota_service service,
			 const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_stream_serve(group, stream, fn, arg)                          \
	__extension__({                                                    \
		static const struct rota_site rota_site_ =                 \
			ROTA_SITE_(#fn, ROTA_SERVED_BYTES_);               \
		const struct rota_service rota_service_ = { (fn), (arg) }; \
		rota_stream_serve_at((group), (stream), rota_service_,     \
				     &rota_site_);                         \
	})

/* What a member that serves has for a value. Private. */
#define ROTA_SERVED_BYTES_ 48

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
