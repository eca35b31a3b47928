/* SPDX-License-Identifier: MIT */
/*
 * Writing a stream as protocols need it: small pieces are gathered in memory of
 * yours, and go out together.
 *
 *	char memory[4096];
 *	struct rota_writer writer;
 *
 *	rota_writer_init(&writer, fd, memory, sizeof(memory));
 *	rota_writer_print(&writer, "Content-Length: %zu\r\n\r\n", bytes);
 *	rota_writer_write(&writer, body, bytes);
 *	error = rota_writer_flush(&writer);
 *
 * Errors stay: the first one is returned by all later calls, which do nothing
 * then. So only the last of several needs to be looked at, and no stream has a
 * hole in it. Every error is one: also that the task was cancelled, or a line
 * too long for rota_writer_print. How much went out before is told by
 * rota_writer_sent; who knows from this that nothing is half said (or goes on
 * from rota_writer_unsent) may init the writer afresh.
 *
 * The descriptor is a stream socket, a pipe, a terminal or a file, and stays
 * yours. There is nothing to close either, but nobody flushes for you: what is
 * unsent when you are done is thrown away. Flush before you wait for an answer.
 *
 * For every verb, unless it says otherwise: it suspends, if it has to send;
 * tasks only, of the loop that the descriptor is used on, one at a time (a
 * second one aborts the program). 0 or -errno:
 *
 *	-ECANCELED, -ETIME, -ESHUTDOWN
 *	             in a cancelled task at once; while it sends when the cancel
 *	             comes: some of it may have gone out. To finish what others
 *	             wait for, write in a shield (shield.h)
 *	-EBADF       also: another task closed the descriptor meanwhile; this
 *	             writer never touches that number again
 *	-EFAULT      a NULL where something is needed
 *
 * and what write(2) or send(2) say: -EPIPE (no signal comes), -ECONNRESET, ...
 * While the peer does not read, a send waits: give it a deadline.
 */
#ifndef ROTA_WRITER_H
#define ROTA_WRITER_H

#include "rota/span.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* In the frame of who writes, or wherever lives long enough; its fields are
 * private. */
struct rota_writer {
	char *memory;  /* the caller's */
	size_t bytes;  /* of it */
	size_t begin;  /* where that begins which was not sent yet */
	size_t end;    /* and where it ends */
	uint64_t sent; /* bytes that went out */
	int fd;        /* where they go */
	int error;     /* the first one, or 0 */
	bool plain;    /* it is no socket */
	bool busy;     /* a task waits while it sends */
	bool closed;   /* the descriptor was, meanwhile */
};

/* A writer to this descriptor, with nothing in it and no error. The memory is
 * the writer's while that is used; there has to be some (NULL or 0 bytes abort
 * the program). Cannot fail, never suspends, from anywhere. */
void rota_writer_init(struct rota_writer *writer, int fd, void *memory,
		      size_t bytes);

/* Writes bytes, any length: what the memory has room for is copied there. What
 * it has none for goes out at once, without a copy, behind what is there
 * already: both in one send, where the kernel takes as much. The bytes are the
 * kernel's until it returns; bytes inside the memory abort the program. */
int rota_writer_write(struct rota_writer *writer, const void *buffer,
		      size_t bytes);

/* Writes text, as printf(3) does. What is there already is sent if there is
 * too little room behind it. -EMSGSIZE if the text and a byte 0 are longer than
 * the memory: nothing of it is written; -EINVAL if the C library refuses the
 * format. Arguments inside the writer's memory make nonsense. */
int rota_writer_print(struct rota_writer *writer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The same for functions that have arguments of their own; uses them up. */
int rota_writer_vprint(struct rota_writer *writer, const char *format,
		       va_list arguments) __attribute__((format(printf, 2, 0)));

/* Sends all that is there: 0, and the kernel has it, or -errno. */
int rota_writer_flush(struct rota_writer *writer)
	__attribute__((warn_unused_result));

/* How many bytes the kernel has taken since rota_writer_init, also after an
 * error. Never suspends, never refused, from anywhere. */
uint64_t rota_writer_sent(const struct rota_writer *writer);

/* What was written and not sent, which may be nothing: what a flush would send;
 * after an error what was left in the memory (of a rota_writer_write that sent
 * without a copy, the caller has the rest). Never suspends, never refused, from
 * anywhere. */
struct rota_span rota_writer_unsent(const struct rota_writer *writer);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
