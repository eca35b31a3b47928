/* SPDX-License-Identifier: MIT */
/*
 * Reading a stream as protocols need it: up to a delimiter, so many bytes, a
 * look ahead. A reader takes what has come into memory of yours, and hands out
 * pieces of it in place.
 *
 *	char memory[4096];
 *	struct rota_reader reader;
 *	struct rota_span line;
 *
 *	rota_reader_init(&reader, fd, memory, sizeof(memory));
 *	while ((n = rota_reader_line(&reader, &line)) > 0)
 *		...line.data, line.bytes
 *
 * The descriptor is a stream socket, a pipe, a terminal or a file (of a
 * datagram the rest would be lost), and stays yours: there is nothing to close.
 * But what has come and was not taken is in the reader: who reads the
 * descriptor itself from then on takes that first.
 *
 * For every verb, unless it says otherwise: it suspends, if what it is asked
 * for has not come yet; tasks only, of the loop that the descriptor is used on,
 * one at a time (a second one aborts the program). What it hands out stands
 * until the next verb of this reader, and may be written to.
 *
 * Nothing is lost: on an error, what was not taken can still be read. Errors:
 *
 *	0            the end, and nothing is left
 *	-ENODATA     the end, before all that was asked for; what has come is
 *	             left
 *	-EMSGSIZE    what was asked for (a line, or only its delimiter) is longer
 *	             than the memory; rota_reader_skip_until passes over a line
 *	             too long
 *	-ECANCELED, -ETIME, -ESHUTDOWN
 *	             in a cancelled task at once, also if it has come already;
 *	             while it waits when the cancel comes. Call it again, where
 *	             that makes sense, and it goes on where it was
 *	-EBADF       also: another task closed the descriptor while this reader
 *	             waited; this reader never touches that number again
 *	-EFAULT      a NULL where something is needed
 *
 * and what read(2) says: -ECONNRESET, ... After an error a span is empty.
 */
#ifndef ROTA_READER_H
#define ROTA_READER_H

#include "rota/span.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct rota_stream;

/* In the frame of who reads, or wherever lives long enough; its fields are
 * private. */
struct rota_reader {
	struct rota_stream *stream; /* the source; NULL: the descriptor is */
	char *memory;               /* the caller's */
	size_t bytes;               /* of it */
	size_t begin;               /* where that begins which was not taken */
	size_t end;                 /* and where it ends */
	int fd;                     /* the source, where there is no stream */
	bool plain;                 /* it is no socket */
	bool busy;                  /* a task waits for more of it */
	bool closed;                /* the descriptor was, while one waited */
};

/* A reader of this descriptor, with nothing in it. The memory is the reader's
 * while that is used; there has to be some (NULL or 0 bytes abort the program),
 * and what is over INT_MAX bytes is not used. A line may be as long as the
 * memory: 4096 bytes do for most protocols; more of it means fewer receives.
 * Cannot fail, never suspends, from anywhere. */
void rota_reader_init(struct rota_reader *reader, int fd, void *memory,
		      size_t bytes);

/* The same of a receive stream (stream.h), which stays open as long as there is
 * something to be read, and is to be closed by you. What the reader says of a
 * descriptor that was closed is then what the stream says. */
void rota_reader_init_stream(struct rota_reader *reader,
			     struct rota_stream *stream, void *memory,
			     size_t bytes);

/* What has come and was not taken, which may be nothing. Stays there. Before a
 * descriptor is handed to somebody else this is what to give them first; before
 * a wait it tells whether there is a reason to. Never suspends, never refused,
 * from anywhere. */
struct rota_span rota_reader_ready(const struct rota_reader *reader);

/* Has a delimiter come: would rota_reader_until return at once with what is
 * ready? So a server that has more requests there answers them together, and
 * flushes its writer before it waits. Never suspends, never refused, from
 * anywhere. */
bool rota_reader_has(const struct rota_reader *reader, const char *delimiter);

/* Takes all up to and with the delimiter: returns how many bytes, more than 0,
 * with *span where they are. The delimiter is text of one or more bytes:
 * "\n", "\r\n\r\n"; "" is the byte 0. It may come in pieces. However slowly a
 * line dribbles in, each byte is looked at once. 0 or -errno as above. */
int rota_reader_until(struct rota_reader *reader, const char *delimiter,
		      struct rota_span *span)
	__attribute__((warn_unused_result));

/* Takes a line: all up to and with "\n". *line is the text without that, and
 * without a "\r" before it, and has a byte 0 behind it, so that it is a string
 * (unless the peer sends bytes 0: look at line->bytes). Returns how many bytes
 * were taken with the ending, more than 0 also for an empty line. 0 or -errno
 * as above: a last line without an ending is -ENODATA. Where a lone "\n" must
 * not end a line, use rota_reader_until. */
int rota_reader_line(struct rota_reader *reader, struct rota_span *line)
	__attribute__((warn_unused_result));

/* Waits until so many bytes, or more, have come, and takes none of them:
 * returns how many there are, with *span where. 0 or -errno as above. Of 0
 * bytes: what there is, without a wait. */
int rota_reader_peek(struct rota_reader *reader, size_t bytes,
		     struct rota_span *span)
	__attribute__((warn_unused_result));

/* Takes exactly so many bytes, any length, into a buffer of yours, which is the
 * kernel's meanwhile: what is at least as long as the reader's memory is
 * received without a detour through it. 0, or -errno as above (never 0 for the
 * end, but -ENODATA); *done (may be NULL) tells in either case how many bytes
 * were taken: they are in the buffer. One that overlaps the reader's memory
 * aborts the program. */
int rota_reader_exactly(struct rota_reader *reader, void *buffer, size_t bytes,
			size_t *done) __attribute__((warn_unused_result));

/* Takes some bytes, as read(2): what there is, else what comes, at most so
 * many. Returns how many, 0 at the end, or -errno as above (never -ENODATA nor
 * -EMSGSIZE). More than INT_MAX are -EINVAL. The buffer as above. */
int rota_reader_read(struct rota_reader *reader, void *buffer, size_t bytes)
	__attribute__((warn_unused_result));

/* Takes so many bytes, any number, and throws them away. 0, or -errno as for
 * rota_reader_exactly; *done (may be NULL) tells how many were. */
int rota_reader_skip(struct rota_reader *reader, size_t bytes, size_t *done)
	__attribute__((warn_unused_result));

/* Takes all up to and with the delimiter, however long that is, and throws it
 * away: what is left of a line too long. 0, or -errno as above, -ENODATA after
 * the end (what came before is thrown away, too). *done (may be NULL) tells how
 * many bytes were. After a cancel call it again: it goes on, also if half of
 * the delimiter had come. */
int rota_reader_skip_until(struct rota_reader *reader, const char *delimiter,
			   size_t *done) __attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
