/* SPDX-License-Identifier: MIT */
/*
 * Blocking calls: where they run, what they return, how many at a time, and
 * what is left of the threads.
 */
#include "cores/offload.h"
#include "rota/rota.h"
#include "support/kernel.h"
#include "support/log.h"
#include "support/mask.h"
#include "support/run.h"
#include "support/valve.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CALLS 20u

struct seen {
	struct test_kernel kernel;
	struct test_log log;
	struct test_valve valve;
	struct rota_group group;
	int codes[8];
	int order[CALLS + 1]; /* which call ran when */
	atomic_uint ran;      /* calls so far */
	atomic_uint running;  /* at this moment */
	atomic_uint most;     /* ... at most, so far */
	unsigned threads[4];  /* of the pool, at some moments */
	pid_t thread;         /* that a call ran on */
	sigset_t signals;     /* blocked on it */
	cpu_set_t processors; /* that it may use */
	unsigned passed;
	atomic_uint joined; /* threads */
	atomic_bool wakes;  /* a thread wakes the loop right now */
	bool closed_early;  /* what it wakes it by was closed meanwhile */
};

struct one {
	struct seen *seen;
	int number;
};

static struct ri_offload *pool(void)
{
	return ri_tasks_here()->offload;
}

static unsigned threads_now(void)
{
	unsigned threads;

	pthread_mutex_lock(&pool()->mutex);
	threads = pool()->threads;
	pthread_mutex_unlock(&pool()->mutex);
	return threads;
}

static int note_thread(void *arg)
{
	struct seen *seen = arg;

	seen->thread = gettid();
	pthread_sigmask(SIG_SETMASK, NULL, &seen->signals);
	pthread_getaffinity_np(pthread_self(), sizeof(seen->processors),
			       &seen->processors);
	return 42;
}

static int call_thrice(void *arg)
{
	struct seen *seen = arg;

	seen->codes[0] = rota_offload(note_thread, seen);
	seen->threads[0] = threads_now();
	return seen->codes[0] == rota_offload(note_thread, seen) ? 0 : -EPROTO;
}

static void a_call_runs_on_another_thread_and_tells_its_result(void **state)
{
	struct seen seen = { .ran = 0 };

	(void)state;
	assert_int_equal(test_run(call_thrice, &seen), 0);
	assert_int_equal(seen.codes[0], 42);
	assert_int_not_equal(seen.thread, 0);
	assert_int_not_equal(seen.thread, gettid());
	assert_int_equal(seen.threads[0], 1);
}

static int go_wrong(void *arg)
{
	(void)arg;
	return -EILSEQ;
}

static int call_in_vain(void *arg)
{
	return rota_offload(go_wrong, arg);
}

static void what_a_call_fails_with_is_told_too(void **state)
{
	(void)state;
	assert_int_equal(test_run(call_in_vain, NULL), -EILSEQ);
}

/* The loop is the one that lets it go on. */
static int open_valve(void *value)
{
	struct seen *seen = *(struct seen **)value;

	test_valve_await(&seen->valve, 1);
	seen->codes[0] = rota_sleep(ROTA_MILLISECOND);
	test_valve_open(&seen->valve);
	return 0;
}

static int go_on_meanwhile(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	seen->codes[1] = rota_go(&group, open_valve, seen);
	seen->codes[2] = rota_offload(test_valve_call, &seen->valve);
	return rota_group_wait(&group);
}

static void other_tasks_go_on_while_it_blocks(void **state)
{
	struct seen seen = { .ran = 0 };

	(void)state;
	assert_int_equal(test_run(go_on_meanwhile, &seen), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(seen.codes[i], 0);
}

static void other_tasks_go_on_where_an_eventfd_wakes_the_loop(void **state)
{
	setenv("ROTA_MASK", "ring_message", 1);
	other_tasks_go_on_while_it_blocks(state);
}

static int count_me(void *arg)
{
	struct one *one = arg;
	struct seen *seen = one->seen;
	const struct timespec pause = { .tv_nsec = 200000 };
	const unsigned running = atomic_fetch_add(&seen->running, 1) + 1;
	unsigned most = atomic_load(&seen->most);

	seen->order[atomic_fetch_add(&seen->ran, 1)] = one->number;
	while (running > most &&
	       !atomic_compare_exchange_weak(&seen->most, &most, running))
		;
	nanosleep(&pause, NULL);
	atomic_fetch_sub(&seen->running, 1);
	return 0;
}

static int call_one(void *value)
{
	struct one *one = value;

	return rota_offload(count_me, one);
}

static int call_many(void *arg)
{
	struct seen *seen = arg;
	struct one one = { .seen = seen };
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (; one.number < (int)CALLS; one.number++)
		error |= rota_go(&group, call_one, one);
	error |= rota_group_wait(&group);
	seen->threads[0] = threads_now();
	return error;
}

static int call_valve(void *value)
{
	struct seen *seen = *(struct seen **)value;

	return rota_offload(test_valve_call, &seen->valve) >= 0 ? 0 : -EPROTO;
}

/* As many as may run do; then the others. */
static int fill_the_pool(void *arg)
{
	struct seen *seen = arg;
	int error = 0;

	rota_group_open(&seen->group, NULL);
	for (unsigned i = 0; i < CALLS; i++)
		error |= rota_go(&seen->group, call_valve, seen);
	error |= rota_yield();
	test_valve_await(&seen->valve, 3);
	pthread_mutex_lock(&pool()->mutex);
	seen->threads[0] = pool()->threads;
	seen->threads[1] = pool()->calls_queued;
	pthread_mutex_unlock(&pool()->mutex);
	test_valve_open(&seen->valve);
	return error | rota_group_wait(&seen->group);
}

static void no_more_run_at_a_time_than_there_may_be_threads(void **state)
{
	const struct rota_config config = { .offload_threads = 3 };
	struct seen seen = { .ran = 0 };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, fill_the_pool, &seen), 0);
	assert_int_equal(seen.threads[0], 3);
	assert_int_equal(seen.threads[1], CALLS - 3);
	assert_int_equal(test_valve_passed(&seen.valve), CALLS);
	assert_int_equal(test_run_with(&config, NULL, call_many, &seen), 0);
	assert_in_range(seen.most, 1, 3);
}

static void calls_wait_for_a_thread_first_come_first_served(void **state)
{
	const struct rota_config config = { .offload_threads = 1 };
	struct seen seen = { .ran = 0 };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, call_many, &seen), 0);
	for (int i = 0; i < (int)CALLS; i++)
		assert_int_equal(seen.order[i], i);
}

static void too_many_threads_are_refused(void **state)
{
	struct seen seen = { .ran = 0 };
	const struct rota_config config = {
		.offload_threads = RI_OFFLOAD_THREADS_MAX + 1,
		.log = test_log_write,
		.context = &seen.log,
	};

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, call_many, &seen),
			 -EINVAL);
	assert_int_equal(seen.log.lines, 1);
	assert_true(test_log_has(&seen.log, "config.offload_threads"));
}

/* Without one at first, then with one that is busy. */
static int start_in_vain(void *arg)
{
	struct seen *seen = arg;
	const struct test_fault fault = { .call = TEST_THREAD_START,
					  .times = TEST_FOREVER,
					  .error = -EAGAIN };
	struct one one = { .seen = seen };

	test_kernel_fail(&seen->kernel, &fault);
	seen->codes[0] = rota_offload(count_me, &one);
	seen->codes[1] = rota_offload(count_me, &one);
	seen->threads[1] = threads_now();
	test_kernel_mend(&seen->kernel);
	seen->codes[2] = rota_offload(count_me, &one);
	test_kernel_fail(&seen->kernel, &fault);
	return call_many(arg);
}

static void run_with_faults(struct seen *seen, int (*fn)(void *))
{
	const struct rota_config config = { .log = test_log_write,
					    .context = &seen->log };

	test_kernel_init(&seen->kernel);
	assert_int_equal(test_run_with(&config, &seen->kernel.table, fn, seen),
			 0);
	assert_int_equal(test_kernel_left(&seen->kernel), 0);
}

static int start_and_count(void *arg)
{
	struct seen *seen = arg;
	const int error = start_in_vain(arg);

	seen->passed = atomic_load(&seen->ran);
	return error;
}

static void without_any_thread_a_call_is_refused(void **state)
{
	static struct seen seen;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	run_with_faults(&seen, start_and_count);
	assert_int_equal(seen.codes[0], -EAGAIN);
	assert_int_equal(seen.codes[1], -EAGAIN);
	assert_int_equal(seen.threads[1], 0);
	assert_int_equal(seen.codes[2], 0);
	assert_int_equal(seen.log.lines, 1);
	assert_true(test_log_has(&seen.log, "RLIMIT_NPROC"));
}

static void with_one_thread_calls_wait_for_it_instead(void **state)
{
	static struct seen seen;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	run_with_faults(&seen, start_and_count);
	assert_int_equal(seen.passed, CALLS + 1);
	assert_int_equal(seen.most, 1);
}

static int call_without_a_descriptor(void *arg)
{
	struct seen *seen = arg;
	struct one one = { .seen = seen };

	test_kernel_fail(&seen->kernel,
			 &(struct test_fault){ .call = TEST_EVENT_OPEN,
					       .error = -EMFILE });
	seen->codes[0] = rota_offload(count_me, &one);
	seen->codes[1] = rota_offload(count_me, &one);
	return seen->ran == 1 ? 0 : -EPROTO;
}

static void an_eventfd_that_is_refused_refuses_the_call(void **state)
{
	static struct seen seen;

	(void)state;
	setenv("ROTA_MASK", "ring_message", 1);
	run_with_faults(&seen, call_without_a_descriptor);
	assert_int_equal(seen.codes[0], -EMFILE);
	assert_int_equal(seen.codes[1], 0);
}

static int pause_a_while(void *arg)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	(void)arg;
	return nanosleep(&pause, NULL);
}

static void wait_until_idle(unsigned threads)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	while (threads_now() != threads)
		nanosleep(&pause, NULL);
}

static int idle_twice(void *arg)
{
	struct seen *seen = arg;

	pool()->idle_ns = 1000000;
	seen->codes[0] = call_many(seen);
	wait_until_idle(0);
	atomic_store(&seen->ran, 0);
	seen->codes[1] = call_many(seen);
	wait_until_idle(0);
	return rota_offload(note_thread, seen);
}

static void threads_that_are_idle_end_and_start_again(void **state)
{
	struct seen seen = { .ran = 0 };

	(void)state;
	assert_int_equal(test_run(idle_twice, &seen), 42);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], 0);
}

static struct seen *seen_of(const struct ri_kernel *table)
{
	return ri_container(table, struct seen, kernel.table);
}

static void count_join(const struct ri_kernel *table,
		       const struct ri_thread *thread)
{
	atomic_fetch_add(&seen_of(table)->joined, 1);
	test_linux()->thread_join(test_linux(), thread);
}

static void expect_all_joined(int (*fn)(void *), int result)
{
	static struct seen seen;

	memset(&seen, 0, sizeof(seen));
	test_kernel_init(&seen.kernel);
	seen.kernel.table.thread_join = count_join;
	assert_int_equal(test_run_with(NULL, &seen.kernel.table, fn, &seen),
			 result);
	assert_in_range(seen.joined, 1, CALLS * 3);
	assert_int_equal(seen.joined, seen.kernel.calls[TEST_THREAD_START]);
}

static void every_thread_is_joined(void **state)
{
	(void)state;
	expect_all_joined(call_many, 0);
	expect_all_joined(idle_twice, 42);
}

static int signal_slowly(const struct ri_kernel *table, int fd)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	struct seen *seen = seen_of(table);
	int error;

	atomic_store(&seen->wakes, true);
	error = test_linux()->event_signal(test_linux(), fd);
	nanosleep(&pause, NULL);
	atomic_store(&seen->wakes, false);
	return error;
}

static int close_and_look(const struct ri_kernel *table, int fd)
{
	struct seen *seen = seen_of(table);

	seen->closed_early = atomic_load(&seen->wakes);
	return test_linux()->event_close(test_linux(), fd);
}

static int pause_and_call(void *arg)
{
	struct seen *seen = arg;

	seen->codes[0] = rota_offload(note_thread, seen);
	/* The loop sleeps long before this one comes back. */
	return rota_offload(pause_a_while, arg);
}

static void a_loop_is_not_taken_down_while_a_thread_wakes_it(void **state)
{
	static struct seen seen;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	setenv("ROTA_MASK", "ring_message", 1);
	test_kernel_init(&seen.kernel);
	seen.kernel.table.event_signal = signal_slowly;
	seen.kernel.table.event_close = close_and_look;
	assert_int_equal(test_run_with(NULL, &seen.kernel.table, pause_and_call,
				       &seen),
			 0);
	assert_false(seen.closed_early);
}

static void signals_are_blocked_there_but_for_faults(void **state)
{
	struct seen seen = { .ran = 0 };

	(void)state;
	assert_int_equal(test_run(call_thrice, &seen), 0);
	assert_int_equal(sigismember(&seen.signals, SIGTERM), 1);
	assert_int_equal(sigismember(&seen.signals, SIGPIPE), 1);
	assert_int_equal(sigismember(&seen.signals, SIGRTMAX), 1);
	assert_int_equal(sigismember(&seen.signals, SIGSEGV), 0);
}

/* Its thread becomes a pinned one. */
static int pin_and_call(void *arg)
{
	struct seen *seen = arg;
	cpu_set_t before, first;
	int result;

	pthread_getaffinity_np(pthread_self(), sizeof(before), &before);
	CPU_ZERO(&first);
	for (size_t i = 0; !CPU_COUNT(&first); i++)
		if (CPU_ISSET(i, &before))
			CPU_SET(i, &first);
	pthread_setaffinity_np(pthread_self(), sizeof(first), &first);
	result = rota_offload(note_thread, seen);
	pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
	return result == 42 && CPU_EQUAL(&seen->processors, &before) ? 0
								     : -EPROTO;
}

static void a_pinned_loop_does_not_pin_its_calls(void **state)
{
	struct seen seen = { .ran = 0 };

	(void)state;
	assert_int_equal(test_run(pin_and_call, &seen), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_call_runs_on_another_thread_and_tells_its_result),
		cmocka_unit_test(what_a_call_fails_with_is_told_too),
		cmocka_unit_test(other_tasks_go_on_while_it_blocks),
		cmocka_unit_test_setup_teardown(
			other_tasks_go_on_where_an_eventfd_wakes_the_loop,
			test_mask_keep, test_mask_restore),
		cmocka_unit_test(
			no_more_run_at_a_time_than_there_may_be_threads),
		cmocka_unit_test(
			calls_wait_for_a_thread_first_come_first_served),
		cmocka_unit_test(too_many_threads_are_refused),
		cmocka_unit_test(without_any_thread_a_call_is_refused),
		cmocka_unit_test(with_one_thread_calls_wait_for_it_instead),
		cmocka_unit_test_setup_teardown(
			an_eventfd_that_is_refused_refuses_the_call,
			test_mask_keep, test_mask_restore),
		cmocka_unit_test(threads_that_are_idle_end_and_start_again),
		cmocka_unit_test(every_thread_is_joined),
		cmocka_unit_test_setup_teardown(
			a_loop_is_not_taken_down_while_a_thread_wakes_it,
			test_mask_keep, test_mask_restore),
		cmocka_unit_test(signals_are_blocked_there_but_for_faults),
		cmocka_unit_test(a_pinned_loop_does_not_pin_its_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
