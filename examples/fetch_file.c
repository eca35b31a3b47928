/* SPDX-License-Identifier: MIT */
/*
 * Who writes a temporary file holds a lock on it (flock(2)), so that of two
 * programs that fetch the same name one is told, and neither gives the final
 * name to what the other one has begun. The lock is kept until after the
 * rename.
 *
 * Of which version of the original it is, is noted in an extended attribute:
 * that is there after a kill too, and gone with the file.
 */
#include "fetch_file.h"

#include <rota/rota.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define VERSION "user.rota.version"
#define MODE (S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH)

static uint64_t hash(const char *text)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (; *text; text++)
		sum = (sum ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return sum;
}

void file_init(struct file *file, int folder, const char *name)
{
	*file = (struct file){ .folder = folder, .name = name, .fd = -1 };
	/* (No name that is made of a URL begins with a dot.) */
	if (strlen(name) + strlen("..part") <= NAME_MAX)
		snprintf(file->temporary, sizeof(file->temporary), ".%s.part",
			 name);
	else
		snprintf(file->temporary, sizeof(file->temporary),
			 ".%016llx.part", (unsigned long long)hash(name));
}

int64_t file_size(const struct file *file)
{
	struct statx status;
	const int error = rota_statx(file->folder, file->name, 0,
				     STATX_TYPE | STATX_SIZE, &status);

	if (error)
		return error;
	return S_ISREG(status.stx_mode) ? (int64_t)status.stx_size : -EEXIST;
}

/* It is ours, and still has its name: who had it before may have renamed or
 * removed it in between. */
static int lock(struct file *file)
{
	struct stat mine, named;

	if (flock(file->fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (fstat(file->fd, &mine) ||
	    fstatat(file->folder, file->temporary, &named, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (mine.st_ino != named.st_ino || mine.st_dev != named.st_dev)
		return -EBUSY;
	file->bytes = mine.st_size;
	return S_ISREG(mine.st_mode) ? 0 : -EEXIST;
}

static int open_as(struct file *file, int flags)
{
	int error;

	file->fd = rota_openat(file->folder, file->temporary,
			       O_RDWR | O_NOFOLLOW | flags, MODE);
	if (file->fd < 0)
		return file->fd;
	error = lock(file);
	if (error) {
		rota_close(file->fd);
		file->fd = -1;
	}
	return error;
}

int file_reopen(struct file *file, char version[VERSION_BYTES])
{
	const int error = open_as(file, 0);
	ssize_t bytes;

	if (error)
		return error;
	bytes = fgetxattr(file->fd, VERSION, version, VERSION_BYTES - 1);
	version[bytes > 0 ? bytes : 0] = 0;
	file->marked = bytes > 0;
	return 0;
}

int file_create(struct file *file)
{
	int error = open_as(file, O_CREAT | O_EXCL);

	if (error != -EEXIST)
		return error;
	error = open_as(file, 0);
	return error ? error : file_truncate(file);
}

void file_mark(struct file *file, const char *version)
{
	file->marked = *version && !fsetxattr(file->fd, VERSION, version,
					      strlen(version), 0);
}

int file_truncate(struct file *file)
{
	fremovexattr(file->fd, VERSION);
	file->marked = false;
	file->bytes = 0;
	return rota_ftruncate(file->fd, 0);
}

int file_write(struct file *file, const char *data, size_t bytes)
{
	while (bytes) {
		const int n = rota_pwrite(file->fd, data, bytes, file->bytes);

		if (n <= 0)
			return n ? n : -EIO;
		file->bytes += n;
		data += n;
		bytes -= (size_t)n;
	}
	return 0;
}

int file_commit(struct file *file, bool sync)
{
	int error = 0;

	if (file->marked)
		fremovexattr(file->fd, VERSION);
	if (sync)
		error = rota_fsync(file->fd);
	if (!error)
		error = rota_renameat(file->folder, file->temporary,
				      file->folder, file->name, 0);
	if (error)
		return error;
	rota_close(file->fd);
	file->fd = -1;
	return sync ? rota_fsync(file->folder) : 0;
}

void file_abandon(struct file *file, bool keep)
{
	struct rota_shield shield;

	if (file->fd < 0)
		return;
	rota_shield_begin(&shield, ROTA_NEVER);
	if (!keep)
		(void)!rota_unlinkat(file->folder, file->temporary, 0);
	rota_shield_end(&shield);
	rota_close(file->fd);
	file->fd = -1;
}
