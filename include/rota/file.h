/* SPDX-License-Identifier: MIT */
/*
 * Files, and their names. Each verb is the system call of its name as a
 * suspending operation: the manual page (section 2) tells what it returns and
 * which -errno mean what.
 *
 * For every verb, unless it says otherwise: it suspends; tasks only. The
 * memory that it is given is the kernel's until it returns; a NULL where
 * something is needed is -EFAULT. Lengths over INT_MAX are -EINVAL.
 *
 * Cancels: in a cancelled task a verb returns -ECANCELED or -ETIME at once, or
 * -ESHUTDOWN if it is idle while a group drains (idle.h), without having begun.
 * A cancel that comes later stops it if the kernel still can; otherwise its
 * result is returned, which is never lost. What the kernel can stop is of three
 * kinds:
 *
 *	waits    for a pipe, a terminal, an eventfd, ...: ends at once, and has
 *	         moved nothing.
 *	works    with a file or a name: one that has not begun does not begin,
 *	         one that has goes on to its end. Those that run on a worker
 *	         thread of the kernel (as is said below) may stand in a line
 *	         for it before; the others are short, and over when they are
 *	         back from the kernel.
 *	opens    of what waits for somebody (a FIFO, with O_CREAT; a file with
 *	         a lease): ends, and nothing is open.
 *
 * Closes: a rota_close of the descriptor by another task of the loop is a
 * cancel of what waits on it, with -EBADF. Of two descriptors it is the first,
 * unless it says otherwise: keep the other one open meanwhile.
 */
#ifndef ROTA_FILE_H
#define ROTA_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct statx; /* <sys/stat.h> has it, with _GNU_SOURCE */

/* open(2): a descriptor, always with O_CLOEXEC. The flags are in <fcntl.h>;
 * `mode` counts with O_CREAT and O_TMPFILE only. A descriptor that was opened
 * is returned, also after a cancel. Other than with open(2), a FIFO does not
 * wait for its other end (-ENXIO to write without a reader), unless O_CREAT is
 * among the flags: then one of the few worker threads waits, which a cancel
 * stops. */
int rota_open(const char *path, int flags, mode_t mode)
	__attribute__((warn_unused_result));

/* openat(2): the same, with a relative path beginning in this folder, or in
 * the working directory (AT_FDCWD). */
int rota_openat(int folder, const char *path, int flags, mode_t mode)
	__attribute__((warn_unused_result));

/* Closes a descriptor: close(2). A release verb: never refused, never
 * cancelled. What other tasks of this loop wait for on this descriptor ends
 * with -EBADF. (close(2) by itself would leave them waiting: io_uring keeps
 * the file open for an operation in flight.) */
int rota_close(int fd);

/* read(2) at the file's position: bytes read, 0 at the end. A cancelled read of
 * a file that is being read already finishes; one of a pipe, terminal or
 * socket stops and has read nothing. */
int rota_read(int fd, void *buffer, size_t bytes)
	__attribute__((warn_unused_result));

/* write(2) at the file's position: bytes written, which may be fewer. A write
 * to a pipe without readers is -EPIPE, no signal: the engine blocks SIGPIPE.
 * A cancelled write to a full pipe has written nothing. */
int rota_write(int fd, const void *buffer, size_t bytes)
	__attribute__((warn_unused_result));

/* pread(2): as rota_read, but at an offset, and the position stays. A negative
 * offset is -EINVAL. io_uring reads a pipe or socket all the same, where
 * pread(2) says ESPIPE; so do rota_pwrite, rota_preadv and rota_pwritev. */
int rota_pread(int fd, void *buffer, size_t bytes, int64_t offset)
	__attribute__((warn_unused_result));

/* pwrite(2): as rota_write, but at an offset, and the position stays. A
 * negative offset is -EINVAL. */
int rota_pwrite(int fd, const void *buffer, size_t bytes, int64_t offset)
	__attribute__((warn_unused_result));

/* readv(2): as rota_read, into several pieces. A count over IOV_MAX (1024) or
 * below 0 is -EINVAL. More than INT_MAX bytes in all are cut short, as the
 * system call does. The list of pieces, too, is the kernel's until it returns.
 */
int rota_readv(int fd, const struct iovec *pieces, int count)
	__attribute__((warn_unused_result));

/* writev(2): as rota_write, from pieces as in rota_readv. */
int rota_writev(int fd, const struct iovec *pieces, int count)
	__attribute__((warn_unused_result));

/* preadv(2): as rota_pread, into pieces as in rota_readv. */
int rota_preadv(int fd, const struct iovec *pieces, int count, int64_t offset)
	__attribute__((warn_unused_result));

/* pwritev(2): as rota_pwrite, from pieces as in rota_readv. */
int rota_pwritev(int fd, const struct iovec *pieces, int count, int64_t offset)
	__attribute__((warn_unused_result));

/* fsync(2). On a worker thread of the kernel; one that has begun is not stopped
 * by a cancel. */
int rota_fsync(int fd) __attribute__((warn_unused_result));

/* fdatasync(2). Cancels as in rota_fsync. */
int rota_fdatasync(int fd) __attribute__((warn_unused_result));

/* ftruncate(2). On a worker thread; one that has begun is not stopped by a
 * cancel. Before Linux 6.9 it does not suspend: it is the plain system call,
 * and the loop stands still for as long as it takes. */
int rota_ftruncate(int fd, int64_t bytes) __attribute__((warn_unused_result));

/* fallocate(2). On a worker thread; one that has begun is not stopped by a
 * cancel. */
int rota_fallocate(int fd, int mode, int64_t offset, int64_t bytes)
	__attribute__((warn_unused_result));

/* splice(2): moves bytes between a pipe and something else; how many, 0 at the
 * end. An offset of -1: the file's position, or it is a pipe. (The offsets are
 * not moved on for you.) At least one of the two has to be a pipe.
 *
 * It waits until there is something to be read and room to write it, unless
 * SPLICE_F_NONBLOCK is given. A cancel ends this wait, and so does a close of
 * either descriptor; nothing was moved then. (Room in a socket whose peer has
 * shut down its side is looked for every 10 ms.) The move itself is made on a
 * worker thread, and waits only for a socket: one that has too little room for
 * what is in the pipe, or whose bytes another task took. A cancel, or a close
 * of either, ends that too; if something was moved, it returns how much.
 *
 * The kernel looks fd_in up when that worker begins: close it meanwhile, and have
 * its number given to something else, and the move is from there.
 *
 * While a move waits for a socket the kernel keeps the pipe locked: whoever
 * reads, writes or closes that pipe then, waits with the whole loop. With
 * O_NONBLOCK on the socket a move never waits, and the verb polls again. */
int rota_splice(int fd_in, int64_t offset_in, int fd_out, int64_t offset_out,
		size_t bytes, unsigned flags)
	__attribute__((warn_unused_result));

/*
 * Names. Each is done on a worker thread of the kernel; one that has begun is
 * not stopped by a cancel, and its result is returned: after -ECANCELED
 * nothing has happened. Those that end in `at` take the folder that a relative
 * path begins in, or AT_FDCWD, and the flags of their system call.
 */

/* statx(2): what `mask` asks for (STATX_BASIC_STATS, ...) into *out. An empty
 * path with AT_EMPTY_PATH: of the descriptor itself. */
int rota_statx(int folder, const char *path, int flags, unsigned mask,
	       struct statx *out) __attribute__((warn_unused_result));

/* rename(2). What `to` named before is gone. */
int rota_rename(const char *from, const char *to)
	__attribute__((warn_unused_result));

/* renameat2(2): a relative path begins in its folder; `flags` may be
 * RENAME_NOREPLACE, RENAME_EXCHANGE. */
int rota_renameat(int from_folder, const char *from, int to_folder,
		  const char *to, unsigned flags)
	__attribute__((warn_unused_result));

/* link(2): another name for a file. */
int rota_link(const char *from, const char *to)
	__attribute__((warn_unused_result));

/* linkat(2): a relative path begins in its folder; `flags` may be
 * AT_SYMLINK_FOLLOW, AT_EMPTY_PATH. */
int rota_linkat(int from_folder, const char *from, int to_folder,
		const char *to, int flags) __attribute__((warn_unused_result));

/* symlink(2): a name that leads to another, which need not be there. */
int rota_symlink(const char *target, const char *path)
	__attribute__((warn_unused_result));

/* symlinkat(2): a relative `path` begins in the folder. */
int rota_symlinkat(const char *target, int folder, const char *path)
	__attribute__((warn_unused_result));

/* unlink(2): takes a name away, not that of a folder (-EISDIR). */
int rota_unlink(const char *path) __attribute__((warn_unused_result));

/* rmdir(2): takes away an empty folder (-ENOTEMPTY). */
int rota_rmdir(const char *path) __attribute__((warn_unused_result));

/* unlinkat(2): a relative path begins in the folder; AT_REMOVEDIR makes it
 * rota_rmdir. */
int rota_unlinkat(int folder, const char *path, int flags)
	__attribute__((warn_unused_result));

/* mkdir(2): a new folder, with this mode less the umask. */
int rota_mkdir(const char *path, mode_t mode)
	__attribute__((warn_unused_result));

/* mkdirat(2): a relative path begins in the folder. */
int rota_mkdirat(int folder, const char *path, mode_t mode)
	__attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
