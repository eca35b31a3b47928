/* SPDX-License-Identifier: MIT */
/*
 * Calls that block: a library's query, a compression, gethostbyname. In a task
 * they would stop every task of its loop, so they are run on a thread of the
 * engine's own while the task waits.
 *
 *	static int compress_it(void *arg)
 *	...
 *	error = rota_offload(compress_it, &job);
 *
 * The threads are few (rota_config.offload_threads, for all loops of an
 * engine), start when they are needed, and end when they were idle for 10 s,
 * or with the engine. All signals but those of a fault are blocked on them, and
 * they may use every processor that the thread that started the engine might,
 * whatever loops are pinned to.
 */
#ifndef ROTA_OFFLOAD_H
#define ROTA_OFFLOAD_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Runs fn(arg) on another thread. Returns what fn returned: best 0 or more, or
 * -errno, like a verb. Otherwise fn was not called, and never will be:
 *
 *	-ECANCELED, -ETIME, -ESHUTDOWN  the task's code
 *	-EAGAIN   no thread at all could be started (RLIMIT_NPROC, pids.max);
 *	          told by a line in the log. As long as there is one, calls
 *	          wait for it instead
 *	-EMFILE, -ENFILE  the loop's first call on Linux before 6.13, where it
 *	          takes a descriptor
 *
 * Suspends; tasks only. When all threads are busy it waits for its turn, first
 * come, first served over all loops. What that takes is in the frame of the
 * call, so there may be as many as there are tasks.
 *
 * A cancel while it waits takes the call back. Once fn runs, nothing stops it:
 * `arg` is in its hands, so the task stays until it has returned, and gets what
 * it returned. (rota_callback_begin, callback.h, can tell it to hurry.) A call
 * that never returns keeps its task, which a drain names, and its thread.
 *
 * fn runs outside of tasks: it may block, but not call verbs, which abort. Nor
 * may it end its thread, or return in a child of fork(2). */
int rota_offload(int (*fn)(void *arg), void *arg)
	__attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
