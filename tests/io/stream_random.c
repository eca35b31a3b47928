/* SPDX-License-Identifier: MIT */
/*
 * Receive streams in random rounds: writers send pieces of random lengths,
 * readers view, copy, keep, wait for as long as they like, close and open
 * again, leave; they are late, are cancelled, or somebody closes their
 * descriptor; buffers are few and short, completions late and in another order,
 * cancels miss.
 *
 * The model is that each byte of a line tells its place: whatever is heard is
 * the next byte that has not been heard, or thrown away by a close. What is
 * kept stays as it is. And at each step the books of the buffers balance.
 */
#include "rota/rota.h"
#include "support/books.h"
#include "support/flow.h"
#include "support/pair.h"
#include "support/rounds.h"
#include "support/run.h"
#include "support/timed.h"
#include "task/task.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 300
#define LINES_MAX 8
#define KEPT_MAX 24
#define BYTES_MAX 3000
#define PIECE_MAX 300
#define BLOCK_MAX 512

struct play;

/* A connection: one task writes, another one reads. */
struct line {
	struct play *play;
	unsigned index;
	int fd, peer;              /* fd is the reader's */
	size_t total;              /* bytes that are to be sent */
	size_t sent;               /* ... have been */
	size_t heard;              /* ... by the reader, or thrown away */
	bool hangs_up;             /* the writer, when all is sent */
	bool gone;                 /* the reader is */
	bool closed;               /* somebody has closed fd */
	bool open;                 /* its stream is */
	struct rota_stream stream; /* the reader's */
};

/* A view that is kept. */
struct kept {
	struct rota_view view;
	unsigned line; /* of which line, */
	size_t at;     /* from which byte on */
};

struct play {
	struct test_kernel kernel;
	struct referee referee;
	struct rota_config config;
	bool by_tcp;
	struct line lines[LINES_MAX];
	unsigned line_count;
	const struct rota_stream *open[LINES_MAX]; /* streams */
	unsigned open_count;
	struct kept kept[KEPT_MAX];
	unsigned kept_count;
	unsigned readers; /* that are there */
	char words[160];  /* of what the books said */
};

static unsigned dice(struct play *play, unsigned end)
{
	return referee_dice(&play->referee, end);
}

static void expect(struct play *play, const char *law, int64_t seen,
		   int64_t right)
{
	referee_expect(&play->referee, law, seen, right);
}

static unsigned char byte_of(unsigned line, size_t place)
{
	return (unsigned char)(place * 131 + (place >> 8) * 7 + line * 31);
}

static void audit(struct play *play)
{
	const char *wrong = books_wrong(play->open, play->open_count);

	if (!wrong || play->referee.broken)
		return;
	snprintf(play->words, sizeof(play->words), "%s", wrong);
	expect(play, play->words, 1, 0);
}

/* For a while, or only until the others have had their turn. */
static void rest(struct play *play)
{
	struct rota_shield shield;

	rota_shield_begin(&shield, ROTA_NEVER);
	if (dice(play, 3))
		(void)!rota_yield();
	else
		(void)!rota_sleep(dice(play, 3000));
	rota_shield_end(&shield);
}

static void check_bytes(struct play *play, unsigned line, const char *data,
			size_t place, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		expect(play, "a byte", (unsigned char)data[i],
		       byte_of(line, place + i));
}

static int write_all(void *value)
{
	struct line *line = *(struct line **)value;
	struct play *play = line->play;
	unsigned char piece[PIECE_MAX];

	while (line->sent < line->total && !line->gone) {
		const size_t left = line->total - line->sent;
		size_t bytes = 1 + dice(play, PIECE_MAX);
		ssize_t n;

		bytes = bytes < left ? bytes : left;
		for (size_t i = 0; i < bytes; i++)
			piece[i] = byte_of(line->index, line->sent + i);
		n = send(line->peer, piece, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			line->sent += (size_t)n;
		if (n < 0 || dice(play, 3))
			rest(play);
	}
	if (line->hangs_up)
		shutdown(line->peer, SHUT_WR);
	return 0;
}

static int open_stream(struct line *line)
{
	struct play *play = line->play;
	const struct rota_stream_options options = { .items_max =
							     dice(play, 9) };
	const int error =
		rota_receive_stream_open(&line->stream, line->fd, &options);

	if (error)
		return error;
	play->open[play->open_count++] = &line->stream;
	line->open = true;
	return 0;
}

static void close_stream(struct line *line)
{
	struct play *play = line->play;
	unsigned i = 0;

	rota_stream_close(&line->stream);
	while (play->open[i] != &line->stream)
		i++;
	play->open[i] = play->open[--play->open_count];
	line->open = false;
	audit(play);
}

/* What has landed is thrown away; what is in the socket comes next. */
static bool begin_again(struct line *line)
{
	int left = 0;

	close_stream(line);
	if (line->closed)
		return false;
	if (ioctl(line->fd, FIONREAD, &left))
		expect(line->play, "FIONREAD", errno, 0);
	line->heard = line->sent - (size_t)left;
	return open_stream(line) == 0;
}

static void keep(struct line *line, const struct rota_view *view, size_t at)
{
	struct play *play = line->play;

	if (play->kept_count == KEPT_MAX)
		return;
	rota_view_keep(&line->stream, view);
	play->kept[play->kept_count++] =
		(struct kept){ *view, line->index, at };
}

static int hear_view(struct line *line)
{
	struct play *play = line->play;
	struct rota_view view;
	const int n = rota_stream_view(&line->stream, &view);

	if (n <= 0)
		return n;
	check_bytes(play, line->index, view.data, line->heard, (size_t)n);
	if (!dice(play, 4))
		keep(line, &view, line->heard);
	line->heard += (size_t)n;
	return n;
}

static int hear_copy(struct line *line)
{
	struct play *play = line->play;
	char data[BLOCK_MAX + 100];
	const size_t bytes = 1 + dice(play, dice(play, 2) ? sizeof(data) : 20);
	const int n = rota_stream_recv(&line->stream, data, bytes);

	if (n > 0) {
		expect(play, "no more than was asked for", (size_t)n <= bytes,
		       true);
		check_bytes(play, line->index, data, line->heard, (size_t)n);
		line->heard += (size_t)n;
	}
	return n;
}

static int hear(struct line *line)
{
	return dice(line->play, 2) ? hear_view(line) : hear_copy(line);
}

static int hear_in_time(struct line *line)
{
	struct rota_deadline deadline;
	int n;

	rota_deadline_begin(&deadline, rota_after_ns(dice(line->play, 3000)));
	n = hear(line);
	if (rota_deadline_end(&deadline) && n == -ETIME)
		return -EAGAIN;
	return n;
}

/* Was this right to be told? And is it the end? */
static bool is_over(struct line *line, int n)
{
	struct play *play = line->play;

	audit(play);
	if (n > 0)
		return line->heard == line->total && !line->hangs_up;
	switch (n) {
	case 0:
		expect(play, "the end was told", line->hangs_up, true);
		expect(play, "bytes before the end", (int64_t)line->heard,
		       (int64_t)line->total);
		expect(play, "the end, again", hear(line), 0);
		return true;
	case -EAGAIN:
		return false;
	case -EBADF:
		expect(play, "it was closed", line->closed, true);
		rest(play);
		expect(play, "the close, again", hear(line), -EBADF);
		return true;
	default:
		expect(play, "a code", n, -ECANCELED);
		return true;
	}
}

/* One thing. True: the reader is to leave. */
static bool act(struct line *line)
{
	struct play *play = line->play;

	switch (dice(play, 12)) {
	case 0:
		rest(play);
		return false;
	case 1:
		return !play->by_tcp && !dice(play, 3) && !begin_again(line);
	case 2:
		return !dice(play, 10);
	case 3:
	case 4:
		return is_over(line, hear_in_time(line));
	default:
		return is_over(line, hear(line));
	}
}

/* What has come is heard also in a task that is cancelled. */
static void hear_more(struct line *line)
{
	struct rota_shield shield;

	rota_shield_begin(&shield, ROTA_NEVER);
	for (unsigned i = 0; i < 5; i++)
		if (is_over(line, hear_in_time(line)))
			break;
	rota_shield_end(&shield);
}

static int read_all(void *value)
{
	struct line *line = *(struct line **)value;
	const int error = open_stream(line);

	while (!error && (line->heard < line->total || line->hangs_up))
		if (act(line))
			break;
	if (line->open && rota_cancelled())
		hear_more(line);
	if (line->open)
		close_stream(line);
	line->gone = true;
	if (!line->closed) {
		line->closed = true;
		rota_close(line->fd);
	}
	line->play->readers--;
	return 0;
}

/* The reader has a group of its own, that may be cancelled. */
static int connect_line(void *value)
{
	struct line *line = *(struct line **)value;
	struct play *play = line->play;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, read_all, line);
	if (!dice(play, 4)) {
		for (unsigned i = dice(play, 8); i; i--)
			rest(play);
		rota_group_cancel(&group,
				  (struct rota_cancellation){ 0, NULL });
	}
	(void)rota_group_wait(&group);
	return error;
}

/* Closes some descriptors under their readers. */
static int close_some(void *value)
{
	struct play *play = *(struct play **)value;

	for (unsigned i = dice(play, 3); i; i--) {
		struct line *line = &play->lines[dice(play, play->line_count)];

		for (unsigned n = dice(play, 20); n; n--)
			rest(play);
		if (line->closed || dice(play, 2))
			continue;
		line->closed = true;
		expect(play, "a close", rota_close(line->fd), 0);
		audit(play);
	}
	return 0;
}

/* Releases what is kept, so that all go on, and looks whether it is as it
 * was. */
static int release_all(void *value)
{
	struct play *play = *(struct play **)value;

	while (play->readers || play->kept_count) {
		const unsigned chosen = dice(play, KEPT_MAX);
		struct kept *kept = &play->kept[chosen];

		rest(play);
		if (chosen >= play->kept_count)
			continue;
		check_bytes(play, kept->line, kept->view.data, kept->at,
			    kept->view.bytes);
		rota_view_release(&kept->view);
		*kept = play->kept[--play->kept_count];
		audit(play);
	}
	return 0;
}

/* Nothing is left but the buffers themselves. */
static void check_end(struct play *play)
{
	const struct ri_shots *shots = &ri_tasks_here()->shots;

	audit(play);
	expect(play, "streams left", shots->open, 0);
	expect(play, "buffers out", shots->buffers.out, 0);
	expect(play, "buffers lent",
	       (int64_t)shots->buffers.wanted - shots->buffers.due, 0);
	expect(play, "operations left", ri_tasks_here()->loop.in_flight, 0);
}

static int direct(void *arg)
{
	struct play *play = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < play->line_count; i++) {
		struct line *line = &play->lines[i];

		error |= rota_go(&group, connect_line, line);
		error |= rota_go(&group, write_all, line);
	}
	error |= rota_go(&group, close_some, play);
	error |= rota_go(&group, release_all, play);
	error |= rota_group_wait(&group);
	check_end(play);
	return error;
}

/* What is closed leaves no trace: there are only so many ports. */
static void leave_no_trace(const int pair[2])
{
	const struct linger none = { .l_onoff = 1 };

	for (unsigned end = 0; end < 2; end++)
		setsockopt(pair[end], SOL_SOCKET, SO_LINGER, &none,
			   sizeof(none));
}

static void set_up(struct play *play)
{
	play->config = (struct rota_config){
		.log = test_log_nothing,
		.stream_buffers = 1 + dice(play, 16),
		.stream_buffer_bytes = 64 + dice(play, BLOCK_MAX - 63),
		.entries = dice(play, 3) ? 0 : 4,
		.completions = dice(play, 3) ? 0 : 8,
	};
	play->line_count = 1 + dice(play, LINES_MAX);
	play->readers = play->line_count;
	for (unsigned i = 0; i < play->line_count; i++) {
		struct line *line = &play->lines[i];
		int pair[2];
		const int error = play->by_tcp ? flow_tcp(pair)
					       : test_pair_open(pair);

		assert_int_equal(error, 0);
		leave_no_trace(pair);
		*line = (struct line){ .play = play,
				       .index = i,
				       .fd = pair[0],
				       .peer = pair[1],
				       .total = dice(play, BYTES_MAX),
				       .hangs_up = dice(play, 2) };
	}
}

static void run_round(struct play *play, const struct rounds *rounds)
{
	const bool by_tcp = play->by_tcp;

	memset(play, 0, sizeof(*play));
	play->by_tcp = by_tcp;
	test_random_seed(&play->referee.random, rounds_seed(rounds));
	set_up(play);
	test_kernel_init(&play->kernel);
	test_kernel_clock(&play->kernel, TEST_START_NS);
	if (dice(play, 2))
		test_kernel_shuffle(&play->kernel, dice(play, UINT32_MAX));
	play->kernel.spoil = dice(play, 3) ? 0 : dice(play, 10);
	assert_int_equal(test_run_with(&play->config, &play->kernel.table,
				       direct, play),
			 0);
	for (unsigned i = 0; i < play->line_count; i++)
		close(play->lines[i].peer);
	if (!play->referee.broken && !test_kernel_left(&play->kernel))
		return;
	rounds_print_law(&play->referee);
	rounds_print(rounds);
	fail();
}

static void report(const void *context)
{
	rounds_print(context);
}

static void run_rounds(const char *name, bool by_tcp)
{
	static struct play play;
	struct test_random random;
	struct rounds rounds;

	test_random_init(&random);
	play.by_tcp = by_tcp;
	rounds_on_abort(report, &rounds);
	if (rounds_begin(&rounds, name, random.state, ROUNDS))
		for (; rounds.round < rounds.end; rounds.round++)
			run_round(&play, &rounds);
	rounds_on_abort(NULL, NULL);
}

static void whatever_is_done_no_byte_is_lost_and_no_buffer(void **state)
{
	(void)state;
	run_rounds("unix", false);
}

static void so_it_is_by_tcp(void **state)
{
	(void)state;
	run_rounds("tcp", true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			whatever_is_done_no_byte_is_lost_and_no_buffer),
		cmocka_unit_test(so_it_is_by_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
