/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing in pieces.
 */
#include "rota/rota.h"
#include "support/blocked.h"
#include "support/run.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 1024

struct stage {
	int fd;
	int codes[12];
	char bytes[3][8];
};

static void open_file(struct stage *stage)
{
	char path[] = "/tmp/rota-vectors-XXXXXX";

	memset(stage, 0, sizeof(*stage));
	stage->fd = mkostemp(path, O_CLOEXEC);
	assert_true(stage->fd >= 0);
	unlink(path);
}

static int move_pieces(void *arg)
{
	struct stage *stage = arg;
	struct iovec out[] = { { "hello", 5 }, { "", 0 }, { " world", 6 } };
	struct iovec in[] = { { stage->bytes[0], 2 },
			      { stage->bytes[1], 7 },
			      { stage->bytes[2], 8 } };
	int *codes = stage->codes;
	const int fd = stage->fd;

	codes[0] = rota_writev(fd, out, 3);
	codes[1] = rota_pwritev(fd, out, 1, 6);
	codes[2] = (int)lseek(fd, 0, SEEK_CUR); /* where writev left it */
	codes[3] = rota_readv(fd, in, 3);       /* at the end */
	codes[4] = rota_preadv(fd, in, 3, 0);
	codes[5] = (int)lseek(fd, 3, SEEK_SET);
	codes[6] = rota_readv(fd, in + 2, 1);
	codes[7] = rota_preadv(fd, in, 3, 100);
	return 0;
}

static void what_is_written_in_pieces_is_read_in_others(void **state)
{
	static const int expected[] = { 11, 5, 11, 0, 11, 3, 8, 0 };
	struct stage stage;

	(void)state;
	open_file(&stage);
	assert_int_equal(test_run(move_pieces, &stage), 0);
	close(stage.fd);
	for (int i = 0; i < 8; i++)
		assert_int_equal(stage.codes[i], expected[i]);
	assert_memory_equal(stage.bytes[0], "he", 2);
	assert_memory_equal(stage.bytes[1], "llo hel", 7);
	assert_memory_equal(stage.bytes[2], "lo hello", 8);
}

static int refuse(void *arg)
{
	struct stage *stage = arg;
	struct iovec piece = { stage->bytes[0], 1 };
	struct iovec nowhere = { NULL, 1 };
	int *codes = stage->codes;
	const int fd = stage->fd;

	codes[0] = rota_readv(fd, &piece, -1);
	codes[1] = rota_writev(fd, &piece, MANY + 1);
	codes[2] = rota_preadv(fd, &piece, 1, -1);
	codes[3] = rota_pwritev(fd, &piece, 1, INT64_MIN);
	codes[4] = rota_readv(fd, NULL, 1);
	codes[5] = rota_pwritev(fd, NULL, 1, 0);
	codes[6] = rota_pwritev(fd, &nowhere, 1, 0);
	close(fd);
	codes[7] = rota_readv(fd, &piece, 1);
	codes[8] = rota_writev(fd, &piece, 1);
	codes[9] = rota_preadv(fd, &piece, 1, 0);
	codes[10] = rota_pwritev(fd, &piece, 1, 0);
	codes[11] = rota_readv(-1, &piece, 1);
	return 0;
}

static void what_cannot_be_meant_is_refused(void **state)
{
	static const int expected[] = { -EINVAL, -EINVAL, -EINVAL, -EINVAL,
					-EFAULT, -EFAULT, -EFAULT, -EBADF,
					-EBADF,  -EBADF,  -EBADF,  -EBADF };
	struct stage stage;

	(void)state;
	open_file(&stage);
	assert_int_equal(test_run(refuse, &stage), 0);
	for (int i = 0; i < 12; i++)
		assert_int_equal(stage.codes[i], expected[i]);
}

static int move_none_and_many(void *arg)
{
	struct stage *stage = arg;
	struct iovec pieces[MANY],
		huge[] = { { "", SIZE_MAX / 2 }, { "", SIZE_MAX / 2 } };
	const int null = rota_open("/dev/null", O_WRONLY, 0);

	for (int i = 0; i < MANY; i++)
		pieces[i] = (struct iovec){ "x", 1 };
	stage->codes[0] = rota_writev(stage->fd, pieces, 0);
	stage->codes[1] = rota_readv(stage->fd, NULL, 0);
	stage->codes[2] = rota_writev(stage->fd, pieces, MANY);
	/* /dev/null looks at no byte of it. */
	stage->codes[3] = rota_writev(null, huge, 1) > 0;
	return rota_close(null);
}

static void no_piece_is_nothing_and_1024_are_not_too_many(void **state)
{
	static const int expected[] = { 0, 0, MANY, 1 };
	struct stage stage;

	(void)state;
	open_file(&stage);
	assert_int_equal(test_run(move_none_and_many, &stage), 0);
	close(stage.fd);
	for (int i = 0; i < 4; i++)
		assert_int_equal(stage.codes[i], expected[i]);
}

static int write_to_nobody(void *arg)
{
	struct iovec piece = { "x", 1 };
	int pair[2], n;

	(void)arg;
	if (pipe2(pair, O_CLOEXEC))
		return -errno;
	rota_close(pair[0]);
	n = rota_writev(pair[1], &piece, 1);
	rota_close(pair[1]);
	return n;
}

static void pieces_to_a_pipe_without_readers_are_epipe(void **state)
{
	(void)state;
	assert_int_equal(test_run(write_to_nobody, NULL), -EPIPE);
}

static int use_cancelled(void *arg)
{
	struct stage *stage = arg;
	struct iovec piece = { stage->bytes[0], 1 };
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, 0);
	stage->codes[0] = rota_readv(stage->fd, &piece, 1);
	stage->codes[1] = rota_writev(stage->fd, &piece, 1);
	stage->codes[2] = rota_preadv(stage->fd, &piece, 1, 0);
	stage->codes[3] = rota_pwritev(stage->fd, &piece, 1, 0);
	rota_deadline_end(&deadline);
	return (int)lseek(stage->fd, 0, SEEK_END);
}

static void in_a_cancelled_task_nothing_is_moved(void **state)
{
	struct stage stage;

	(void)state;
	open_file(&stage);
	assert_int_equal(test_run(use_cancelled, &stage), 0);
	close(stage.fd);
	for (int i = 0; i < 4; i++)
		assert_int_equal(stage.codes[i], -ETIME);
}

static int call_readv(struct race *race)
{
	char bytes[2];
	struct iovec pieces[] = { { bytes, 1 }, { bytes + 1, 1 } };

	return rota_readv(race->fd, pieces, 2);
}

static int call_writev(struct race *race)
{
	struct iovec pieces[] = { { "a", 1 }, { "b", 1 } };

	return rota_writev(race->fd, pieces, 2);
}

static const struct race_verb readv_verb = { "readv",           race_open_pair,
					     call_readv,        race_send_byte,
					     race_byte_remains, false,
					     IORING_OP_READV,   0 };

static const struct race_verb writev_verb = { "writev",
					      race_open_full_pair,
					      call_writev,
					      race_empty_pair,
					      NULL,
					      false,
					      IORING_OP_WRITEV,
					      0 };

static void one_that_waits_ends_in_every_way(void **state)
{
	(void)state;
	test_blocked(&readv_verb, 1, true);
	test_blocked(&writev_verb, 2, true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_in_pieces_is_read_in_others),
		cmocka_unit_test(what_cannot_be_meant_is_refused),
		cmocka_unit_test(no_piece_is_nothing_and_1024_are_not_too_many),
		cmocka_unit_test(pieces_to_a_pipe_without_readers_are_epipe),
		cmocka_unit_test(in_a_cancelled_task_nothing_is_moved),
		cmocka_unit_test(one_that_waits_ends_in_every_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
