/* SPDX-License-Identifier: MIT */
/*
 * Signals that tasks wait for: each sentence of rota/signal.h. What comes in
 * SIGUSR1 would end this program if it acted, and so would the others here.
 */
#include "rota/rota.h"
#include "support/blocked.h"
#include "support/process.h"
#include "support/run.h"
#include "support/signals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WAITS_MAX 4

struct stage {
	struct rota_signals signals;
	struct rota_signal report;
	int results[WAITS_MAX]; /* of waits, in the order in which they end */
	unsigned ended;
	int error;
	bool blocked[WAITS_MAX];
	bool pending[WAITS_MAX];
};

static void note(struct stage *stage, int result)
{
	if (stage->ended < WAITS_MAX)
		stage->results[stage->ended] = result;
	stage->ended++;
}

static int wait_in_group(void *value)
{
	struct stage *stage = *(struct stage **)value;

	note(stage, rota_signals_wait(&stage->signals, &stage->report));
	return 0;
}

/* Opens a set, and a group in which so many wait for it. */
static int open_with_waiters(struct stage *stage, struct rota_group *group,
			     rota_task_fn *wait, unsigned count)
{
	int error = rota_signals_open(&stage->signals, SIGUSR1);

	if (error)
		return error;
	rota_group_open(group, NULL);
	while (count-- && !error)
		error = rota_go(group, wait, stage);
	return error ? error : rota_sleep(ROTA_MILLISECOND);
}

static int wait_then_send(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error = open_with_waiters(stage, &group, wait_in_group, 1);

	if (error)
		return error;
	stage->error = (int)stage->ended;
	test_signal_send(SIGUSR1);
	error |= rota_group_wait(&group);
	rota_signals_close(&stage->signals);
	return error;
}

static void a_signal_wakes_who_waits_and_tells_who_sent_it(void **state)
{
	struct stage stage = { .error = -1 };

	(void)state;
	assert_int_equal(test_run(wait_then_send, &stage), 0);
	assert_int_equal(stage.error, 0);
	assert_int_equal(stage.results[0], SIGUSR1);
	assert_int_equal(stage.report.number, SIGUSR1);
	assert_int_equal(stage.report.code, SI_USER);
	assert_int_equal(stage.report.process, getpid());
	assert_int_equal(stage.report.user, getuid());
}

/* Waits until nothing has come for a while. */
static int take_all(struct stage *stage)
{
	struct rota_deadline deadline;
	int number;

	do {
		rota_deadline_begin(&deadline,
				    rota_after_ns(20 * ROTA_MILLISECOND));
		number = rota_signals_wait(&stage->signals, &stage->report);
		rota_deadline_end(&deadline);
		note(stage, number);
	} while (number > 0);
	return number;
}

static int send_then_wait(void *arg)
{
	struct stage *stage = arg;
	int error = rota_signals_open(&stage->signals, SIGUSR1, SIGHUP);

	if (error)
		return error;
	test_signal_send(SIGUSR1);
	test_signal_send(SIGUSR1);
	test_signal_send(SIGHUP);
	test_signal_send(SIGUSR1);
	error = take_all(stage);
	rota_signals_close(&stage->signals);
	return error;
}

static void what_comes_while_nobody_waits_is_kept_once(void **state)
{
	struct stage stage = { .error = 0 };

	(void)state;
	assert_int_equal(test_run(send_then_wait, &stage), -ETIME);
	assert_int_equal(stage.ended, 3);
	assert_int_equal(stage.results[0], SIGHUP);
	assert_int_equal(stage.results[1], SIGUSR1);
	assert_int_equal(stage.results[2], -ETIME);
}

static int queue_then_wait(void *arg)
{
	struct stage *stage = arg;
	int error = rota_signals_open(&stage->signals, SIGRTMIN + 3);

	if (error)
		return error;
	for (int i = 1; i <= 3; i++)
		sigqueue(getpid(), SIGRTMIN + 3,
			 (union sigval){ .sival_int = 100 * i });
	for (int i = 1; i <= 3; i++) {
		error |= rota_signals_wait(&stage->signals, &stage->report) !=
			 SIGRTMIN + 3;
		note(stage, (int)stage->report.value);
	}
	error |= stage->report.code != SI_QUEUE;
	rota_signals_close(&stage->signals);
	return error;
}

static void real_time_signals_come_each_time_with_their_values(void **state)
{
	struct stage stage = { .error = 0 };

	(void)state;
	assert_int_equal(test_run(queue_then_wait, &stage), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stage.results[i], 100 * (i + 1));
}

static int wait_for_child(void *arg)
{
	struct stage *stage = arg;
	int error = rota_signals_open(&stage->signals, SIGCHLD);
	pid_t child;

	if (error)
		return error;
	child = fork();
	if (!child)
		_exit(5);
	note(stage, rota_signals_wait(&stage->signals, &stage->report));
	stage->error = stage->report.process != child;
	waitpid(child, NULL, 0);
	rota_signals_close(&stage->signals);
	return 0;
}

static void a_child_that_ends_is_reported_with_its_status(void **state)
{
	struct stage stage = { .error = 1 };

	(void)state;
	assert_int_equal(test_run(wait_for_child, &stage), 0);
	assert_int_equal(stage.results[0], SIGCHLD);
	assert_int_equal(stage.error, 0);
	assert_int_equal(stage.report.code, CLD_EXITED);
	assert_int_equal(stage.report.status, 5);
}

static int wait_in_two(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error = open_with_waiters(stage, &group, wait_in_group, 2);

	if (error)
		return error;
	for (int i = 0; i < 2; i++) {
		error |= rota_sleep(5 * ROTA_MILLISECOND);
		test_signal_send(SIGUSR1);
		error |= rota_sleep(5 * ROTA_MILLISECOND);
		stage->error = stage->error * 10 + (int)stage->ended;
	}
	error |= rota_group_wait(&group);
	rota_signals_close(&stage->signals);
	return error;
}

static void of_two_that_wait_each_signal_wakes_one(void **state)
{
	struct stage stage = { .error = 0 };

	(void)state;
	assert_int_equal(test_run(wait_in_two, &stage), 0);
	assert_int_equal(stage.error, 12);
	assert_int_equal(stage.results[0], SIGUSR1);
	assert_int_equal(stage.results[1], SIGUSR1);
}

static int wait_for_the_other(void *value)
{
	struct stage *stage = *(struct stage **)value;
	struct rota_signals signals;
	const int error = rota_signals_open(&signals, SIGUSR1);

	if (error)
		return error;
	note(stage, rota_signals_wait(&signals, NULL));
	rota_signals_close(&signals);
	return 0;
}

static int open_twice(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error = rota_signals_open(&stage->signals, SIGHUP, SIGUSR1);

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go(&group, wait_in_group, stage);
	error |= rota_go(&group, wait_for_the_other, stage);
	error |= rota_sleep(5 * ROTA_MILLISECOND);
	test_signal_send(SIGUSR1);
	test_signal_send(SIGHUP);
	error |= rota_group_wait(&group);
	rota_signals_close(&stage->signals);
	return error;
}

static void two_sets_share_a_signal_and_each_has_its_own(void **state)
{
	struct stage stage = { .error = 0 };

	(void)state;
	assert_int_equal(test_run(open_twice, &stage), 0);
	assert_int_equal(stage.ended, 2);
	assert_int_equal(stage.results[0] + stage.results[1], SIGUSR1 + SIGHUP);
}

/* Of the race that runs: the signal is blocked already, so what is left when
 * the set is closed can still be looked for. */
static int block_and_prepare(struct race *race)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	race->fd = race->peer = -1;
	return 0;
}

static int open_and_wait(struct race *race)
{
	struct rota_signals signals;
	int result = rota_signals_open(&signals, SIGUSR1);

	if (result)
		return result;
	(void)race;
	result = rota_signals_wait(&signals, NULL);
	rota_signals_close(&signals);
	return result;
}

static int send_to_race(struct race *race)
{
	(void)race;
	test_signal_send(SIGUSR1);
	return 0;
}

static bool signal_remains(struct race *race)
{
	const struct timespec none = { 0 };
	sigset_t set;

	(void)race;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return sigtimedwait(&set, NULL, &none) == SIGUSR1;
}

static const struct race_verb wait_verb = {
	"signals_wait",     block_and_prepare,
	open_and_wait,      send_to_race,
	signal_remains,     false,
	IORING_OP_POLL_ADD, 0
};

static int send_and_prepare(struct race *race)
{
	block_and_prepare(race);
	return send_to_race(race);
}

static const struct race_verb told_verb = {
	"signals_wait",     send_and_prepare,
	open_and_wait,      send_to_race,
	signal_remains,     false,
	IORING_OP_POLL_ADD, 0
};

static void a_wait_ends_in_every_way_and_loses_no_signal(void **state)
{
	(void)state;
	test_blocked(&wait_verb, SIGUSR1, false);
	assert_false(test_signal_is_pending(SIGUSR1));
}

static void a_signal_that_came_before_the_cancel_is_returned(void **state)
{
	(void)state;
	test_told(&told_verb, SIGUSR1);
	assert_false(test_signal_is_pending(SIGUSR1));
}

static int wait_when_cancelled(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	int error;

	rota_deadline_begin(&deadline, 0);
	error = rota_signals_open(&stage->signals, SIGUSR1);
	test_signal_send(SIGUSR1);
	if (!error)
		note(stage, rota_signals_wait(&stage->signals, NULL));
	stage->pending[0] = test_signal_is_pending(SIGUSR1);
	rota_signals_close(&stage->signals);
	rota_deadline_end(&deadline);
	return error;
}

static void in_a_cancelled_task_it_opens_takes_nothing_and_closes(void **state)
{
	struct stage stage = { .error = 0 };

	(void)state;
	assert_int_equal(test_run(wait_when_cancelled, &stage), 0);
	assert_int_equal(stage.results[0], -ETIME);
	assert_true(stage.pending[0]);
	assert_false(test_signal_is_blocked(SIGUSR1));
}

static int wait_idly(void *value)
{
	struct stage *stage = *(struct stage **)value;
	struct rota_idle idle;

	rota_idle_begin(&idle);
	note(stage, rota_signals_wait(&stage->signals, NULL));
	rota_idle_end(&idle);
	return 0;
}

static int drain_who_waits(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error = open_with_waiters(stage, &group, wait_idly, 1);

	if (error)
		return error;
	rota_group_drain(&group, ROTA_NEVER);
	error |= rota_group_wait(&group);
	rota_signals_close(&stage->signals);
	return error;
}

static void a_drain_ends_an_idle_wait(void **state)
{
	struct stage stage = { .error = 0 };

	(void)state;
	assert_int_equal(test_run(drain_who_waits, &stage), 0);
	assert_int_equal(stage.results[0], -ESHUTDOWN);
}

static int close_under_waiters(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error = open_with_waiters(stage, &group, wait_in_group, 2);

	if (error)
		return error;
	/* Its frame might be gone when they go on. */
	rota_signals_close(&stage->signals);
	memset(&stage->signals, 0xa5, sizeof(stage->signals));
	return error | rota_group_wait(&group);
}

static void who_waits_when_it_is_closed_is_told(void **state)
{
	struct stage stage = { .error = 0 };

	(void)state;
	assert_int_equal(test_run(close_under_waiters, &stage), 0);
	assert_int_equal(stage.ended, 2);
	assert_int_equal(stage.results[0], -EBADF);
	assert_int_equal(stage.results[1], -EBADF);
}

struct held {
	struct stage stage;
	struct test_kernel kernel;
	int opcode; /* whose completions are held back */
};

/* A signal has ended the poll, which nobody knows yet; the set is closed, and
 * another one gets its descriptor's number. */
static int close_after_the_poll(void *arg)
{
	struct held *held = arg;
	struct stage *stage = &held->stage;
	struct rota_group group;
	struct rota_signals next;
	int error = rota_signals_open(&stage->signals, SIGUSR1);
	int fd;

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go(&group, wait_in_group, stage);
	error |= race_settle();
	test_signal_send(SIGUSR1);
	while (!error && !test_kernel_held(&held->kernel))
		error |= race_settle();
	fd = stage->signals.fd;
	rota_signals_close(&stage->signals);
	error |= rota_signals_open(&next, SIGUSR1);
	error |= next.fd != fd;
	test_signal_send(SIGUSR1);
	test_kernel_hold(&held->kernel, NULL, NULL);
	test_kernel_release_all(&held->kernel);
	error |= race_settle();
	note(stage, rota_signals_wait(&next, NULL));
	rota_signals_close(&next);
	return error | rota_group_wait(&group);
}

static void a_wait_that_was_closed_takes_nothing_from_others(void **state)
{
	struct held held = { .opcode = IORING_OP_POLL_ADD };

	(void)state;
	test_kernel_init(&held.kernel);
	test_kernel_hold(&held.kernel, test_hold_opcode, &held.opcode);
	assert_int_equal(test_run_with(NULL, &held.kernel.table,
				       close_after_the_poll, &held),
			 0);
	assert_int_equal(held.stage.results[0], -EBADF);
	assert_int_equal(held.stage.results[1], SIGUSR1);
}

static int open_with_fault(void *arg)
{
	struct stage *stage = arg;
	const int error = rota_signals_open(&stage->signals, SIGUSR1);

	stage->blocked[0] = test_signal_is_blocked(SIGUSR1);
	return error;
}

static void without_a_descriptor_nothing_is_open_or_blocked(void **state)
{
	const unsigned before = test_process_descriptors();
	const struct test_fault fault = { .call = TEST_SIGNALS_OPEN,
					  .error = -EMFILE };
	struct stage stage = { .blocked = { true } };
	struct test_kernel kernel;

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_fail(&kernel, &fault);
	assert_int_equal(test_run_with(NULL, &kernel.table, open_with_fault,
				       &stage),
			 -EMFILE);
	assert_false(stage.blocked[0]);
	assert_int_equal(test_process_descriptors(), before);
}

static int take_with_fault(void *arg)
{
	struct stage *stage = arg;
	const int error = rota_signals_open(&stage->signals, SIGUSR1);

	if (error)
		return error;
	test_signal_send(SIGUSR1);
	note(stage, rota_signals_wait(&stage->signals, NULL));
	note(stage, rota_signals_wait(&stage->signals, NULL));
	rota_signals_close(&stage->signals);
	return 0;
}

/* As if another one had been quicker; and an error that nobody expects. */
static void a_take_in_vain_waits_again_and_an_error_is_told(void **state)
{
	const struct test_fault faults[] = {
		{ .call = TEST_SIGNALS_TAKE, .error = -EAGAIN, .times = 3 },
		{ .call = TEST_SIGNALS_TAKE, .error = -EIO, .nth = 4 },
	};
	struct stage stage = { .error = 0 };
	struct test_kernel kernel;

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_fail(&kernel, &faults[0]);
	test_kernel_fail(&kernel, &faults[1]);
	assert_int_equal(
		test_run_with(NULL, &kernel.table, take_with_fault, &stage), 0);
	assert_int_equal(stage.results[0], -EIO);
	assert_int_equal(stage.results[1], SIGUSR1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_signal_wakes_who_waits_and_tells_who_sent_it),
		cmocka_unit_test(what_comes_while_nobody_waits_is_kept_once),
		cmocka_unit_test(
			real_time_signals_come_each_time_with_their_values),
		cmocka_unit_test(a_child_that_ends_is_reported_with_its_status),
		cmocka_unit_test(of_two_that_wait_each_signal_wakes_one),
		cmocka_unit_test(two_sets_share_a_signal_and_each_has_its_own),
		cmocka_unit_test(
			in_a_cancelled_task_it_opens_takes_nothing_and_closes),
		cmocka_unit_test(a_drain_ends_an_idle_wait),
		cmocka_unit_test(who_waits_when_it_is_closed_is_told),
		cmocka_unit_test(
			a_wait_that_was_closed_takes_nothing_from_others),
		cmocka_unit_test(
			without_a_descriptor_nothing_is_open_or_blocked),
		cmocka_unit_test(
			a_take_in_vain_waits_again_and_an_error_is_told),
		/* From here on SIGUSR1 is blocked. */
		cmocka_unit_test(a_wait_ends_in_every_way_and_loses_no_signal),
		cmocka_unit_test(
			a_signal_that_came_before_the_cancel_is_returned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
