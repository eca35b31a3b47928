/* SPDX-License-Identifier: MIT */
/*
 * Victims that work on files. Most are done when they are asked for; those
 * that a thread of the kernel does for them take a while.
 */
#include "rota/rota.h"
#include "support/victim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES 4096

#define OP_FTRUNCATE 55 /* Linux 6.9; liburing 2.3 does not have it */

/* Bytes of a file that nobody wrote, and what the victim writes. */
#define BEFORE 'a'
#define AFTER 'b'

static void name_path(struct victim *victim)
{
	static atomic_uint count;

	snprintf(victim->path, sizeof(victim->path), "/tmp/rota-victim-%d-%u",
		 (int)getpid(), atomic_fetch_add(&count, 1));
	unlink(victim->path);
}

static int set_up_file(struct victim *victim)
{
	char bytes[FILE_BYTES];

	memset(bytes, BEFORE, sizeof(bytes));
	name_path(victim);
	victim->keeper = open(victim->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (victim->keeper < 0 ||
	    write(victim->keeper, bytes, sizeof(bytes)) != sizeof(bytes))
		return -errno;
	return 0;
}

/* In memory: what a disk takes for it is not of interest. */
static int set_up_memory(struct victim *victim)
{
	victim->keeper = memfd_create("victim", MFD_CLOEXEC);
	return victim->keeper < 0 ? -errno : 0;
}

static int prepare_file(struct victim *victim)
{
	victim->bytes = 1 + victim_dice(victim, FILE_BYTES);
	victim->portion = victim_dice(victim, FILE_BYTES);
	return 0;
}

static int call_pread(struct victim *victim)
{
	return rota_pread(victim->fd, victim->buffer, victim->bytes,
			  (int64_t)victim->portion);
}

static int expected_pread(const struct victim *victim,
			  const struct verdict *verdict)
{
	const size_t there = FILE_BYTES - victim->portion;
	const int expected = victim_expected(victim, verdict);

	for (int i = 0; i < expected; i++)
		if (victim->buffer[i] != BEFORE)
			return -EIO;
	if (expected >= 0)
		return (int)(victim->bytes < there ? victim->bytes : there);
	return expected;
}

static int call_pwrite(struct victim *victim)
{
	memset(victim->buffer, AFTER, victim->bytes);
	return rota_pwrite(victim->fd, victim->buffer, victim->bytes,
			   (int64_t)victim->portion);
}

/* As much was written as was reported. */
static void check_pwrite(struct victim *victim)
{
	char bytes[2 * FILE_BYTES];
	ssize_t n = pread(victim->keeper, bytes, sizeof(bytes), 0);
	int64_t written = 0;

	for (ssize_t i = 0; i < n; i++)
		written += bytes[i] == AFTER;
	referee_expect(victim->referee, "bytes in the file of those reported",
		       written, victim->result > 0 ? victim->result : 0);
	if (!written)
		return;
	memset(bytes, BEFORE, FILE_BYTES);
	if (ftruncate(victim->keeper, FILE_BYTES) ||
	    pwrite(victim->keeper, bytes, FILE_BYTES, 0) != FILE_BYTES)
		referee_expect(victim->referee, "the test's own write", -errno,
			       0);
}

static int call_preadv(struct victim *victim)
{
	const struct iovec piece = { victim->buffer, victim->bytes };

	return rota_preadv(victim->fd, &piece, 1, (int64_t)victim->portion);
}

static int call_pwritev(struct victim *victim)
{
	const struct iovec piece = { victim->buffer, victim->bytes };

	memset(victim->buffer, AFTER, victim->bytes);
	return rota_pwritev(victim->fd, &piece, 1, (int64_t)victim->portion);
}

/* The file is as long as was reported. */
static void expect_length(struct victim *victim, int64_t longer)
{
	const int64_t length = lseek(victim->keeper, 0, SEEK_END);

	if (victim->called)
		referee_expect(victim->referee, "bytes of the file", length,
			       victim->result ? FILE_BYTES : longer);
	if (ftruncate(victim->keeper, FILE_BYTES))
		referee_expect(victim->referee, "the test's own call", -errno,
			       0);
}

static int set_up_ftruncate(struct victim *victim)
{
	if (!victim_has_operation(OP_FTRUNCATE, "ftruncate"))
		return -ENOSYS;
	return set_up_file(victim);
}

static int call_ftruncate(struct victim *victim)
{
	return rota_ftruncate(victim->fd, 2 * FILE_BYTES);
}

static void check_ftruncate(struct victim *victim)
{
	expect_length(victim, 2 * FILE_BYTES);
}

static int call_fallocate(struct victim *victim)
{
	return rota_fallocate(victim->fd, 0, FILE_BYTES, FILE_BYTES);
}

static int call_fdatasync(struct victim *victim)
{
	return rota_fdatasync(victim->fd);
}

static int call_fsync(struct victim *victim)
{
	return rota_fsync(victim->fd);
}

static int call_close(struct victim *victim)
{
	const int fd = victim->fd;

	victim_forget(victim);
	return rota_close(fd);
}

static int set_up_path(struct victim *victim)
{
	name_path(victim);
	return 0;
}

static int set_up_fifo(struct victim *victim)
{
	name_path(victim);
	return mkfifo(victim->path, 0600) ? -errno : 0;
}

/* What was opened is closed: a descriptor that gets lost would be missed. */
static int call_open(struct victim *victim)
{
	const int fd = rota_open(victim->path, O_RDWR | O_CREAT, 0600);

	if (fd >= 0)
		close(fd);
	return fd;
}

/* With O_CREAT it goes to a thread, which waits for a writer. */
static int call_open_fifo(struct victim *victim)
{
	const int fd = rota_open(victim->path, O_RDONLY | O_CREAT, 0600);

	if (fd >= 0)
		close(fd);
	return fd;
}

static void open_writer(struct victim *victim)
{
	if (victim->peer < 0)
		victim->peer =
			open(victim->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static void close_writer(struct victim *victim)
{
	if (victim->peer >= 0)
		close(victim->peer);
	victim->peer = -1;
}

const struct victim_class victim_files[] = {
	{ "pread", VICTIM_SLOW, .set_up = set_up_file, .prepare = prepare_file,
	  .call = call_pread, .expected = expected_pread },
	{ "pwrite", VICTIM_SLOW, .set_up = set_up_file, .prepare = prepare_file,
	  .call = call_pwrite, .check = check_pwrite },
	{ "preadv", VICTIM_SLOW, .set_up = set_up_file, .prepare = prepare_file,
	  .call = call_preadv, .expected = expected_pread },
	{ "pwritev", VICTIM_SLOW, .set_up = set_up_file,
	  .prepare = prepare_file, .call = call_pwritev,
	  .check = check_pwrite },
	{ "ftruncate", VICTIM_SLOW, .set_up = set_up_ftruncate,
	  .call = call_ftruncate, .check = check_ftruncate },
	{ "fallocate", VICTIM_SLOW, .set_up = set_up_file,
	  .call = call_fallocate, .check = check_ftruncate },
	{ "fdatasync", VICTIM_SLOW, .set_up = set_up_memory,
	  .call = call_fdatasync },
	{ "fsync", VICTIM_SLOW, .set_up = set_up_memory, .call = call_fsync },
	{ "close", VICTIM_RELEASE | VICTIM_OPEN, .set_up = set_up_file,
	  .call = call_close },
	{ "open", VICTIM_SLOW, .set_up = set_up_path, .call = call_open },
	{ "open_fifo", VICTIM_SLOW, .set_up = set_up_fifo,
	  .call = call_open_fifo, .complete = open_writer,
	  .check = close_writer },
};
const unsigned victim_files_count =
	sizeof(victim_files) / sizeof(victim_files[0]);
