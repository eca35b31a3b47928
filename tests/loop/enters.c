/* SPDX-License-Identifier: MIT */
/*
 * Enters that fail, in every place: nothing is lost, and nothing spins.
 */
#include "support/kernel.h"
#include "support/random.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TASKS 8
#define ROUNDS 5

struct seen {
	struct test_kernel kernel;
	struct test_random random;
	int pairs[TASKS][2];
	unsigned wrong;  /* results that cannot be */
	unsigned ended;  /* tasks that came to their end */
	unsigned enters; /* made by the tasks' time */
	unsigned rests;  /* times that the loop would wait */
	struct test_fault fault;
};

struct part {
	struct seen *seen;
	unsigned index;
};

static int setup(void **state)
{
	static struct seen seen;

	memset(&seen, 0, sizeof(seen));
	*state = &seen;
	for (unsigned i = 0; i < TASKS; i++)
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, seen.pairs[i]))
			return -1;
	return 0;
}

static int teardown(void **state)
{
	struct seen *seen = *state;

	for (unsigned i = 0; i < TASKS; i++) {
		close(seen->pairs[i][0]);
		close(seen->pairs[i][1]);
	}
	return 0;
}

/* The batch is full and the kernel takes nothing just now: asked again. */
#define PATIENTLY(verb)                                   \
	__extension__({                                   \
		int result_;                              \
		while ((result_ = (verb)) == -EAGAIN)     \
			if (rota_sleep(ROTA_MILLISECOND)) \
				break;                    \
		result_;                                  \
	})

static int echo(void *value)
{
	const struct part *part = value;
	struct seen *seen = part->seen;
	const int fd = seen->pairs[part->index][1];
	char byte;

	for (unsigned i = 0; i < ROUNDS; i++) {
		if (PATIENTLY(rota_recv(fd, &byte, 1, 0)) != 1 || byte != 'q')
			seen->wrong++;
		byte = 'a';
		if (PATIENTLY(rota_send(fd, &byte, 1, 0)) != 1)
			seen->wrong++;
	}
	seen->ended++;
	return 0;
}

static int ask(void *value)
{
	const struct part *part = value;
	struct seen *seen = part->seen;
	const int fd = seen->pairs[part->index][0];
	char byte;

	for (unsigned i = 0; i < ROUNDS; i++) {
		byte = 'q';
		if (PATIENTLY(rota_send(fd, &byte, 1, 0)) != 1)
			seen->wrong++;
		if (rota_sleep(part->index * ROTA_MILLISECOND))
			seen->wrong++;
		if (PATIENTLY(rota_recv(fd, &byte, 1, 0)) != 1 || byte != 'a')
			seen->wrong++;
	}
	seen->ended++;
	return 0;
}

static int converse(void *arg)
{
	struct seen *seen = arg;
	const unsigned before = seen->kernel.calls[TEST_ENTER];
	struct rota_group group;
	int result;

	if (seen->fault.error)
		test_kernel_fail(&seen->kernel, &seen->fault);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < TASKS; i++) {
		const struct part part = { seen, i };

		if (rota_go(&group, echo, part) || rota_go(&group, ask, part))
			seen->wrong++;
	}
	result = rota_group_wait(&group);
	seen->enters = seen->kernel.calls[TEST_ENTER] - before;
	test_kernel_mend(&seen->kernel);
	return result;
}

static void prepare(struct seen *seen)
{
	seen->wrong = 0;
	seen->ended = 0;
	test_kernel_init(&seen->kernel);
	test_kernel_clock(&seen->kernel, ROTA_SECOND);
}

static void run(struct seen *seen)
{
	/* Many rings one after the other: small ones. */
	const struct rota_config config = { .completions = 512 };

	assert_int_equal(
		test_run_with(&config, &seen->kernel.table, converse, seen), 0);
	assert_int_equal(seen->wrong, 0);
	assert_int_equal(seen->ended, 2 * TASKS);
	assert_int_equal(test_kernel_left(&seen->kernel), 0);
}

/* The Nth enter fails, for each N until the tasks make no more than that. */
static void fail_each(struct seen *seen, int error)
{
	unsigned usual;

	seen->fault = (struct test_fault){ 0 };
	prepare(seen);
	run(seen);
	usual = seen->enters;
	for (unsigned nth = 1; nth <= usual; nth++) {
		seen->fault = (struct test_fault){ .call = TEST_ENTER,
						   .nth = nth,
						   .error = error };
		prepare(seen);
		run(seen);
		/* A rest is a millisecond: it parts what came together. */
		assert_in_range(seen->enters, usual / 2, usual + 2 * TASKS);
	}
}

static void a_refusal_for_lack_of_memory_loses_nothing(void **state)
{
	fail_each(*state, -EAGAIN);
	fail_each(*state, -ENOMEM);
}

static void a_kernel_that_is_busy_loses_nothing(void **state)
{
	fail_each(*state, -EBUSY);
}

static void a_signal_in_a_wait_loses_nothing(void **state)
{
	fail_each(*state, -EINTR);
}

static void a_kernel_that_takes_one_entry_at_a_time_loses_nothing(void **state)
{
	struct seen *seen = *state;

	seen->fault = (struct test_fault){ 0 };
	prepare(seen);
	seen->kernel.submit_max = 1;
	run(seen);
}

/* The kernel has no memory, until the loop has rested so often. */
#define RESTS 50

static void mend_after_rests(struct test_kernel *kernel, void *context)
{
	struct seen *seen = context;

	if (++seen->rests == RESTS)
		kernel->submit_error = 0;
}

static int await_one(void *arg)
{
	struct seen *seen = arg;
	struct io_uring_sqe entry;
	const unsigned before = seen->kernel.calls[TEST_ENTER];
	int result;

	seen->rests = 0;
	seen->kernel.submit_error = -EAGAIN;
	io_uring_prep_nop(&entry);
	result = rota_await(&entry);
	seen->enters = seen->kernel.calls[TEST_ENTER] - before;
	return result;
}

static void a_loop_whose_entries_are_refused_rests(void **state)
{
	struct seen *seen = *state;

	prepare(seen);
	seen->kernel.on_idle = mend_after_rests;
	seen->kernel.idle_context = seen;
	assert_int_equal(
		test_run_with(NULL, &seen->kernel.table, await_one, seen), 0);
	/* one refused, one rest; each rest is a millisecond */
	assert_in_range(seen->enters, 2 * RESTS, 2 * RESTS + 2);
	assert_in_range(seen->kernel.clock_ns - ROTA_SECOND,
			(RESTS - 1) * ROTA_MILLISECOND,
			RESTS * ROTA_MILLISECOND);
}

static int receive(void *value)
{
	const struct seen *seen = *(struct seen **)value;
	char byte;

	return rota_recv(seen->pairs[0][0], &byte, 1, 0);
}

/* More cancels than a batch has entries for, none of which is taken. */
static int cancel_many(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	unsigned before;
	int error = 0;

	seen->rests = 0;
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 400 && !error; i++)
		error = rota_go(&group, receive, seen);
	error |= rota_sleep(ROTA_MILLISECOND);
	before = seen->kernel.calls[TEST_ENTER];
	seen->kernel.on_idle = mend_after_rests;
	seen->kernel.submit_error = -EAGAIN;
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	rota_group_wait(&group);
	seen->enters = seen->kernel.calls[TEST_ENTER] - before;
	return error;
}

static void a_loop_whose_cancels_are_refused_rests(void **state)
{
	struct seen *seen = *state;

	prepare(seen);
	seen->kernel.idle_context = seen;
	assert_int_equal(
		test_run_with(NULL, &seen->kernel.table, cancel_many, seen), 0);
	assert_in_range(seen->enters, 2 * RESTS, 4 * RESTS);
}

/* A batch is full and is refused: the verb says so at once. */
static int fill_the_batch(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	struct io_uring_sqe entry;
	int result;

	io_uring_prep_nop(&entry);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 4; i++) {
		const struct part part = { seen, i };

		if (rota_go(&group, echo, part))
			seen->wrong++;
	}
	rota_yield();
	seen->kernel.submit_error = -EAGAIN;
	result = rota_await(&entry);
	seen->kernel.submit_error = 0;
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	rota_group_wait(&group);
	return result;
}

static void a_verb_that_finds_no_entry_says_so(void **state)
{
	const struct rota_config config = { .entries = 4 };
	struct seen *seen = *state;

	prepare(seen);
	assert_int_equal(test_run_with(&config, &seen->kernel.table,
				       fill_the_batch, seen),
			 -EAGAIN);
}

static void in_any_order_and_with_any_errors_it_goes_on(void **state)
{
	static const int errors[] = { -EAGAIN, -EBUSY, -ENOMEM, -EINTR };
	struct seen *seen = *state;

	test_random_init(&seen->random);
	for (unsigned round = 0; round < test_rounds(100); round++) {
		prepare(seen);
		test_kernel_shuffle(&seen->kernel,
				    test_random_next(&seen->random));
		seen->fault = (struct test_fault){
			.call = TEST_ENTER,
			.nth = (unsigned)test_random_below(&seen->random, 50),
			.times = (unsigned)test_random_below(&seen->random, 9),
			.error = errors[test_random_below(&seen->random, 4)],
		};
		run(seen);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_refusal_for_lack_of_memory_loses_nothing),
		CASE(a_kernel_that_is_busy_loses_nothing),
		CASE(a_signal_in_a_wait_loses_nothing),
		CASE(a_kernel_that_takes_one_entry_at_a_time_loses_nothing),
		CASE(a_loop_whose_entries_are_refused_rests),
		CASE(a_loop_whose_cancels_are_refused_rests),
		CASE(a_verb_that_finds_no_entry_says_so),
		CASE(in_any_order_and_with_any_errors_it_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
