/* SPDX-License-Identifier: MIT */
/*
 * Waiting for children. Each test runs twice: with the operation, and with
 * what stands in for it on older kernels.
 */
#include "rota/rota.h"
#include "ring/features.h"
#include "support/blocked.h"
#include "support/mask.h"
#include "support/process.h"
#include "support/run.h"
#include "task/task.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static int look(void *arg)
{
	(void)arg;
	return ri_tasks_here()->loop.ring.features & RI_FEATURE_WAITID ? 1 : 0;
}

/* Runs what follows with and without the operation. */
#define EACH_WAY(way)                                                    \
	for (int way = 0;                                                \
	     way < 2 && (way == 0 || !setenv("ROTA_MASK", "waitid", 1)); \
	     way++)

/* A child that waits for a byte, or the end, and exits with 3. */
static pid_t start_child(int *line)
{
	int pair[2];
	pid_t child;
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	child = fork();
	if (!child) {
		close(pair[1]);
		if (read(pair[0], &byte, 1) < 0)
			_exit(1);
		_exit(3);
	}
	close(pair[0]);
	*line = pair[1];
	return child;
}

/* Waits for it and takes it away. */
static bool take_child(pid_t child)
{
	return waitpid(child, NULL, 0) == child;
}

struct stage {
	siginfo_t report;
	pid_t child;
	int line;
	int codes[8];
};

static int wait_in_group(void *value)
{
	struct stage *stage = *(struct stage **)value;

	stage->codes[0] =
		rota_waitid(P_PID, (id_t)stage->child, &stage->report, WEXITED);
	return 0;
}

static int end_child(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error;

	stage->child = start_child(&stage->line);
	rota_group_open(&group, NULL);
	error = rota_go(&group, wait_in_group, stage);
	error |= rota_sleep(ROTA_MILLISECOND);
	error |= rota_close(stage->line);
	error |= rota_group_wait(&group);
	stage->codes[1] = rota_waitid(P_PID, (id_t)stage->child, NULL, WEXITED);
	return error;
}

static void a_child_that_ends_is_told_of_and_is_gone(void **state)
{
	const unsigned before = test_process_descriptors();

	(void)state;
	EACH_WAY(way)
	{
		struct stage stage = { .codes = { 1, 1 } };

		assert_int_equal(test_run(end_child, &stage), 0);
		assert_int_equal(stage.codes[0], 0);
		assert_int_equal(stage.report.si_pid, stage.child);
		assert_int_equal(stage.report.si_code, CLD_EXITED);
		assert_int_equal(stage.report.si_status, 3);
		assert_int_equal(stage.codes[1], -ECHILD);
		assert_int_equal(test_process_descriptors(), before);
	}
}

static int ask_without_waiting(void *arg)
{
	struct stage *stage = arg;
	int *codes = stage->codes;

	stage->child = start_child(&stage->line);
	stage->report.si_pid = 99;
	codes[0] = rota_waitid(P_ALL, 0, &stage->report, WEXITED | WNOHANG);
	codes[1] = stage->report.si_pid;
	rota_close(stage->line);
	codes[2] =
		rota_waitid(P_PID, (id_t)stage->child, NULL, WEXITED | WNOWAIT);
	codes[3] = rota_waitid(P_ALL, 0, &stage->report, WEXITED | WNOHANG);
	codes[4] = stage->report.si_pid == stage->child;
	codes[5] = rota_waitid(P_ALL, 0, NULL, WEXITED | WNOHANG);
	return 0;
}

static void wnohang_does_not_wait_and_wnowait_leaves_the_child(void **state)
{
	static const int expected[] = { 0, 0, 0, 0, 1, -ECHILD };

	(void)state;
	EACH_WAY(way)
	{
		struct stage stage = { .line = -1 };

		assert_int_equal(test_run(ask_without_waiting, &stage), 0);
		for (int i = 0; i < 6; i++)
			assert_int_equal(stage.codes[i], expected[i]);
	}
}

static int ask_wrongly(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	int *codes = stage->codes;

	stage->child = start_child(&stage->line);
	codes[0] = rota_waitid(P_PID, (id_t)stage->child, NULL, 0);
	codes[1] = rota_waitid(P_PID, 1, NULL, WEXITED);
	codes[2] = rota_waitid(P_PID, 0x3fffffff, NULL, WEXITED);
	codes[3] = rota_waitid(P_PIDFD, 999, NULL, WEXITED);
	rota_deadline_begin(&deadline, 0);
	codes[4] =
		rota_waitid(P_PID, (id_t)stage->child, NULL, WEXITED | WNOHANG);
	codes[5] = rota_waitid(P_PID, (id_t)stage->child, NULL, WEXITED);
	rota_deadline_end(&deadline);
	rota_close(stage->line);
	return rota_waitid(P_PID, (id_t)stage->child, NULL, WEXITED);
}

static void what_cannot_be_meant_is_refused(void **state)
{
	static const int expected[] = { -EINVAL, -ECHILD, -ECHILD,
					-EBADF,  -ETIME,  -ETIME };
	const unsigned before = test_process_descriptors();

	(void)state;
	EACH_WAY(way)
	{
		struct stage stage = { .line = -1 };

		assert_int_equal(test_run(ask_wrongly, &stage), 0);
		for (int i = 0; i < 6; i++)
			assert_int_equal(stage.codes[i], expected[i]);
		assert_int_equal(test_process_descriptors(), before);
	}
}

/* Of the race that runs. */
static struct stage racing;

static int make_child(struct race *race)
{
	racing.child = start_child(&racing.line);
	race->peer = racing.line;
	race->fd = (int)syscall(SYS_pidfd_open, racing.child, 0);
	return racing.child < 0 || race->fd < 0 ? -errno : 0;
}

/* One that was not waited for is not to stay. */
static int forget_child(int result)
{
	if (result) {
		kill(racing.child, SIGKILL);
		take_child(racing.child);
	}
	return result;
}

static int wait_for_child(struct race *race)
{
	(void)race;
	return rota_waitid(P_PID, (id_t)racing.child, NULL, WEXITED);
}

static int wait_for_descriptor(struct race *race)
{
	return forget_child(
		rota_waitid(P_PIDFD, (id_t)race->fd, NULL, WEXITED));
}

static int let_child_go(struct race *race)
{
	return write(race->peer, "x", 1) == 1 ? 0 : -errno;
}

/* It can still be waited for. */
static bool child_remains(struct race *race)
{
	(void)race;
	return take_child(racing.child);
}

static const struct race_verb wait_verb = {
	"waitid",      make_child, wait_for_child, let_child_go,
	child_remains, false,      RI_OP_WAITID,   20 * ROTA_MILLISECOND
};

static const struct race_verb descriptor_verb = {
	"waitid", make_child, wait_for_descriptor, let_child_go,
	NULL,     false,      RI_OP_WAITID,        20 * ROTA_MILLISECOND
};

static void a_wait_ends_in_every_way_and_leaves_the_child(void **state)
{
	(void)state;
	EACH_WAY(way)
	{
		test_blocked(&wait_verb, 0, false);
		test_blocked(&descriptor_verb, 0, true);
	}
}

static int stop_child(void *arg)
{
	struct stage *stage = arg;

	stage->child = start_child(&stage->line);
	kill(stage->child, SIGSTOP);
	stage->codes[0] = rota_waitid(P_PID, (id_t)stage->child, &stage->report,
				      WSTOPPED);
	stage->codes[1] = stage->report.si_code;
	rota_close(stage->line);
	kill(stage->child, SIGKILL);
	stage->codes[2] = rota_waitid(P_ALL, 0, &stage->report, WEXITED);
	stage->codes[3] = stage->report.si_pid == stage->child;
	return 0;
}

static void a_child_that_stops_is_told_of(void **state)
{
	static const int expected[] = { 0, CLD_STOPPED, 0, 1 };
	struct stage stage = { .line = -1 };

	(void)state;
	if (!test_run(look, NULL))
		test_skip("no operation that waits for processes here");
	assert_int_equal(test_run(stop_child, &stage), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(stage.codes[i], expected[i]);
}

static void without_the_operation_only_ends_of_one_are_waited_for(void **state)
{
	struct stage stage = { .line = -1 };

	(void)state;
	setenv("ROTA_MASK", "waitid", 1);
	assert_int_equal(test_run(stop_child, &stage), 0);
	assert_int_equal(stage.codes[0], -ENOSYS);
	assert_int_equal(stage.codes[2], -ENOSYS);
	assert_true(take_child(stage.child));
}

/* A look that is made to find nothing: as if a debugger had the child. */
static int (*process_wait)(const struct ri_kernel *table,
			   const struct ri_child *child);
static int looks;

static int look_in_vain(const struct ri_kernel *table,
			const struct ri_child *child)
{
	return ++looks < 4 ? 0 : process_wait(table, child);
}

static int wait_for_ended(void *arg)
{
	struct stage *stage = arg;

	stage->child = start_child(&stage->line);
	rota_close(stage->line);
	return rota_waitid(P_PID, (id_t)stage->child, NULL, WEXITED);
}

static void an_end_that_is_not_to_be_had_is_looked_for_again(void **state)
{
	struct stage stage = { .line = -1 };
	struct test_kernel kernel;

	(void)state;
	setenv("ROTA_MASK", "waitid", 1);
	test_kernel_init(&kernel);
	process_wait = kernel.table.process_wait;
	kernel.table.process_wait = look_in_vain;
	looks = 0;
	assert_int_equal(
		test_run_with(NULL, &kernel.table, wait_for_ended, &stage), 0);
	assert_int_equal(looks, 4);
}

static void what_a_look_and_a_descriptor_say_is_told(void **state)
{
	static const struct test_fault faults[] = {
		{ .call = TEST_PROCESS_WAIT, .error = -EPERM },
		{ .call = TEST_PROCESS_OPEN, .error = -EMFILE },
	};
	const unsigned before = test_process_descriptors();

	(void)state;
	setenv("ROTA_MASK", "waitid", 1);
	for (int i = 0; i < 2; i++) {
		struct stage stage = { .line = -1 };
		struct test_kernel kernel;

		test_kernel_init(&kernel);
		test_kernel_fail(&kernel, &faults[i]);
		assert_int_equal(test_run_with(NULL, &kernel.table,
					       wait_for_ended, &stage),
				 faults[i].error);
		assert_true(take_child(stage.child));
		assert_int_equal(test_process_descriptors(), before);
	}
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, test_mask_keep, test_mask_restore)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_child_that_ends_is_told_of_and_is_gone),
		CASE(wnohang_does_not_wait_and_wnowait_leaves_the_child),
		CASE(what_cannot_be_meant_is_refused),
		CASE(a_wait_ends_in_every_way_and_leaves_the_child),
		CASE(a_child_that_stops_is_told_of),
		CASE(without_the_operation_only_ends_of_one_are_waited_for),
		CASE(an_end_that_is_not_to_be_had_is_looked_for_again),
		CASE(what_a_look_and_a_descriptor_say_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
