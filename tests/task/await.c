/* SPDX-License-Identifier: MIT */
/*
 * Entries of the caller's own: what is refused, what comes back, and those
 * with two completions.
 */
#include "rota/rota.h"
#include "support/kernel.h"
#include "support/run.h"
#include "task/task.h"

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Linux has them, liburing 2.3 does not. */
#define OP_READ_MULTISHOT 49
#define OP_RECV_ZC 58
#define TIMEOUT_MULTISHOT (1u << 6)
#define URING_CMD_MULTISHOT (1u << 1)

static int await_nop(void *arg)
{
	struct io_uring_sqe entry;

	(void)arg;
	io_uring_prep_nop(&entry);
	entry.user_data = UINT64_MAX;
	return rota_await(&entry);
}

static void a_nop_returns_0_whatever_its_user_data(void **state)
{
	(void)state;
	assert_int_equal(test_run(await_nop, NULL), 0);
}

static int await_with_errors(void *arg)
{
	int *codes = arg;
	struct io_uring_sqe entry;
	char byte;

	io_uring_prep_read(&entry, -1, &byte, 1, 0);
	codes[0] = rota_await(&entry);
	io_uring_prep_unlink(&entry, "/nowhere/at/all", 0);
	codes[1] = rota_await(&entry);
	io_uring_prep_nop(&entry);
	entry.opcode = 255;
	codes[2] = rota_await(&entry);
	return 0;
}

static void what_the_kernel_says_is_returned(void **state)
{
	int codes[3] = { 0 };

	(void)state;
	assert_int_equal(test_run(await_with_errors, codes), 0);
	assert_int_equal(codes[0], -EBADF);
	assert_int_equal(codes[1], -ENOENT);
	assert_int_equal(codes[2], -EINVAL);
}

struct refusals {
	struct io_uring_sqe entries[16];
	int codes[16];
	unsigned count;
	bool submitted; /* something went to the ring */
};

static int await_refused(void *arg)
{
	struct refusals *refusals = arg;
	const struct ri_loop *loop = &ri_tasks_here()->loop;

	for (unsigned i = 0; i < refusals->count; i++) {
		refusals->codes[i] = rota_await(&refusals->entries[i]);
		if (ri_ring_queued(&loop->ring) || loop->in_flight ||
		    loop->ring.submitted)
			refusals->submitted = true;
	}
	return 0;
}

static void expect_refusals(struct refusals *refusals)
{
	assert_int_equal(test_run(await_refused, refusals), 0);
	for (unsigned i = 0; i < refusals->count; i++)
		assert_int_equal(refusals->codes[i], -EINVAL);
	assert_false(refusals->submitted);
}

static void flags_of_more_or_fewer_completions_are_refused(void **state)
{
	static const uint8_t flags[] = { IOSQE_IO_LINK, IOSQE_IO_HARDLINK,
					 IOSQE_IO_DRAIN, IOSQE_CQE_SKIP_SUCCESS,
					 IOSQE_BUFFER_SELECT };
	struct refusals refusals = { .count = 5 };

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		io_uring_prep_nop(&refusals.entries[i]);
		refusals.entries[i].flags = flags[i];
	}
	expect_refusals(&refusals);
}

static void everything_multishot_is_refused(void **state)
{
	struct refusals refusals = { .count = 8 };
	struct io_uring_sqe *entries = refusals.entries;
	struct __kernel_timespec second = { .tv_sec = 1 };
	struct msghdr message = { 0 };

	(void)state;
	io_uring_prep_multishot_accept(&entries[0], 0, NULL, NULL, 0);
	io_uring_prep_recv_multishot(&entries[1], 0, NULL, 0, 0);
	io_uring_prep_recvmsg_multishot(&entries[2], 0, &message, 0);
	io_uring_prep_poll_multishot(&entries[3], 0, POLLIN);
	io_uring_prep_timeout(&entries[4], &second, 0, TIMEOUT_MULTISHOT);
	io_uring_prep_nop(&entries[5]);
	entries[5].opcode = IORING_OP_URING_CMD;
	entries[5].rw_flags = (int)URING_CMD_MULTISHOT;
	io_uring_prep_nop(&entries[6]);
	entries[6].opcode = OP_READ_MULTISHOT;
	io_uring_prep_nop(&entries[7]);
	entries[7].opcode = OP_RECV_ZC;
	expect_refusals(&refusals);
}

static void operations_on_the_ring_itself_are_refused(void **state)
{
	struct refusals refusals = { .count = 5 };
	struct io_uring_sqe *entries = refusals.entries;
	struct __kernel_timespec second = { .tv_sec = 1 };

	(void)state;
	io_uring_prep_cancel64(&entries[0], 0, IORING_ASYNC_CANCEL_ANY);
	io_uring_prep_timeout_remove(&entries[1], 0, 0);
	io_uring_prep_poll_remove(&entries[2], 0);
	io_uring_prep_link_timeout(&entries[3], &second, 0);
	io_uring_prep_msg_ring(&entries[4], 0, 0, 0, 0);
	expect_refusals(&refusals);
}

static int await_cancelled(void *arg)
{
	const struct ri_loop *loop = &ri_tasks_here()->loop;
	int *codes = arg;
	struct io_uring_sqe entry;
	struct rota_deadline deadline;

	io_uring_prep_nop(&entry);
	rota_deadline_begin(&deadline, 0);
	codes[0] = rota_await(&entry);
	codes[1] = (int)ri_ring_queued(&loop->ring);
	entry.flags = IOSQE_IO_LINK;
	codes[2] = rota_await(&entry);
	rota_deadline_end(&deadline);
	return 0;
}

static void in_a_cancelled_task_nothing_is_begun(void **state)
{
	int codes[3] = { 0 };

	(void)state;
	assert_int_equal(test_run(await_cancelled, codes), 0);
	assert_int_equal(codes[0], -ETIME);
	assert_int_equal(codes[1], 0);
	assert_int_equal(codes[2], -EINVAL);
}

static int await_kernel_timer(void *arg)
{
	struct __kernel_timespec second = { .tv_sec = 1000 };
	struct io_uring_sqe entry;
	struct rota_deadline deadline;
	int code;

	(void)arg;
	io_uring_prep_timeout(&entry, &second, 0, 0);
	rota_deadline_begin(&deadline, rota_after_ns(ROTA_MILLISECOND));
	code = rota_await(&entry);
	return rota_deadline_end(&deadline) && code == -ETIME ? 0 : -EPROTO;
}

static void a_deadline_ends_any_operation(void **state)
{
	(void)state;
	assert_int_equal(test_run(await_kernel_timer, NULL), 0);
}

/* Two entries are made at a time, and tasks run in between. */
struct pair {
	int fds[2];
	int results[2];
	char bytes[2];
};

static int send_bytes(void *value)
{
	const struct pair *pair = *(struct pair **)value;
	size_t sent;

	return rota_send_all(pair->fds[1], "ab", 2, &sent);
}

static int one_byte(int fd, char *byte)
{
	return rota_recv(fd, byte, 1, 0);
}

static int await_what_parks_in_between(void *arg)
{
	struct pair *pair = arg;
	struct io_uring_sqe entry;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, send_bytes, pair);
	/* An argument that suspends: the entry is half filled in meanwhile. */
	io_uring_prep_recv(&entry, pair->fds[0], &pair->bytes[1],
			   (size_t)(pair->results[0] = one_byte(
					    pair->fds[0], &pair->bytes[0])),
			   0);
	pair->results[1] = rota_await(&entry);
	return error | rota_group_wait(&group);
}

static void an_entry_may_be_filled_in_across_suspensions(void **state)
{
	struct pair pair;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.fds), 0);
	assert_int_equal(test_run(await_what_parks_in_between, &pair), 0);
	assert_int_equal(pair.results[0], 1);
	assert_int_equal(pair.results[1], 1);
	assert_memory_equal(pair.bytes, "ab", 2);
	close(pair.fds[0]);
	close(pair.fds[1]);
}

/* A send that has two completions: its result, and the end of its use of the
 * buffer, which is held back. */
struct zero_copy {
	struct test_kernel kernel;
	int server, client;
	int results[2];
	unsigned completions;
	bool early;  /* it returned before the second */
	bool parted; /* its first one promised a second */
};

static bool hold_notice(void *context, const struct test_arrival *arrival)
{
	struct zero_copy *zero_copy = context;

	if (arrival->opcode != IORING_OP_SEND_ZC)
		return false;
	zero_copy->completions++;
	if (arrival->flags & IORING_CQE_F_MORE)
		zero_copy->parted = true;
	return arrival->flags & IORING_CQE_F_NOTIF;
}

static int send_zero_copy(void *value)
{
	struct zero_copy *zero_copy = *(struct zero_copy **)value;
	struct io_uring_sqe entry;
	char bytes[1000] = "zero copies";

	io_uring_prep_send_zc(&entry, zero_copy->client, bytes, sizeof(bytes),
			      0, 0);
	zero_copy->results[0] = rota_await(&entry);
	zero_copy->results[1] = 1;
	return 0;
}

static int connect_over_tcp(struct zero_copy *zero_copy)
{
	const int listener = rota_listen("127.0.0.1", 0, NULL);
	struct sockaddr_storage address;
	socklen_t bytes = sizeof(address);
	int error;

	if (listener < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &bytes))
		return -EPROTO;
	zero_copy->client = rota_socket(AF_INET, SOCK_STREAM, 0);
	error = rota_connect(zero_copy->client, (struct sockaddr *)&address,
			     bytes);
	zero_copy->server = rota_accept(listener);
	rota_close(listener);
	return error < 0 ? error : zero_copy->server < 0 ? -EPROTO : 0;
}

static int await_two_completions(void *arg)
{
	struct zero_copy *zero_copy = arg;
	struct rota_group group;
	char bytes[1000];
	int error = connect_over_tcp(zero_copy);
	size_t got = 0;

	test_kernel_hold(&zero_copy->kernel, hold_notice, zero_copy);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, send_zero_copy, zero_copy);
	while (!error && got < sizeof(bytes))
		got += (size_t)rota_recv(zero_copy->server, bytes,
					 sizeof(bytes), 0);
	while (!error && !test_kernel_held(&zero_copy->kernel) &&
	       !zero_copy->results[1])
		error = rota_sleep(ROTA_MILLISECOND);
	zero_copy->early = zero_copy->results[1];
	test_kernel_hold(&zero_copy->kernel, NULL, NULL);
	test_kernel_release_all(&zero_copy->kernel);
	error |= rota_group_wait(&group);
	rota_close(zero_copy->client);
	rota_close(zero_copy->server);
	return error;
}

static void a_send_without_a_copy_returns_once_its_buffer_is_free(void **state)
{
	struct zero_copy zero_copy = { .early = false };

	(void)state;
	test_kernel_init(&zero_copy.kernel);
	assert_int_equal(test_run_with(NULL, &zero_copy.kernel.table,
				       await_two_completions, &zero_copy),
			 0);
	assert_int_equal(zero_copy.results[0], 1000);
	assert_true(zero_copy.parted);
	assert_int_equal(zero_copy.completions, 2);
	assert_false(zero_copy.early);
}

static int await_poll(void *value)
{
	struct pair *pair = *(struct pair **)value;
	struct io_uring_sqe entry;

	io_uring_prep_poll_add(&entry, pair->fds[0], POLLIN);
	pair->results[0] = rota_await(&entry);
	return 0;
}

static int close_under_await(void *arg)
{
	struct pair *pair = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, await_poll, pair);
	rota_yield();
	error |= rota_close(pair->fds[0]);
	return error | rota_group_wait(&group);
}

static void closing_its_descriptor_ends_any_operation(void **state)
{
	struct pair pair;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.fds), 0);
	assert_int_equal(test_run(close_under_await, &pair), 0);
	assert_int_equal(pair.results[0], -EBADF);
	close(pair.fds[1]);
}

/* A kernel that says this to five enters. */
struct refusing {
	struct test_kernel kernel;
	int error;
};

static int refuse_entries(void *arg)
{
	struct refusing *refusing = arg;
	struct io_uring_sqe entry;
	int result;

	io_uring_prep_nop(&entry);
	test_kernel_fail(&refusing->kernel,
			 &(struct test_fault){ .call = TEST_ENTER,
					       .times = 5,
					       .error = refusing->error });
	result = rota_await(&entry);
	return refusing->kernel.calls[TEST_ENTER] > 5 ? result : -EPROTO;
}

static void a_kernel_without_memory_is_asked_until_it_has_some(void **state)
{
	static const int errors[] = { -EAGAIN, -ENOMEM, -EBUSY, -EINTR };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct refusing refusing = { .error = errors[i] };

		test_kernel_init(&refusing.kernel);
		test_kernel_clock(&refusing.kernel, ROTA_SECOND);
		assert_int_equal(test_run_with(NULL, &refusing.kernel.table,
					       refuse_entries, &refusing),
				 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_nop_returns_0_whatever_its_user_data),
		cmocka_unit_test(what_the_kernel_says_is_returned),
		cmocka_unit_test(
			flags_of_more_or_fewer_completions_are_refused),
		cmocka_unit_test(everything_multishot_is_refused),
		cmocka_unit_test(operations_on_the_ring_itself_are_refused),
		cmocka_unit_test(in_a_cancelled_task_nothing_is_begun),
		cmocka_unit_test(a_deadline_ends_any_operation),
		cmocka_unit_test(an_entry_may_be_filled_in_across_suspensions),
		cmocka_unit_test(
			a_send_without_a_copy_returns_once_its_buffer_is_free),
		cmocka_unit_test(closing_its_descriptor_ends_any_operation),
		cmocka_unit_test(
			a_kernel_without_memory_is_asked_until_it_has_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
