/* SPDX-License-Identifier: MIT */
/*
 * The turn of the loop: who runs when, and when the kernel is looked at.
 */
#include "loop/loop.h"

#include "support/child.h"
#include "support/kernel.h"
#include "support/run.h"
#include "task/task.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ORDER_MAX 64

struct seen {
	struct test_kernel kernel;
	unsigned order[ORDER_MAX]; /* who came by, in turn */
	unsigned count;            /* how many did */
	unsigned yields;           /* since the kernel had something */
	int pair[2];               /* two sockets */
	int64_t times_ns[ORDER_MAX];
	uintptr_t frames[ORDER_MAX];
	bool over;
};

/* What a task of these tests is given. */
struct part {
	struct seen *seen;
	unsigned index;
	int64_t time_ns;
};

static int setup(void **state)
{
	static struct seen seen;

	memset(&seen, 0, sizeof(seen));
	test_kernel_init(&seen.kernel);
	*state = &seen;
	return socketpair(AF_UNIX, SOCK_STREAM, 0, seen.pair);
}

static int teardown(void **state)
{
	struct seen *seen = *state;

	close(seen->pair[0]);
	close(seen->pair[1]);
	return (int)test_kernel_left(&seen->kernel);
}

static void run(struct seen *seen, int (*fn)(void *))
{
	assert_int_equal(test_run_with(NULL, &seen->kernel.table, fn, seen), 0);
}

static int await_nop(void)
{
	struct io_uring_sqe entry;

	io_uring_prep_nop(&entry);
	return rota_await(&entry);
}

static int come_by_three_times(void *value)
{
	const struct part *part = value;

	for (int i = 0; i < 3; i++) {
		part->seen->order[part->seen->count++] = part->index;
		rota_yield();
	}
	return 0;
}

static int spawn_five(void *arg)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 5; i++) {
		const struct part part = { arg, i, 0 };

		if (rota_go(&group, come_by_three_times, part))
			return -EIO;
	}
	return rota_group_wait(&group);
}

static void ready_tasks_run_in_the_order_in_which_they_became_so(void **state)
{
	struct seen *seen = *state;

	run(seen, spawn_five);
	assert_int_equal(seen->count, 15);
	for (unsigned i = 0; i < 15; i++)
		assert_int_equal(seen->order[i], i % 5);
}

static int yield_until_over(void *value)
{
	struct seen *seen = *(struct seen **)value;

	while (!seen->over) {
		seen->yields++;
		rota_yield();
	}
	return 0;
}

static int await_beside_a_yielding_pair(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int result;

	rota_group_open(&group, NULL);
	if (rota_go(&group, yield_until_over, seen) ||
	    rota_go(&group, yield_until_over, seen))
		return -EIO;
	result = await_nop();
	seen->over = true;
	return rota_group_wait(&group) + result;
}

static void a_yielding_pair_does_not_starve_an_operation(void **state)
{
	struct seen *seen = *state;

	run(seen, await_beside_a_yielding_pair);
	/* to the end of the turn, and what is ahead in the queue */
	assert_in_range(seen->yields, 2, RI_TURN_SWITCHES + 2);
}

/* One of the pair makes the socket readable: at its hundredth yield, so that
 * the turn has begun long ago and the operation is the kernel's. */
static int yield_and_write(void *value)
{
	struct seen *seen = *(struct seen **)value;
	unsigned count = 0;

	while (!seen->over) {
		if (++count == 1000) {
			seen->yields = 0;
			if (write(seen->pair[1], "!", 1) != 1)
				return -EIO;
		}
		seen->yields++;
		rota_yield();
	}
	return 0;
}

static int receive_beside_a_yielding_pair(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	char byte;
	int n;

	rota_group_open(&group, NULL);
	if (rota_go(&group, yield_and_write, seen) ||
	    rota_go(&group, yield_until_over, seen))
		return -EIO;
	n = rota_recv(seen->pair[0], &byte, 1, 0);
	seen->over = true;
	return rota_group_wait(&group) + (n == 1 ? 0 : -EIO);
}

static void work_of_the_kernel_is_seen_within_a_few_switches(void **state)
{
	struct seen *seen = *state;

	run(seen, receive_beside_a_yielding_pair);
	assert_in_range(seen->yields, 1, RI_LOOK_SWITCHES + 4);
}

static int sleep_and_come_by(void *value)
{
	const struct part *part = value;
	struct seen *seen = part->seen;
	const int result = rota_sleep_until(part->time_ns);

	seen->times_ns[seen->count] = rota_now_ns();
	seen->order[seen->count++] = part->index;
	return result;
}

static int sleep_many(void *arg)
{
	static const int64_t times_ns[] = { 9000000, 1001, 1064, 5000, 1000000,
					    1001,    2000, 1063, 5000, 70000 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 10; i++) {
		const struct part part = { arg, i, times_ns[i] };

		if (rota_go(&group, sleep_and_come_by, part))
			return -EIO;
	}
	return rota_group_wait(&group);
}

static void sleepers_wake_in_the_order_of_their_times(void **state)
{
	static const unsigned order[] = { 1, 5, 7, 2, 6, 3, 8, 9, 4, 0 };
	static const int64_t times_ns[] = {
		1001, 1001, 1063,  1064,    2000,
		5000, 5000, 70000, 1000000, 9000000
	};
	struct seen *seen = *state;

	test_kernel_clock(&seen->kernel, 1000);
	run(seen, sleep_many);
	assert_int_equal(seen->count, 10);
	assert_memory_equal(seen->order, order, sizeof(order));
	assert_memory_equal(seen->times_ns, times_ns, sizeof(times_ns));
}

static int sleep_a_thousand_times(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++)
		if (rota_sleep(ROTA_SECOND))
			return -EIO;
	return 0;
}

static void a_sleep_is_one_wait_and_nothing_else(void **state)
{
	struct seen *seen = *state;

	test_kernel_clock(&seen->kernel, ROTA_SECOND);
	run(seen, sleep_a_thousand_times);
	assert_true(seen->kernel.clock_ns == 1001 * ROTA_SECOND);
	assert_in_range(seen->kernel.calls[TEST_ENTER], 1000, 1004);
}

/* More sleepers than the wheel looks at for the exact time of the first. */
static int sleep_in_a_crowd(void *arg)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 40; i++) {
		const struct part part = { arg, i, 123456789 + i };

		if (rota_go(&group, sleep_and_come_by, part))
			return -EIO;
	}
	return rota_group_wait(&group);
}

static void a_crowd_of_sleepers_wakes_in_time_and_without_spinning(void **state)
{
	struct seen *seen = *state;

	test_kernel_clock(&seen->kernel, 0);
	run(seen, sleep_in_a_crowd);
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(seen->order[i], i);
		assert_true(seen->times_ns[i] == 123456789 + i);
	}
	/* each its own wait, and one for each level of the wheel */
	assert_in_range(seen->kernel.calls[TEST_ENTER], 40, 40 + 12);
}

static int note_frame(void *value)
{
	const struct part *part = value;

	part->seen->frames[part->index] = (uintptr_t)__builtin_frame_address(0);
	return 0;
}

static int spawn_short_ones(void *arg)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < ORDER_MAX; i++) {
		const struct part part = { arg, i, 0 };

		if (rota_go(&group, note_frame, part))
			return -EIO;
	}
	return rota_group_wait(&group);
}

static void an_ended_task_hands_its_stack_to_the_next(void **state)
{
	struct seen *seen = *state;

	if (RI_ASAN)
		test_skip("under ASan stacks are not handed on");
	run(seen, spawn_short_ones);
	for (unsigned i = 1; i < ORDER_MAX; i++)
		assert_int_equal(seen->frames[i], seen->frames[0]);
}

/* Every second one wants another size. */
static int spawn_two_sizes(void *arg)
{
	struct rota_group large, small;

	rota_group_open(&small, NULL);
	rota_group_open(&large, &(struct rota_group_options){
					.stack_bytes = 256 << 10 });
	for (unsigned i = 0; i < ORDER_MAX; i++) {
		const struct part part = { arg, i, 0 };

		if (rota_go(i % 2 ? &large : &small, note_frame, part))
			return -EIO;
	}
	return rota_group_wait(&large) + rota_group_wait(&small);
}

static void a_stack_goes_only_to_one_that_wants_its_size(void **state)
{
	struct seen *seen = *state;

	run(seen, spawn_two_sizes);
	assert_int_not_equal(seen->frames[0], seen->frames[1]);
	for (unsigned i = 2; i < ORDER_MAX; i++) {
		assert_int_not_equal(seen->frames[i], 0);
		if (!RI_ASAN)
			assert_int_equal(seen->frames[i], seen->frames[i % 2]);
	}
}

static int wait_for_ever(void *value)
{
	(void)value;
	return rota_sleep_until(ROTA_NEVER);
}

static int wait_for_each_other(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	if (rota_go(&group, wait_for_ever, 0))
		return -EIO;
	return rota_group_wait(&group);
}

static int run_into_deadlock(void *arg)
{
	return test_run(wait_for_each_other, arg);
}

static void a_deadlock_aborts_with_a_list_of_the_tasks(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_into_deadlock, NULL);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors, "deadlock: 2 tasks"));
	assert_non_null(
		strstr(child.errors, "wait_for_ever (spawned at " __FILE__));
	assert_non_null(strstr(child.errors, "waits in sleep"));
	assert_non_null(strstr(child.errors, "waits in rota_group_wait"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(ready_tasks_run_in_the_order_in_which_they_became_so),
		CASE(a_yielding_pair_does_not_starve_an_operation),
		CASE(work_of_the_kernel_is_seen_within_a_few_switches),
		CASE(sleepers_wake_in_the_order_of_their_times),
		CASE(a_sleep_is_one_wait_and_nothing_else),
		CASE(a_crowd_of_sleepers_wakes_in_time_and_without_spinning),
		CASE(an_ended_task_hands_its_stack_to_the_next),
		CASE(a_stack_goes_only_to_one_that_wants_its_size),
		CASE(a_deadlock_aborts_with_a_list_of_the_tasks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
