/* SPDX-License-Identifier: MIT */
#include "rota/futex.h"

#include "ring/features.h"
#include "task/operation.h"

#include <errno.h>

/* futex_wait(2)'s flags, and all the bits that a wake may have. */
#define SIZE_U32 2u
#define PRIVATE 128u
#define ANY_BIT 0xffffffffu

int rota_futex_wait(const uint32_t *word, uint32_t expected, unsigned flags)
{
	const unsigned scope = flags & ROTA_FUTEX_SHARED ? 0 : PRIVATE;
	struct io_uring_sqe *entry;
	int error;

	ri_task_self(__func__);
	if (flags & ~ROTA_FUTEX_SHARED)
		return -EINVAL;
	if (!(ri_tasks_here()->loop.ring.features & RI_FEATURE_FUTEX))
		return -ENOSYS;
	error = ri_verb_begin(&entry, __func__, 0);
	if (error)
		return error;
	io_uring_prep_rw(RI_OP_FUTEX_WAIT, entry, (int)(SIZE_U32 | scope), word,
			 0, expected);
	entry->addr3 = ANY_BIT;
	return ri_verb_await(entry, __func__, -1);
}

int rota_futex_wake(const uint32_t *word, unsigned count, unsigned flags)
{
	const struct ri_kernel *kernel;

	ri_task_self(__func__);
	if (flags & ~ROTA_FUTEX_SHARED || count > INT_MAX)
		return -EINVAL;
	/* The kernel takes 0 for 1. */
	if (!count)
		return 0;
	kernel = ri_tasks_here()->loop.kernel;
	return kernel->futex_wake(kernel, word, (int)count,
				  flags & ROTA_FUTEX_SHARED);
}
