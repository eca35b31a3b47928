/* SPDX-License-Identifier: MIT */
/*
 * The descriptor of a receive stream is closed, mostly by another task: what
 * has landed is told, then -EBADF, and the number is let go of.
 */
#include "rota/rota.h"
#include "support/flow.h"
#include "support/gate.h"
#include "task/operation.h"
#include "task/task.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct flow flow;

/* The reader goes on when the test has done what it is about. */
static struct gate gate;

static int setup(void **state)
{
	(void)state;
	flow_init_buffers(&flow, 8, 4);
	gate = (struct gate){ .open = false };
	return 0;
}

/* Closes the stream's descriptor. */
static void close_under(unsigned i)
{
	flow_expect(&flow, rota_close(flow.pairs[i][0]) == 0, "close");
	flow.pairs[i][0] = -1;
}

/* Reads until something ends it, three times, by views and a copy. */
static int read_all(void *value)
{
	const unsigned i = *(unsigned *)value;
	int n;

	if (flow_open(&flow, i, NULL))
		return -EIO;
	gate_wait(&gate, false);
	do {
		n = flow_view(&flow, i);
		flow_note(&flow, n);
	} while (n > 0);
	flow_note(&flow, flow_copy(&flow, i, 4));
	flow_settle();
	flow_note(&flow, flow_view(&flow, i));
	flow_expect(&flow, !flow_in_flight(&flow, i), "it goes on");
	flow_audit(&flow);
	flow_close(&flow, i);
	flow_audit(&flow);
	return 0;
}

static void assert_ended(unsigned from)
{
	assert_int_equal(flow.noted, from + 3);
	for (unsigned i = from; i < from + 3; i++)
		assert_int_equal(flow.codes[i], -EBADF);
}

static int close_with_bytes(void *arg)
{
	int error;

	(void)arg;
	rota_group_open(&flow.group, NULL);
	error = rota_go(&flow.group, read_all, 0u);
	flow_settle();
	flow_say(&flow, 0, "landed");
	flow_settle();
	close_under(0);
	gate_open(&gate);
	return error | rota_group_wait(&flow.group);
}

static void what_has_landed_is_told_before_the_close(void **state)
{
	(void)state;
	flow_run(&flow, close_with_bytes);
	assert_int_equal(flow.codes[0], 4);
	assert_int_equal(flow.codes[1], 2);
	assert_ended(2);
}

static int close_under_reader(void *arg)
{
	int error;

	(void)arg;
	gate.open = true;
	rota_group_open(&flow.group, NULL);
	error = rota_go(&flow.group, read_all, 0u);
	flow_settle();
	close_under(0);
	return error | rota_group_wait(&flow.group);
}

static void who_waits_is_told_of_the_close(void **state)
{
	(void)state;
	flow_run(&flow, close_under_reader);
	assert_ended(0);
}

/* It is neither in flight nor to begin. */
static int close_hungry(void *arg)
{
	int error = flow_open(arg, 1, NULL);

	flow_say(&flow, 1, "xxxx");
	flow_settle();
	gate.open = true;
	rota_group_open(&flow.group, NULL);
	error |= rota_go(&flow.group, read_all, 0u);
	flow_settle();
	flow_say(&flow, 0, "never heard");
	flow_settle();
	flow_expect(&flow, flow_hungry(&flow, 0), "it is not hungry");
	close_under(0);
	flow_settle();
	flow_expect(&flow, flow.noted == 3, "it was not told");
	flow_close(&flow, 1);
	return error | rota_group_wait(&flow.group);
}

static void who_waits_for_a_buffer_is_told_of_the_close(void **state)
{
	(void)state;
	flow.config.stream_buffers = 1;
	flow_run(&flow, close_hungry);
	assert_ended(0);
}

static int copy_past(void *value)
{
	(void)value;
	if (flow_open(&flow, 0, NULL))
		return -EIO;
	for (int i = 0; i < 3; i++)
		flow_note(&flow, flow_copy(&flow, 0, 9));
	flow_close(&flow, 0);
	return 0;
}

static int close_past(void *arg)
{
	int error = flow_open(arg, 1, NULL);

	flow_say(&flow, 1, "xxxx");
	flow_settle();
	rota_group_open(&flow.group, NULL);
	error |= rota_go(&flow.group, copy_past, 0);
	flow_settle();
	close_under(0);
	error |= rota_group_wait(&flow.group);
	flow_close(&flow, 1);
	return error;
}

static void so_is_who_receives_past_the_buffers(void **state)
{
	(void)state;
	flow.config.stream_buffers = 1;
	flow_run(&flow, close_past);
	assert_ended(0);
}

/* The end has come to the kernel's queue of completions before the close. */
static int close_past_the_end(void *arg)
{
	int error = flow_open(arg, 1, NULL), opcode = IORING_OP_RECV;

	flow_say(&flow, 1, "xxxx");
	flow_settle();
	rota_group_open(&flow.group, NULL);
	error |= rota_go(&flow.group, copy_past, 0);
	flow_settle();
	test_kernel_hold(&flow.kernel, test_hold_opcode, &opcode);
	flow_hang_up(&flow, 0);
	flow_settle();
	flow_expect(&flow, test_kernel_held(&flow.kernel) == 1, "not held");
	close_under(0);
	flow_settle();
	test_kernel_hold(&flow.kernel, NULL, NULL);
	test_kernel_release_all(&flow.kernel);
	error |= rota_group_wait(&flow.group);
	flow_close(&flow, 1);
	return error;
}

static void an_end_past_the_buffers_that_was_first_stays(void **state)
{
	(void)state;
	flow.config.stream_buffers = 1;
	flow_run(&flow, close_past_the_end);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(flow.codes[i], 0);
}

/* The bytes have come to the kernel's queue of completions, no further. */
static int close_before_they_land(void *arg)
{
	int error;

	(void)arg;
	gate.open = true;
	rota_group_open(&flow.group, NULL);
	error = rota_go(&flow.group, read_all, 0u);
	flow_settle();
	test_kernel_hold(&flow.kernel, test_hold_opcode,
			 &(int){ IORING_OP_RECV });
	flow_say(&flow, 0, "late");
	flow_settle();
	flow_expect(&flow, test_kernel_held(&flow.kernel) == 1, "not held");
	close_under(0);
	flow_settle();
	test_kernel_hold(&flow.kernel, NULL, NULL);
	test_kernel_release_all(&flow.kernel);
	return error | rota_group_wait(&flow.group);
}

static void bytes_never_come_behind_the_close(void **state)
{
	(void)state;
	flow_run(&flow, close_before_they_land);
	assert_int_equal(flow.codes[0], 4);
	assert_ended(1);
}

/* The same, but the reader looks when it is closed already. */
static int look_before_they_land(void *arg)
{
	int error;

	(void)arg;
	rota_group_open(&flow.group, NULL);
	error = rota_go(&flow.group, read_all, 0u);
	flow_settle();
	test_kernel_hold(&flow.kernel, test_hold_opcode,
			 &(int){ IORING_OP_RECV });
	flow_say(&flow, 0, "late");
	flow_settle();
	close_under(0);
	gate_open(&gate);
	flow_settle();
	flow_expect(&flow, flow.noted == 0, "told early");
	test_kernel_hold(&flow.kernel, NULL, NULL);
	test_kernel_release_all(&flow.kernel);
	return error | rota_group_wait(&flow.group);
}

static void who_looks_after_the_close_waits_for_what_lands(void **state)
{
	(void)state;
	flow_run(&flow, look_before_they_land);
	assert_int_equal(flow.codes[0], 4);
	assert_ended(1);
}

/* At its cap it has no operation; the number becomes another socket's. */
static int reuse_the_number(void *arg)
{
	int error, others[2];
	char text[8] = { 0 };

	(void)arg;
	rota_group_open(&flow.group, NULL);
	error = rota_go(&flow.group, read_all, 0u);
	flow_settle();
	flow_say(&flow, 0, "111122223333444455556666");
	flow_settle();
	flow_expect(&flow, !flow_in_flight(&flow, 0), "it is in flight");
	others[1] = flow.pairs[0][0];
	close_under(0);
	error |= socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			    flow.pairs[1]);
	flow_expect(&flow, flow.pairs[1][0] == others[1], "another number");
	flow_say(&flow, 1, "others");
	gate_open(&gate);
	error |= rota_group_wait(&flow.group);
	flow_note(&flow, rota_recv(flow.pairs[1][0], text, 7, MSG_DONTWAIT));
	flow_expect(&flow, !strcmp(text, "others"), "other bytes");
	flow_close(&flow, 1);
	return error;
}

static void the_number_is_left_alone_when_it_is_anothers(void **state)
{
	unsigned views = 0;

	(void)state;
	flow_run(&flow, reuse_the_number);
	while (flow.codes[views] == 4)
		views++;
	assert_true(views >= 2);
	assert_int_equal(flow.codes[--flow.noted], 6);
	assert_ended(views);
}

static int close_ones_own(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_say(&flow, 0, "last");
	flow_settle();
	close_under(0);
	flow_note(&flow, flow_view(&flow, 0));
	flow_note(&flow, flow_view(&flow, 0));
	flow_note(&flow, flow_view(&flow, 0));
	flow_note(&flow, flow_copy(&flow, 0, 1));
	flow_close(&flow, 0);
	flow_audit(&flow);
	return error;
}

static void its_own_task_may_close_the_descriptor_first(void **state)
{
	(void)state;
	flow_run(&flow, close_ones_own);
	assert_int_equal(flow.codes[0], 4);
	assert_ended(1);
}

/* What it was told first, it is told for ever. */
static int close_after_the_end(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_hang_up(&flow, 0);
	flow_note(&flow, flow_view(&flow, 0));
	close_under(0);
	flow_note(&flow, flow_view(&flow, 0));
	flow_close(&flow, 0);
	return error;
}

static void an_end_stays_the_end(void **state)
{
	(void)state;
	flow_run(&flow, close_after_the_end);
	assert_int_equal(flow.codes[0], 0);
	assert_int_equal(flow.codes[1], 0);
}

/* Many streams on one bucket of descriptors: only the right one ends. */
static int close_one_of_many(void *arg)
{
	int error = 0;

	(void)arg;
	for (unsigned i = 0; i < FLOW_STREAMS; i++)
		error |= flow_open(&flow, i, NULL);
	flow_settle();
	close_under(3);
	flow_note(&flow, flow_view(&flow, 3));
	for (unsigned i = 0; i < FLOW_STREAMS; i++)
		if (i != 3) {
			flow_say(&flow, i, "go");
			flow_expect(&flow, flow_view(&flow, i) == 2, "ended");
		}
	for (unsigned i = FLOW_STREAMS; i--;)
		flow_close(&flow, i);
	return error;
}

static void streams_of_other_descriptors_go_on(void **state)
{
	(void)state;
	flow_run(&flow, close_one_of_many);
	assert_int_equal(flow.codes[0], -EBADF);
}

/* What a close of a number does that is in the same bucket. */
static int close_far(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_settle();
	ri_operations_close(ri_tasks_here(),
			    flow.pairs[0][0] + (int)RI_DESCRIPTOR_BUCKETS);
	flow_say(&flow, 0, "go");
	flow_note(&flow, flow_view(&flow, 0));
	flow_close(&flow, 0);
	return error;
}

static void a_number_far_away_is_another_one(void **state)
{
	(void)state;
	flow_run(&flow, close_far);
	assert_int_equal(flow.codes[0], 2);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_has_landed_is_told_before_the_close),
		TEST(who_waits_is_told_of_the_close),
		TEST(who_waits_for_a_buffer_is_told_of_the_close),
		TEST(so_is_who_receives_past_the_buffers),
		TEST(an_end_past_the_buffers_that_was_first_stays),
		TEST(bytes_never_come_behind_the_close),
		TEST(who_looks_after_the_close_waits_for_what_lands),
		TEST(the_number_is_left_alone_when_it_is_anothers),
		TEST(its_own_task_may_close_the_descriptor_first),
		TEST(an_end_stays_the_end),
		TEST(streams_of_other_descriptors_go_on),
		TEST(a_number_far_away_is_another_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
