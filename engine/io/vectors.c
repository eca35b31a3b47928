/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing in several pieces. The list of them, and their count,
 * are the kernel's to read and to refuse: a bad pointer is -EFAULT there and a
 * crash here.
 */
#include "rota/file.h"
#include "task/operation.h"

#include <errno.h>

/* The file's own position, as readv(2) and writev(2) use it. */
#define AT_POSITION ((int64_t)-1)

struct vector {
	int opcode;                 /* READV or WRITEV */
	const struct iovec *pieces; /* the caller's */
	int count;                  /* of them */
	int64_t offset;             /* in the file */
};

static inline __attribute__((always_inline)) int
move(const char *verb, int fd, const struct vector *vector)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, verb, 0);

	if (error)
		return error;
	io_uring_prep_rw(vector->opcode, entry, fd, vector->pieces,
			 (unsigned)vector->count, (uint64_t)vector->offset);
	return ri_verb_await(entry, verb, fd);
}

static inline __attribute__((always_inline)) int
move_at(const char *verb, int fd, const struct vector *vector)
{
	ri_task_self(verb);
	return vector->offset < 0 ? -EINVAL : move(verb, fd, vector);
}

int rota_readv(int fd, const struct iovec *pieces, int count)
{
	return move(__func__, fd,
		    &(struct vector){ IORING_OP_READV, pieces, count,
				      AT_POSITION });
}

int rota_writev(int fd, const struct iovec *pieces, int count)
{
	return move(__func__, fd,
		    &(struct vector){ IORING_OP_WRITEV, pieces, count,
				      AT_POSITION });
}

int rota_preadv(int fd, const struct iovec *pieces, int count, int64_t offset)
{
	return move_at(__func__, fd,
		       &(struct vector){ IORING_OP_READV, pieces, count,
					 offset });
}

int rota_pwritev(int fd, const struct iovec *pieces, int count, int64_t offset)
{
	return move_at(__func__, fd,
		       &(struct vector){ IORING_OP_WRITEV, pieces, count,
					 offset });
}
