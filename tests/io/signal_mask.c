/* SPDX-License-Identifier: MIT */
/*
 * What opening and closing sets of signals does to those that nobody takes:
 * what is blocked, what stays, what acts again; on other threads and in other
 * programs too. What would end the program runs in a child.
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/child.h"
#include "support/process.h"
#include "support/run.h"
#include "support/signals.h"

#include <pthread.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A function of its own, whose frame is gone when it returns. */
#define APART __attribute__((noinline))

/* Steps of a story that is told by the first one that is wrong: 1, 2, ... */
#define STEP(holds)                  \
	do {                         \
		step++;              \
		if (!(holds))        \
			return step; \
	} while (0)

static int close_with_some_pending(void *arg)
{
	struct rota_signals signals;
	int step = 0;

	(void)arg;
	STEP(!rota_signals_open(&signals, SIGUSR1, SIGTERM, SIGRTMIN));
	STEP(test_signal_is_blocked(SIGUSR1) &&
	     test_signal_is_blocked(SIGTERM));
	STEP(!test_signal_is_blocked(SIGUSR2));
	for (int i = 0; i < 100; i++) {
		test_signal_send(SIGUSR1);
		test_signal_send(SIGTERM);
		test_signal_send(SIGRTMIN);
	}
	rota_signals_close(&signals);
	STEP(!test_signal_is_blocked(SIGUSR1) &&
	     !test_signal_is_blocked(SIGTERM));
	STEP(!test_signal_is_pending(SIGUSR1) &&
	     !test_signal_is_pending(SIGRTMIN));
	return 0;
}

static int run_close_with_some_pending(void *arg)
{
	return test_run(close_with_some_pending, arg);
}

static void a_close_throws_away_what_came_and_nobody_took(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_close_with_some_pending, NULL);
	assert_int_equal(child.signal, 0);
	assert_int_equal(child.status, 0);
}

static int act_after_close(void *arg)
{
	struct rota_signals signals;

	(void)arg;
	if (rota_signals_open(&signals, SIGTERM))
		return 1;
	rota_signals_close(&signals);
	test_signal_send(SIGTERM);
	return rota_sleep(ROTA_SECOND);
}

static int run_act_after_close(void *arg)
{
	return test_run(act_after_close, arg);
}

static void after_the_close_a_signal_acts_again(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_act_after_close, NULL);
	assert_int_equal(child.signal, SIGTERM);
}

static int keep_what_was_blocked(void *arg)
{
	struct rota_signals signals;
	int step = 0;

	(void)arg;
	STEP(!rota_signals_open(&signals, SIGUSR1));
	test_signal_send(SIGUSR1);
	rota_signals_close(&signals);
	STEP(test_signal_is_blocked(SIGUSR1) &&
	     test_signal_is_pending(SIGUSR1));
	STEP(!rota_signals_open(&signals, SIGUSR1));
	STEP(rota_signals_wait(&signals, NULL) == SIGUSR1);
	rota_signals_close(&signals);
	STEP(test_signal_is_blocked(SIGUSR1) &&
	     !test_signal_is_pending(SIGUSR1));
	return 0;
}

static void what_was_blocked_before_stays_so_and_stays_pending(void **state)
{
	sigset_t set, before;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	assert_int_equal(test_run(keep_what_was_blocked, NULL), 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static int close_in_order(void *arg)
{
	const bool first_first = *(const bool *)arg;
	struct rota_signals one, other;
	struct rota_signals *early = first_first ? &one : &other;
	struct rota_signals *late = first_first ? &other : &one;
	int step = 0;

	STEP(!rota_signals_open(&one, SIGUSR1, SIGUSR2));
	STEP(!rota_signals_open(&other, SIGUSR1, SIGHUP));
	test_signal_send(SIGUSR1);
	rota_signals_close(early);
	STEP(test_signal_is_blocked(SIGUSR1) &&
	     test_signal_is_pending(SIGUSR1));
	STEP(test_signal_is_blocked(SIGUSR2) == !first_first);
	STEP(test_signal_is_blocked(SIGHUP) == first_first);
	STEP(rota_signals_wait(late, NULL) == SIGUSR1);
	test_signal_send(SIGUSR1);
	rota_signals_close(late);
	STEP(!test_signal_is_blocked(SIGUSR1) &&
	     !test_signal_is_pending(SIGUSR1));
	STEP(!test_signal_is_blocked(SIGUSR2) &&
	     !test_signal_is_blocked(SIGHUP));
	return 0;
}

static int run_close_in_order(void *arg)
{
	return test_run(close_in_order, arg);
}

static void the_last_close_unblocks_in_whatever_order(void **state)
{
	struct test_child child;

	(void)state;
	for (int i = 0; i < 2; i++) {
		bool first_first = i;

		test_child_run(&child, run_close_in_order, &first_first);
		assert_int_equal(child.signal, 0);
		assert_int_equal(child.status, 0);
	}
}

/* Of sets that all have the signal, any may be the last. */
static int close_at_random(void *arg)
{
	static const unsigned char orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 },
						   { 1, 0, 2 }, { 1, 2, 0 },
						   { 2, 0, 1 }, { 2, 1, 0 } };
	struct rota_signals sets[3];
	int step = 0;

	(void)arg;
	for (int i = 0; i < 6; i++) {
		for (int k = 0; k < 3; k++)
			STEP(!rota_signals_open(&sets[k], SIGUSR1));
		for (int k = 0; k < 3; k++) {
			STEP(test_signal_is_blocked(SIGUSR1));
			rota_signals_close(&sets[orders[i][k]]);
		}
		STEP(!test_signal_is_blocked(SIGUSR1));
	}
	return 0;
}

static void three_sets_are_closed_in_any_order(void **state)
{
	(void)state;
	assert_int_equal(test_run(close_at_random, NULL), 0);
}

static volatile sig_atomic_t handled;

static void count(int number)
{
	(void)number;
	handled = handled + 1;
}

static int await_handled(void *arg)
{
	struct rota_signals signals;
	int step = 0;

	(void)arg;
	STEP(!rota_signals_open(&signals, SIGUSR2));
	signal(SIGUSR2, count);
	test_signal_send(SIGUSR2);
	STEP(rota_signals_wait(&signals, NULL) == SIGUSR2);
	STEP(!handled);
	rota_signals_close(&signals);
	test_signal_send(SIGUSR2);
	STEP(handled == 1);
	return 0;
}

static void a_handler_does_not_run_while_it_is_open(void **state)
{
	(void)state;
	handled = 0;
	assert_int_equal(test_run(await_handled, NULL), 0);
	signal(SIGUSR2, SIG_DFL);
}

static int await_ignored(void *arg)
{
	struct rota_signals signals;
	int step = 0;

	(void)arg;
	signal(SIGHUP, SIG_IGN);
	STEP(!rota_signals_open(&signals, SIGHUP, SIGWINCH));
	test_signal_send(SIGHUP);
	STEP(rota_signals_wait(&signals, NULL) == SIGHUP);
	test_signal_send(SIGWINCH);
	STEP(rota_signals_wait(&signals, NULL) == SIGWINCH);
	rota_signals_close(&signals);
	signal(SIGHUP, SIG_DFL);
	return 0;
}

static void signals_that_are_ignored_are_waited_for(void **state)
{
	(void)state;
	assert_int_equal(test_run(await_ignored, NULL), 0);
}

/* A thread that is started meanwhile, to which the signal might go. */
static void *live_a_while(void *arg)
{
	const struct timespec while_it_comes = { .tv_nsec = 50000000 };

	(void)arg;
	nanosleep(&while_it_comes, NULL);
	return NULL;
}

static int await_beside_threads(void *arg)
{
	struct rota_signals signals;
	pthread_t threads[4];
	int step = 0;

	(void)arg;
	STEP(!rota_signals_open(&signals, SIGTERM));
	for (int i = 0; i < 4; i++)
		STEP(!pthread_create(&threads[i], NULL, live_a_while, NULL));
	for (int i = 0; i < 20; i++) {
		test_signal_send(SIGTERM);
		STEP(rota_signals_wait(&signals, NULL) == SIGTERM);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	rota_signals_close(&signals);
	return 0;
}

static int run_beside_threads(void *arg)
{
	return test_run(await_beside_threads, arg);
}

static void threads_that_are_started_meanwhile_inherit_that(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_beside_threads, NULL);
	assert_int_equal(child.signal, 0);
	assert_int_equal(child.status, 0);
}

static int await_of_this_thread(void *arg)
{
	struct rota_signals signals;
	int step = 0;

	(void)arg;
	STEP(!rota_signals_open(&signals, SIGUSR1));
	raise(SIGUSR1);
	STEP(rota_signals_wait(&signals, NULL) == SIGUSR1);
	rota_signals_close(&signals);
	return 0;
}

static void what_is_sent_to_the_loops_thread_is_waited_for(void **state)
{
	(void)state;
	assert_int_equal(test_run(await_of_this_thread, NULL), 0);
}

/* A program that ends itself by SIGTERM, if it can. Returns how it ended, as
 * waitpid(2) tells. */
static int spawn_one(bool empty_mask)
{
	static char *const words[] = { "sh", "-c", "kill -TERM $$; exit 7",
				       NULL };
	posix_spawnattr_t attributes;
	int status = -1;
	sigset_t none;
	pid_t child;

	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	if (empty_mask)
		posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	if (!posix_spawn(&child, "/bin/sh", NULL, &attributes, words, environ))
		waitpid(child, &status, 0);
	posix_spawnattr_destroy(&attributes);
	return status;
}

static int spawn_both(void *arg)
{
	struct rota_signals signals;
	int *ends = arg;
	const int error = rota_signals_open(&signals, SIGTERM);

	if (error)
		return error;
	ends[0] = spawn_one(false);
	ends[1] = spawn_one(true);
	rota_signals_close(&signals);
	return 0;
}

static void other_programs_inherit_it_unless_their_mask_is_given(void **state)
{
	int ends[2] = { -1, -1 };

	(void)state;
	assert_int_equal(test_run(spawn_both, ends), 0);
	assert_true(WIFEXITED(ends[0]) && WEXITSTATUS(ends[0]) == 7);
	assert_true(WIFSIGNALED(ends[1]) && WTERMSIG(ends[1]) == SIGTERM);
}

static int ask_for_what_cannot_be(void *arg)
{
	static const int wrong[] = { SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,  SIGFPE,
				     SIGILL,  SIGTRAP, SIGSYS,  SIGABRT, -1,
				     32,      33,      65,      1000 };
	const int step = (int)(sizeof(wrong) / sizeof(wrong[0]));
	struct rota_signals signals;

	(void)arg;
	for (int i = 0; i < step; i++)
		if (rota_signals_open(&signals, SIGUSR1, wrong[i]) != -EINVAL)
			return i + 1;
	if (rota_signals_open(&signals, 0) != -EINVAL)
		return step + 1;
	return test_signal_is_blocked(SIGUSR1) ? step + 2 : 0;
}

static void what_cannot_wait_or_be_waited_for_is_refused(void **state)
{
	const unsigned before = test_process_descriptors();

	(void)state;
	assert_int_equal(test_run(ask_for_what_cannot_be, NULL), 0);
	assert_int_equal(test_process_descriptors(), before);
}

static int open_each(void *arg)
{
	struct rota_signals signals;
	int step = 0;

	(void)arg;
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
		STEP(!rota_signals_open(&signals, number));
		test_signal_send(number);
		STEP(rota_signals_wait(&signals, NULL) == number);
		rota_signals_close(&signals);
	}
	return 0;
}

static void all_real_time_signals_are_waited_for(void **state)
{
	(void)state;
	assert_int_equal(test_run(open_each, NULL), 0);
}

static int leave_open(void *arg)
{
	struct rota_signals signals;

	(void)arg;
	TEST_NEXT_LINE();
	return rota_signals_open(&signals, SIGUSR1);
}

APART static int open_in_a_function(void)
{
	struct rota_signals signals;

	TEST_NEXT_LINE();
	return rota_signals_open(&signals, SIGUSR1);
}

static int return_past(void *arg)
{
	char room[4096];
	const int error = open_in_a_function();

	(void)arg;
	/* What was opened lies well below the next verb's frame. */
	__asm__ volatile("" : : "r"(room) : "memory");
	return error | rota_sleep(1);
}

static void one_left_open_is_named(void **state)
{
	(void)state;
	test_expect_abort(leave_open,
			  "the set of signals opened here is still open");
	test_expect_abort(return_past,
			  "the set of signals opened here is still open");
}

static int open_again(void *arg)
{
	struct rota_signals signals;
	int error = rota_signals_open(&signals, SIGUSR1);

	(void)arg;
	TEST_NEXT_LINE();
	error |= rota_signals_open(&signals, SIGUSR2);
	return error;
}

static int wait_for_closed(void *arg)
{
	struct rota_signals signals;
	int error = rota_signals_open(&signals, SIGUSR1);

	(void)arg;
	rota_signals_close(&signals);
	error |= rota_signals_wait(&signals, NULL);
	return error;
}

static int close_twice(void *arg)
{
	struct rota_signals signals;
	int error;

	(void)arg;
	TEST_NEXT_LINE();
	error = rota_signals_open(&signals, SIGUSR1);
	rota_signals_close(&signals);
	rota_signals_close(&signals);
	return error;
}

static int close_it(void *value)
{
	rota_signals_close(*(struct rota_signals **)value);
	return 0;
}

static int close_elsewhere(void *arg)
{
	struct rota_signals signals;
	struct rota_group group;
	int error;

	(void)arg;
	TEST_NEXT_LINE();
	error = rota_signals_open(&signals, SIGUSR1);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, close_it, &signals);
	return error | rota_group_wait(&group);
}

static void other_broken_promises_are_named(void **state)
{
	(void)state;
	test_expect_abort(open_again, "the set of signals is open already");
	test_expect_abort(wait_for_closed, "rota_signals_wait in task");
	test_expect_abort(close_twice,
			  "the set of signals opened here has ended already");
	test_expect_abort(close_elsewhere,
			  "the set of signals opened here is another task's");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_close_throws_away_what_came_and_nobody_took),
		cmocka_unit_test(after_the_close_a_signal_acts_again),
		cmocka_unit_test(
			what_was_blocked_before_stays_so_and_stays_pending),
		cmocka_unit_test(the_last_close_unblocks_in_whatever_order),
		cmocka_unit_test(three_sets_are_closed_in_any_order),
		cmocka_unit_test(a_handler_does_not_run_while_it_is_open),
		cmocka_unit_test(signals_that_are_ignored_are_waited_for),
		cmocka_unit_test(
			threads_that_are_started_meanwhile_inherit_that),
		cmocka_unit_test(
			what_is_sent_to_the_loops_thread_is_waited_for),
		cmocka_unit_test(
			other_programs_inherit_it_unless_their_mask_is_given),
		cmocka_unit_test(what_cannot_wait_or_be_waited_for_is_refused),
		cmocka_unit_test(all_real_time_signals_are_waited_for),
		cmocka_unit_test(one_left_open_is_named),
		cmocka_unit_test(other_broken_promises_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
