/* SPDX-License-Identifier: MIT */
/*
 * The engine: starts, runs a first task, joins everything, stops.
 */
#ifndef ROTA_ENGINE_H
#define ROTA_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Zero means the default for each field. */
struct rota_config {
	unsigned loops;       /* 0 or 1 */
	unsigned tasks_max;   /* tasks at a time; default 1,048,576. More make
	                         rota_go return -EAGAIN */
	size_t stack_bytes;   /* usable, for each task; default 64 KiB, at most
	                         256 MiB, rounded up to a power of two of at
	                         least 16 KiB */
	unsigned entries;     /* of the ring, of one batch; default 256 */
	unsigned completions; /* of the ring; default 8192, at least as many as
	                         entries. Fewer are tried when memory is
	                         refused */
	unsigned streams_max; /* streams at a time; default 1,048,576. More are
	                         refused with -EAGAIN */
	unsigned stream_buffers; /* that receive streams share; default 256, at
	                         most 8192. Made with the first stream; more are
	                         used for a while in place of those that one
	                         connection has beyond its due */
	unsigned stream_buffer_bytes; /* of each; default 4096, at most 1 MiB */
	bool no_overflow_report; /* leave SIGSEGV alone: a task's overflow then
	                            dies without being named */
	/* Gets each line that the engine has to say, without a newline; NULL:
	 * stderr, with "rota: " before it. Must not suspend, and may run on a
	 * task's stack. */
	void (*log)(void *context, const char *line);
	/* Gets the line of a broken promise, just before abort(3); NULL:
	 * stderr. */
	void (*on_abort)(void *context, const char *line);
	void *context; /* the first argument of both */
};

/* Runs an engine on this thread: fn(arg) is its first task. Returns what fn
 * returned, once every task has ended; or why the engine could not start,
 * after one line in the log that names the cause and the mend:
 *
 *	-EINVAL   more than one loop, a stack size or stream buffers out of
 *	          range, an unknown word in ROTA_MASK, a kernel before 6.1
 *	-EPERM, -EACCES, -ENOSYS  io_uring is not allowed or not there
 *	-ENOMEM, -EMFILE, -ENFILE  no memory or descriptor for the ring
 *	-ENOTSUP  this thread has a shadow stack (CET), on which no other
 *	          stack can be run
 *	-EBUSY    an engine runs on this thread already
 *
 * While it runs, SIGPIPE and every signal that had a handler when it started
 * are blocked on this thread: handlers would run on a task's small stack. Await
 * them with signalfd(2) and rota_read, or take them on another thread. Signals
 * without a handler do as they always do. A program that a task executes
 * inherits the blocked ones (execve(2)). In a child of fork(2) a task may only
 * execute a program or _exit(2): the ring is the parent's; whatever else it
 * does with that engine, returning too, aborts the child. `config` may be NULL.
 *
 * A loop on which nothing can ever happen again while tasks wait aborts the
 * program with a list of them. */
int rota_run(const struct rota_config *config, int (*fn)(void *arg), void *arg)
	__attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
