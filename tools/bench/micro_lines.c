// SPDX-License-Identifier: MIT
/*
 * What does a line cost that a reader hands out? A socket is filled with lines
 * of 64 bytes and read empty, memory after memory full. Only the reading is
 * under the clock. Base: the same memory, read(2) and memchr.
 */
#include <errno.h>
#include <rota/rota.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"
#include "micro.h"

#define LINE_BYTES 64
#define MEMORY_BYTES 4096
#define BATCH 1024 /* lines that a socket has room for */

struct lines {
	int pair[2];                   /* where they are read, and written */
	char text[BATCH * LINE_BYTES]; /* of a batch */
	char memory[MEMORY_BYTES];     /* of who reads them */
	size_t begin, end;             /* of what came, for the base */
};

/* Takes so many lines: a sum over them, or -errno. */
typedef int64_t take_fn(void *reader, uint64_t lines);

static int open_lines(struct lines *lines)
{
	memset(lines->text, 'x', sizeof(lines->text));
	for (int i = 1; i <= BATCH; i++)
		lines->text[i * LINE_BYTES - 1] = '\n';
	lines->begin = 0;
	lines->end = 0;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lines->pair)
		       ? -errno
		       : 0;
}

static void close_lines(const struct lines *lines)
{
	close(lines->pair[0]);
	close(lines->pair[1]);
}

/* Batch after batch, of which only the reading counts. */
static int measure(struct lines *lines, take_fn *take, void *reader,
		   const struct micro_work *work, struct micro_sample *sample)
{
	uint64_t elapsed_ns = 0, sum = 0;

	for (uint64_t left = work->ops; left > 0;) {
		const uint64_t batch = left < BATCH ? left : BATCH;
		const size_t bytes = batch * LINE_BYTES;

		if (send(lines->pair[1], lines->text, bytes, 0) !=
		    (ssize_t)bytes)
			return -EIO;
		const uint64_t start_ns = host_now_ns();
		const int64_t taken = take(reader, batch);

		elapsed_ns += host_now_ns() - start_ns;
		if (taken < 0)
			return (int)taken;
		sum += (uint64_t)taken;
		left -= batch;
	}
	*sample = micro_per_op(0, elapsed_ns, work->ops, sum);
	return 0;
}

static int64_t take_own(void *arg, uint64_t count)
{
	struct rota_reader *reader = arg;
	struct rota_span line;
	int64_t sum = 0;

	for (; count; count--) {
		const int n = rota_reader_until(reader, "\n", &line);

		if (n <= 0)
			return n ? n : -EIO;
		sum += n + line.data[0];
	}
	return sum;
}

struct own {
	struct lines *lines;
	const struct micro_work *work;
	struct micro_sample *sample;
};

static int run_own(void *arg)
{
	const struct own *own = arg;
	struct lines *lines = own->lines;
	struct rota_reader reader;

	rota_reader_init(&reader, lines->pair[0], lines->memory, MEMORY_BYTES);
	return measure(lines, take_own, &reader, own->work, own->sample);
}

int micro_lines_own(const struct micro_work *work, struct micro_sample *sample)
{
	static struct lines lines;
	struct own own = { &lines, work, sample };
	int error = open_lines(&lines);

	if (error < 0)
		return error;
	error = rota_run(NULL, run_own, &own);
	close_lines(&lines);
	return error;
}

/* The next line, up to and with its ending: how long it is, or -errno. */
static int64_t read_line(struct lines *lines, const char **line)
{
	for (;;) {
		const char *start = lines->memory + lines->begin;
		const size_t left = lines->end - lines->begin;
		const char *last = memchr(start, '\n', left);

		if (last) {
			*line = start;
			lines->begin += (size_t)(last - start) + 1;
			return last - start + 1;
		}
		memmove(lines->memory, start, left);
		lines->begin = 0;
		lines->end = left;
		const ssize_t n = read(lines->pair[0], lines->memory + left,
				       MEMORY_BYTES - left);

		if (n <= 0)
			return n ? -errno : -EIO;
		lines->end += (size_t)n;
	}
}

static int64_t take_base(void *arg, uint64_t count)
{
	struct lines *lines = arg;
	const char *line = NULL;
	int64_t sum = 0;

	for (; count; count--) {
		const int64_t n = read_line(lines, &line);

		if (n <= 0)
			return n;
		sum += n + line[0];
	}
	return sum;
}

int micro_lines_base(const struct micro_work *work, struct micro_sample *sample)
{
	static struct lines lines;
	int error = open_lines(&lines);

	if (error < 0)
		return error;
	error = measure(&lines, take_base, &lines, work, sample);
	close_lines(&lines);
	return error;
}
