/* SPDX-License-Identifier: MIT */
/*
 * What receive streams are refused, and what the kernel refuses them for a
 * while: nothing is lost by that.
 */
#include "rota/rota.h"
#include "support/flow.h"
#include "support/run.h"
#include "task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct flow flow;

static int setup(void **state)
{
	(void)state;
	flow_init(&flow);
	return 0;
}

static void try_to_open(int fd)
{
	flow_note(&flow, rota_receive_stream_open(&flow.streams[0], fd, NULL));
	close(fd);
}

static int open_others(void *arg)
{
	int pair[2];

	(void)arg;
	try_to_open(-1);
	try_to_open(socket(AF_INET, SOCK_DGRAM, 0));
	try_to_open(socket(AF_UNIX, SOCK_SEQPACKET, 0));
	if (pipe(pair))
		return -errno;
	try_to_open(pair[0]);
	try_to_open(pair[0]); /* it is closed */
	close(pair[1]);
	flow_audit(&flow);
	return 0;
}

static void what_is_no_stream_socket_is_refused(void **state)
{
	static const int expected[] = { -EBADF, -EPROTOTYPE, -EPROTOTYPE,
					-ENOTSOCK, -EBADF };

	(void)state;
	flow_run(&flow, open_others);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(flow.codes[i], expected[i]);
	assert_int_equal(flow.said.lines, 0);
}

static int open_unconnected(void *arg)
{
	(void)arg;
	flow.pairs[0][0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	flow_note(&flow, rota_receive_stream_open(&flow.streams[0],
						  flow.pairs[0][0], NULL));
	flow.open[0] = true;
	flow_note(&flow, flow_view(&flow, 0));
	flow_note(&flow, flow_copy(&flow, 0, 1));
	flow_close(&flow, 0);
	return 0;
}

static void one_that_is_not_connected_says_so_when_it_is_read(void **state)
{
	(void)state;
	flow_run(&flow, open_unconnected);
	assert_int_equal(flow.codes[0], 0);
	assert_int_equal(flow.codes[1], -ENOTCONN);
	assert_int_equal(flow.codes[2], -ENOTCONN);
}

/* "Best left blocking": the other kind works as well. */
static int read_nonblocking(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	fcntl(flow.pairs[0][0], F_SETFL, O_NONBLOCK);
	flow_settle();
	flow_say(&flow, 0, "one");
	flow_note(&flow, flow_view(&flow, 0));
	rota_stream_close(&flow.streams[0]);
	error |= rota_receive_stream_open(&flow.streams[0], flow.pairs[0][0],
					  NULL);
	flow_settle();
	flow_note(&flow, rota_stream_ready(&flow.streams[0]));
	flow_say(&flow, 0, "two");
	flow_note(&flow, flow_view(&flow, 0));
	flow_close(&flow, 0);
	return error;
}

static void a_socket_that_does_not_block_is_waited_for_too(void **state)
{
	(void)state;
	flow_run(&flow, read_nonblocking);
	assert_int_equal(flow.codes[0], 3);
	assert_int_equal(flow.codes[1], false);
	assert_int_equal(flow.codes[2], 3);
}

static int fill_all(void *arg)
{
	int error = 0;

	(void)arg;
	for (unsigned i = 0; i < 3; i++)
		error |= flow_open(&flow, i, NULL);
	flow_note(&flow, flow_open(&flow, 3, NULL));
	flow_close(&flow, 3);
	flow_close(&flow, 1);
	flow_note(&flow, flow_open(&flow, 1, NULL));
	flow_note(&flow, flow_open(&flow, 3, NULL));
	flow_say(&flow, 1, "works");
	flow_note(&flow, flow_view(&flow, 1));
	flow_audit(&flow);
	for (unsigned i = 0; i < 4; i++)
		flow_close(&flow, i);
	return error;
}

static void more_than_streams_max_are_refused(void **state)
{
	(void)state;
	flow.config.streams_max = 3;
	flow_run(&flow, fill_all);
	assert_int_equal(flow.codes[0], -EAGAIN);
	assert_int_equal(flow.codes[1], 0);
	assert_int_equal(flow.codes[2], -EAGAIN);
	assert_int_equal(flow.codes[3], 5);
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void assert_config_refused(unsigned count, unsigned bytes)
{
	setup(NULL);
	flow.config.stream_buffers = count;
	flow.config.stream_buffer_bytes = bytes;
	assert_int_equal(test_run_with(&flow.config, &flow.kernel.table,
				       nothing, NULL),
			 -EINVAL);
	assert_int_equal(flow.said.lines, 1);
	assert_true(test_log_has(&flow.said, "config.stream_buffers is "));
	assert_int_equal(test_kernel_left(&flow.kernel), 0);
}

static void buffers_out_of_range_are_refused(void **state)
{
	(void)state;
	assert_config_refused(8193, 0);
	assert_config_refused(0, (1 << 20) + 1);
	assert_config_refused(UINT32_MAX, UINT32_MAX);
}

static int use_large(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_say(&flow, 0, "large");
	flow_note(&flow, flow_view(&flow, 0));
	flow_audit(&flow);
	flow_close(&flow, 0);
	return error;
}

static void the_most_and_largest_buffers_work(void **state)
{
	(void)state;
	flow.config.stream_buffers = 8192;
	flow_run(&flow, use_large);
	assert_int_equal(flow.codes[0], 5);
	setup(NULL);
	flow.config.stream_buffer_bytes = 1 << 20;
	flow_run(&flow, use_large);
	assert_int_equal(flow.codes[0], 5);
}

/* Each thing that the first stream asks of the kernel is refused once. */
static int open_in_vain(void *arg)
{
	int error = 0;

	(void)arg;
	for (unsigned i = 0; i < 3; i++) {
		flow_note(&flow, flow_open(&flow, 0, NULL));
		flow_close(&flow, 0);
		flow_audit(&flow);
	}
	error |= flow_open(&flow, 0, NULL);
	flow_say(&flow, 0, "now");
	flow_note(&flow, flow_view(&flow, 0));
	flow_close(&flow, 0);
	return error;
}

static int refuse_each(void *arg)
{
	const struct test_fault enroll = { .call = TEST_ENROLL,
					   .error = -ENOMEM };
	const struct test_fault first = { .call = TEST_MAP, .error = -ENOMEM };
	const struct test_fault second = { .call = TEST_MAP,
					   .nth = 4,
					   .error = -ENOMEM };

	/* Mappings: buffers; buffers; buffers and records. */
	test_kernel_fail(&flow.kernel, &enroll);
	test_kernel_fail(&flow.kernel, &first);
	test_kernel_fail(&flow.kernel, &second);
	return open_in_vain(arg);
}

static void refused_memory_is_told_and_may_come_later(void **state)
{
	(void)state;
	flow_run(&flow, refuse_each);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(flow.codes[i], -ENOMEM);
	assert_int_equal(flow.codes[3], 3);
	assert_int_equal(flow.said.lines, 3);
	assert_true(test_log_has(&flow.said, "no memory for the 256 buffers"));
	assert_true(test_log_has(&flow.said, "config.streams_max asks for"));
}

#define MANY 2000u

/* Its completions do not fit: the kernel ends the operation, with bytes. */
static int overflow(void *arg)
{
	int error = flow_open(arg, 0, NULL);
	uint64_t submitted = ri_tasks_here()->loop.ring.submitted;

	for (unsigned sent = 0; sent < MANY; sent += 100) {
		flow_drip(&flow, 0, 100);
		flow_hear(&flow, 0, 100);
		for (unsigned i = 0; i < 100; i++)
			flow_expect(&flow,
				    flow.text[0][i] == (char)('a' + i % 26),
				    "other bytes");
		flow.heard[0] = 0;
		flow_audit(&flow);
	}
	flow_note(&flow,
		  (int)(ri_tasks_here()->loop.ring.submitted - submitted));
	flow_close(&flow, 0);
	return error;
}

static void completions_that_overflow_cost_no_bytes(void **state)
{
	(void)state;
	flow.config.entries = 1;
	flow.config.completions = 2;
	flow.config.stream_buffer_bytes = 1;
	flow_run(&flow, overflow);
	/* It was begun again, more often than caps of 16 would have it. */
	assert_true(flow.codes[0] > 2 * (int)MANY / 16);
}

/* The kernel takes no entries: nothing begins or stops meanwhile. */
static int open_in_a_jam(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow.kernel.submit_error = -EAGAIN;
	error |= flow_open(&flow, 1, NULL);
	flow_say(&flow, 0, "one");
	flow_say(&flow, 1, "two");
	flow_settle();
	flow_note(&flow, rota_stream_ready(&flow.streams[0]));
	flow_note(&flow, rota_stream_ready(&flow.streams[1]));
	flow.kernel.submit_error = 0;
	flow_note(&flow, flow_view(&flow, 0));
	flow_note(&flow, flow_view(&flow, 1));
	flow.kernel.submit_max = 1;
	flow_close(&flow, 0);
	flow_close(&flow, 1);
	return error;
}

static void while_the_kernel_takes_no_entries_streams_wait(void **state)
{
	static const int expected[] = { 0, 0, 3, 3 };

	(void)state;
	flow.config.entries = 1;
	flow_run(&flow, open_in_a_jam);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(flow.codes[i], expected[i]);
}

static bool hold_the_last(void *context, const struct test_arrival *arrival)
{
	(void)context;
	return arrival->opcode == IORING_OP_RECV &&
	       !(arrival->flags & IORING_CQE_F_MORE);
}

/* What it was stopped for is gone before it has stopped. */
static int empty_it_meanwhile(void *arg)
{
	const struct rota_stream_options options = { .items_max = 2 };
	int error = flow_open(arg, 0, &options);

	test_kernel_hold(&flow.kernel, hold_the_last, NULL);
	flow_settle();
	flow_drip(&flow, 0, 1);
	flow_settle();
	flow_drip(&flow, 0, 1);
	flow_settle();
	flow_note(&flow, (int)test_kernel_held(&flow.kernel));
	flow_note(&flow, (int)flow_held(&flow, 0));
	flow_view(&flow, 0);
	flow_view(&flow, 0);
	test_kernel_hold(&flow.kernel, NULL, NULL);
	test_kernel_release_all(&flow.kernel);
	flow_settle();
	flow_note(&flow, flow_in_flight(&flow, 0));
	flow_drip(&flow, 0, 1);
	flow_note(&flow, flow_view(&flow, 0));
	flow_close(&flow, 0);
	return error;
}

static void stopped_late_it_begins_again(void **state)
{
	static const int expected[] = { 1, 2, true, 1 };

	(void)state;
	flow_run(&flow, empty_it_meanwhile);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(flow.codes[i], expected[i]);
}

/* The kernel may hand over a buffer with nothing in it. */
static int hear_nothing(void *arg)
{
	int error = flow_open(arg, 0, NULL), opcode = IORING_OP_RECV;

	flow_settle();
	test_kernel_hold(&flow.kernel, test_hold_opcode, &opcode);
	flow_say(&flow, 0, "lost");
	flow_settle();
	flow_note(&flow, (int)test_kernel_held(&flow.kernel));
	test_kernel_held_at(&flow.kernel, 0)->res = 0;
	test_kernel_hold(&flow.kernel, NULL, NULL);
	test_kernel_release_all(&flow.kernel);
	flow_settle();
	flow_note(&flow, (int)flow_held(&flow, 0));
	flow_note(&flow, rota_stream_ready(&flow.streams[0]));
	flow_audit(&flow);
	flow_say(&flow, 0, "heard");
	flow_note(&flow, flow_view(&flow, 0));
	flow_close(&flow, 0);
	return error;
}

static void a_buffer_with_nothing_in_it_goes_back_at_once(void **state)
{
	static const int expected[] = { 1, 0, false, 5 };

	(void)state;
	flow_run(&flow, hear_nothing);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(flow.codes[i], expected[i]);
}

/* One engine after the other, on one thread. */
static void each_engine_has_its_own_buffers(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		setup(NULL);
		flow_run(&flow, use_large);
		assert_int_equal(flow.codes[0], 5);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_is_no_stream_socket_is_refused),
		TEST(one_that_is_not_connected_says_so_when_it_is_read),
		TEST(a_socket_that_does_not_block_is_waited_for_too),
		TEST(more_than_streams_max_are_refused),
		TEST(buffers_out_of_range_are_refused),
		TEST(the_most_and_largest_buffers_work),
		TEST(refused_memory_is_told_and_may_come_later),
		TEST(completions_that_overflow_cost_no_bytes),
		TEST(while_the_kernel_takes_no_entries_streams_wait),
		TEST(stopped_late_it_begins_again),
		TEST(a_buffer_with_nothing_in_it_goes_back_at_once),
		TEST(each_engine_has_its_own_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
