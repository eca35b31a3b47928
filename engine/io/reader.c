/* SPDX-License-Identifier: MIT */
/*
 * A reader: a piece of memory, of which the middle has come and was not taken.
 *
 *	memory      begin             end        bytes
 *	| taken     | ready           | room     |
 *
 * Laws:
 *   1. What is handed out stays where it is until the next verb: only `fill`
 *      moves bytes, and only to make room for more.
 *   2. Each byte is moved at most once by that, for as long as what is asked
 *      for is taken: what is moved then is the start of the next piece, and
 *      the move after it comes when that one has been taken.
 *   3. A verb that searches looks at each byte once: the last byte of the
 *      delimiter is looked for, and what is before it compared. So nothing has
 *      to be looked at again when more comes.
 *   4. `begin` and `end` change when bytes have come or are taken, and never
 *      for an error: so none loses anything.
 */
#include "rota/reader.h"

#include "io/apart.h"
#include "rota/file.h"
#include "rota/socket.h"
#include "rota/stream.h"
#include "task/operation.h"

#include <errno.h>
#include <string.h>

static_assert(sizeof(struct rota_reader) == 48, "less than a cache line");

void rota_reader_init(struct rota_reader *reader, int fd, void *memory,
		      size_t bytes)
{
	ri_check(memory != NULL, "%s: there is no memory", __func__);
	ri_check(bytes > 0, "%s: there are 0 bytes of memory", __func__);
	*reader = (struct rota_reader){
		.memory = memory,
		.bytes = bytes > INT_MAX ? INT_MAX : bytes,
		.fd = fd,
	};
}

void rota_reader_init_stream(struct rota_reader *reader,
			     struct rota_stream *stream, void *memory,
			     size_t bytes)
{
	rota_reader_init(reader, -1, memory, bytes);
	reader->stream = stream;
}

static inline size_t count_ready(const struct rota_reader *reader)
{
	return reader->end - reader->begin;
}

static inline struct rota_span ready(const struct rota_reader *reader)
{
	return (struct rota_span){ reader->memory + reader->begin,
				   count_ready(reader) };
}

struct rota_span rota_reader_ready(const struct rota_reader *reader)
{
	return ready(reader);
}

/* Each verb begins here: 0, or the code of a cancelled task. */
static int begin(const struct rota_reader *reader, const char *verb)
{
	const struct rota_task *self = ri_task_self(verb);

	ri_task_check_scope(self);
	ri_check(!reader->busy, "%s: another task waits in this reader", verb);
	return self->scope->code;
}

/* Takes from what is ready. */
static struct rota_span take(struct rota_reader *reader, size_t bytes)
{
	const struct rota_span span = { reader->memory + reader->begin, bytes };

	ri_assert(bytes <= count_ready(reader), "%zu bytes are taken of %zu",
		  bytes, count_ready(reader));
	reader->begin += bytes;
	return span;
}

/* One operation. */
static int ask(struct rota_reader *reader, char *buffer, size_t bytes)
{
	const struct rota_task *self = ri_task_self(__func__);
	int n;

	if (reader->stream)
		return rota_stream_recv(reader->stream, buffer, bytes);
	if (reader->closed)
		return self->scope->code ? self->scope->code : -EBADF;
	n = reader->plain ? rota_read(reader->fd, buffer, bytes)
			  : rota_recv(reader->fd, buffer, bytes, 0);
	/* -EAGAIN: there may have been no operation that could tell. */
	if (n != -EAGAIN)
		reader->closed = ri_operation_closed(self);
	return n;
}

/* Asks the source: how many bytes, 0 at the end, or -errno. The one place. A
 * receive is a twentieth cheaper than a read of a socket, with all that the
 * kernel does for it, so what the descriptor is is found out by trying. */
static int receive(struct rota_reader *reader, char *buffer, size_t bytes)
{
	const size_t most = bytes > INT_MAX ? INT_MAX : bytes;
	int n;

	reader->busy = true;
	n = ask(reader, buffer, most);
	if (n == -ENOTSOCK) {
		reader->plain = true;
		n = ask(reader, buffer, most);
	}
	reader->busy = false;
	return n;
}

/* Receives into the room that there is, with -EMSGSIZE if there is none. */
static int fill(struct rota_reader *reader)
{
	const struct rota_span left = ready(reader);
	int n;

	if (left.bytes == reader->bytes)
		return -EMSGSIZE;
	if (reader->begin) {
		memmove(reader->memory, left.data, left.bytes);
		reader->begin = 0;
		reader->end = left.bytes;
	}
	n = receive(reader, reader->memory + reader->end,
		    reader->bytes - reader->end);
	if (n > 0)
		reader->end += (size_t)n;
	return n;
}

struct delimiter {
	const char *text; /* the caller's */
	size_t before;    /* how many of its bytes are before the last one */
};

/* Mostly it is one byte. */
static inline struct delimiter delimiter_of(const char *text)
{
	const bool longer = text[0] && text[1];

	return (struct delimiter){ text, longer ? strlen(text) - 1 : 0 };
}

/* How many bytes are ready up to and with the delimiter; 0: it is not there.
 * None ends among the first `searched`. */
static size_t find(const struct rota_reader *reader,
		   const struct delimiter *delimiter, size_t searched)
{
	const struct rota_span all = ready(reader);
	const size_t before = delimiter->before;
	const char *last;
	size_t at = searched > before ? searched : before;

	while (at < all.bytes) {
		last = memchr(all.data + at, delimiter->text[before],
			      all.bytes - at);
		if (!last)
			break;
		if (!before || !memcmp(last - before, delimiter->text, before))
			return (size_t)(last - all.data) + 1;
		at = (size_t)(last - all.data) + 1;
	}
	return 0;
}

bool rota_reader_has(const struct rota_reader *reader, const char *text)
{
	const struct delimiter delimiter = delimiter_of(text);

	return find(reader, &delimiter, 0) > 0;
}

/* Waits for the delimiter: how many bytes up to and with it, 0 or -errno. */
static int wait_for(struct rota_reader *reader, const char *text)
{
	const struct delimiter delimiter = delimiter_of(text);
	size_t searched = 0;

	if (delimiter.before >= reader->bytes)
		return -EMSGSIZE;
	for (;;) {
		const size_t found = find(reader, &delimiter, searched);
		int n;

		if (found)
			return (int)found;
		searched = count_ready(reader);
		n = fill(reader);
		if (n <= 0)
			return !n && searched ? -ENODATA : n;
	}
}

static int until(struct rota_reader *reader, const char *verb,
		 const char *delimiter, struct rota_span *span)
{
	int n = begin(reader, verb);

	if (!span)
		return -EFAULT;
	*span = (struct rota_span){ NULL, 0 };
	if (!n)
		n = delimiter ? wait_for(reader, delimiter) : -EFAULT;
	if (n > 0)
		*span = take(reader, (size_t)n);
	return n;
}

int rota_reader_until(struct rota_reader *reader, const char *delimiter,
		      struct rota_span *span)
{
	return until(reader, __func__, delimiter, span);
}

int rota_reader_line(struct rota_reader *reader, struct rota_span *line)
{
	const int n = until(reader, __func__, "\n", line);

	if (n <= 0)
		return n;
	line->bytes--;
	if (line->bytes && line->data[line->bytes - 1] == '\r')
		line->bytes--;
	line->data[line->bytes] = '\0';
	return n;
}

/* Waits until so many bytes are ready: 1, 0 or -errno. */
static int gather(struct rota_reader *reader, size_t bytes)
{
	if (bytes > reader->bytes)
		return -EMSGSIZE;
	while (count_ready(reader) < bytes) {
		const int n = fill(reader);

		if (n <= 0)
			return !n && count_ready(reader) ? -ENODATA : n;
	}
	return 1;
}

int rota_reader_peek(struct rota_reader *reader, size_t bytes,
		     struct rota_span *span)
{
	int n = begin(reader, __func__);

	if (!span)
		return -EFAULT;
	*span = (struct rota_span){ NULL, 0 };
	if (!n)
		n = gather(reader, bytes);
	if (n <= 0)
		return n;
	*span = ready(reader);
	return (int)span->bytes;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Some bytes: what is ready, else what comes. As many as the memory has room
 * for, or more, come straight. */
static int get(struct rota_reader *reader, char *buffer, size_t bytes)
{
	size_t piece;
	int n;

	if (!count_ready(reader) && bytes >= reader->bytes)
		return receive(reader, buffer, bytes);
	n = gather(reader, 1);
	if (n <= 0)
		return n;
	piece = smaller(bytes, count_ready(reader));
	memcpy(buffer, take(reader, piece).data, piece);
	return (int)piece;
}

/* May a buffer be written to? One inside the memory may not: abort. */
static int check_buffer(const struct rota_reader *reader, const char *verb,
			const void *buffer, size_t bytes)
{
	if (!bytes)
		return 0;
	if (!buffer)
		return -EFAULT;
	ri_check(ri_apart(reader->memory, reader->bytes, buffer, bytes),
		 "%s: the buffer overlaps the reader's memory", verb);
	return 0;
}

int rota_reader_exactly(struct rota_reader *reader, void *buffer, size_t bytes,
			size_t *done)
{
	size_t came = 0;
	int error = begin(reader, __func__);

	if (!error)
		error = check_buffer(reader, __func__, buffer, bytes);
	while (!error && came < bytes) {
		const int n = get(reader, (char *)buffer + came, bytes - came);

		if (n > 0)
			came += (size_t)n;
		else
			error = n ? n : -ENODATA;
	}
	if (done)
		*done = came;
	return error;
}

int rota_reader_read(struct rota_reader *reader, void *buffer, size_t bytes)
{
	int error = begin(reader, __func__);

	if (bytes > INT_MAX)
		return -EINVAL;
	if (!error)
		error = check_buffer(reader, __func__, buffer, bytes);
	if (error || !bytes)
		return error;
	return get(reader, buffer, bytes);
}

int rota_reader_skip(struct rota_reader *reader, size_t bytes, size_t *done)
{
	size_t came = 0;
	int error = begin(reader, __func__);

	while (!error && came < bytes) {
		const int n = gather(reader, 1);

		if (n > 0)
			came += take(reader,
				     smaller(bytes - came, count_ready(reader)))
					.bytes;
		else
			error = n ? n : -ENODATA;
	}
	if (done)
		*done = came;
	return error;
}

/* Throws away up to the delimiter; of a delimiter that may have come in part,
 * that part stays. */
static int pass(struct rota_reader *reader, const char *text, size_t *came)
{
	const struct delimiter delimiter = delimiter_of(text);

	if (delimiter.before >= reader->bytes)
		return -EMSGSIZE;
	for (;;) {
		const size_t found = find(reader, &delimiter, 0);
		const size_t all = count_ready(reader);
		int n;

		if (found) {
			*came += take(reader, found).bytes;
			return 0;
		}
		if (all > delimiter.before)
			*came += take(reader, all - delimiter.before).bytes;
		n = fill(reader);
		if (!n)
			*came += take(reader, count_ready(reader)).bytes;
		if (n <= 0)
			return n ? n : -ENODATA;
	}
}

int rota_reader_skip_until(struct rota_reader *reader, const char *delimiter,
			   size_t *done)
{
	size_t came = 0;
	int error = begin(reader, __func__);

	if (!error)
		error = delimiter ? pass(reader, delimiter, &came) : -EFAULT;
	if (done)
		*done = came;
	return error;
}
