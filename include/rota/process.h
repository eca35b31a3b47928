/* SPDX-License-Identifier: MIT */
/*
 * Waiting for child processes.
 */
#ifndef ROTA_PROCESS_H
#define ROTA_PROCESS_H

#include <sys/wait.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Where strict C hides siginfo_t, this is hidden too. */
#if defined(_POSIX_C_SOURCE) || defined(_GNU_SOURCE)
/* waitid(2): waits for a child to end (WEXITED), to stop or to go on, and
 * tells in *report (may be NULL) which and how. 0 or -errno: -ECHILD if there
 * is none to wait for, -EINVAL without one of those options. With WNOHANG it
 * does not wait, and leaves report->si_pid as 0 if there is nothing to tell.
 *
 * Suspends. Tasks only. A cancel ends it with -ECANCELED or -ETIME; the child
 * can be waited for again then. A child that was reaped is always told of. A
 * close of the descriptor (P_PIDFD) by another task ends it with -EBADF.
 *
 * The operation is there from Linux 6.7 on. Before, it does for one process
 * (P_PID, P_PIDFD) and WEXITED, by a descriptor of the process, and for
 * everything with WNOHANG; the rest is -ENOSYS. */
int rota_waitid(idtype_t type, id_t id, siginfo_t *report, int options)
	__attribute__((warn_unused_result));
#endif

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
