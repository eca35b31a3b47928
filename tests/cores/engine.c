/* SPDX-License-Identifier: MIT */
#include "cores/engine.h"

#include "support/child.h"
#include "support/kernel.h"
#include "support/log.h"
#include "support/process.h"
#include "support/run.h"
#include "stack/sanitizer.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int give_back(void *arg)
{
	return *(int *)arg;
}

static void a_run_returns_what_its_function_returned(void **state)
{
	int values[] = { 0, 1, 42, INT32_MAX, -1, -ECANCELED, INT32_MIN };

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_int_equal(test_run(give_back, &values[i]), values[i]);
}

static void zero_is_the_default_of_each_field(void **state)
{
	const struct rota_config config = { 0 };
	int value = 7;

	(void)state;
	assert_int_equal(rota_run(&config, give_back, &value), 7);
}

static void one_loop_may_be_asked_for(void **state)
{
	const struct rota_config config = { .loops = 1 };
	int value = 7;

	(void)state;
	assert_int_equal(rota_run(&config, give_back, &value), 7);
}

/* Refused with one line that has these words; fn is not called. */
static int never(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

static void refused(struct rota_config config, int error, const char *words)
{
	struct test_log log = { 0 };
	bool called = false;

	config.log = test_log_write;
	config.context = &log;
	assert_int_equal(test_run_with(&config, NULL, never, &called), error);
	assert_false(called);
	assert_int_equal(log.lines, 1);
	if (!test_log_has(&log, words))
		fail_msg("\"%s\" is not in: %s", words, log.text);
}

static void more_loops_than_the_most_are_refused(void **state)
{
	(void)state;
	refused((struct rota_config){ .loops = ROTA_LOOPS_MAX + 1 }, -EINVAL,
		"config.loops is 257");
}

static void a_stack_that_is_too_large_is_refused(void **state)
{
	(void)state;
	refused((struct rota_config){ .stack_bytes = ((size_t)256 << 20) + 1 },
		-EINVAL, "stack_bytes is 268435457, the most is 268435456");
}

struct nested {
	struct test_log log;
	int inner, after;
};

static int run_inside(void *arg)
{
	struct nested *nested = arg;
	const struct rota_config config = { .log = test_log_write,
					    .context = &nested->log };
	int value = 9;

	nested->inner = rota_run(&config, give_back, &value);
	nested->after = rota_sleep(ROTA_MILLISECOND);
	return 3;
}

static void a_run_inside_a_run_is_refused(void **state)
{
	struct nested nested = { .log = { 0 } };

	(void)state;
	assert_int_equal(test_run(run_inside, &nested), 3);
	assert_int_equal(nested.inner, -EBUSY);
	assert_int_equal(nested.after, 0);
	assert_int_equal(nested.log.lines, 1);
	assert_true(test_log_has(&nested.log, "runs an engine already"));
}

static int sleep_a_little(void *value)
{
	(void)value;
	return rota_sleep(ROTA_MILLISECOND);
}

static int spawn_up_to_the_bound(void *arg)
{
	struct rota_group group;
	int *spawned = arg, error;

	rota_group_open(&group, NULL);
	while (!(error = rota_go(&group, sleep_a_little, 0)))
		++*spawned;
	rota_group_wait(&group);
	return error;
}

static void tasks_have_the_bound_that_was_given(void **state)
{
	const struct rota_config config = { .tasks_max = 10 };
	int spawned = 0;

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, spawn_up_to_the_bound,
				       &spawned),
			 -EAGAIN);
	assert_int_equal(spawned, 9);
}

static int fill_the_stack(void *arg)
{
	volatile char frame[200 << 10];

	(void)arg;
	frame[0] = 1;
	frame[sizeof(frame) - 1] = 2;
	return frame[0] + frame[sizeof(frame) - 1];
}

static void stacks_have_the_size_that_was_given(void **state)
{
	const struct rota_config config = { .stack_bytes = 256 << 10 };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, fill_the_stack, NULL), 3);
}

static void note_line(void *context, const char *line)
{
	const size_t length = strlen(line);

	if (write(*(int *)context, line, length) != (ssize_t)length)
		_exit(99);
}

static int leave_open(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	return 0;
}

static int run_leave_open(void *arg)
{
	int fd = STDERR_FILENO;
	const struct rota_config config = { .on_abort = note_line,
					    .context = &fd };

	(void)arg;
	return test_run_with(&config, NULL, leave_open, NULL);
}

static void a_broken_promise_is_told_to_the_hook(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_leave_open, NULL);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors, __FILE__));
	/* the hook's line has no newline, and stderr's own is not there */
	assert_null(strchr(child.errors, '\n'));
}

static int yield_outside(void *arg)
{
	int value = 0;

	(void)arg;
	if (test_run(give_back, &value))
		return 1;
	return rota_yield();
}

static void after_a_run_there_is_no_task(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, yield_outside, NULL);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(
		strstr(child.errors, "rota_yield is called outside of a task"));
}

/* Two engines at once, each passes a byte round between two tasks. */
struct ring_around {
	pthread_t thread;
	pthread_barrier_t *both;
	int pair[2];
	int result;
};

#define PASSES 300

static int pass_back(void *value)
{
	const int fd = *(int *)value;
	char byte;

	while (rota_recv(fd, &byte, 1, 0) == 1)
		if (rota_send(fd, &byte, 1, 0) != 1)
			return -EIO;
	return 0;
}

static int pass_round(void *arg)
{
	struct ring_around *round = arg;
	struct rota_group group;
	char byte = 'x';
	int error = 0;

	pthread_barrier_wait(round->both);
	rota_group_open(&group, NULL);
	if (rota_go(&group, pass_back, round->pair[1]))
		return -EIO;
	for (int i = 0; i < PASSES && !error; i++) {
		if (rota_send(round->pair[0], &byte, 1, 0) != 1 ||
		    rota_recv(round->pair[0], &byte, 1, 0) != 1)
			error = -EIO;
		else if (i % 100 == 0)
			error = rota_sleep(ROTA_MILLISECOND);
	}
	rota_shutdown(round->pair[0], SHUT_RDWR);
	return rota_group_wait(&group) + error;
}

static void *run_round(void *argument)
{
	struct ring_around *round = argument;

	round->result = test_run(pass_round, round);
	return NULL;
}

static void two_engines_run_on_two_threads_at_once(void **state)
{
	struct ring_around rounds[2];
	pthread_barrier_t both;

	(void)state;
	pthread_barrier_init(&both, NULL, 2);
	for (int i = 0; i < 2; i++) {
		rounds[i].both = &both;
		rounds[i].result = -1;
		assert_int_equal(
			socketpair(AF_UNIX, SOCK_STREAM, 0, rounds[i].pair), 0);
		assert_int_equal(pthread_create(&rounds[i].thread, NULL,
						run_round, &rounds[i]),
				 0);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(rounds[i].thread, NULL);
		assert_int_equal(rounds[i].result, 0);
		close(rounds[i].pair[0]);
		close(rounds[i].pair[1]);
	}
	pthread_barrier_destroy(&both);
}

static int dig(int depth)
{
	volatile char frame[512];

	frame[0] = (char)depth;
	return depth < 0 ? 0 : dig(depth + 1) + frame[0];
}

static int overflow(void *arg)
{
	(void)arg;
	return dig(0);
}

static void *run_shortly(void *argument)
{
	int zero = 0;

	*(int *)argument = rota_run(NULL, give_back, &zero);
	return NULL;
}

/* The first engine to end leaves the handler to the other. */
static int outlive_another(void *arg)
{
	pthread_t other;
	int result = -1;

	pthread_create(&other, NULL, run_shortly, &result);
	pthread_join(other, NULL);
	return result ? result : overflow(arg);
}

static int run_outlive(void *arg)
{
	return rota_run(NULL, outlive_another, arg);
}

static void an_engine_that_ends_leaves_the_others_watched(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_outlive, NULL);
	assert_int_equal(child.signal, SIGSEGV);
	assert_non_null(strstr(child.errors, "stack overflow: task"));
}

/* Some of everything. */
static int work(void *arg)
{
	struct rota_group group;
	int pair[2];
	char byte;

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -errno;
	rota_group_open(&group, &(struct rota_group_options){
					.stack_bytes = 128 << 10 });
	for (int i = 0; i < 20; i++)
		if (rota_go(&group, sleep_a_little, 0))
			return -EIO;
	if (rota_go(&group, pass_back, pair[1]))
		return -EIO;
	if (rota_send(pair[0], "x", 1, 0) != 1 ||
	    rota_recv(pair[0], &byte, 1, 0) != 1)
		return -EIO;
	rota_close(pair[0]);
	rota_group_wait(&group);
	return rota_close(pair[1]);
}

static void runs_one_after_the_other_leave_nothing(void **state)
{
	const int rounds = RI_SANITIZED ? 10 : 50;
	unsigned descriptors, mappings;
	size_t resident;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(test_run(work, NULL), 0);
	descriptors = test_process_descriptors();
	mappings = test_process_mappings();
	resident = test_process_resident_bytes();
	for (int i = 0; i < rounds; i++)
		assert_int_equal(test_run(work, NULL), 0);
	assert_int_equal(test_process_descriptors(), descriptors);
	if (RI_SANITIZED)
		return; /* their own memory grows */
	assert_in_range(test_process_mappings(), 0, mappings + 2);
	assert_in_range(test_process_resident_bytes(), 0,
			resident + (256 << 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_returns_what_its_function_returned),
		cmocka_unit_test(zero_is_the_default_of_each_field),
		cmocka_unit_test(one_loop_may_be_asked_for),
		cmocka_unit_test(more_loops_than_the_most_are_refused),
		cmocka_unit_test(a_stack_that_is_too_large_is_refused),
		cmocka_unit_test(a_run_inside_a_run_is_refused),
		cmocka_unit_test(tasks_have_the_bound_that_was_given),
		cmocka_unit_test(stacks_have_the_size_that_was_given),
		cmocka_unit_test(a_broken_promise_is_told_to_the_hook),
		cmocka_unit_test(after_a_run_there_is_no_task),
		cmocka_unit_test(two_engines_run_on_two_threads_at_once),
		cmocka_unit_test(an_engine_that_ends_leaves_the_others_watched),
		cmocka_unit_test(runs_one_after_the_other_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
