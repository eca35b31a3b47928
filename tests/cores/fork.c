/* SPDX-License-Identifier: MIT */
/* fork(2) in a task. */
#include "rota/rota.h"

#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What the child does, and what came of it. */
struct child {
	int (*act)(void);  /* in the child: an exit status */
	bool returns;      /* out of the task instead */
	int status;        /* of waitpid(2) */
	char errors[4096]; /* what it wrote to stderr */
	bool served;       /* the parent's ring went on meanwhile */
};

static void become_child(struct child *child, const int output[2])
{
	const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	signal(SIGABRT, SIG_DFL);
	dup2(output[1], STDERR_FILENO);
	if (!child->returns)
		_exit(child->act());
}

static int listen_to(struct child *child, int output)
{
	size_t length = 0;
	int n;

	while ((n = rota_read(output, child->errors + length,
			      sizeof(child->errors) - 1 - length)) > 0)
		length += (size_t)n;
	child->served = n == 0;
	return n;
}

static int fork_in_task(void *value)
{
	struct child *child = *(struct child **)value;
	int output[2], error;
	pid_t pid;

	if (pipe(output))
		return -errno;
	pid = fork();
	if (pid == 0) {
		become_child(child, output);
		return 0;
	}
	close(output[1]);
	error = listen_to(child, output[0]);
	close(output[0]);
	return waitpid(pid, &child->status, 0) == pid ? error : -errno;
}

static int stand_by(void *value)
{
	(void)value;
	return rota_sleep(0);
}

static int fork_among_others(void *arg)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, stand_by, 0);
	error |= rota_go(&group, fork_in_task, (struct child *)arg);
	error |= rota_go(&group, stand_by, 0);
	return error | rota_group_wait(&group);
}

static struct child after_fork(int (*act)(void), bool returns)
{
	struct child child = { .act = act, .returns = returns };

	assert_int_equal(test_run(fork_among_others, &child), 0);
	assert_true(child.served);
	return child;
}

static void assert_aborted(const struct child *child)
{
	if (!WIFSIGNALED(child->status))
		print_error("%s\n", child->errors);
	assert_true(WIFSIGNALED(child->status));
	assert_int_equal(WTERMSIG(child->status), SIGABRT);
	assert_non_null(strstr(child->errors, "in a child of fork(2)"));
}

static int leave(void)
{
	return 7;
}

static void a_child_of_a_task_may_exit(void **state)
{
	const struct child child = after_fork(leave, false);

	(void)state;
	assert_true(WIFEXITED(child.status));
	assert_int_equal(WEXITSTATUS(child.status), 7);
}

static int execute(void)
{
	execl("/bin/sh", "sh", "-c", "exit 9", (char *)NULL);
	return 1;
}

static void a_child_of_a_task_may_execute_a_program(void **state)
{
	const struct child child = after_fork(execute, false);

	(void)state;
	assert_int_equal(WEXITSTATUS(child.status), 9);
}

static int yield(void)
{
	return rota_yield();
}

static int cancel(void)
{
	static struct rota_group group;

	rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	return 0;
}

static void a_verb_in_a_child_of_a_task_aborts_the_child(void **state)
{
	const struct child in_verb = after_fork(yield, false);
	const struct child in_cancel = after_fork(cancel, false);

	(void)state;
	assert_aborted(&in_verb);
	assert_aborted(&in_cancel);
}

static void a_child_that_returns_from_its_task_aborts(void **state)
{
	const struct child child = after_fork(NULL, true);

	(void)state;
	assert_aborted(&child);
}

static int answer(void *arg)
{
	const int error = rota_sleep(1);

	return error ? error : *(int *)arg;
}

static int run_another(void)
{
	int value = 11;

	return rota_run(NULL, answer, &value);
}

static void a_child_of_a_task_may_start_an_engine_of_its_own(void **state)
{
	const struct child child = after_fork(run_another, false);

	(void)state;
	assert_int_equal(WEXITSTATUS(child.status), 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_of_a_task_may_exit),
		cmocka_unit_test(a_child_of_a_task_may_execute_a_program),
		cmocka_unit_test(a_verb_in_a_child_of_a_task_aborts_the_child),
		cmocka_unit_test(a_child_that_returns_from_its_task_aborts),
		cmocka_unit_test(
			a_child_of_a_task_may_start_an_engine_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
