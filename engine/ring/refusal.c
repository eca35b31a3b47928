/* SPDX-License-Identifier: MIT */
/*
 * An io_uring that is refused is the first thing many users meet: containers
 * deny it by seccomp, administrators by sysctl, kernels count its memory
 * against a limit. One -errno has several causes, so /proc is asked.
 */
#include "ring/refusal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* kernel.io_uring_disabled: 1 leaves it to privileged ones, 2 to nobody. */
static long sysctl_disabled(const struct ri_kernel *kernel)
{
	char text[32];

	if (kernel->read_text(kernel, "/proc/sys/kernel/io_uring_disabled",
			      text, sizeof(text)) <= 0)
		return 0;
	return strtol(text, NULL, 10);
}

/* proc_pid_status(5): 0 no seccomp, 1 strict, 2 a filter. */
static long seccomp_mode(const struct ri_kernel *kernel)
{
	char text[4096];
	const char *line;

	if (kernel->read_text(kernel, "/proc/self/status", text,
			      sizeof(text)) <= 0)
		return 0;
	line = strstr(text, "\nSeccomp:");
	return line ? strtol(line + strlen("\nSeccomp:"), NULL, 10) : 0;
}

static void explain_permission(const struct ri_kernel *kernel,
			       const struct ri_log *log, int error)
{
	const long disabled = sysctl_disabled(kernel);

	if (disabled)
		ri_log(log,
		       "io_uring is switched off by kernel.io_uring_disabled="
		       "%ld: 'sysctl -w kernel.io_uring_disabled=0' allows it",
		       disabled);
	else if (seccomp_mode(kernel))
		ri_log(log,
		       "io_uring is denied by a seccomp filter (%s): the "
		       "container needs a profile that allows io_uring_setup, "
		       "io_uring_enter and io_uring_register",
		       strerror(-error));
	else
		ri_log(log,
		       "io_uring is denied by a security module (%s): its "
		       "audit log tells which rule",
		       strerror(-error));
}

static void explain_missing(const struct ri_kernel *kernel,
			    const struct ri_log *log)
{
	if (seccomp_mode(kernel))
		ri_log(log, "io_uring is hidden by a seccomp filter (ENOSYS): "
			    "the container needs a profile that allows "
			    "io_uring_setup, io_uring_enter and "
			    "io_uring_register");
	else
		ri_log(log, "this kernel or sandbox has no io_uring (ENOSYS): "
			    "rota needs Linux 6.1 or later, built with "
			    "CONFIG_IO_URING");
}

static void explain_memory(const struct ri_log *log)
{
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur == RLIM_INFINITY)
		ri_log(log, "no memory for an io_uring (ENOMEM), although "
			    "locked memory is unlimited");
	else
		ri_log(log,
		       "no memory for an io_uring (ENOMEM): RLIMIT_MEMLOCK is "
		       "%llu bytes for all rings of this user together; raise "
		       "it ('ulimit -l', LimitMEMLOCK=, --ulimit memlock=-1)",
		       (unsigned long long)limit.rlim_cur);
}

static void explain_descriptors(const struct ri_log *log, int error)
{
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_NOFILE, &limit);
	ri_log(log,
	       "no descriptor for an io_uring (%s): RLIMIT_NOFILE is %llu, "
	       "'ulimit -n' raises it",
	       error == -EMFILE ? "EMFILE" : "ENFILE",
	       (unsigned long long)limit.rlim_cur);
}

void ri_ring_refused(const struct ri_kernel *kernel, const struct ri_log *log,
		     int error)
{
	switch (error) {
	case -EPERM:
	case -EACCES:
		explain_permission(kernel, log, error);
		break;
	case -ENOSYS:
		explain_missing(kernel, log);
		break;
	case -ENOMEM:
		explain_memory(log);
		break;
	case -EMFILE:
	case -ENFILE:
		explain_descriptors(log, error);
		break;
	case -EINVAL:
		ri_log(log, "io_uring refuses rota's set-up flags (EINVAL): "
			    "rota needs Linux 6.1 or later; some sandboxes "
			    "accept no flags at all");
		break;
	default:
		ri_log(log, "io_uring cannot be set up: %s", strerror(-error));
	}
}
