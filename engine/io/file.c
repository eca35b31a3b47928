/* SPDX-License-Identifier: MIT */
#include "rota/file.h"

#include "io/starved.h"
#include "task/operation.h"

#include <errno.h>
#include <fcntl.h>

/* The file's own position, as read(2) and write(2) use it. */
#define AT_POSITION ((uint64_t)-1)

int rota_open(const char *path, int flags, mode_t mode)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, __func__, 0);

	if (error)
		return error;
	io_uring_prep_openat(entry, AT_FDCWD, path, flags | O_CLOEXEC, mode);
	return ri_verb_await(entry, __func__, -1);
}

int rota_close(int fd)
{
	struct io_uring_sqe *entry = ri_release_begin(__func__);
	int error;

	io_uring_prep_close(entry, fd);
	if (fd >= 0) {
		ri_operations_close(ri_tasks_here(), fd);
		ri_starved_close(ri_tasks_here(), fd);
	}
	error = ri_release_await(entry, __func__, fd);
	ri_starved_wake(ri_tasks_here());
	return error;
}

static int read_at(const char *verb, int fd, void *buffer, size_t bytes,
		   uint64_t offset)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, verb, bytes);

	if (error)
		return error;
	io_uring_prep_read(entry, fd, buffer, (unsigned)bytes, offset);
	return ri_verb_await(entry, verb, fd);
}

static int write_at(const char *verb, int fd, const void *buffer, size_t bytes,
		    uint64_t offset)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, verb, bytes);

	if (error)
		return error;
	io_uring_prep_write(entry, fd, buffer, (unsigned)bytes, offset);
	return ri_verb_await(entry, verb, fd);
}

int rota_read(int fd, void *buffer, size_t bytes)
{
	return read_at(__func__, fd, buffer, bytes, AT_POSITION);
}

int rota_write(int fd, const void *buffer, size_t bytes)
{
	return write_at(__func__, fd, buffer, bytes, AT_POSITION);
}

int rota_pread(int fd, void *buffer, size_t bytes, int64_t offset)
{
	ri_task_self(__func__);
	if (offset < 0)
		return -EINVAL;
	return read_at(__func__, fd, buffer, bytes, (uint64_t)offset);
}

int rota_pwrite(int fd, const void *buffer, size_t bytes, int64_t offset)
{
	ri_task_self(__func__);
	if (offset < 0)
		return -EINVAL;
	return write_at(__func__, fd, buffer, bytes, (uint64_t)offset);
}

int rota_fsync(int fd)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, __func__, 0);

	if (error)
		return error;
	io_uring_prep_fsync(entry, fd, 0);
	return ri_verb_await(entry, __func__, fd);
}
