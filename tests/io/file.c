/* SPDX-License-Identifier: MIT */
/*
 * Files: each verb once as it should be, and each of its refusals.
 */
#include "rota/rota.h"
#include "support/mask.h"
#include "support/run.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A folder for one test, and a file in it. */
struct folder {
	char path[32];
	char file[64];
	int codes[16];
	char bytes[64];
};

static void folder_make(struct folder *folder)
{
	memset(folder, 0, sizeof(*folder));
	strcpy(folder->path, "/tmp/rota-file-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	snprintf(folder->file, sizeof(folder->file), "%s/file", folder->path);
}

static void folder_remove(struct folder *folder)
{
	unlink(folder->file);
	assert_int_equal(rmdir(folder->path), 0);
}

static int write_and_read(void *arg)
{
	struct folder *folder = arg;
	int *codes = folder->codes;
	int fd = rota_open(folder->file, O_RDWR | O_CREAT | O_EXCL, 0640);

	if (fd < 0)
		return fd;
	codes[0] = rota_write(fd, "hello ", 6);
	codes[1] = rota_write(fd, "world", 5);
	codes[2] = rota_fsync(fd);
	codes[3] = rota_read(fd, folder->bytes, 10); /* at the end */
	codes[4] = rota_pread(fd, folder->bytes, sizeof(folder->bytes), 0);
	codes[5] = rota_pwrite(fd, "HELLO", 5, 0);
	codes[6] = rota_pread(fd, folder->bytes + 20, 8, 3);
	codes[7] = rota_pread(fd, folder->bytes, 10, 11); /* past the end */
	codes[8] = fcntl(fd, F_GETFD);
	codes[9] = rota_close(fd);
	return 0;
}

static void what_is_written_is_read(void **state)
{
	static const int expected[] = { 6, 5, 0, 0, 11, 5, 8, 0, FD_CLOEXEC, 0 };
	struct folder folder;
	struct stat status;
	mode_t before;

	(void)state;
	folder_make(&folder);
	before = umask(022);
	assert_int_equal(test_run(write_and_read, &folder), 0);
	umask(before);
	assert_int_equal(stat(folder.file, &status), 0);
	folder_remove(&folder);
	for (int i = 0; i < 10; i++)
		assert_int_equal(folder.codes[i], expected[i]);
	assert_memory_equal(folder.bytes, "hello world", 11);
	assert_memory_equal(folder.bytes + 20, "LO world", 8);
	assert_int_equal(status.st_mode & 0777, 0640);
}

static int read_at_position(void *arg)
{
	struct folder *folder = arg;
	int fd = rota_open(folder->file, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		return fd;
	folder->codes[0] = rota_write(fd, "abcdef", 6);
	lseek(fd, 1, SEEK_SET);
	folder->codes[1] = rota_read(fd, folder->bytes, 2);
	folder->codes[2] = rota_pread(fd, folder->bytes + 2, 1, 0);
	folder->codes[3] = rota_read(fd, folder->bytes + 3, 10);
	folder->codes[4] = rota_read(fd, folder->bytes, 10);
	return rota_close(fd);
}

static void reads_move_the_position_and_preads_do_not(void **state)
{
	static const int expected[] = { 6, 2, 1, 3, 0 };
	struct folder folder;

	(void)state;
	folder_make(&folder);
	assert_int_equal(test_run(read_at_position, &folder), 0);
	folder_remove(&folder);
	for (int i = 0; i < 5; i++)
		assert_int_equal(folder.codes[i], expected[i]);
	assert_memory_equal(folder.bytes, "bcadef", 6);
}

static int open_wrongly(void *arg)
{
	struct folder *folder = arg;

	folder->codes[0] = rota_open(folder->file, O_RDONLY, 0);
	folder->codes[1] = rota_open(folder->path, O_WRONLY, 0);
	folder->codes[2] = rota_open("", O_RDONLY, 0);
	folder->codes[3] = rota_open(NULL, O_RDONLY, 0);
	return 0;
}

static void open_says_what_open_2_says(void **state)
{
	static const int expected[] = { -ENOENT, -EISDIR, -ENOENT, -EFAULT };
	struct folder folder;

	(void)state;
	folder_make(&folder);
	assert_int_equal(test_run(open_wrongly, &folder), 0);
	folder_remove(&folder);
	for (int i = 0; i < 4; i++)
		assert_int_equal(folder.codes[i], expected[i]);
}

static int use_closed(void *arg)
{
	int *codes = arg;
	char byte = 0;
	const int fd = eventfd(0, EFD_CLOEXEC);

	close(fd);
	codes[0] = rota_read(fd, &byte, 1);
	codes[1] = rota_write(fd, &byte, 1);
	codes[2] = rota_pread(fd, &byte, 1, 0);
	codes[3] = rota_pwrite(fd, &byte, 1, 0);
	codes[4] = rota_fsync(fd);
	codes[5] = rota_close(fd);
	codes[6] = rota_close(-1);
	codes[7] = rota_read(-1, &byte, 1);
	codes[8] = rota_fdatasync(fd);
	codes[9] = rota_ftruncate(fd, 0);
	codes[10] = rota_fallocate(fd, 0, 0, 1);
	codes[11] = rota_poll(fd, POLLIN);
	return 0;
}

static void a_descriptor_that_is_not_open_is_ebadf(void **state)
{
	int codes[12] = { 0 };

	(void)state;
	assert_int_equal(test_run(use_closed, codes), 0);
	for (int i = 0; i < 12; i++)
		assert_int_equal(codes[i], -EBADF);
}

static int ask_too_much(void *arg)
{
	const size_t too_much = (size_t)INT_MAX + 1;
	int *codes = arg;
	char byte = 0;

	codes[0] = rota_read(0, &byte, too_much);
	codes[1] = rota_write(0, &byte, too_much);
	codes[2] = rota_pread(0, &byte, too_much, 0);
	codes[3] = rota_pwrite(0, &byte, SIZE_MAX, 0);
	codes[4] = rota_pread(0, &byte, 1, -1);
	codes[5] = rota_pwrite(0, &byte, 1, INT64_MIN);
	return 0;
}

static void lengths_over_int_max_and_negative_offsets_are_einval(void **state)
{
	int codes[6] = { 0 };

	(void)state;
	assert_int_equal(test_run(ask_too_much, codes), 0);
	for (int i = 0; i < 6; i++)
		assert_int_equal(codes[i], -EINVAL);
}

static int resize(void *arg)
{
	struct folder *folder = arg;
	int *codes = folder->codes;
	int fd = rota_open(folder->file, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		return fd;
	codes[0] = rota_write(fd, "0123456789", 10);
	codes[1] = rota_ftruncate(fd, 4);
	codes[2] = rota_pread(fd, folder->bytes, 10, 0);
	codes[3] = rota_fallocate(fd, 0, 6, 2);
	codes[4] = (int)lseek(fd, 0, SEEK_END);
	codes[5] = rota_fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100);
	codes[6] = (int)lseek(fd, 0, SEEK_END);
	codes[7] = rota_fdatasync(fd);
	codes[8] = rota_ftruncate(fd, -1);
	codes[9] = rota_ftruncate(fd, INT64_MIN);
	codes[10] = rota_fallocate(fd, 0, -1, 1);
	codes[11] = rota_fallocate(fd, 0, 0, 0);
	codes[12] = rota_fallocate(fd, 0x4000, 0, 1);
	codes[13] = rota_ftruncate(fd, 0);
	codes[14] = (int)lseek(fd, 0, SEEK_END);
	return rota_close(fd);
}

static void expect_resized(void)
{
	static const int expected[] = { 10,          0,       4,       0,
					8,           0,       8,       0,
					-EINVAL,     -EINVAL, -EINVAL, -EINVAL,
					-EOPNOTSUPP, 0,       0 };
	struct folder folder;

	folder_make(&folder);
	assert_int_equal(test_run(resize, &folder), 0);
	folder_remove(&folder);
	for (int i = 0; i < 15; i++)
		assert_int_equal(folder.codes[i], expected[i]);
	assert_memory_equal(folder.bytes, "0123", 4);
}

static void a_file_is_cut_and_grown(void **state)
{
	(void)state;
	expect_resized();
}

static void it_is_cut_also_without_that_operation(void **state)
{
	(void)state;
	setenv("ROTA_MASK", "ftruncate", 1);
	expect_resized();
}

static int write_int_max(void *arg)
{
	const int fd = rota_open("/dev/null", O_WRONLY, 0);
	int n;

	(void)arg;
	if (fd < 0)
		return fd;
	/* /dev/null looks at no byte of it. */
	n = rota_write(fd, "", INT_MAX);
	rota_close(fd);
	return n > 0 ? 0 : n;
}

static void a_length_of_int_max_is_not_refused(void **state)
{
	(void)state;
	assert_int_equal(test_run(write_int_max, NULL), 0);
}

static int write_to_nobody(void *arg)
{
	int pair[2], n;

	(void)arg;
	if (pipe2(pair, O_CLOEXEC))
		return -errno;
	rota_close(pair[0]);
	n = rota_write(pair[1], "x", 1);
	rota_close(pair[1]);
	return n;
}

static void
a_write_to_a_pipe_without_readers_is_epipe_and_no_signal(void **state)
{
	(void)state;
	assert_int_equal(test_run(write_to_nobody, NULL), -EPIPE);
}

static int read_pipe(void *value)
{
	const int fd = *(int *)value;
	char byte;

	return rota_read(fd, &byte, 1);
}

static int feed_pipe(void *arg)
{
	struct rota_group group;
	int pair[2], error;

	(void)arg;
	if (pipe2(pair, O_CLOEXEC))
		return -errno;
	rota_group_open(&group, NULL);
	error = rota_go(&group, read_pipe, pair[0]);
	rota_yield();
	error |= rota_write(pair[1], "x", 1) != 1;
	error |= rota_group_wait(&group);
	rota_close(pair[1]);
	error |= read_pipe(&pair[0]); /* its end */
	return error | rota_close(pair[0]);
}

static void a_read_of_a_pipe_waits_for_its_bytes_and_sees_its_end(void **state)
{
	(void)state;
	assert_int_equal(test_run(feed_pipe, NULL), 0);
}

struct fifo {
	struct folder folder;
	int fds[2];
};

static int open_to_read(void *value)
{
	struct fifo *fifo = *(struct fifo **)value;

	/* With O_CREAT it waits for the other end. */
	fifo->fds[0] = rota_open(fifo->folder.file, O_RDONLY | O_CREAT, 0600);
	return fifo->fds[0] < 0 ? fifo->fds[0] : 0;
}

static int open_both_ends(void *arg)
{
	struct fifo *fifo = arg;
	struct rota_group group;
	int error;

	if (mkfifo(fifo->folder.file, 0600))
		return -errno;
	rota_group_open(&group, NULL);
	error = rota_go(&group, open_to_read, fifo);
	rota_yield();
	error |= fifo->fds[0] != -1;
	fifo->fds[1] = rota_open(fifo->folder.file, O_WRONLY | O_CREAT, 0600);
	error |= rota_group_wait(&group);
	if (!error)
		error = rota_write(fifo->fds[1], "x", 1) != 1;
	if (!error)
		error = rota_read(fifo->fds[0], fifo->folder.bytes, 9) != 1;
	rota_close(fifo->fds[0]);
	rota_close(fifo->fds[1]);
	return error;
}

static void the_two_ends_of_a_fifo_wait_for_each_other(void **state)
{
	struct fifo fifo = { .fds = { -1, -1 } };

	(void)state;
	folder_make(&fifo.folder);
	assert_int_equal(test_run(open_both_ends, &fifo), 0);
	folder_remove(&fifo.folder);
	assert_int_equal(fifo.folder.bytes[0], 'x');
}

static int open_without_peer(void *arg)
{
	struct folder *folder = arg;

	if (mkfifo(folder->file, 0600))
		return -errno;
	folder->codes[0] = rota_open(folder->file, O_WRONLY, 0);
	folder->codes[1] = rota_open(folder->file, O_RDONLY, 0);
	folder->codes[2] = fcntl(folder->codes[1], F_GETFL) & O_NONBLOCK;
	return rota_close(folder->codes[1]);
}

static void without_o_creat_a_fifo_is_opened_at_once(void **state)
{
	struct folder folder;

	(void)state;
	folder_make(&folder);
	assert_int_equal(test_run(open_without_peer, &folder), 0);
	folder_remove(&folder);
	assert_int_equal(folder.codes[0], -ENXIO);
	assert_true(folder.codes[1] >= 0);
	assert_int_equal(folder.codes[2], 0);
}

static int read_signal(void *value)
{
	const int fd = *(int *)value;
	struct signalfd_siginfo info;
	const int n = rota_read(fd, &info, sizeof(info));

	return n == sizeof(info) && info.ssi_signo == SIGUSR1 ? 0 : -EPROTO;
}

static int await_signal(void *arg)
{
	struct rota_group group;
	sigset_t signals, before;
	int fd, error;

	(void)arg;
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, &before);
	fd = signalfd(-1, &signals, SFD_CLOEXEC);
	rota_group_open(&group, NULL);
	error = rota_go(&group, read_signal, fd);
	rota_yield();
	pthread_kill(pthread_self(), SIGUSR1);
	error |= rota_group_wait(&group);
	error |= rota_close(fd);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static void a_signal_is_read_from_a_signalfd(void **state)
{
	(void)state;
	assert_int_equal(test_run(await_signal, NULL), 0);
}

static int use_cancelled(void *arg)
{
	struct folder *folder = arg;
	struct rota_deadline deadline;
	int *codes = folder->codes;
	const int fd = rota_open("/dev/zero", O_RDWR, 0);

	rota_deadline_begin(&deadline, 0);
	codes[0] = rota_open(folder->file, O_RDWR | O_CREAT, 0600);
	codes[1] = rota_read(fd, folder->bytes, 1);
	codes[2] = rota_write(fd, folder->bytes, 1);
	codes[3] = rota_pread(fd, folder->bytes, 1, 0);
	codes[4] = rota_pwrite(fd, folder->bytes, 1, 0);
	codes[5] = rota_fsync(fd);
	codes[6] = rota_fdatasync(fd);
	codes[7] = rota_ftruncate(fd, 0);
	codes[8] = rota_fallocate(fd, 0, 0, 1);
	codes[9] = rota_close(fd);
	rota_deadline_end(&deadline);
	codes[10] = access(folder->file, F_OK);
	return 0;
}

static void in_a_cancelled_task_only_close_does_anything(void **state)
{
	struct folder folder;

	(void)state;
	folder_make(&folder);
	assert_int_equal(test_run(use_cancelled, &folder), 0);
	folder_remove(&folder);
	for (int i = 0; i < 9; i++)
		assert_int_equal(folder.codes[i], -ETIME);
	assert_int_equal(folder.codes[9], 0);
	assert_int_equal(folder.codes[10], -1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(reads_move_the_position_and_preads_do_not),
		cmocka_unit_test(open_says_what_open_2_says),
		cmocka_unit_test(a_descriptor_that_is_not_open_is_ebadf),
		cmocka_unit_test(
			lengths_over_int_max_and_negative_offsets_are_einval),
		cmocka_unit_test(a_file_is_cut_and_grown),
		cmocka_unit_test_setup_teardown(
			it_is_cut_also_without_that_operation, test_mask_keep,
			test_mask_restore),
		cmocka_unit_test(a_length_of_int_max_is_not_refused),
		cmocka_unit_test(
			a_write_to_a_pipe_without_readers_is_epipe_and_no_signal),
		cmocka_unit_test(
			a_read_of_a_pipe_waits_for_its_bytes_and_sees_its_end),
		cmocka_unit_test(the_two_ends_of_a_fifo_wait_for_each_other),
		cmocka_unit_test(without_o_creat_a_fifo_is_opened_at_once),
		cmocka_unit_test(a_signal_is_read_from_a_signalfd),
		cmocka_unit_test(in_a_cancelled_task_only_close_does_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
