/* SPDX-License-Identifier: MIT */
/*
 * Errors are values: every function that can fail returns >= 0 on success and
 * -errno on failure. errno itself is neither read nor set, and does not
 * survive a suspension.
 *
 * What rota itself says, and what it always means:
 *
 *	-ECANCELED   a scope of the task was cancelled (group.h)
 *	-ETIME       a scope of the task is past its deadline (deadline.h);
 *	             a socket's own time-outs are -ETIMEDOUT
 *	-ESHUTDOWN   a group drains: you are idle, or ask it for one more task;
 *	             from rota_group_wait: not all ended within the grace;
 *	             from rota_submit and rota_job_wait: the engine stops
 *	-EAGAIN      full: a bound of the engine is reached, or you asked not
 *	             to wait; from rota_offload, what looks up names, and what
 *	             starts an engine: no thread could be started
 *	-EDEADLK     the wait that you asked for could never end: also for a
 *	             job or an engine, on the thread that would have to run it
 *	-EBUSY       from what starts an engine: this thread runs one already;
 *	             from what ends one: there are tasks that have not ended
 *	-ESRCH       of a job: its group is closed
 *	-EOWNERDEAD  the engine, or the job, is of the process that this one
 *	             was forked from
 *	-ECHILD      from rota_group_wait: a race that nobody took part in
 *	-EBADF       also: the descriptor was closed by another task meanwhile
 *	-ENODATA     the stream ended before all that was asked for had come;
 *	             of a name: it has no address (of that family)
 *	-EMSGSIZE    what a reader, writer or output is asked for is longer than
 *	             its memory
 *	-ETIMEDOUT   also: the kernel took nothing of an output for its write_ns
 *	-ECONNABORTED
 *	             also: a message in an output was cut short (output.h)
 *	-ENOENT, -ECOMM, -EREMOTEIO
 *	             also: there is no such name, no name server answers just
 *	             now, a name server failed (resolve.h has all of them)
 *	-EPIPE       also: the output is being closed; of a channel, a pool or
 *	             requests: nobody is left to receive, to work, to answer
 *	-ENOSYS      this kernel is too old for it; the header says from when on
 *	-EINVAL      an argument that cannot be meant: lengths over INT_MAX,
 *	             flags that rota_await refuses, a malformed address
 *
 * Every other value is what the kernel said, as the manual page of the system
 * call explains it.
 *
 * A verb that finds several scopes over returns the code of the outermost.
 * Broken promises of the programmer (a group left open, a call outside of a
 * task) are not errors: they end the program with file, line and values.
 */
#ifndef ROTA_ERROR_H
#define ROTA_ERROR_H

#include <errno.h>

#endif
