/* SPDX-License-Identifier: MIT */
/*
 * Poll streams: what a descriptor is ready for, edge by edge. Under a clock of
 * the test's.
 */
#include "rota/rota.h"
#include "support/timed.h"
#include "task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	struct test_kernel kernel;
	struct rota_config config;
	struct rota_group group;
	struct rota_stream stream;
	int pair[2];     /* polled, and what makes it ready */
	unsigned events; /* that are polled for */
	bool done;       /* the member has ended */
	unsigned enters; /* of the kernel, in a while */
	int codes[8];
	int64_t times_ns[2];
};

/* Runs fn under the clock, and asserts that no descriptor is left. */
static void run(int (*fn)(void *), struct seen *seen)
{
	test_run_timed_clean(&seen->config, &seen->kernel, fn, seen);
}

/* A stream of the one end of a pair of sockets. */
static int open_pair(struct seen *seen)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, seen->pair))
		return -errno;
	return rota_poll_stream_open(&seen->stream, seen->pair[0],
				     seen->events ? seen->events : POLLIN);
}

static int close_pair(struct seen *seen)
{
	int error = 0;

	rota_stream_close(&seen->stream);
	for (int i = 0; i < 2; i++)
		if (seen->pair[i] >= 0)
			error |= rota_close(seen->pair[i]);
	return error;
}

static int give(const struct seen *seen)
{
	return write(seen->pair[1], "x", 1) == 1 ? 0 : -errno;
}

/* What it tells, unless that would have to be waited for: then -EAGAIN. */
static int look(struct seen *seen)
{
	return rota_stream_ready(&seen->stream)
		       ? rota_stream_poll(&seen->stream)
		       : -EAGAIN;
}

static int tell_edges(void *arg)
{
	struct seen *seen = arg;
	int error = open_pair(seen) | test_settle();

	seen->codes[0] = look(seen);
	error |= give(seen) | test_settle();
	seen->codes[1] = look(seen);
	error |= test_settle();
	seen->codes[2] = look(seen);
	error |= give(seen) | test_settle();
	seen->codes[3] = look(seen);
	return error | close_pair(seen);
}

static void each_edge_is_told_once(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(tell_edges, &seen);
	assert_int_equal(seen.codes[0], -EAGAIN);
	assert_int_equal(seen.codes[1], POLLIN);
	assert_int_equal(seen.codes[2], -EAGAIN);
	assert_int_equal(seen.codes[3], POLLIN);
}

static int tell_at_first(void *arg)
{
	struct seen *seen = arg;
	int error;

	seen->events = POLLIN | POLLOUT;
	error = open_pair(seen);
	seen->codes[0] = rota_stream_poll(&seen->stream);
	error |= test_settle();
	seen->codes[1] = look(seen);
	return error | close_pair(seen);
}

static void what_it_is_ready_for_already_is_told_first(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(tell_at_first, &seen);
	assert_int_equal(seen.codes[0], POLLOUT);
	assert_int_equal(seen.codes[1], -EAGAIN);
}

/* All that comes before it is asked is one item. */
static int tell_together(void *arg)
{
	struct seen *seen = arg;
	int error;

	seen->events = POLLIN | POLLOUT | POLLRDHUP;
	error = open_pair(seen) | test_settle() | give(seen) | test_settle();
	error |= give(seen) | test_settle();
	error |= shutdown(seen->pair[1], SHUT_WR) | test_settle();
	seen->codes[0] = look(seen);
	seen->codes[1] = look(seen);
	return error | close_pair(seen);
}

static void events_that_came_together_are_told_together(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(tell_together, &seen);
	assert_int_equal(seen.codes[0], POLLIN | POLLOUT | POLLRDHUP);
	assert_int_equal(seen.codes[1], -EAGAIN);
}

/* Two edges that are held meanwhile say what the test says. */
static int tell_other(void *arg)
{
	const int opcode = IORING_OP_POLL_ADD;
	struct seen *seen = arg;
	int error = open_pair(seen) | test_settle();

	test_kernel_hold(&seen->kernel, test_hold_opcode,
			 (void *)(uintptr_t)&opcode);
	for (int i = 0; i < 2; i++) {
		error |= give(seen) | test_settle();
		error |= test_kernel_held(&seen->kernel) != 1;
		test_kernel_held_at(&seen->kernel, 0)->res = seen->codes[i];
		test_kernel_release_all(&seen->kernel);
	}
	test_kernel_hold(&seen->kernel, NULL, NULL);
	error |= test_settle();
	seen->codes[2] = look(seen);
	error |= give(seen) | test_settle();
	seen->codes[3] = look(seen);
	return error | close_pair(seen);
}

static void what_came_before_is_told_with_what_comes(void **state)
{
	struct seen seen = { .codes = { POLLPRI, POLLOUT } };

	(void)state;
	run(tell_other, &seen);
	assert_int_equal(seen.codes[2], POLLPRI | POLLOUT);
	assert_int_equal(seen.codes[3], POLLIN);
}

static void what_says_that_it_was_stopped_goes_on(void **state)
{
	struct seen seen = { .codes = { -ECANCELED, -EINTR } };

	(void)state;
	run(tell_other, &seen);
	assert_int_equal(seen.codes[2], -EAGAIN);
	assert_int_equal(seen.codes[3], POLLIN);
}

static int hang_up(void *arg)
{
	struct seen *seen = arg;
	int error = open_pair(seen) | test_settle() | rota_close(seen->pair[1]);

	seen->pair[1] = -1;
	error |= test_settle();
	seen->codes[0] = look(seen);
	error |= test_settle();
	seen->enters = seen->kernel.calls[TEST_ENTER];
	error |= rota_sleep(ROTA_SECOND);
	seen->enters = seen->kernel.calls[TEST_ENTER] - seen->enters;
	seen->codes[1] = look(seen);
	return error | close_pair(seen);
}

static void a_hang_up_is_told_though_nobody_asked(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(hang_up, &seen);
	assert_int_equal(seen.codes[0], POLLIN | POLLHUP | POLLRDHUP);
	assert_int_equal(seen.codes[1], -EAGAIN);
	assert_in_range(seen.enters, 0, 5);
}

static int poll_eventfd(void *arg)
{
	const uint64_t one = 1;
	struct seen *seen = arg;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), error;
	uint64_t count;

	error = rota_poll_stream_open(&seen->stream, fd, POLLIN) |
		test_settle();
	seen->codes[0] = look(seen);
	for (int i = 1; i <= 2; i++) {
		error |= write(fd, &one, sizeof(one)) != sizeof(one);
		error |= test_settle();
		seen->codes[i] = look(seen);
		error |= read(fd, &count, sizeof(count)) != sizeof(count);
	}
	error |= test_settle();
	seen->codes[3] = look(seen);
	rota_stream_close(&seen->stream);
	return error | rota_close(fd);
}

static void an_eventfd_can_be_polled(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(poll_eventfd, &seen);
	assert_int_equal(seen.codes[0], -EAGAIN);
	assert_int_equal(seen.codes[1], POLLIN);
	assert_int_equal(seen.codes[2], POLLIN);
	assert_int_equal(seen.codes[3], -EAGAIN);
}

static int poll_timerfd(void *arg)
{
	const struct itimerspec soon = { .it_value = { .tv_nsec = 1 } };
	struct seen *seen = arg;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int error = rota_poll_stream_open(&seen->stream, fd, POLLIN);

	uint64_t count;

	for (int i = 0; i < 2; i++) {
		error |= timerfd_settime(fd, 0, &soon, NULL);
		seen->codes[i] = rota_stream_poll(&seen->stream);
		error |= read(fd, &count, sizeof(count)) != sizeof(count);
	}
	rota_stream_close(&seen->stream);
	return error | rota_close(fd);
}

static void a_timerfd_can_be_polled(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(poll_timerfd, &seen);
	assert_int_equal(seen.codes[0], POLLIN);
	assert_int_equal(seen.codes[1], POLLIN);
}

static int poll_pipe(void *arg)
{
	struct seen *seen = arg;
	int error = pipe2(seen->pair, O_CLOEXEC);

	error |= rota_poll_stream_open(&seen->stream, seen->pair[0], POLLIN);
	error |= give(seen);
	seen->codes[0] = rota_stream_poll(&seen->stream);
	error |= rota_close(seen->pair[1]);
	seen->pair[1] = -1;
	seen->codes[1] = rota_stream_poll(&seen->stream);
	return error | close_pair(seen);
}

static void a_pipe_can_be_polled(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(poll_pipe, &seen);
	assert_int_equal(seen.codes[0], POLLIN);
	assert_int_equal(seen.codes[1] & POLLHUP, POLLHUP);
}

/* What cannot be waited for is always ready, as poll(2) says. */
static int poll_file(void *arg)
{
	struct seen *seen = arg;
	const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int error = rota_poll_stream_open(&seen->stream, fd, POLLIN) |
		    test_settle();

	seen->enters = seen->kernel.calls[TEST_ENTER];
	error |= rota_sleep(ROTA_SECOND);
	seen->enters = seen->kernel.calls[TEST_ENTER] - seen->enters;
	seen->codes[0] = rota_stream_poll(&seen->stream);
	seen->codes[1] = rota_stream_poll(&seen->stream);
	rota_stream_close(&seen->stream);
	return error | rota_close(fd);
}

static void a_file_is_ready_whenever_it_is_asked(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(poll_file, &seen);
	assert_in_range(seen.enters, 0, 5);
	assert_int_equal(seen.codes[0], POLLIN);
	assert_int_equal(seen.codes[1], POLLIN);
}

/* The loop does not turn round and round for it. */
static int watch_file(void *arg)
{
	struct seen *seen = arg;
	const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int error = rota_poll_stream_open(&seen->stream, fd, POLLIN);
	char byte;

	error |= socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, seen->pair);
	error |= test_settle();
	seen->enters = seen->kernel.calls[TEST_ENTER];
	for (int i = 0; i < 10; i++) {
		error |= give(seen);
		error |= rota_read(seen->pair[0], &byte, 1) != 1;
	}
	seen->enters = seen->kernel.calls[TEST_ENTER] - seen->enters;
	return error | close_pair(seen) | rota_close(fd);
}

static void a_file_keeps_nobody_busy(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(watch_file, &seen);
	assert_in_range(seen.enters, 10, 30);
}

static int poll_bad(void *arg)
{
	struct seen *seen = arg;
	const int fd = dup(STDIN_FILENO);
	int error = rota_close(fd);

	seen->codes[0] = rota_poll_stream_open(&seen->stream, -1, POLLIN);
	error |= rota_poll_stream_open(&seen->stream, fd, POLLIN);
	seen->codes[1] = rota_stream_poll(&seen->stream);
	seen->codes[2] = rota_stream_poll(&seen->stream);
	rota_stream_close(&seen->stream);
	return error;
}

static void what_is_not_open_is_ebadf(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(poll_bad, &seen);
	for (int i = 0; i < 3; i++)
		assert_int_equal(seen.codes[i], -EBADF);
}

/* Polls until it is told that it is over. */
static int poll_until_told(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int error = rota_poll_stream_open(&seen->stream, seen->pair[0], POLLIN);

	if (error)
		return error;
	do {
		seen->codes[0] = rota_stream_poll(&seen->stream);
	} while (seen->codes[0] > 0);
	seen->times_ns[0] = test_now_ns();
	seen->codes[1] = rota_stream_poll(&seen->stream);
	seen->done = true;
	rota_stream_close(&seen->stream);
	return 0;
}

static int begin_waiting(struct seen *seen)
{
	int error =
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, seen->pair);

	rota_group_open(&seen->group, NULL);
	error |= rota_go(&seen->group, poll_until_told, seen);
	error |= rota_sleep(5);
	seen->codes[2] = seen->done;
	return error;
}

static int close_polled(void *arg)
{
	struct seen *seen = arg;
	int error = begin_waiting(seen) | rota_close(seen->pair[0]);

	error |= rota_group_wait(&seen->group);
	return error | rota_close(seen->pair[1]);
}

static void a_descriptor_closed_by_another_task_is_ebadf(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(close_polled, &seen);
	assert_int_equal(seen.codes[2], false);
	assert_int_equal(seen.codes[0], -EBADF);
	assert_int_equal(seen.codes[1], -EBADF);
}

static int cancel_polling(void *arg)
{
	struct seen *seen = arg;
	int error = begin_waiting(seen);

	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0 });
	seen->codes[3] = rota_group_wait(&seen->group);
	return error | rota_close(seen->pair[0]) | rota_close(seen->pair[1]);
}

static void a_cancel_wakes_who_waits(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(cancel_polling, &seen);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[1], -ECANCELED);
	assert_int_equal(seen.times_ns[0], 5);
}

/* A deadline ends a wait, but not the stream. */
static int poll_late(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;
	int error = open_pair(seen);

	rota_deadline_begin(&deadline, rota_after_ns(7));
	seen->codes[0] = rota_stream_poll(&seen->stream);
	seen->times_ns[0] = test_now_ns();
	error |= give(seen);
	seen->codes[1] = rota_deadline_end(&deadline);
	seen->codes[2] = rota_stream_poll(&seen->stream);
	return error | close_pair(seen);
}

static void after_a_deadline_it_goes_on(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(poll_late, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.times_ns[0], 7);
	assert_int_equal(seen.codes[1], true);
	assert_int_equal(seen.codes[2], POLLIN);
}

/* More edges than the kernel has room for completions of. */
static int overflow(void *arg)
{
	struct seen *seen = arg;
	struct rota_stream streams[8];
	int error =
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, seen->pair);

	for (int i = 0; i < 8; i++)
		error |= rota_poll_stream_open(&streams[i], seen->pair[0],
					       POLLIN);
	error |= test_settle();
	for (int round = 0; round < 3; round++) {
		error |= give(seen) | test_settle() | test_settle();
		for (int i = 0; i < 8; i++)
			seen->codes[round] +=
				rota_stream_poll(&streams[i]) == POLLIN;
	}
	for (int i = 0; i < 8; i++) {
		seen->codes[4] += streams[i].shot->generation > 1;
		rota_stream_close(&streams[i]);
	}
	return error | rota_close(seen->pair[0]) | rota_close(seen->pair[1]);
}

static void no_edge_is_lost_when_completions_overflow(void **state)
{
	struct seen seen = { .config = { .entries = 2, .completions = 4 } };

	(void)state;
	run(overflow, &seen);
	for (int round = 0; round < 3; round++)
		assert_int_equal(seen.codes[round], 8);
	/* It did happen: the kernel has ended some of them. */
	assert_true(seen.codes[4] > 0);
}

/* Who serves a poll stream: bytes are read by hand, until there are none. */
static int serve(struct rota_stream *stream, void *arg)
{
	struct seen *seen = arg;
	const int events = rota_stream_poll(stream);
	char bytes[16];
	ssize_t n;

	seen->codes[0]++;
	while ((n = recv(seen->pair[0], bytes, sizeof(bytes), MSG_DONTWAIT)) >
	       0)
		seen->codes[1] += (int)n;
	if (events > 0 && n < 0)
		return 0;
	seen->codes[2] = events;
	rota_stream_close(stream);
	return 0;
}

static int serve_polled(void *arg)
{
	struct seen *seen = arg;
	int error = open_pair(seen);

	rota_group_open(&seen->group, NULL);
	error |= rota_stream_serve(&seen->group, &seen->stream, serve, seen);
	for (int i = 0; i < 3; i++)
		error |= give(seen) | give(seen) | test_settle();
	error |= rota_close(seen->pair[1]);
	error |= rota_group_wait(&seen->group);
	return error | rota_close(seen->pair[0]);
}

static void a_member_without_a_stack_may_serve_it(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(serve_polled, &seen);
	assert_int_equal(seen.codes[0], 4);
	assert_int_equal(seen.codes[1], 6);
	assert_int_equal(seen.codes[2], POLLIN | POLLHUP | POLLRDHUP);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_edge_is_told_once),
		cmocka_unit_test(what_it_is_ready_for_already_is_told_first),
		cmocka_unit_test(events_that_came_together_are_told_together),
		cmocka_unit_test(what_came_before_is_told_with_what_comes),
		cmocka_unit_test(what_says_that_it_was_stopped_goes_on),
		cmocka_unit_test(a_hang_up_is_told_though_nobody_asked),
		cmocka_unit_test(an_eventfd_can_be_polled),
		cmocka_unit_test(a_timerfd_can_be_polled),
		cmocka_unit_test(a_pipe_can_be_polled),
		cmocka_unit_test(a_file_is_ready_whenever_it_is_asked),
		cmocka_unit_test(a_file_keeps_nobody_busy),
		cmocka_unit_test(what_is_not_open_is_ebadf),
		cmocka_unit_test(a_descriptor_closed_by_another_task_is_ebadf),
		cmocka_unit_test(a_cancel_wakes_who_waits),
		cmocka_unit_test(after_a_deadline_it_goes_on),
		cmocka_unit_test(no_edge_is_lost_when_completions_overflow),
		cmocka_unit_test(a_member_without_a_stack_may_serve_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
