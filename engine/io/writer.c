/* SPDX-License-Identifier: MIT */
/*
 * A writer: a piece of memory whose beginning is to be sent.
 *
 *	memory      begin             end        bytes
 *	| sent      | unsent          | room     |
 *
 * `begin` leaves the start of the memory only while it is being sent, and after
 * an error in the middle of that: then it is told what was left.
 *
 * Laws:
 *   1. What goes out is what was written, in order, up to some byte: after an
 *      error nothing is taken any more.
 *   2. What does not fit is sent from where it is, together with what is there
 *      before: nothing is cut in two to fill the memory, as that would copy
 *      the whole of it once more and save no send.
 */
#include "rota/writer.h"

#include "io/apart.h"
#include "rota/file.h"
#include "rota/socket.h"
#include "task/operation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static_assert(sizeof(struct rota_writer) == 56, "less than a cache line");

void rota_writer_init(struct rota_writer *writer, int fd, void *memory,
		      size_t bytes)
{
	ri_check(memory != NULL, "%s: there is no memory", __func__);
	ri_check(bytes > 0, "%s: there are 0 bytes of memory", __func__);
	*writer = (struct rota_writer){
		.memory = memory,
		.bytes = bytes,
		.fd = fd,
	};
}

uint64_t rota_writer_sent(const struct rota_writer *writer)
{
	return writer->sent;
}

struct rota_span rota_writer_unsent(const struct rota_writer *writer)
{
	return (struct rota_span){ writer->memory + writer->begin,
				   writer->end - writer->begin };
}

/* Each verb begins here: 0, or the first error. */
static int begin(struct rota_writer *writer, const char *verb)
{
	const struct rota_task *self = ri_task_self(verb);

	ri_task_check_scope(self);
	ri_check(!writer->busy, "%s: another task waits in this writer", verb);
	if (!writer->error)
		writer->error = self->scope->code;
	return writer->error;
}

static int fail(struct rota_writer *writer, int error)
{
	writer->error = error;
	return error;
}

/* For one piece there are cheaper verbs. */
static int send_one(const struct rota_writer *writer, struct iovec piece)
{
	const size_t bytes = piece.iov_len > INT_MAX ? INT_MAX : piece.iov_len;

	return writer->plain ? rota_write(writer->fd, piece.iov_base, bytes)
			     : rota_send(writer->fd, piece.iov_base, bytes, 0);
}

static int send_two(const struct rota_writer *writer,
		    const struct iovec *pieces)
{
	return writer->plain ? rota_writev(writer->fd, pieces, 2)
			     : rota_sendv(writer->fd, pieces, 2, 0);
}

/* One operation: how many bytes went out, or -errno. */
static int ask(struct rota_writer *writer, struct iovec pieces[2])
{
	const struct rota_task *self = ri_task_self(__func__);
	int n;

	if (writer->closed)
		return self->scope->code ? self->scope->code : -EBADF;
	if (pieces[0].iov_len && pieces[1].iov_len)
		n = send_two(writer, pieces);
	else
		n = send_one(writer, pieces[!pieces[0].iov_len]);
	/* -EAGAIN: there may have been no operation that could tell. */
	if (n != -EAGAIN)
		writer->closed = ri_operation_closed(self);
	return n;
}

/* Sends some of what is there, and of the rest behind it: 0 or -errno. What
 * the descriptor is is found out by trying, as a reader does. */
static int send_some(struct rota_writer *writer, struct iovec *rest)
{
	const struct rota_span there = rota_writer_unsent(writer);
	struct iovec pieces[2] = { { there.data, there.bytes }, *rest };
	size_t out, of_there;
	int n = ask(writer, pieces);

	if (n == -ENOTSOCK) {
		writer->plain = true;
		n = ask(writer, pieces);
	}
	if (n <= 0)
		return n ? n : -EIO; /* it would never end */
	out = (size_t)n;
	of_there = out < there.bytes ? out : there.bytes;
	writer->sent += out;
	writer->begin += of_there;
	rest->iov_base = (char *)rest->iov_base + (out - of_there);
	rest->iov_len -= out - of_there;
	return 0;
}

/* Sends all that is there, and the rest behind it. */
static int send_all(struct rota_writer *writer, struct iovec rest)
{
	int error = 0;

	writer->busy = true;
	while (!error && (writer->begin < writer->end || rest.iov_len))
		error = send_some(writer, &rest);
	writer->busy = false;
	if (error)
		return fail(writer, error);
	writer->begin = 0;
	writer->end = 0;
	return 0;
}

int rota_writer_write(struct rota_writer *writer, const void *buffer,
		      size_t bytes)
{
	const int error = begin(writer, __func__);

	if (error || !bytes)
		return error;
	if (!buffer)
		return fail(writer, -EFAULT);
	ri_check(ri_apart(writer->memory, writer->bytes, buffer, bytes),
		 "%s: the bytes are inside the writer's memory", __func__);
	if (bytes > writer->bytes - writer->end)
		return send_all(writer,
				(struct iovec){ (void *)buffer, bytes });
	memcpy(writer->memory + writer->end, buffer, bytes);
	writer->end += bytes;
	return 0;
}

int rota_writer_print(struct rota_writer *writer, const char *format, ...)
{
	va_list arguments;
	int error;

	va_start(arguments, format);
	error = rota_writer_vprint(writer, format, arguments);
	va_end(arguments);
	return error;
}

/* Puts text behind what is there, with -EAGAIN if there is too little room. */
static int put(struct rota_writer *writer, const char *format,
	       va_list arguments)
{
	const size_t room = writer->bytes - writer->end;
	const int n = vsnprintf(writer->memory + writer->end, room, format,
				arguments);

	if (n < 0)
		return -EINVAL;
	if ((size_t)n >= writer->bytes)
		return -EMSGSIZE;
	if ((size_t)n >= room)
		return -EAGAIN;
	writer->end += (size_t)n;
	return 0;
}

int rota_writer_vprint(struct rota_writer *writer, const char *format,
		       va_list arguments)
{
	int error = begin(writer, "rota_writer_print");
	va_list again;

	if (error)
		return error;
	if (!format)
		return fail(writer, -EFAULT);
	va_copy(again, arguments);
	error = put(writer, format, arguments);
	if (error == -EAGAIN) {
		error = send_all(writer, (struct iovec){ NULL, 0 });
		if (!error)
			error = put(writer, format, again);
	}
	va_end(again);
	return error ? fail(writer, error) : 0;
}

int rota_writer_flush(struct rota_writer *writer)
{
	const int error = begin(writer, __func__);

	return error ? error : send_all(writer, (struct iovec){ NULL, 0 });
}
