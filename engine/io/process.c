/* SPDX-License-Identifier: MIT */
#include "rota/process.h"

#include "ring/features.h"
#include "rota/clock.h"
#include "rota/file.h"
#include "rota/socket.h"
#include "rota/task.h"
#include "task/operation.h"

#include <errno.h>
#include <poll.h>

/* How soon it is looked again at a process that has ended and cannot be had:
 * a debugger has it. */
#define LOOK_AGAIN_NS ROTA_MILLISECOND

/* Is there something to tell? 1, 0 or -errno. */
static int look(const struct ri_child *child)
{
	const struct ri_kernel *kernel = ri_tasks_here()->loop.kernel;
	siginfo_t *report = child->report;
	int error;

	report->si_pid = 0;
	error = kernel->process_wait(kernel, child);
	return error ? error : report->si_pid != 0;
}

/* Looks whenever the process may have ended, which makes its descriptor
 * readable. */
static int poll_and_look(const struct ri_child *child, int process)
{
	int found = look(child);

	while (!found) {
		const int events = rota_poll(process, POLLIN);

		if (events < 0)
			return events;
		found = look(child);
		if (!found)
			found = rota_sleep(LOOK_AGAIN_NS);
	}
	return found < 0 ? found : 0;
}

static int wait_for_end(const struct ri_child *child)
{
	const struct ri_kernel *kernel = ri_tasks_here()->loop.kernel;
	int process, error;

	if (child->type == P_PIDFD)
		return poll_and_look(child, (int)child->id);
	process = kernel->process_open(kernel, (int)child->id);
	/* waitid(2) knows nothing of other people's processes. */
	if (process < 0)
		return process == -ESRCH ? -ECHILD : process;
	error = poll_and_look(child, process);
	rota_close(process);
	return error;
}

/* For kernels without the operation: a descriptor of a process tells of its
 * end, and of nothing else. */
static int wait_without(struct ri_child *child)
{
	siginfo_t spare;
	const int code = rota_cancelled();
	int found;

	if (code)
		return code;
	if (!child->report)
		child->report = &spare;
	if (child->options & WNOHANG) {
		found = look(child);
		return found < 0 ? found : 0;
	}
	if (child->type != P_PID && child->type != P_PIDFD)
		return -ENOSYS;
	if (child->options & (WSTOPPED | WCONTINUED))
		return -ENOSYS;
	return wait_for_end(child);
}

int rota_waitid(idtype_t type, id_t id, siginfo_t *report, int options)
{
	struct ri_child child = { (int)type, id, options, report };
	struct io_uring_sqe *entry;
	int error;

	ri_task_self(__func__);
	if (!(ri_tasks_here()->loop.ring.features & RI_FEATURE_WAITID))
		return wait_without(&child);
	error = ri_verb_begin(&entry, __func__, 0);
	if (error)
		return error;
	io_uring_prep_rw(RI_OP_WAITID, entry, (int)id, NULL, (unsigned)type,
			 (uintptr_t)report);
	entry->file_index = (unsigned)options;
	return ri_verb_await(entry, __func__, type == P_PIDFD ? (int)id : -1);
}
