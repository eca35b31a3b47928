/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a word of memory to change: futex(2) for tasks, to meet threads
 * and processes that are none of the engine's.
 */
#ifndef ROTA_FUTEX_H
#define ROTA_FUTEX_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The word is shared with other processes. Waiters and wakers have to agree
 * about it. */
#define ROTA_FUTEX_SHARED 1u

/* Waits while *word, which is aligned, is `expected`. 0 when it was woken
 * (look at the word again: somebody may have been faster); -EAGAIN if the word
 * is something else already, or is to be looked at again for another reason.
 * -EFAULT, -EINVAL (not aligned; unknown flags) as futex(2) says. -ENOSYS: the
 * kernel is older than Linux 6.7, which first has the operation.
 *
 * Suspends. Tasks only. A cancel ends it with -ECANCELED or -ETIME, and it has
 * used up no wake then: one that came before is returned as 0. */
int rota_futex_wait(const uint32_t *word, uint32_t expected, unsigned flags)
	__attribute__((warn_unused_result));

/* Wakes at most `count` of who wait for this word: tasks of any loop, threads,
 * and, if shared, other processes. How many were woken; -EINVAL for a count
 * over INT_MAX or unknown flags. Any kernel. Never suspends, never refused in
 * a cancelled task. Tasks only. */
int rota_futex_wake(const uint32_t *word, unsigned count, unsigned flags);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
