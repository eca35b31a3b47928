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
	struct ri_verb verb;
	const int error = ri_verb_begin(&verb, "open", -1, 0);

	if (error)
		return error;
	io_uring_prep_openat(verb.entry, AT_FDCWD, path, flags | O_CLOEXEC,
			     mode);
	return ri_verb_await(&verb);
}

int rota_close(int fd)
{
	struct ri_verb verb;
	int error = ri_verb_begin_release(&verb, "close", fd);

	if (error)
		return error;
	io_uring_prep_close(verb.entry, fd);
	if (fd >= 0)
		ri_operations_close(verb.tasks, fd);
	error = ri_verb_await(&verb);
	ri_starved_wake(verb.tasks);
	return error;
}

static int read_at(const char *what, int fd, void *buffer, size_t bytes,
		   uint64_t offset)
{
	struct ri_verb verb;
	const int error = ri_verb_begin(&verb, what, fd, bytes);

	if (error)
		return error;
	io_uring_prep_read(verb.entry, fd, buffer, (unsigned)bytes, offset);
	return ri_verb_await(&verb);
}

static int write_at(const char *what, int fd, const void *buffer, size_t bytes,
		    uint64_t offset)
{
	struct ri_verb verb;
	const int error = ri_verb_begin(&verb, what, fd, bytes);

	if (error)
		return error;
	io_uring_prep_write(verb.entry, fd, buffer, (unsigned)bytes, offset);
	return ri_verb_await(&verb);
}

int rota_read(int fd, void *buffer, size_t bytes)
{
	return read_at("read", fd, buffer, bytes, AT_POSITION);
}

int rota_write(int fd, const void *buffer, size_t bytes)
{
	return write_at("write", fd, buffer, bytes, AT_POSITION);
}

int rota_pread(int fd, void *buffer, size_t bytes, int64_t offset)
{
	if (offset < 0)
		return -EINVAL;
	return read_at("pread", fd, buffer, bytes, (uint64_t)offset);
}

int rota_pwrite(int fd, const void *buffer, size_t bytes, int64_t offset)
{
	if (offset < 0)
		return -EINVAL;
	return write_at("pwrite", fd, buffer, bytes, (uint64_t)offset);
}

int rota_fsync(int fd)
{
	struct ri_verb verb;
	const int error = ri_verb_begin(&verb, "fsync", fd, 0);

	if (error)
		return error;
	io_uring_prep_fsync(verb.entry, fd, 0);
	return ri_verb_await(&verb);
}
