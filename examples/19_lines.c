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
	const bool add = !strncmp(line, "add ", 4);

	if (add)
		*sum += strtol(line + 4, NULL, 10);
	if (add || !strcmp(line, "sum"))
		rota_writer_print(writer, "%ld\n", *sum);
	else
		rota_writer_print(writer, "what?\n");
}

static int serve(void *value)
{
	const int fd = *(int *)value;
	char in[LINE_BYTES], out[4 * LINE_BYTES];
	struct rota_reader reader;
	struct rota_writer writer;
	struct rota_span line;
	int n, error = 0;
	long sum = 0;

	rota_reader_init(&reader, fd, in, sizeof(in));
	rota_writer_init(&writer, fd, out, sizeof(out));
	while (!error && (n = rota_reader_line(&reader, &line)) != 0) {
		if (n > 0)
			answer(line.data, &sum, &writer);
		error = n < 0 ? n : 0;
		if (n == -EMSGSIZE) {
			rota_writer_print(&writer, "too long\n");
			error = rota_reader_skip_until(&reader, "\n", NULL);
		}
		if (!error && !rota_reader_has(&reader, "\n"))
			error = rota_writer_flush(&writer); /* before a wait */
	}
	rota_close(fd);
	return error == -ENODATA ? 0 : error; /* the client stopped half-way */
}

/* Requests as a network may cut them, and half of one. */
static const char *const pieces[] = { "add 4", "0\nadd 2\nsum\ngood d",
				      "ay\nadd 000000000000000000000000",
				      "000000000000000000000001\nsum\nadd 5" };
static const char expected[] = "40\n42\n42\nwhat?\ntoo long\n42\n";

static int run(void *arg)
{
	char answers[sizeof(expected)] = "";
	struct rota_group server;
	int pair[2], error;

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	rota_group_open(&server, NULL);
	error = rota_go(&server, serve, pair[0]);
	if (error)
		rota_close(pair[0]);
	for (int i = 0; i < 4 && !error; i++) {
		error = rota_send_all(pair[1], pieces[i], strlen(pieces[i]),
				      NULL);
		error = error ? error : rota_sleep(ROTA_MILLISECOND);
	}
	rota_shutdown(pair[1], SHUT_WR);
	error = rota_recv_full(pair[1], answers, sizeof(answers), NULL);
	rota_close(pair[1]);
	printf("%s", answers);
	if (rota_group_wait(&server) || error != -ENODATA)
		return -EPROTO;
	return strcmp(answers, expected) ? -EPROTO : 0;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
