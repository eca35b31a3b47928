/* SPDX-License-Identifier: MIT */
/*
 * Splicing: between a pipe and all else, and each way in which it ends.
 */
#include "rota/rota.h"
#include "support/blocked.h"
#include "support/run.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct stage {
	int file;
	int pipe[2];
	int pair[2];
	int codes[12];
	char bytes[16];
};

static void open_all(struct stage *stage)
{
	char path[] = "/tmp/rota-splice-XXXXXX";

	memset(stage, 0, sizeof(*stage));
	stage->file = mkostemp(path, O_CLOEXEC);
	assert_true(stage->file >= 0);
	unlink(path);
	assert_int_equal(write(stage->file, "0123456789", 10), 10);
	assert_int_equal(lseek(stage->file, 0, SEEK_SET), 0);
	assert_int_equal(pipe2(stage->pipe, O_CLOEXEC), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    stage->pair),
			 0);
}

static void close_all(struct stage *stage)
{
	close(stage->file);
	for (int i = 0; i < 2; i++) {
		close(stage->pipe[i]);
		close(stage->pair[i]);
	}
}

static int move_round(void *arg)
{
	struct stage *stage = arg;
	const int file = stage->file, in = stage->pipe[0], out = stage->pipe[1];
	int *codes = stage->codes;

	codes[0] = rota_splice(file, -1, out, -1, 4, 0);
	codes[1] = rota_splice(in, -1, stage->pair[1], -1, 100, 0);
	codes[2] = rota_recv(stage->pair[0], stage->bytes, 16, 0);
	codes[3] = rota_splice(file, 8, out, -1, 100, 0);
	codes[4] = rota_splice(in, -1, file, 10, 100, 0);
	codes[5] = rota_pread(file, stage->bytes + 4, 12, 8);
	codes[6] = (int)lseek(file, 0, SEEK_CUR); /* after the first only */
	codes[7] = rota_splice(file, 12, out, -1, 1, 0); /* at the end */
	codes[8] = rota_splice(in, -1, out, -1, 0, 0);
	return 0;
}

static void bytes_move_through_a_pipe(void **state)
{
	static const int expected[] = { 4, 4, 4, 2, 2, 4, 4, 0, 0 };
	struct stage stage;

	(void)state;
	open_all(&stage);
	assert_int_equal(test_run(move_round, &stage), 0);
	close_all(&stage);
	for (int i = 0; i < 9; i++)
		assert_int_equal(stage.codes[i], expected[i]);
	assert_memory_equal(stage.bytes, "01238989", 8);
}

static int refuse(void *arg)
{
	struct stage *stage = arg;
	const int file = stage->file, in = stage->pipe[0], out = stage->pipe[1];
	struct rota_deadline deadline;
	int *codes = stage->codes;

	codes[0] = rota_splice(in, -1, out, -1, (size_t)INT_MAX + 1, 0);
	codes[1] = rota_splice(-1, -1, out, -1, 1, 0);
	codes[2] = rota_splice(file, -1, -1, -1, 1, 0);
	codes[3] = rota_splice(file, -1, file, 100, 1, 0); /* no pipe */
	codes[4] = rota_splice(file, 0, out, 5, 1, 0);
	codes[5] = rota_splice(in, -1, out, -1, 1, SPLICE_F_NONBLOCK);
	codes[6] = rota_splice(file, 0, out, -1, 1, 0x1000);
	rota_deadline_begin(&deadline, 0);
	codes[7] = rota_splice(file, 0, out, -1, 1, 0);
	codes[8] = rota_splice(file, 0, out, -1, 0, 0);
	rota_deadline_end(&deadline);
	close(in);
	codes[9] = rota_splice(file, 0, out, -1, 1, 0);
	codes[10] = rota_splice(in, -1, out, -1, 1, 0);
	stage->pipe[0] = -1;
	return 0;
}

static void what_cannot_be_meant_is_refused(void **state)
{
	static const int expected[] = { -EINVAL, -EBADF,  -EBADF,  -EINVAL,
					-ESPIPE, -EINVAL, -EINVAL, -ETIME,
					-ETIME,  -EPIPE,  -EBADF };
	struct stage stage;

	(void)state;
	open_all(&stage);
	assert_int_equal(test_run(refuse, &stage), 0);
	close_all(&stage);
	for (int i = 0; i < 11; i++)
		assert_int_equal(stage.codes[i], expected[i]);
}

/* Of the race that runs: the pipe between, and the sockets at its ends are the
 * race's. */
static int between[2];

static int make_pipe_in(struct race *race)
{
	const int error = race_open_pair(race);

	return pipe2(between, O_CLOEXEC) ? -errno : error;
}

static int splice_in(struct race *race)
{
	const int n = rota_splice(race->fd, -1, between[1], -1, 100, 0);

	close(between[0]);
	close(between[1]);
	return n;
}

/* fd_in has nothing yet, and is what is closed. */
static const struct race_verb in_verb = {
	"splice",          make_pipe_in, splice_in,        race_send_byte,
	race_byte_remains, false,        IORING_OP_SPLICE, 20 * ROTA_MILLISECOND
};

/* The race's descriptor is the pipe's end to write to, which is full. */
static int make_pipe_full(struct race *race)
{
	static const char block[4096];
	int pair[2];

	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, between))
		return -errno;
	race->fd = pair[1];
	race->peer = pair[0];
	while (write(race->fd, block, sizeof(block)) > 0)
		;
	return write(between[1], "x", 1) == 1 ? 0 : -errno;
}

static int splice_out(struct race *race)
{
	const int n = rota_splice(between[0], -1, race->fd, -1, 100, 0);

	close(between[0]);
	close(between[1]);
	return n;
}

static int empty_pipe(struct race *race)
{
	char block[4096];

	while (read(race->peer, block, sizeof(block)) > 0)
		;
	return 0;
}

/* fd_out has no room yet, and is what is closed. */
static const struct race_verb out_verb = {
	"splice", make_pipe_full, splice_out,       empty_pipe,
	NULL,     false,          IORING_OP_SPLICE, 20 * ROTA_MILLISECOND
};

/* The race's descriptor is a socket to write to, and the pipe is empty. */
static int make_pipe_empty(struct race *race)
{
	const int error = race_open_pair(race);

	return pipe2(between, O_CLOEXEC) ? -errno : error;
}

static int fill_pipe(struct race *race)
{
	(void)race;
	return write(between[1], "x", 1) == 1 ? 0 : -errno;
}

/* fd_in has nothing yet, and the other one is closed. */
static const struct race_verb empty_verb = {
	"splice", make_pipe_empty, splice_out,       fill_pipe,
	NULL,     false,           IORING_OP_SPLICE, 20 * ROTA_MILLISECOND
};

static void a_splice_that_waits_ends_in_every_way_by_either_end(void **state)
{
	(void)state;
	test_blocked(&in_verb, 1, true);
	test_blocked(&out_verb, 1, true);
	test_blocked(&empty_verb, 1, true);
}

/* Only a socket makes the move itself wait: one with too little room. */
#define PLENTY (1 << 20)

static int make_socket_full(struct race *race)
{
	static const char block[PLENTY];
	const int error = race_open_pair(race), small = 1;

	setsockopt(race->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	if (pipe2(between, O_CLOEXEC) ||
	    fcntl(between[1], F_SETPIPE_SZ, PLENTY) < 0)
		return -errno;
	return write(between[1], block, PLENTY) == PLENTY ? error : -EIO;
}

static int splice_to_socket(struct race *race)
{
	const int n = rota_splice(between[0], -1, race->fd, -1, PLENTY, 0);

	close(between[0]);
	close(between[1]);
	return n;
}

static const struct race_verb socket_verb = {
	"splice", make_socket_full, splice_to_socket,     NULL, NULL,
	false,    IORING_OP_SPLICE, 20 * ROTA_MILLISECOND
};

static int interrupt_and_count(struct race *race)
{
	int error = 0;
	char byte;

	do
		error |= race_settle();
	while (recv(race->peer, &byte, 1, MSG_DONTWAIT | MSG_PEEK) != 1);
	race->early = race->returned;
	error |= race_interrupt(race);
	while (!race->returned)
		error |= race_settle();
	return error | race_empty_pair(race);
}

static void a_move_that_had_moved_some_returns_how_much(void **state)
{
	struct race race;

	(void)state;
	for (int by = RACE_CANCEL; by <= RACE_CLOSE; by++) {
		race_run(&race, &socket_verb, (enum race_interruption)by,
			 interrupt_and_count);
		assert_false(race.early);
		assert_in_range(race.result, 1, PLENTY - 1);
		assert_in_range(race.held, race.result, PLENTY - 1);
	}
}

/* More of them than the kernel has threads for: none holds one. */
#define MANY 100

static int splice_one(void *value)
{
	const struct stage *stage = *(struct stage **)value;

	return rota_splice(stage->pipe[0], -1, stage->pair[1], -1, 1, 0) == 1
		       ? 0
		       : -EIO;
}

static int splice_many(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error = 0, left = MANY, other[2];
	char byte;

	if (pipe2(other, O_CLOEXEC))
		return -errno;

	rota_group_open(&group, NULL);
	for (int i = 0; i < MANY; i++)
		error |= rota_go(&group, splice_one, stage);
	error |= rota_sleep(ROTA_MILLISECOND);
	while (left-- && !error) {
		error |= rota_write(stage->pipe[1], "x", 1) != 1;
		error |= rota_recv(stage->pair[0], &byte, 1, 0) != 1;
		/* All woke and one was served: a thread is free for this. */
		error |= rota_splice(stage->file, 0, other[1], -1, 1, 0) != 1;
		error |= rota_read(other[0], &byte, 1) != 1;
	}
	error |= rota_group_wait(&group);
	return error | rota_close(other[0]) | rota_close(other[1]);
}

static void those_that_wait_hold_no_thread(void **state)
{
	struct stage stage;

	(void)state;
	open_all(&stage);
	assert_int_equal(test_run(splice_many, &stage), 0);
	close_all(&stage);
}

/* Nothing more goes into the socket, and its peer will send nothing. How much
 * is in it. */
static size_t fill_half_closed(const struct stage *stage)
{
	static const char block[4096];
	size_t filled = 0;
	ssize_t n;

	while ((n = send(stage->pair[1], block, sizeof(block), MSG_DONTWAIT)) >
	       0)
		filled += (size_t)n;
	return shutdown(stage->pair[0], SHUT_WR) ? 0 : filled;
}

/* All that is in it, and what is moved into it. */
static int receive_all(int fd, size_t bytes)
{
	char block[4096];

	while (bytes) {
		const int n = rota_recv(fd, block, sizeof(block), 0);

		if (n <= 0)
			return n ? n : -EPROTO;
		bytes -= (size_t)n;
	}
	return 0;
}

static int splice_many_half_closed(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	const size_t filled = fill_half_closed(stage);
	int error = filled ? 0 : -EPROTO, other[2];
	char bytes[MANY] = { 0 };

	if (pipe2(other, O_CLOEXEC))
		return -errno;
	error |= rota_write(stage->pipe[1], bytes, MANY) != MANY;
	rota_group_open(&group, NULL);
	for (int i = 0; i < MANY; i++)
		error |= rota_go(&group, splice_one, stage);
	for (int i = 0; i < 10 && !error; i++) {
		error |= rota_sleep(ROTA_MILLISECOND);
		error |= rota_splice(stage->file, 0, other[1], -1, 1, 0) != 1;
		error |= rota_read(other[0], bytes, 1) != 1;
	}
	error |= receive_all(stage->pair[0], filled + MANY);
	error |= rota_group_wait(&group);
	return error | rota_close(other[0]) | rota_close(other[1]);
}

static void nor_do_those_whose_peer_has_sent_all(void **state)
{
	struct stage stage;

	(void)state;
	open_all(&stage);
	assert_int_equal(test_run(splice_many_half_closed, &stage), 0);
	close_all(&stage);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_move_through_a_pipe),
		cmocka_unit_test(what_cannot_be_meant_is_refused),
		cmocka_unit_test(
			a_splice_that_waits_ends_in_every_way_by_either_end),
		cmocka_unit_test(a_move_that_had_moved_some_returns_how_much),
		cmocka_unit_test(those_that_wait_hold_no_thread),
		cmocka_unit_test(nor_do_those_whose_peer_has_sent_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
