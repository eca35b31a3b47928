/* SPDX-License-Identifier: MIT */
/*
 * The loop over a kernel that a test drives: what the later tests stand on.
 */
#include "support/child.h"
#include "support/kernel.h"
#include "support/random.h"
#include "support/run.h"

#include <errno.h>
#include <liburing.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	struct test_kernel kernel;
	int results[8];
	unsigned order[8];
	unsigned count;
	int64_t begun_ns, ended_ns;
	int pipe[2];
	unsigned held;
	bool ended;
};

static int setup(void **state)
{
	static struct seen seen;

	memset(&seen, 0, sizeof(seen));
	test_kernel_init(&seen.kernel);
	*state = &seen;
	return pipe(seen.pipe);
}

static int teardown(void **state)
{
	struct seen *seen = *state;

	close(seen->pipe[0]);
	close(seen->pipe[1]);
	return (int)test_kernel_left(&seen->kernel);
}

static int await_nop(void)
{
	struct io_uring_sqe entry;

	io_uring_prep_nop(&entry);
	return rota_await(&entry);
}

static int sleep_a_day(void *arg)
{
	struct seen *seen = arg;

	seen->begun_ns = rota_now_ns();
	seen->results[0] = rota_sleep(86400 * ROTA_SECOND);
	seen->ended_ns = rota_now_ns();
	return 0;
}

static void a_sleep_moves_the_clock_that_stands(void **state)
{
	struct seen *seen = *state;

	test_kernel_clock(&seen->kernel, 7);
	assert_int_equal(
		test_run_with(NULL, &seen->kernel.table, sleep_a_day, seen), 0);
	assert_int_equal(seen->results[0], 0);
	assert_int_equal(seen->begun_ns, 7);
	assert_int_equal(seen->ended_ns, 7 + 86400 * ROTA_SECOND);
}

static int write_later(void *arg)
{
	struct seen *seen = *(struct seen **)arg;

	if (rota_sleep(ROTA_SECOND))
		return -EIO;
	return rota_write(seen->pipe[1], "!", 1) == 1 ? 0 : -EIO;
}

static int read_with_patience(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	char byte = 0;

	rota_group_open(&group, NULL);
	seen->results[0] = rota_go(&group, write_later, seen);
	seen->results[1] = rota_read(seen->pipe[0], &byte, 1);
	seen->ended_ns = rota_now_ns();
	seen->results[2] = byte;
	return rota_group_wait(&group);
}

static void an_operation_ends_at_the_time_of_its_cause(void **state)
{
	struct seen *seen = *state;

	test_kernel_clock(&seen->kernel, ROTA_SECOND);
	assert_int_equal(test_run_with(NULL, &seen->kernel.table,
				       read_with_patience, seen),
			 0);
	assert_int_equal(seen->results[0], 0);
	assert_int_equal(seen->results[1], 1);
	assert_int_equal(seen->results[2], '!');
	assert_int_equal(seen->ended_ns, 2 * ROTA_SECOND);
}

static int await_one(void *arg)
{
	struct seen *seen = *(struct seen **)arg;
	const unsigned index = seen->count++;

	seen->results[index] = await_nop();
	seen->order[seen->held++] = index;
	return 0;
}

static int release_from_the_last(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 4; i++)
		if (rota_go(&group, await_one, seen))
			return -EIO;
	while (test_kernel_held(&seen->kernel) < 4)
		if (rota_sleep(ROTA_MILLISECOND))
			return -EIO;
	test_kernel_held_at(&seen->kernel, 2)->res = 42;
	for (unsigned i = 4; i-- > 0;)
		test_kernel_release(&seen->kernel, i);
	return rota_group_wait(&group);
}

static void completions_arrive_as_the_test_releases_them(void **state)
{
	const unsigned expected[] = { 3, 2, 1, 0 };
	struct seen *seen = *state;

	test_kernel_hold(&seen->kernel, test_hold_all, NULL);
	assert_int_equal(test_run_with(NULL, &seen->kernel.table,
				       release_from_the_last, seen),
			 0);
	assert_memory_equal(seen->order, expected, sizeof(expected));
	assert_int_equal(seen->results[1], 0);
	assert_int_equal(seen->results[2], 42);
}

static void release_oldest(struct test_kernel *kernel, void *context)
{
	struct seen *seen = context;

	seen->count++;
	if (test_kernel_held(kernel))
		test_kernel_release(kernel, 0);
}

static int await_three(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		if (await_nop())
			return -EIO;
	return 0;
}

static void the_test_is_asked_when_the_loop_would_wait(void **state)
{
	struct seen *seen = *state;

	test_kernel_hold(&seen->kernel, test_hold_all, NULL);
	seen->kernel.on_idle = release_oldest;
	seen->kernel.idle_context = seen;
	assert_int_equal(
		test_run_with(NULL, &seen->kernel.table, await_three, seen), 0);
	assert_int_equal(seen->count, 3);
}

struct many {
	struct test_kernel kernel;
	unsigned begun, ended;
	unsigned order[200];
};

static int await_and_note(void *arg)
{
	struct many *many = *(struct many **)arg;
	const unsigned index = many->begun++;
	const int result = await_nop();

	many->order[many->ended++] = index;
	return result;
}

static int await_many(void *arg)
{
	struct many *many = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 200; i++)
		if (rota_go(&group, await_and_note, many))
			return -EIO;
	return rota_group_wait(&group);
}

static void run_shuffled(struct many *many, uint64_t seed)
{
	memset(many, 0, sizeof(*many));
	test_kernel_init(&many->kernel);
	test_kernel_shuffle(&many->kernel, seed);
	assert_int_equal(
		test_run_with(NULL, &many->kernel.table, await_many, many), 0);
	assert_int_equal(many->ended, 200);
	assert_int_equal(test_kernel_left(&many->kernel), 0);
}

static void a_seed_decides_on_the_order_of_completions(void **state)
{
	static struct many first, again, other;

	(void)state;
	run_shuffled(&first, 1);
	run_shuffled(&again, 1);
	run_shuffled(&other, 2);
	assert_memory_equal(first.order, again.order, sizeof(first.order));
	assert_memory_not_equal(first.order, other.order, sizeof(first.order));
}

static int read_for_ever(void *arg)
{
	struct seen *seen = arg;
	char byte;

	return rota_read(seen->pipe[0], &byte, 1);
}

static int run_for_ever(void *arg)
{
	setenv("ROTA_TEST_SECONDS", "1", 1);
	return test_run(read_for_ever, arg);
}

static void a_run_that_hangs_is_aborted_with_a_list_of_its_tasks(void **state)
{
	struct test_child child;

	test_child_run(&child, run_for_ever, *state);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors, "has not ended after 1 s"));
	assert_non_null(strstr(child.errors, "waits in rota_read for"));
	assert_non_null(strstr(child.errors, "1 operations in flight"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_sleep_moves_the_clock_that_stands, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_operation_ends_at_the_time_of_its_cause, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			completions_arrive_as_the_test_releases_them, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			the_test_is_asked_when_the_loop_would_wait, setup,
			teardown),
		cmocka_unit_test(a_seed_decides_on_the_order_of_completions),
		cmocka_unit_test_setup_teardown(
			a_run_that_hangs_is_aborted_with_a_list_of_its_tasks,
			setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
