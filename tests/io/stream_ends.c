/* SPDX-License-Identifier: MIT */
/*
 * What ends a wait for a receive stream, and what ends the stream: cancels and
 * deadlines, closes of it and of its descriptor, in each order. What has landed
 * is not lost by that.
 */
#include "rota/rota.h"
#include "support/flow.h"
#include "support/gate.h"
#include "task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const struct rota_cancellation enough = { 0, "enough" };

static struct flow flow;

static int setup(void **state)
{
	(void)state;
	flow_init_buffers(&flow, 8, 4);
	return 0;
}

static char heard_by_recv[16];

/* What is still in the socket, by a plain receive. */
static int recv_rest(void)
{
	memset(heard_by_recv, 0, sizeof(heard_by_recv));
	return rota_recv(flow.pairs[0][0], heard_by_recv,
			 sizeof(heard_by_recv) - 1, MSG_DONTWAIT);
}

static void close_stream(unsigned i)
{
	rota_stream_close(&flow.streams[i]);
	flow.open[i] = false;
	flow_audit(&flow);
}

static int close_with_bytes(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_say(&flow, 0, "12345678");
	flow_settle();
	flow_view(&flow, 0);
	flow_expect(&flow, flow_held(&flow, 0) == 2, "held");
	close_stream(0);
	flow_say(&flow, 0, "rest");
	flow_note(&flow, recv_rest());
	flow_close(&flow, 0);
	return error;
}

static void what_has_landed_is_thrown_away_by_a_close(void **state)
{
	(void)state;
	flow_run(&flow, close_with_bytes);
	assert_int_equal(flow.codes[0], 4);
	assert_string_equal(heard_by_recv, "rest");
}

static int close_at_once(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	close_stream(0); /* it has not begun */
	flow_say(&flow, 0, "one");
	flow_note(&flow, recv_rest());
	error |= rota_receive_stream_open(&flow.streams[0], flow.pairs[0][0],
					  NULL);
	flow.open[0] = true;
	flow_settle();
	flow_expect(&flow, flow_in_flight(&flow, 0), "it has not begun");
	close_stream(0);
	flow_say(&flow, 0, "two");
	flow_note(&flow, recv_rest());
	flow_close(&flow, 0);
	return error;
}

static void closed_the_socket_is_everybodys_again(void **state)
{
	(void)state;
	flow_run(&flow, close_at_once);
	assert_int_equal(flow.codes[0], 3);
	assert_int_equal(flow.codes[1], 3);
}

static int close_hungry(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	error |= flow_open(&flow, 1, NULL);
	flow_say(&flow, 1, "1234");
	flow_settle();
	flow_say(&flow, 0, "x");
	flow_settle();
	flow_expect(&flow, flow_hungry(&flow, 0), "it is not hungry");
	close_stream(0);
	flow_hear(&flow, 1, 4);
	flow_settle();
	flow_note(&flow, recv_rest());
	flow_close(&flow, 0);
	flow_close(&flow, 1);
	return error;
}

static void a_hungry_stream_can_be_closed(void **state)
{
	(void)state;
	flow.config.stream_buffers = 1;
	flow_run(&flow, close_hungry);
	assert_int_equal(flow.codes[0], 1);
}

/* The first cancels name nothing; they are written again. */
static int close_with_misses(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_settle();
	flow.kernel.spoil = 3;
	close_stream(0);
	flow_note(&flow, (int)flow.kernel.arrivals.cancels);
	flow_note(&flow, (int)flow.kernel.spoil);
	flow_close(&flow, 0);
	return error;
}

static void a_cancel_that_misses_is_written_again(void **state)
{
	(void)state;
	test_kernel_clock(&flow.kernel, 1000 * ROTA_SECOND);
	flow_run(&flow, close_with_misses);
	assert_int_equal(flow.codes[0], 4);
	assert_int_equal(flow.codes[1], 0);
}

static struct gate gate;

static int close_when_told(void *value)
{
	(void)value;
	if (flow_open(&flow, 0, NULL))
		return -EIO;
	gate_wait(&gate, true);
	close_stream(0);
	flow_close(&flow, 0);
	return 0;
}

/* Bytes land beyond its due in the batch that tells of the miss, before it. */
static int land_before_the_miss(void *arg)
{
	int error;

	(void)arg;
	gate = (struct gate){ .open = false };
	rota_group_open(&flow.group, NULL);
	error = rota_go(&flow.group, close_when_told, 0);
	flow_settle();
	flow.kernel.spoil = 1;
	test_kernel_hold(&flow.kernel, test_hold_every, NULL);
	gate_open(&gate);
	flow_settle();
	flow_note(&flow, (int)test_kernel_held(&flow.kernel));
	flow_say(&flow, 0, "111122223333");
	flow_settle();
	flow_note(&flow, (int)test_kernel_held(&flow.kernel));
	while (test_kernel_held(&flow.kernel) > 1)
		test_kernel_release(&flow.kernel, 1);
	test_kernel_hold(&flow.kernel, NULL, NULL);
	test_kernel_release(&flow.kernel, 0);
	return error | rota_group_wait(&flow.group);
}

static void so_is_one_that_misses_while_bytes_land(void **state)
{
	(void)state;
	test_kernel_clock(&flow.kernel, 1000 * ROTA_SECOND);
	flow_run(&flow, land_before_the_miss);
	assert_int_equal(flow.codes[0], 1);
	assert_int_equal(flow.codes[1], 4);
}

static int view_cancelled(void *value)
{
	struct rota_shield shield;

	(void)value;
	if (flow_open(&flow, 0, NULL))
		return -EIO;
	flow_note(&flow, flow_view(&flow, 0));
	flow_note(&flow, flow_copy(&flow, 0, 9));
	rota_shield_begin(&shield, ROTA_NEVER);
	flow_note(&flow, flow_view(&flow, 0));
	flow_note(&flow, flow_view(&flow, 0));
	rota_shield_end(&shield);
	flow_note(&flow, flow_view(&flow, 0));
	flow_close(&flow, 0);
	return 0;
}

static int cancel_then_say(void *arg)
{
	int error;

	(void)arg;
	rota_group_open(&flow.group, NULL);
	error = rota_go(&flow.group, view_cancelled, 0);
	flow_settle();
	rota_group_cancel(&flow.group, enough);
	flow_settle();
	flow_say(&flow, 0, "one");
	flow_settle();
	flow_say(&flow, 0, "two");
	error |= rota_group_wait(&flow.group) != -ECANCELED;
	return error;
}

static void a_cancelled_wait_takes_nothing_and_a_shield_reads_on(void **state)
{
	static const int expected[] = { -ECANCELED, -ECANCELED, 3, 3,
					-ECANCELED };

	(void)state;
	flow_run(&flow, cancel_then_say);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(flow.codes[i], expected[i]);
	assert_string_equal(flow.text[0], "onetwo");
}

/* Who cancels the reader goes on in the same turn: before it or after it. */
static bool reader_first;

static void let_in_order(struct test_kernel *kernel, void *context)
{
	const unsigned first = reader_first ? IORING_OP_RECV : IORING_OP_NOP;

	(void)context;
	if (test_kernel_held(kernel) < 2)
		return;
	test_kernel_hold(kernel, NULL, NULL);
	if (test_kernel_held_at(kernel, 0)->opcode != first)
		test_kernel_release(kernel, 1);
	test_kernel_release_all(kernel);
}

static int read_until_cancelled(void *value)
{
	int n;

	(void)value;
	if (flow_open(&flow, 0, NULL))
		return -EIO;
	do {
		n = flow_view(&flow, 0);
		flow_note(&flow, n);
	} while (n > 0);
	flow_close(&flow, 0);
	return n;
}

static int cancel_with_the_bytes(void *arg)
{
	struct io_uring_sqe entry;
	int error;

	(void)arg;
	rota_group_open(&flow.group, NULL);
	error = rota_go(&flow.group, read_until_cancelled, 0);
	flow_settle();
	test_kernel_hold(&flow.kernel, test_hold_all, NULL);
	flow.kernel.on_idle = let_in_order;
	flow_say(&flow, 0, "1");
	io_uring_prep_nop(&entry);
	error |= rota_await(&entry);
	flow_note(&flow, 100);
	rota_group_cancel(&flow.group, enough);
	error |= rota_group_wait(&flow.group) != -ECANCELED;
	return error;
}

static void bytes_that_came_with_a_cancel_are_told(void **state)
{
	static const int orders[2][3] = { { 100, 1, -ECANCELED },
					  { 1, 100, -ECANCELED } };

	for (int first = 0; first < 2; first++) {
		setup(state);
		reader_first = first;
		flow_run(&flow, cancel_with_the_bytes);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(flow.codes[i], orders[first][i]);
		assert_string_equal(flow.text[0], "1");
	}
}

static int read_late(void *arg)
{
	struct rota_deadline deadline;
	int error = flow_open(arg, 0, NULL);

	rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND));
	flow_note(&flow, flow_view(&flow, 0));
	flow_note(&flow, rota_deadline_end(&deadline));
	flow_say(&flow, 0, "one");
	flow_settle();
	/* It has landed: that the deadline is past does not matter. */
	rota_deadline_begin(&deadline, 0);
	flow_note(&flow, flow_copy(&flow, 0, 1));
	flow_note(&flow, flow_view(&flow, 0));
	flow_note(&flow, flow_view(&flow, 0));
	rota_deadline_end(&deadline);
	flow_say(&flow, 0, "two");
	flow_note(&flow, flow_view(&flow, 0));
	flow_close(&flow, 0);
	return error;
}

static void a_deadline_ends_the_wait_and_not_the_stream(void **state)
{
	static const int expected[] = { -ETIME, true, 1, 2, -ETIME, 3 };

	(void)state;
	test_kernel_clock(&flow.kernel, 1000 * ROTA_SECOND);
	flow_run(&flow, read_late);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(flow.codes[i], expected[i]);
	assert_string_equal(flow.text[0], "onetwo");
}

static int read_idle(void *value)
{
	struct rota_idle idle;

	(void)value;
	if (flow_open(&flow, 0, NULL))
		return -EIO;
	rota_idle_begin(&idle);
	flow_note(&flow, flow_view(&flow, 0));
	rota_idle_end(&idle);
	flow_note(&flow, flow_view(&flow, 0));
	flow_close(&flow, 0);
	return 0;
}

static int drain_idle(void *arg)
{
	int error;

	(void)arg;
	rota_group_open(&flow.group, NULL);
	error = rota_go(&flow.group, read_idle, 0);
	flow_settle();
	rota_group_drain(&flow.group, ROTA_NEVER);
	flow_settle();
	flow_note(&flow, 100);
	flow_say(&flow, 0, "work");
	return error | rota_group_wait(&flow.group);
}

static void a_drain_ends_an_idle_wait_and_not_the_stream(void **state)
{
	(void)state;
	flow_run(&flow, drain_idle);
	assert_int_equal(flow.codes[0], -ESHUTDOWN);
	assert_int_equal(flow.codes[1], 100);
	assert_int_equal(flow.codes[2], 4);
}

static int close_in_cancelled(void *value)
{
	(void)value;
	if (flow_open(&flow, 0, NULL))
		return -EIO;
	flow_say(&flow, 0, "x");
	flow_settle();
	rota_group_cancel(&flow.group, enough);
	flow_expect(&flow, flow_in_flight(&flow, 0), "it is not in flight");
	flow_close(&flow, 0);
	flow_note(&flow, rota_receive_stream_open(&flow.streams[1], 0, NULL));
	return flow_open(&flow, 1, NULL);
}

static int close_cancelled(void *arg)
{
	int error;

	(void)arg;
	rota_group_open(&flow.group, NULL);
	error = rota_go(&flow.group, close_in_cancelled, 0);
	flow_note(&flow, rota_group_wait(&flow.group));
	flow_audit(&flow);
	flow_close(&flow, 1);
	return error;
}

static void in_a_cancelled_task_it_closes_and_does_not_open(void **state)
{
	(void)state;
	flow_run(&flow, close_cancelled);
	assert_int_equal(flow.codes[1], -ECANCELED);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_has_landed_is_thrown_away_by_a_close),
		TEST(closed_the_socket_is_everybodys_again),
		TEST(a_hungry_stream_can_be_closed),
		TEST(a_cancel_that_misses_is_written_again),
		TEST(so_is_one_that_misses_while_bytes_land),
		TEST(a_cancelled_wait_takes_nothing_and_a_shield_reads_on),
		TEST(bytes_that_came_with_a_cancel_are_told),
		TEST(a_deadline_ends_the_wait_and_not_the_stream),
		TEST(a_drain_ends_an_idle_wait_and_not_the_stream),
		TEST(in_a_cancelled_task_it_closes_and_does_not_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
