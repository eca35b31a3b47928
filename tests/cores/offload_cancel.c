/* SPDX-License-Identifier: MIT */
/*
 * A blocking call that is cancelled: before it waits, while it waits for a
 * thread, while it runs; and one that does not end.
 */
#include "cores/offload.h"
#include "rota/rota.h"
#include "support/child.h"
#include "support/log.h"
#include "support/random.h"
#include "support/timed.h"
#include "support/run.h"
#include "support/valve.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct rota_config one_thread = { .offload_threads = 1 };

struct seen {
	struct test_log log;
	struct test_valve valve;
	struct rota_group group, *inner;
	int codes[8];
	atomic_uint ran;     /* calls that are not to run, and did */
	int64_t times_ns[2]; /* since the start */
};

static int run(void *arg)
{
	struct seen *seen = arg;

	atomic_fetch_add(&seen->ran, 1);
	return 7;
}

static int block(void *value)
{
	struct seen *seen = *(struct seen **)value;

	seen->codes[6] = rota_offload(test_valve_call, &seen->valve);
	return 0;
}

/* The only thread is busy, and then others wait for it. */
static int open_busy(struct seen *seen)
{
	const int error = rota_go(&seen->group, block, seen) | rota_yield();

	test_valve_await(&seen->valve, 1);
	return error;
}

static int call_cancelled(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	struct rota_shield shield;

	rota_group_open(&group, NULL);
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	seen->codes[0] = rota_offload(run, seen);
	seen->codes[1] = (int)atomic_load(&seen->ran);
	rota_shield_begin(&shield, ROTA_NEVER);
	seen->codes[2] = rota_offload(run, seen);
	rota_shield_end(&shield);
	rota_group_wait(&group);
	return 0;
}

static void in_a_cancelled_task_nothing_is_called(void **state)
{
	struct seen seen = { .ran = 0 };

	(void)state;
	assert_int_equal(test_run(call_cancelled, &seen), 0);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[1], 0);
	assert_int_equal(seen.codes[2], 7);
}

static int wait_in_line(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_group group;

	rota_group_open(&group, NULL);
	seen->inner = &group;
	seen->codes[0] = rota_offload(run, seen);
	seen->codes[1] = rota_group_wait(&group);
	return 0;
}

static int cancel_in_line(void *arg)
{
	struct seen *seen = arg;

	rota_group_open(&seen->group, NULL);
	seen->codes[2] = open_busy(seen);
	seen->codes[3] = rota_go(&seen->group, wait_in_line, seen);
	seen->codes[4] = rota_yield();
	rota_group_cancel(seen->inner, (struct rota_cancellation){ 0, NULL });
	while (!seen->codes[0])
		seen->codes[4] |= rota_yield();
	/* It is gone, and the thread is still busy. */
	seen->codes[5] = (int)test_valve_passed(&seen->valve);
	test_valve_open(&seen->valve);
	return rota_group_wait(&seen->group);
}

static void a_cancel_takes_a_call_back_that_waits_for_a_thread(void **state)
{
	struct seen seen = { .ran = 0 };

	(void)state;
	assert_int_equal(
		test_run_with(&one_thread, NULL, cancel_in_line, &seen), 0);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[1], -ECANCELED);
	for (int i = 2; i < 6; i++)
		assert_int_equal(seen.codes[i], 0);
	assert_int_equal(seen.ran, 0);
}

static int time_in_line(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, rota_after_ns(5 * ROTA_SECOND));
	seen->codes[0] = rota_offload(run, seen);
	seen->times_ns[0] = test_now_ns();
	seen->codes[1] = !rota_deadline_end(&deadline);
	test_valve_open(&seen->valve);
	return 0;
}

static int expire_in_line(void *arg)
{
	struct seen *seen = arg;

	rota_group_open(&seen->group, NULL);
	seen->codes[2] = open_busy(seen);
	seen->codes[3] = rota_go(&seen->group, time_in_line, seen);
	return rota_group_wait(&seen->group);
}

static void a_deadline_takes_a_call_back_that_waits_for_a_thread(void **state)
{
	struct seen seen = { .ran = 0 };

	(void)state;
	assert_int_equal(test_run_timed_with(&one_thread, NULL, expire_in_line,
					     &seen),
			 0);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.times_ns[0], 5 * ROTA_SECOND);
	for (int i = 1; i < 4; i++)
		assert_int_equal(seen.codes[i], 0);
	assert_int_equal(seen.ran, 0);
}

static int pass_valve(void *arg)
{
	struct seen *seen = arg;

	test_valve_pass(&seen->valve);
	return run(arg);
}

static int call_and_note(void *value)
{
	struct seen *seen = *(struct seen **)value;

	seen->codes[0] = rota_offload(pass_valve, seen);
	seen->codes[1] = rota_cancelled();
	seen->times_ns[0] = test_now_ns();
	return 0;
}

/* Cancelled by hand, long before it returns. */
static int cancel_running(void *arg)
{
	struct seen *seen = arg;

	rota_group_open(&seen->group, NULL);
	seen->codes[2] = rota_go(&seen->group, call_and_note, seen);
	seen->codes[3] = rota_yield();
	test_valve_await(&seen->valve, 1);
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0, NULL });
	seen->codes[4] = rota_yield();
	seen->codes[5] = seen->codes[1];
	test_valve_open(&seen->valve);
	return rota_group_wait(&seen->group);
}

static void a_cancel_waits_for_a_call_that_runs(void **state)
{
	struct seen seen = { .ran = 0 };

	(void)state;
	assert_int_equal(test_run_timed(cancel_running, &seen), -ECANCELED);
	assert_int_equal(seen.codes[0], 7);
	assert_int_equal(seen.codes[1], -ECANCELED);
	assert_int_equal(seen.codes[2] | seen.codes[3], 0);
	assert_int_equal(seen.codes[4], -ECANCELED);
	assert_int_equal(seen.codes[5], 0);
	assert_int_equal(seen.ran, 1);
}

static int open_late(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_shield shield;

	rota_shield_begin(&shield, ROTA_NEVER);
	seen->codes[3] = rota_sleep(9 * ROTA_SECOND);
	test_valve_open(&seen->valve);
	rota_shield_end(&shield);
	return 0;
}

static int expire_running(void *arg)
{
	struct seen *seen = arg;

	rota_group_open(&seen->group,
			&(struct rota_group_options){
				.deadline_ns = rota_after_ns(ROTA_SECOND) });
	seen->codes[2] = rota_go(&seen->group, call_and_note, seen);
	seen->codes[2] |= rota_yield();
	test_valve_await(&seen->valve, 1);
	seen->codes[2] |= rota_go(&seen->group, open_late, seen);
	return rota_group_wait(&seen->group);
}

static void a_deadline_waits_for_a_call_that_runs(void **state)
{
	struct seen seen = { .ran = 0 };

	(void)state;
	assert_int_equal(test_run_timed(expire_running, &seen), -ETIME);
	assert_int_equal(seen.codes[0], 7);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_int_equal(seen.codes[2] | seen.codes[3], 0);
	assert_true(seen.times_ns[0] >= 9 * ROTA_SECOND);
	assert_int_equal(seen.ran, 1);
}

/* It returns only after the drain has given up. */
static int drain_stuck(void *arg)
{
	struct seen *seen = arg;

	rota_group_open(&seen->group,
			&(struct rota_group_options){ .name = "workers" });
	seen->codes[0] = rota_go(&seen->group, block, seen);
	seen->codes[1] = rota_yield();
	test_valve_await(&seen->valve, 1);
	rota_group_drain(&seen->group, 3 * ROTA_SECOND);
	seen->codes[2] = rota_sleep(5 * ROTA_SECOND);
	seen->times_ns[0] = test_now_ns();
	test_valve_open(&seen->valve);
	return rota_group_wait(&seen->group);
}

static void a_drain_names_a_call_that_does_not_return(void **state)
{
	static struct seen seen;
	const struct rota_config config = { .log = test_log_write,
					    .context = &seen.log };

	(void)state;
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(test_run_timed_with(&config, NULL, drain_stuck, &seen),
			 -ESHUTDOWN);
	assert_int_equal(seen.codes[0] | seen.codes[1], 0);
	assert_int_equal(seen.codes[2], -ECANCELED);
	assert_int_equal(seen.times_ns[0], 3 * ROTA_SECOND);
	assert_int_equal(seen.codes[6], 0);
	assert_int_equal(seen.log.lines, 1);
	assert_true(test_log_has(&seen.log, " block (spawned at "));
	assert_true(test_log_has(
		&seen.log, ", group workers) waits in rota_offload for "));
}

static int sleep_in_call(void *arg)
{
	(void)arg;
	return rota_sleep(1);
}

static void tell_abort(void *context, const char *line)
{
	(void)context;
	(void)!write(STDERR_FILENO, "told: ", 6);
	(void)!write(STDERR_FILENO, line, strlen(line));
}

static int call_verb(void *arg)
{
	return rota_offload(sleep_in_call, arg);
}

static int run_verb(void *arg)
{
	const struct rota_config config = { .on_abort = tell_abort };

	return rota_run(&config, call_verb, arg);
}

static void a_verb_in_a_call_aborts_and_the_hook_is_told(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_verb, NULL);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors, "told: "));
	assert_non_null(strstr(child.errors, "outside of a task"));
}

/* The child returns; the parent tells how it ended. */
static int fork_in_call(void *arg)
{
	const pid_t child = fork();
	int status = 0;

	(void)arg;
	if (child <= 0)
		return child;
	return waitpid(child, &status, 0) == child && WIFSIGNALED(status)
		       ? WTERMSIG(status)
		       : -1;
}

static int call_fork(void *arg)
{
	return rota_offload(fork_in_call, arg);
}

static int run_fork(void *arg)
{
	return rota_run(NULL, call_fork, arg);
}

static void a_child_that_returns_from_a_call_aborts(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_fork, NULL);
	assert_int_equal(child.status, SIGABRT);
	assert_non_null(strstr(child.errors, "in a child of fork(2)"));
}

#define MEMBERS 8
#define LAPS 2000u

struct storm {
	struct test_random random;
	struct rota_group *groups[MEMBERS]; /* open ones, to cancel */
	unsigned members;                   /* that go on */
	unsigned told;                      /* calls that returned 7 */
	unsigned refused;                   /* ... a code */
	unsigned odd;                       /* ... anything else */
	struct seen seen;
};

static int storm_call(struct storm *storm, unsigned index)
{
	struct rota_group group;
	int result;

	rota_group_open(&group, NULL);
	storm->groups[index] = &group;
	result = rota_offload(run, &storm->seen);
	storm->groups[index] = NULL;
	rota_group_wait(&group);
	return result;
}

static int storm_member(void *value)
{
	struct storm *storm = *(struct storm **)value;
	const unsigned index = storm->members++;

	for (unsigned lap = test_rounds(LAPS); lap; lap--) {
		const int result = storm_call(storm, index);

		storm->told += result == 7;
		storm->refused += result == -ECANCELED;
		storm->odd += result != 7 && result != -ECANCELED;
	}
	return storm->members--, 0;
}

static int storm_cancel(void *arg)
{
	struct storm *storm = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (int i = 0; i < MEMBERS; i++)
		error |= rota_go(&group, storm_member, storm);
	error |= rota_yield();
	while (storm->members) {
		struct rota_group *victim = storm->groups[test_random_below(
			&storm->random, MEMBERS)];

		if (victim)
			rota_group_cancel(victim,
					  (struct rota_cancellation){ 0 });
		error |= rota_sleep((int64_t)test_random_below(
			&storm->random, 20 * ROTA_MICROSECOND));
	}
	return error | rota_group_wait(&group);
}

static void each_call_runs_or_is_taken_back_under_random_cancels(void **state)
{
	static struct storm storm;
	const struct rota_config config = { .offload_threads = 2 };

	(void)state;
	test_random_init(&storm.random);
	assert_int_equal(test_run_with(&config, NULL, storm_cancel, &storm), 0);
	assert_int_equal(storm.odd, 0);
	assert_int_equal(storm.told + storm.refused,
			 MEMBERS * test_rounds(LAPS));
	assert_int_equal(storm.told, storm.seen.ran);
	print_message("%u ran, %u were taken back\n", storm.told,
		      storm.refused);
	assert_true(storm.told > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First those that fork: no thread may run. */
		cmocka_unit_test(a_verb_in_a_call_aborts_and_the_hook_is_told),
		cmocka_unit_test(a_child_that_returns_from_a_call_aborts),
		cmocka_unit_test(in_a_cancelled_task_nothing_is_called),
		cmocka_unit_test(
			a_cancel_takes_a_call_back_that_waits_for_a_thread),
		cmocka_unit_test(
			a_deadline_takes_a_call_back_that_waits_for_a_thread),
		cmocka_unit_test(a_cancel_waits_for_a_call_that_runs),
		cmocka_unit_test(a_deadline_waits_for_a_call_that_runs),
		cmocka_unit_test(a_drain_names_a_call_that_does_not_return),
		cmocka_unit_test(
			each_call_runs_or_is_taken_back_under_random_cancels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
