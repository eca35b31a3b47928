/* SPDX-License-Identifier: MIT */
/*
 * Files. Each verb is the system call of its name as a suspending operation:
 * the manual page (section 2) tells what it returns and which -errno mean
 * what.
 *
 * For every verb, unless it says otherwise: it suspends; tasks only; in a
 * cancelled task it returns -ECANCELED or -ETIME at once, without having
 * begun; a cancel that comes later stops it if the kernel still can, else its
 * result is returned, which is never lost. The buffer is the kernel's until it
 * returns. Lengths over INT_MAX are -EINVAL.
 */
#ifndef ROTA_FILE_H
#define ROTA_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* open(2): a descriptor, always with O_CLOEXEC. `mode` counts with O_CREAT and
 * O_TMPFILE only. A descriptor that was opened is returned, also after a
 * cancel. Other than with open(2), a FIFO does not wait for its other end
 * (-ENXIO to write without a reader), unless O_CREAT is among the flags. */
int rota_open(const char *path, int flags, mode_t mode)
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
 * to a pipe without readers is -EPIPE, no signal: the engine blocks SIGPIPE. */
int rota_write(int fd, const void *buffer, size_t bytes)
	__attribute__((warn_unused_result));

/* pread(2): as rota_read, but at an offset, and the position stays. A negative
 * offset is -EINVAL. */
int rota_pread(int fd, void *buffer, size_t bytes, int64_t offset)
	__attribute__((warn_unused_result));

/* pwrite(2): as rota_write, but at an offset, and the position stays. A
 * negative offset is -EINVAL. */
int rota_pwrite(int fd, const void *buffer, size_t bytes, int64_t offset)
	__attribute__((warn_unused_result));

/* fsync(2). Runs on a worker thread of the kernel; one that has begun is not
 * stopped by a cancel. */
int rota_fsync(int fd) __attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
