/* SPDX-License-Identifier: MIT */
/*
 * Names: what is said about a file without opening it. All of them run on
 * worker threads of the kernel.
 */
#include "rota/file.h"
#include "task/operation.h"

#include <fcntl.h>

/* Two of them, each in a folder. */
struct names {
	int from_folder; /* the folder of `from` */
	const char *from;
	int to_folder; /* the folder of `to` */
	const char *to;
};

int rota_statx(int folder, const char *path, int flags, unsigned mask,
	       struct statx *out)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, __func__, 0);

	if (error)
		return error;
	io_uring_prep_statx(entry, folder, path, flags, mask, out);
	return ri_verb_await(entry, __func__, folder);
}

static int rename_it(const char *verb, const struct names *names,
		     unsigned flags)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, verb, 0);

	if (error)
		return error;
	io_uring_prep_renameat(entry, names->from_folder, names->from,
			       names->to_folder, names->to, flags);
	return ri_verb_await(entry, verb, names->from_folder);
}

int rota_rename(const char *from, const char *to)
{
	return rename_it(__func__,
			 &(struct names){ AT_FDCWD, from, AT_FDCWD, to }, 0);
}

int rota_renameat(int from_folder, const char *from, int to_folder,
		  const char *to, unsigned flags)
{
	return rename_it(__func__,
			 &(struct names){ from_folder, from, to_folder, to },
			 flags);
}

static int link_it(const char *verb, const struct names *names, int flags)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, verb, 0);

	if (error)
		return error;
	io_uring_prep_linkat(entry, names->from_folder, names->from,
			     names->to_folder, names->to, flags);
	return ri_verb_await(entry, verb, names->from_folder);
}

int rota_link(const char *from, const char *to)
{
	return link_it(__func__,
		       &(struct names){ AT_FDCWD, from, AT_FDCWD, to }, 0);
}

int rota_linkat(int from_folder, const char *from, int to_folder,
		const char *to, int flags)
{
	return link_it(__func__,
		       &(struct names){ from_folder, from, to_folder, to },
		       flags);
}

static int symlink_it(const char *verb, const char *target, int folder,
		      const char *path)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, verb, 0);

	if (error)
		return error;
	io_uring_prep_symlinkat(entry, target, folder, path);
	return ri_verb_await(entry, verb, folder);
}

int rota_symlink(const char *target, const char *path)
{
	return symlink_it(__func__, target, AT_FDCWD, path);
}

int rota_symlinkat(const char *target, int folder, const char *path)
{
	return symlink_it(__func__, target, folder, path);
}

static int unlink_it(const char *verb, int folder, const char *path, int flags)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, verb, 0);

	if (error)
		return error;
	io_uring_prep_unlinkat(entry, folder, path, flags);
	return ri_verb_await(entry, verb, folder);
}

int rota_unlink(const char *path)
{
	return unlink_it(__func__, AT_FDCWD, path, 0);
}

int rota_rmdir(const char *path)
{
	return unlink_it(__func__, AT_FDCWD, path, AT_REMOVEDIR);
}

int rota_unlinkat(int folder, const char *path, int flags)
{
	return unlink_it(__func__, folder, path, flags);
}

static int mkdir_it(const char *verb, int folder, const char *path, mode_t mode)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, verb, 0);

	if (error)
		return error;
	io_uring_prep_mkdirat(entry, folder, path, mode);
	return ri_verb_await(entry, verb, folder);
}

int rota_mkdir(const char *path, mode_t mode)
{
	return mkdir_it(__func__, AT_FDCWD, path, mode);
}

int rota_mkdirat(int folder, const char *path, mode_t mode)
{
	return mkdir_it(__func__, folder, path, mode);
}
