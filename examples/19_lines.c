/* SPDX-License-Identifier: MIT */
/*
 * A line protocol in straight-line code: read a line, answer it, again. The
 * reader hands out whole lines, in whatever pieces they come; the writer
 * gathers answers, which go out together when no further request is there.
 * Both have memory of fixed size: a line that is longer is answered, and passed
 * over. Half a line at the end is no request.
 *
 * The wrong way: a parser that is fed by callbacks, and has to keep in a state
 * machine that it was in the middle of a number. Or to receive byte by byte. Or
 * to take each receive for a line: that goes well until a packet is cut. Or to
 * let a line grow until its "\n" comes, which some client never sends.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 32

/* Errors of a writer stay: the flush tells of them. */
static void answer(const char *line, long *sum, struct rota_writer *writer)
{
	if (!strcmp(line, "sum")) {
		rota_writer_print(writer, "the sum is %ld\n", *sum);
	} else if (!strncmp(line, "add ", 4)) {
		*sum += strtol(line + 4, NULL, 10);
		rota_writer_print(writer, "ok\n");
	} else {
		rota_writer_print(writer, "what?\n");
	}
}

static int converse(struct rota_reader *reader, struct rota_writer *writer)
{
	struct rota_span line;
	long sum = 0;
	int n = 0;

	while (n >= 0) {
		if (!rota_reader_has(reader, "\n"))
			n = rota_writer_flush(writer); /* before a wait */
		if (n >= 0)
			n = rota_reader_line(reader, &line);
		if (n == 0)
			return 0;
		if (n > 0) {
			answer(line.data, &sum, writer);
		} else if (n == -EMSGSIZE) {
			rota_writer_print(writer, "too long\n");
			n = rota_reader_skip_until(reader, "\n", NULL);
		}
	}
	return n;
}

static int serve(void *value)
{
	const int fd = *(int *)value;
	char in[LINE_BYTES], out[4 * LINE_BYTES];
	struct rota_reader reader;
	struct rota_writer writer;
	int error;

	rota_reader_init(&reader, fd, in, sizeof(in));
	rota_writer_init(&writer, fd, out, sizeof(out));
	error = converse(&reader, &writer);
	printf("the server ends: %s\n", strerror(-error));
	rota_close(fd);
	return error == -ENODATA ? 0 : error; /* the client stopped half-way */
}

/* Requests as a network may cut them, and half of one. */
static const char *const pieces[] = { "add 4", "0\nadd 2\nsu",
				      "m\ngood day\nadd 00000000",
				      "000000000000000000000001\nsum\nadd 5" };

static int talk(int fd)
{
	char in[LINE_BYTES], last[LINE_BYTES] = "";
	struct rota_reader reader;
	struct rota_span line;
	int n = 0, lines = 0;

	for (size_t i = 0; !n && i < sizeof(pieces) / sizeof(*pieces); i++) {
		n = rota_send_all(fd, pieces[i], strlen(pieces[i]), NULL);
		n = n ? n : rota_sleep(ROTA_MILLISECOND);
	}
	rota_shutdown(fd, SHUT_WR);
	rota_reader_init(&reader, fd, in, sizeof(in));
	while ((n = rota_reader_line(&reader, &line)) > 0) {
		printf("answer %d: %s\n", ++lines, line.data);
		memcpy(last, line.data, line.bytes + 1);
	}
	rota_close(fd);
	return n || lines != 6 || strcmp(last, "the sum is 42") ? -EPROTO : 0;
}

static int run(void *arg)
{
	struct rota_group server;
	int pair[2], error;

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	rota_group_open(&server, NULL);
	error = rota_go(&server, serve, pair[0]);
	if (error)
		rota_close(pair[0]);
	error |= talk(pair[1]);
	return rota_group_wait(&server) | error;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
