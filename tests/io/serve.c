/* SPDX-License-Identifier: MIT */
/*
 * Members without a stack: when they run, what they hold while they sleep, and
 * what they may do while they are awake. What ends their sleep is in
 * serve_sleep.c, what they are to their group in serve_group.c. Under a clock
 * of the test's.
 */
#include "rota/rota.h"
#include "support/child.h"
#include "support/run.h"
#include "support/served.h"
#include "support/timed.h"
#include "task/task.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 1000
#define SOME 200 /* fewer than there are buffers */

struct seen {
	struct test_kernel kernel;
	struct rota_group group;
	struct test_served served;
	struct test_served other;
	struct test_served *many; /* MANY of them */
	unsigned ended;           /* how many of those have */
	unsigned calls[6];
	unsigned bytes[6];
	unsigned stacks[4];
	int codes[8];
	void *inherited;
	char name[32];
	char text[512]; /* a dump */
};

/* Runs fn under the clock, and asserts that no descriptor is left. */
static void run(int (*fn)(void *), struct seen *seen)
{
	test_run_timed_clean(NULL, &seen->kernel, fn, seen);
}

/* Where the run is now. */
static void note(struct seen *seen, unsigned i)
{
	seen->calls[i] = seen->served.calls;
	seen->bytes[i] = seen->served.bytes;
}

static int give_twice(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = test_served_go(&seen->group, &seen->served);
	error |= test_settle();
	note(seen, 0);
	for (unsigned i = 1; i <= 2; i++) {
		error |= test_served_give(&seen->served, i);
		error |= test_settle() | test_settle();
		note(seen, i);
	}
	error |= test_served_hang_up(&seen->served);
	return error | rota_group_wait(&seen->group);
}

static void it_runs_each_time_that_something_lands_and_else_not(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(give_twice, &seen);
	for (unsigned i = 0; i <= 2; i++) {
		assert_int_equal(seen.calls[i], i);
		assert_int_equal(seen.bytes[i], i * (i + 1) / 2);
	}
	assert_int_equal(seen.served.calls, 3);
	assert_int_equal(seen.served.told, 1);
	assert_int_equal(seen.served.codes[0], 0);
}

static int give_before(void *arg)
{
	struct seen *seen = arg;
	int error = test_served_open(&seen->served);

	rota_group_open(&seen->group, NULL);
	error |= test_served_give(&seen->served, 5) | test_settle();
	error |= rota_stream_serve(&seen->group, &seen->served.stream,
				   test_served_take, &seen->served);
	note(seen, 0);
	rota_yield();
	note(seen, 1);
	error |= test_settle() | test_served_hang_up(&seen->served);
	return error | rota_group_wait(&seen->group);
}

static void it_runs_at_once_if_something_has_landed_before(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(give_before, &seen);
	assert_int_equal(seen.calls[0], 0);
	assert_int_equal(seen.calls[1], 1);
	assert_int_equal(seen.bytes[1], 5);
	assert_int_equal(seen.served.calls, 2);
}

/* Takes one view a call, and leaves the rest. */
static int take_one(struct rota_stream *stream, void *arg)
{
	struct test_served *served = arg;
	struct rota_view view;
	const int n = rota_stream_view(stream, &view);

	served->calls++;
	served->bytes += n > 0 ? (unsigned)n : 0;
	if (n > 0)
		return 0;
	served->codes[0] = n;
	test_served_close(served);
	return 0;
}

/* Three buffers of the stream's land at once. */
static int leave_some(void *arg)
{
	struct seen *seen = arg;
	int error = test_served_open(&seen->served);

	rota_group_open(&seen->group, NULL);
	error |= rota_stream_serve(&seen->group, &seen->served.stream, take_one,
				   &seen->served);
	error |= test_settle();
	for (int i = 0; i < 3; i++)
		error |= test_served_give(&seen->served, 4096);
	error |= test_settle() | test_settle();
	note(seen, 0);
	error |= test_served_hang_up(&seen->served);
	return error | rota_group_wait(&seen->group);
}

static void what_it_leaves_makes_it_run_again(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(leave_some, &seen);
	assert_int_equal(seen.calls[0], 3);
	assert_int_equal(seen.bytes[0], 3 * 4096);
	assert_int_equal(seen.served.codes[0], 0);
}

/* Takes a byte a call by copying it: most of the buffer stays. */
static int take_byte(struct rota_stream *stream, void *arg)
{
	struct test_served *served = arg;
	char byte;
	const int n = rota_stream_recv(stream, &byte, 1);

	served->calls++;
	if (n > 0) {
		served->bytes++;
		return 0;
	}
	test_served_close(served);
	return n;
}

static int leave_bytes(void *arg)
{
	struct seen *seen = arg;
	int error = test_served_open(&seen->served);

	rota_group_open(&seen->group, NULL);
	error |= rota_stream_serve(&seen->group, &seen->served.stream,
				   take_byte, &seen->served);
	error |= test_served_give(&seen->served, 7) | test_settle();
	note(seen, 0);
	error |= test_served_hang_up(&seen->served);
	return error | rota_group_wait(&seen->group);
}

static void bytes_that_it_leaves_make_it_run_again(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(leave_bytes, &seen);
	assert_int_equal(seen.calls[0], 7);
	assert_int_equal(seen.bytes[0], 7);
}

/* Who opened it has read the first byte by itself. */
static int read_before(void *arg)
{
	struct seen *seen = arg;
	int error = test_served_open(&seen->served);
	char byte;

	rota_group_open(&seen->group, NULL);
	error |= test_served_give(&seen->served, 5);
	seen->codes[0] = rota_stream_recv(&seen->served.stream, &byte, 1);
	error |= rota_stream_serve(&seen->group, &seen->served.stream,
				   test_served_take, &seen->served);
	error |= test_settle();
	note(seen, 0);
	error |= test_served_hang_up(&seen->served);
	return error | rota_group_wait(&seen->group);
}

static void what_a_recv_has_left_before_is_handed_over_too(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(read_before, &seen);
	assert_int_equal(seen.codes[0], 1);
	assert_int_equal(seen.calls[0], 1);
	assert_int_equal(seen.bytes[0], 4);
}

/* A view that was not given back is, when the stream changes hands. */
static int view_before(void *arg)
{
	struct seen *seen = arg;
	int error = test_served_open(&seen->served);
	struct rota_view view;

	rota_group_open(&seen->group, NULL);
	error |= test_served_give(&seen->served, 5);
	seen->codes[0] = rota_stream_view(&seen->served.stream, &view);
	error |= rota_stream_serve(&seen->group, &seen->served.stream,
				   test_served_take, &seen->served);
	seen->codes[1] = (int)ri_tasks_here()->shots.buffers.out;
	error |= test_settle();
	note(seen, 0);
	error |= test_served_hang_up(&seen->served);
	return error | rota_group_wait(&seen->group);
}

static void the_last_view_before_goes_back(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(view_before, &seen);
	assert_int_equal(seen.codes[0], 5);
	assert_int_equal(seen.codes[1], 0);
	assert_int_equal(seen.calls[0], 0);
	assert_int_equal(seen.served.bytes, 0);
}

static int sleep_and_note_buffers(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = test_served_go(&seen->group, &seen->served);
	error |= test_served_give(&seen->served, 5) | test_settle();
	note(seen, 0);
	seen->codes[0] = (int)ri_tasks_here()->shots.buffers.out;
	error |= test_served_hang_up(&seen->served);
	return error | rota_group_wait(&seen->group);
}

static void it_holds_no_buffer_while_it_sleeps(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(sleep_and_note_buffers, &seen);
	assert_int_equal(seen.bytes[0], 5);
	assert_int_equal(seen.codes[0], 0);
}

static int go_many(struct seen *seen, unsigned count)
{
	int error = 0;

	for (unsigned i = 0; i < count; i++) {
		seen->many[i].served = &seen->ended;
		error |= test_served_go(&seen->group, &seen->many[i]);
	}
	return error;
}

static int on_all(struct seen *seen, int (*fn)(struct test_served *served))
{
	int error = 0;

	for (unsigned i = 0; i < MANY && seen->many[i].served; i++)
		error |= fn(&seen->many[i]);
	return error;
}

static int give_one(struct test_served *served)
{
	return test_served_give(served, 1);
}

static int serve_many(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = go_many(seen, MANY) | test_settle();
	seen->stacks[0] = test_stacks_in_use();
	seen->stacks[1] = test_stacks_used();
	for (int round = 0; round < 3; round++)
		error |= on_all(seen, give_one) | test_settle() |
			 rota_sleep(ROTA_MILLISECOND);
	seen->stacks[2] = test_stacks_in_use();
	seen->stacks[3] = test_stacks_used();
	for (unsigned i = 0; i < MANY; i++) {
		seen->calls[0] += seen->many[i].calls;
		seen->bytes[0] += seen->many[i].bytes;
	}
	error |= on_all(seen, test_served_hang_up);
	return error | rota_group_wait(&seen->group);
}

static void a_thousand_take_turns_on_one_stack(void **state)
{
	struct seen seen = { .many = calloc(MANY, sizeof(*seen.many)) };

	(void)state;
	assert_non_null(seen.many);
	run(serve_many, &seen);
	free(seen.many);
	assert_int_equal(seen.bytes[0], 3 * MANY);
	assert_int_equal(seen.calls[0], 3 * MANY);
	assert_int_equal(seen.ended, MANY);
	assert_int_equal(seen.stacks[0], 1);
	assert_int_equal(seen.stacks[2], 1);
	assert_int_equal(seen.stacks[1], 2);
	assert_int_equal(seen.stacks[3], 2);
}

/* Each of them waits while it is awake. */
static int serve_many_slowly(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = go_many(seen, SOME);
	for (unsigned i = 0; i < SOME; i++)
		seen->many[i].work_ns = ROTA_MILLISECOND;
	error |= on_all(seen, give_one) | test_settle();
	seen->stacks[0] = test_stacks_in_use();
	error |= rota_sleep(2 * ROTA_MILLISECOND);
	seen->stacks[1] = test_stacks_in_use();
	error |= on_all(seen, test_served_hang_up);
	return error | rota_group_wait(&seen->group);
}

static void those_who_wait_awake_have_one_each_until_they_sleep(void **state)
{
	struct seen seen = { .many = calloc(MANY, sizeof(*seen.many)) };

	(void)state;
	assert_non_null(seen.many);
	run(serve_many_slowly, &seen);
	free(seen.many);
	assert_int_equal(seen.stacks[0], 1 + SOME);
	assert_int_equal(seen.stacks[1], 1);
	assert_int_equal(seen.ended, SOME);
}

/* Its record is its own to free, with the stream in it. */
static int take_and_free(struct rota_stream *stream, void *arg)
{
	struct test_served *served = arg;
	struct rota_view view;
	int n;

	do {
		n = rota_stream_view(stream, &view);
	} while (n > 0 && rota_stream_ready(stream));
	if (n > 0)
		return 0;
	test_served_close(served);
	memset(served, 0xa5, sizeof(*served));
	free(served);
	return 0;
}

static int free_records(void *arg)
{
	struct seen *seen = arg;
	int error = 0;

	rota_group_open(&seen->group, NULL);
	for (int i = 0; i < 8 && !error; i++) {
		struct test_served *served = calloc(1, sizeof(*served));

		if (!served)
			return -ENOMEM;
		error = test_served_open(served);
		error |= rota_stream_serve(&seen->group, &served->stream,
					   take_and_free, served);
		error |= test_served_give(served, 1) | test_settle();
		error |= test_served_hang_up(served);
	}
	return error | rota_group_wait(&seen->group);
}

static void it_may_free_all_that_it_was_when_it_ends(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(free_records, &seen);
}

static int name_itself(struct rota_stream *stream, void *arg)
{
	struct seen *seen = arg;
	struct rota_view view;

	strcpy(seen->name, rota_task_name());
	seen->inherited = rota_task_inherited();
	rota_task_set_name("busy");
	rota_task_set_inherited(seen->name);
	if (rota_stream_view(stream, &view) > 0)
		return rota_sleep(ROTA_MILLISECOND);
	test_served_close(&seen->served);
	return 0;
}

/* One line, of a task that is called this, as a dump has it. */
static int dump(struct seen *seen)
{
	int out[2];
	ssize_t n;

	if (pipe(out) || rota_dump(out[1]) < 0)
		return -EIO;
	n = read(out[0], seen->text, sizeof(seen->text) - 1);
	seen->text[n > 0 ? n : 0] = '\0';
	return rota_close(out[0]) | rota_close(out[1]);
}

static int serve_named(void *arg)
{
	struct seen *seen = arg;
	int error = test_served_open(&seen->served);

	rota_group_open(&seen->group, NULL);
	rota_task_set_inherited(seen);
	error |= rota_stream_serve(&seen->group, &seen->served.stream,
				   name_itself, seen);
	error |= test_settle();
	error |= test_served_give(&seen->served, 1) | test_settle();
	error |= dump(seen);
	seen->codes[0] = strstr(seen->text, " busy (spawned at") != NULL;
	error |= rota_sleep(9 * ROTA_MILLISECOND);
	error |= dump(seen);
	error |= test_served_hang_up(&seen->served);
	return error | rota_group_wait(&seen->group);
}

static void a_dump_says_where_it_sleeps_and_since_when(void **state)
{
	struct seen seen = { .ended = 0 };
	const char *line;

	(void)state;
	run(serve_named, &seen);
	line = strstr(seen.text, "name_itself (spawned at " __FILE__ ":");
	assert_non_null(line);
	line = strstr(line, ") waits in rota_stream_serve for 8 ms\n");
	assert_non_null(line);
}

static void its_name_stands_until_it_sleeps(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(serve_named, &seen);
	assert_int_equal(seen.codes[0], true);
	assert_null(strstr(seen.text, "busy"));
	assert_string_equal(seen.name, "name_itself");
}

static void what_it_inherited_stays_over_its_sleeps(void **state)
{
	struct seen seen = { .ended = 0 };

	(void)state;
	run(serve_named, &seen);
	assert_ptr_equal(seen.inherited, seen.name);
}

static volatile int never; /* keeps the compiler from seeing through it */

static __attribute__((noinline)) int recurse(int depth)
{
	volatile char frame[512];

	frame[0] = (char)depth;
	return never ? 0 : recurse(depth + 1) + frame[0];
}

static int dig(struct rota_stream *stream, void *arg)
{
	struct rota_view view;

	(void)arg;
	return rota_stream_view(stream, &view) > 0 ? recurse(0) : 0;
}

static int overflow(void *arg)
{
	static struct test_served served;
	struct rota_group group;
	int error = test_served_open(&served);

	(void)arg;
	rota_group_open(&group, NULL);
	error |= rota_stream_serve(&group, &served.stream, dig, &served);
	error |= test_settle() | test_served_give(&served, 1);
	return error | rota_group_wait(&group);
}

static int run_overflow(void *arg)
{
	return test_run(overflow, arg);
}

static void an_overflow_while_it_serves_is_told_with_its_name(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_overflow, NULL);
	assert_int_equal(child.signal, SIGSEGV);
	assert_non_null(strstr(child.errors, "dig"));
	assert_non_null(strstr(child.errors, __FILE__ ":"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			it_runs_each_time_that_something_lands_and_else_not),
		cmocka_unit_test(
			it_runs_at_once_if_something_has_landed_before),
		cmocka_unit_test(what_it_leaves_makes_it_run_again),
		cmocka_unit_test(bytes_that_it_leaves_make_it_run_again),
		cmocka_unit_test(
			what_a_recv_has_left_before_is_handed_over_too),
		cmocka_unit_test(the_last_view_before_goes_back),
		cmocka_unit_test(it_holds_no_buffer_while_it_sleeps),
		cmocka_unit_test(a_thousand_take_turns_on_one_stack),
		cmocka_unit_test(
			those_who_wait_awake_have_one_each_until_they_sleep),
		cmocka_unit_test(it_may_free_all_that_it_was_when_it_ends),
		cmocka_unit_test(a_dump_says_where_it_sleeps_and_since_when),
		cmocka_unit_test(its_name_stands_until_it_sleeps),
		cmocka_unit_test(what_it_inherited_stays_over_its_sleeps),
		cmocka_unit_test(
			an_overflow_while_it_serves_is_told_with_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
