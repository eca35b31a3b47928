/* SPDX-License-Identifier: MIT */
#include "rota/file.h"

#include "io/starved.h"
#include "ring/features.h"
#include "rota/task.h"
#include "stack/sanitizer.h"
#include "task/operation.h"

#include <errno.h>
#include <fcntl.h>

/* The file's own position, as read(2) and write(2) use it. */
#define AT_POSITION ((uint64_t)-1)

int rota_openat(int folder, const char *path, int flags, mode_t mode)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, "rota_open", 0);

	if (error)
		return error;
	io_uring_prep_openat(entry, folder, path, flags | O_CLOEXEC, mode);
	return ri_verb_await(entry, "rota_open", folder);
}

int rota_open(const char *path, int flags, mode_t mode)
{
	return rota_openat(AT_FDCWD, path, flags, mode);
}

int rota_close(int fd)
{
	struct io_uring_sqe *entry = ri_release_begin(__func__);
	int error;

	io_uring_prep_close(entry, fd);
	if (fd >= 0) {
		ri_operations_close(ri_tasks_here(), fd);
		ri_starved_close(ri_tasks_here(), fd);
		ri_sanitizer_closes(fd);
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

int rota_fdatasync(int fd)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, __func__, 0);

	if (error)
		return error;
	io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
	return ri_verb_await(entry, __func__, fd);
}

int rota_fallocate(int fd, int mode, int64_t offset, int64_t bytes)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, __func__, 0);

	if (error)
		return error;
	/* The kernel, too, has the length in the field of an address. */
	io_uring_prep_rw(IORING_OP_FALLOCATE, entry, fd,
			 (const void *)(uintptr_t)bytes, (unsigned)mode,
			 (uint64_t)offset);
	return ri_verb_await(entry, __func__, fd);
}

/* For kernels without the operation. */
static int truncate_here(int fd, int64_t bytes)
{
	const struct ri_kernel *kernel = ri_tasks_here()->loop.kernel;
	const int code = rota_cancelled();

	return code ? code : kernel->truncate(kernel, fd, bytes);
}

int rota_ftruncate(int fd, int64_t bytes)
{
	struct io_uring_sqe *entry;
	int error;

	ri_task_self(__func__);
	if (!(ri_tasks_here()->loop.ring.features & RI_FEATURE_FTRUNCATE))
		return truncate_here(fd, bytes);
	error = ri_verb_begin(&entry, __func__, 0);
	if (error)
		return error;
	io_uring_prep_rw(RI_OP_FTRUNCATE, entry, fd, NULL, 0, (uint64_t)bytes);
	return ri_verb_await(entry, __func__, fd);
}
