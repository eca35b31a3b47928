/* SPDX-License-Identifier: MIT */
/*
 * An io_uring that is refused: by real causes in a child process where one can
 * be had, else by a kernel that answers so.
 */
#include "ring/linux.h"
#include "support/child.h"
#include "support/kernel.h"
#include "support/log.h"
#include "support/run.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

/* Children cannot skip. */
#define NOT_TRIED 77

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int refuse_by_seccomp(void *arg)
{
	const unsigned error = *(unsigned *)arg;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = { sizeof(code) / sizeof(code[0]),
					   code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return NOT_TRIED;
	return -test_run(nothing, NULL);
}

static void a_seccomp_filter_that_denies_is_named(void **state)
{
	struct test_child child;
	unsigned error = EPERM;

	(void)state;
	test_child_run(&child, refuse_by_seccomp, &error);
	if (child.status == NOT_TRIED)
		test_skip("seccomp filters are not allowed here");
	assert_int_equal(child.status, EPERM);
	assert_string_equal(
		child.errors,
		"rota: io_uring is denied by a seccomp filter (Operation not "
		"permitted): the container needs a profile that allows "
		"io_uring_setup, io_uring_enter and io_uring_register\n");
}

static void a_seccomp_filter_that_hides_is_named(void **state)
{
	struct test_child child;
	unsigned error = ENOSYS;

	(void)state;
	test_child_run(&child, refuse_by_seccomp, &error);
	if (child.status == NOT_TRIED)
		test_skip("seccomp filters are not allowed here");
	assert_int_equal(child.status, ENOSYS);
	assert_memory_equal(
		child.errors,
		"rota: io_uring is hidden by a seccomp filter (ENOSYS): ", 55);
}

/* Runs as somebody with little locked memory. Returns the error, or, if it
 * works, 100 and the halvings of the completions that it took. */
static int run_as_nobody(void *arg)
{
	struct test_kernel kernel;
	struct rlimit limit = { .rlim_cur = *(rlim_t *)arg,
				.rlim_max = *(rlim_t *)arg };
	int result;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setuid(NOBODY))
		return NOT_TRIED;
	test_kernel_init(&kernel);
	kernel.below = &ri_kernel_linux; /* without patience */
	result = test_run_with(NULL, &kernel.table, nothing, NULL);
	return result < 0 ? -result
			  : 100 + (int)kernel.calls[TEST_RING_OPEN] - 1;
}

static void no_locked_memory_is_told_with_the_limit(void **state)
{
	struct test_child child;
	rlim_t bytes = 0;

	(void)state;
	test_child_run(&child, run_as_nobody, &bytes);
	if (child.status == NOT_TRIED)
		test_skip("only root can become somebody with less");
	if (child.status == 100)
		test_skip("this kernel does not count rings as locked memory");
	assert_int_equal(child.status, ENOMEM);
	assert_non_null(strstr(child.errors, "(ENOMEM)"));
	assert_non_null(strstr(child.errors, "RLIMIT_MEMLOCK is 0 bytes"));
	assert_ptr_equal(strchr(child.errors, '\n') + 1,
			 child.errors + strlen(child.errors));
}

static void little_locked_memory_makes_a_smaller_ring(void **state)
{
	const struct timespec moment = { .tv_nsec = 20000000 };
	struct test_child child;
	rlim_t bytes = 64 << 10;

	(void)state;
	/* Rings of others of this name may just be going. */
	for (int i = 0; i < 100; i++) {
		test_child_run(&child, run_as_nobody, &bytes);
		if (child.status != ENOMEM)
			break;
		nanosleep(&moment, NULL);
	}
	if (child.status == NOT_TRIED)
		test_skip("only root can become somebody with less");
	if (child.status == 100)
		test_skip("this kernel does not count rings as locked memory");
	assert_in_range(child.status, 101, 104);
	assert_string_equal(child.errors, "");
}

static int run_without_descriptors(void *arg)
{
	const int next = dup(STDERR_FILENO);
	const struct rlimit limit = { (rlim_t)next, (rlim_t)next };

	(void)arg;
	close(next);
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return NOT_TRIED;
	return -test_run(nothing, NULL);
}

static void no_descriptor_is_told_with_the_limit(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_without_descriptors, NULL);
	assert_int_equal(child.status, EMFILE);
	assert_memory_equal(
		child.errors,
		"rota: no descriptor for an io_uring (EMFILE): RLIMIT_NOFILE",
		59);
}

/* The rest: a kernel that answers so. */
struct answer {
	int error;           /* of the set-up */
	const char *sysctl;  /* kernel.io_uring_disabled */
	const char *seccomp; /* /proc/self/status */
};

static void answer(const struct answer *answer, const char *words)
{
	struct test_kernel kernel;
	struct test_log log = { 0 };
	const struct rota_config config = { .log = test_log_write,
					    .context = &log };

	test_kernel_init(&kernel);
	test_kernel_fail(&kernel,
			 &(struct test_fault){ .call = TEST_RING_OPEN,
					       .times = TEST_FOREVER,
					       .error = answer->error });
	test_kernel_text(&kernel, "/proc/sys/kernel/io_uring_disabled",
			 answer->sysctl);
	test_kernel_text(&kernel, "/proc/self/status", answer->seccomp);
	assert_int_equal(test_run_with(&config, &kernel.table, nothing, NULL),
			 answer->error);
	assert_int_equal(log.lines, 1);
	if (!test_log_has(&log, words))
		fail_msg("\"%s\" is not in: %s", words, log.text);
	assert_int_equal(test_kernel_left(&kernel), 0);
}

static void a_sysctl_that_denies_is_named(void **state)
{
	(void)state;
	answer(&(struct answer){ -EPERM, "2\n", "Name:\tx\nSeccomp:\t2\n" },
	       "switched off by kernel.io_uring_disabled=2");
	answer(&(struct answer){ -EPERM, "1\n", "Name:\tx\nSeccomp:\t0\n" },
	       "switched off by kernel.io_uring_disabled=1");
}

static void a_denial_by_nobody_else_is_a_security_module(void **state)
{
	(void)state;
	answer(&(struct answer){ -EPERM, "0\n", "Name:\tx\nSeccomp:\t0\n" },
	       "denied by a security module (Operation not permitted)");
	answer(&(struct answer){ -EACCES, NULL, NULL },
	       "denied by a security module (Permission denied)");
}

static void a_kernel_without_io_uring_is_told(void **state)
{
	(void)state;
	answer(&(struct answer){ -ENOSYS, NULL, "Name:\tx\nSeccomp:\t0\n" },
	       "this kernel or sandbox has no io_uring (ENOSYS)");
}

static void a_kernel_that_is_too_old_is_told(void **state)
{
	(void)state;
	answer(&(struct answer){ -EINVAL, NULL, NULL }, "Linux 6.1 or later");
}

static void a_full_table_of_files_is_told(void **state)
{
	(void)state;
	answer(&(struct answer){ -ENFILE, NULL, NULL }, "(ENFILE)");
}

static void any_other_error_is_told_by_its_name(void **state)
{
	(void)state;
	answer(&(struct answer){ -EFAULT, NULL, NULL },
	       "io_uring cannot be set up: Bad address");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seccomp_filter_that_denies_is_named),
		cmocka_unit_test(a_seccomp_filter_that_hides_is_named),
		cmocka_unit_test(no_locked_memory_is_told_with_the_limit),
		cmocka_unit_test(little_locked_memory_makes_a_smaller_ring),
		cmocka_unit_test(no_descriptor_is_told_with_the_limit),
		cmocka_unit_test(a_sysctl_that_denies_is_named),
		cmocka_unit_test(a_denial_by_nobody_else_is_a_security_module),
		cmocka_unit_test(a_kernel_without_io_uring_is_told),
		cmocka_unit_test(a_kernel_that_is_too_old_is_told),
		cmocka_unit_test(a_full_table_of_files_is_told),
		cmocka_unit_test(any_other_error_is_told_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
