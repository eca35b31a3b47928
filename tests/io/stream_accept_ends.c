/* SPDX-License-Identifier: MIT */
/*
 * What an accept stream says when it does not go on: cancels, closes, what is
 * no listener. Refusals that are hard to get are put into
 * the completions. Under a clock of the test's.
 */
#include "rota/rota.h"
#include "support/accepts.h"
#include "support/timed.h"
#include "task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Besides the one that is looked at. */
static struct rota_stream other;
static int control[2]; /* a pair */

static void begin_refusing(struct accepts *seen, int refusal, unsigned times)
{
	seen->refusal = refusal;
	seen->refusals = times;
	accepts_hold(seen);
	seen->kernel.on_idle = accepts_refuse_held;
	seen->kernel.idle_context = seen;
}

static int accept_on(struct accepts *seen, int fd, unsigned i)
{
	int error = rota_accept_stream_open(&seen->stream, fd, NULL);

	seen->codes[i] = rota_stream_accept(&seen->stream);
	error |= rota_stream_accept(&seen->stream) != seen->codes[i];
	error |= !rota_stream_ready(&seen->stream);
	rota_stream_close(&seen->stream);
	return error;
}

static int accept_on_others(void *arg)
{
	struct accepts *seen = arg;
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int gone = dup(fd);
	int error = rota_close(gone);

	error |= accept_on(seen, fd, 0);
	error |= accept_on(seen, STDIN_FILENO, 1);
	error |= accept_on(seen, gone, 2);
	return error | rota_close(fd);
}

static void what_is_no_listener_is_told_by_each_accept(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(accept_on_others, &seen);
	assert_int_equal(seen.codes[0], -EINVAL);
	assert_int_equal(seen.codes[1], -ENOTSOCK);
	assert_int_equal(seen.codes[2], -EBADF);
}

/* Of TCP: Linux does not tell a stream of a Unix listener. */
static int shut_listener_down(void *arg)
{
	struct accepts *seen = arg;
	const int listener = rota_listen("127.0.0.1", 0, NULL);
	int error = rota_accept_stream_open(&seen->stream, listener, NULL);

	error |= test_settle() | rota_shutdown(listener, SHUT_RDWR);
	seen->codes[0] = rota_stream_accept(&seen->stream);
	error |= rota_close(listener);
	seen->codes[1] = rota_stream_accept(&seen->stream);
	rota_stream_close(&seen->stream);
	return error;
}

static void a_listener_that_is_shut_down_is_einval(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(shut_listener_down, &seen);
	assert_int_equal(seen.codes[0], -EINVAL);
	assert_int_equal(seen.codes[1], -EINVAL);
}

static int close_waited_for(void *arg)
{
	struct accepts *seen = arg;
	int error = callers_open(&seen->callers);

	rota_group_open(&seen->group, NULL);
	error |=
		rota_go(&seen->group, accepts_until_told, seen) | test_settle();
	error |= callers_come(&seen->callers, 2) | test_settle();
	seen->codes[2] = seen->done;
	error |= accepts_close_listener(seen);
	error |= rota_group_wait(&seen->group);
	callers_close(&seen->callers);
	return error;
}

static void a_listener_closed_by_another_task_is_ebadf(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(close_waited_for, &seen);
	assert_int_equal(seen.codes[2], false);
	assert_int_equal(seen.codes[0], -EBADF);
	assert_int_equal(seen.codes[1], -EBADF);
	assert_string_equal(seen.callers.order, "ab");
}

static int close_with_landed(void *arg)
{
	struct accepts *seen = arg;
	int error = accepts_open(seen);

	error |= callers_come(&seen->callers, 2) | test_settle();
	error |= accepts_close_listener(seen) | test_settle();
	/* The kernel has let go of it. */
	seen->codes[4] = callers_come(&seen->callers, 1);
	for (unsigned i = 0; i < 4; i++)
		seen->codes[i] = accepts_take(seen);
	return error | accepts_close(seen);
}

static void ebadf_comes_behind_what_has_landed(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(close_with_landed, &seen);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], 0);
	assert_int_equal(seen.codes[2], -EBADF);
	assert_int_equal(seen.codes[3], -EBADF);
	assert_int_equal(seen.codes[4], -ECONNREFUSED);
	assert_string_equal(seen.callers.order, "ab");
}

/* Its number is another listener's at once. */
static int close_and_reuse(void *arg)
{
	static struct callers others;
	struct accepts *seen = arg;
	int error = accepts_open(seen) | callers_open(&others) | test_settle();
	const int fd = seen->callers.listener;

	error |= accepts_close_listener(seen);
	error |= fcntl(others.listener, F_DUPFD_CLOEXEC, fd) != fd;
	error |= callers_come(&others, 1) | test_settle();
	seen->codes[0] = accepts_take(seen);
	error |= test_settle();
	seen->codes[1] = callers_take(&others, accept4(fd, NULL, NULL, 0));
	callers_close(&others);
	return error | accepts_close(seen) | rota_close(fd);
}

static void who_has_the_number_next_is_left_alone(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(close_and_reuse, &seen);
	assert_int_equal(seen.codes[0], -EBADF);
	assert_int_equal(seen.codes[1], 0);
}

/* The first three are refused. */
static int take_refused(struct accepts *seen, unsigned more)
{
	int error = accepts_open(seen);

	begin_refusing(seen, seen->refusal, 3);
	error |= callers_come(&seen->callers, 3) | test_settle();
	error |= callers_come(&seen->callers, more);
	seen->codes[0] = accepts_take(seen);
	seen->times_ns[0] = test_now_ns();
	return error | accepts_close(seen);
}

static int take_the_last(void *arg)
{
	return take_refused(arg, 1);
}

static int take_none(void *arg)
{
	return take_refused(arg, 0);
}

static void connections_that_failed_are_passed_over(void **state)
{
	static const int refusals[] = { -ECONNABORTED, -ENETDOWN,   -EPROTO,
					-ENOPROTOOPT,  -EHOSTDOWN,  -ENONET,
					-EHOSTUNREACH, -ENETUNREACH };

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct accepts seen = { .refusal = refusals[i] };

		accepts_run(take_the_last, &seen);
		assert_int_equal(seen.codes[0], 0);
		assert_string_equal(seen.callers.order, "d");
		assert_int_equal(seen.times_ns[0], 3);
		assert_int_equal(seen.log.lines, 0);
	}
}

static void what_will_not_get_better_is_told(void **state)
{
	static const int refusals[] = { -EOPNOTSUPP, -EINVAL, -EPERM,
					-ETIMEDOUT,  -EAGAIN, -EBADF };

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct accepts seen = { .refusal = refusals[i] };

		accepts_run(take_none, &seen);
		assert_int_equal(seen.codes[0], refusals[i]);
		assert_int_equal(seen.log.lines, 0);
	}
}

static void what_says_that_it_was_stopped_goes_on(void **state)
{
	static const int refusals[] = { -ECANCELED, -EINTR, -512 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct accepts seen = { .refusal = refusals[i] };

		accepts_run(take_the_last, &seen);
		assert_int_equal(seen.codes[0], 0);
		assert_string_equal(seen.callers.order, "d");
	}
}

static int cancel_waiting(void *arg)
{
	struct accepts *seen = arg;
	int error = callers_open(&seen->callers);

	rota_group_open(&seen->group, NULL);
	error |=
		rota_go(&seen->group, accepts_until_told, seen) | test_settle();
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0 });
	seen->codes[2] = rota_group_wait(&seen->group);
	callers_close(&seen->callers);
	return error;
}

static void a_cancel_wakes_who_waits(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(cancel_waiting, &seen);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[1], -ECANCELED);
	assert_int_equal(seen.times_ns[0], 3);
	assert_int_equal(seen.codes[2], -ECANCELED);
}

/* Accepts what has landed, in a cancelled task, and in a shield. */
static int accept_cancelled(void *value)
{
	struct accepts *seen = *(struct accepts **)value;
	struct rota_shield shield;
	int error = accepts_open(seen);

	seen->codes[0] = rota_stream_accept(&seen->stream);
	rota_shield_begin(&shield, ROTA_SECOND);
	error |= callers_come(&seen->callers, 1);
	seen->codes[1] = accepts_take(seen);
	error |= callers_come(&seen->callers, 1) | test_settle();
	rota_shield_end(&shield);
	seen->codes[2] = accepts_take(seen);
	seen->codes[3] = accepts_take(seen);
	seen->codes[4] =
		rota_accept_stream_open(&other, seen->callers.listener, NULL);
	return error | accepts_close(seen);
}

static int cancel_before(void *arg)
{
	struct accepts *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, accept_cancelled, seen) | rota_yield();
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0 });
	return error | (rota_group_wait(&seen->group) != -ECANCELED);
}

static void in_a_cancelled_task_what_has_landed_is_told_first(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(cancel_before, &seen);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[1], 0);
	assert_int_equal(seen.codes[2], 0);
	assert_int_equal(seen.codes[3], -ECANCELED);
	assert_int_equal(seen.codes[4], -ECANCELED);
	assert_string_equal(seen.callers.order, "ab");
}

/* Both are held, and come together: who cancels is first. */
static bool hold_both(void *context, const struct test_arrival *arrival)
{
	(void)context;
	return arrival->opcode == IORING_OP_ACCEPT ||
	       arrival->opcode == IORING_OP_RECV;
}

static int cancel_on_control(void *value)
{
	struct accepts *seen = *(struct accepts **)value;
	char byte;
	const int n = rota_recv(control[0], &byte, 1, 0);

	seen->codes[3] = seen->done;
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0 });
	return n == 1 ? 0 : -EIO;
}

static int cancel_landed(void *arg)
{
	struct accepts *seen = arg;
	struct rota_group around;
	int error = callers_open(&seen->callers);

	error |= socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control);
	test_kernel_hold(&seen->kernel, hold_both, NULL);
	rota_group_open(&around, NULL);
	rota_group_open(&seen->group, NULL);
	error |= rota_go(&around, cancel_on_control, seen);
	error |=
		rota_go(&seen->group, accepts_until_told, seen) | test_settle();
	error |= send(control[1], "x", 1, 0) != 1;
	error |=
		test_settle() | callers_come(&seen->callers, 1) | test_settle();
	seen->codes[2] = (int)test_kernel_held(&seen->kernel);
	test_kernel_hold(&seen->kernel, NULL, NULL);
	test_kernel_release_all(&seen->kernel);
	error |= rota_group_wait(&seen->group) != -ECANCELED;
	error |= rota_group_wait(&around);
	callers_close(&seen->callers);
	return error | rota_close(control[0]) | rota_close(control[1]);
}

static void a_cancel_between_completion_and_wake_loses_none(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(cancel_landed, &seen);
	assert_int_equal(seen.codes[2], 2);
	assert_int_equal(seen.codes[3], false);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_string_equal(seen.callers.order, "a");
}

/* The kernel does not find what it is to stop, and one more comes. */
static int miss_and_close(void *arg)
{
	struct accepts *seen = arg;
	int error = accepts_open(seen) | test_settle();

	test_kernel_hold(&seen->kernel, test_hold_all, NULL);
	seen->kernel.spoil = seen->refusals;
	error |= callers_come(&seen->callers, seen->refusals ? 2 : 0);
	test_kernel_hold(&seen->kernel, NULL, NULL);
	rota_stream_close(&seen->stream);
	seen->times_ns[0] = test_now_ns();
	callers_close(&seen->callers);
	return error;
}

static void a_close_that_missed_is_tried_again(void **state)
{
	(void)state;
	for (unsigned misses = 0; misses < 4; misses++) {
		struct accepts seen = { .refusals = misses };

		accepts_run(miss_and_close, &seen);
		assert_in_range(seen.times_ns[0],
				misses * 10 * ROTA_MILLISECOND,
				misses * 10 * ROTA_MILLISECOND + 20);
	}
}

static int close_full(void *value)
{
	const struct rota_stream_options two = { .items_max = 2 };
	struct accepts *seen = *(struct accepts **)value;
	int error = rota_accept_stream_open(&seen->stream,
					    seen->callers.listener, &two);

	error |= callers_come(&seen->callers, 1) | test_settle();
	seen->kernel.spoil = 1;
	test_kernel_hold(&seen->kernel, test_hold_every, NULL);
	rota_stream_close(&seen->stream);
	seen->times_ns[0] = test_now_ns();
	return error;
}

/* What lands just before it is told of the miss has it looked at again. */
static int miss_behind_landing(void *arg)
{
	struct accepts *seen = arg;
	int error = callers_open(&seen->callers);

	rota_group_open(&seen->group, NULL);
	error |= rota_go(&seen->group, close_full, seen) | test_settle() |
		 test_settle();
	error |= callers_come(&seen->callers, 1) | test_settle();
	seen->codes[0] = (int)test_kernel_held(&seen->kernel);
	seen->codes[1] = seen->codes[0] > 1 &&
			 test_kernel_held_at(&seen->kernel, 0)->res == -ENOENT;
	test_kernel_hold(&seen->kernel, NULL, NULL);
	if (seen->codes[1])
		test_kernel_release(&seen->kernel, 1);
	test_kernel_release_all(&seen->kernel);
	error |= rota_group_wait(&seen->group);
	callers_close(&seen->callers);
	return error;
}

static void a_close_that_missed_behind_a_landing_is_tried_again(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(miss_behind_landing, &seen);
	assert_int_equal(seen.codes[0], 2);
	assert_true(seen.codes[1]);
	assert_in_range(seen.times_ns[0], 0, 11 * ROTA_MILLISECOND);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_listener_is_told_by_each_accept),
		cmocka_unit_test(a_listener_that_is_shut_down_is_einval),
		cmocka_unit_test(a_listener_closed_by_another_task_is_ebadf),
		cmocka_unit_test(ebadf_comes_behind_what_has_landed),
		cmocka_unit_test(who_has_the_number_next_is_left_alone),
		cmocka_unit_test(connections_that_failed_are_passed_over),
		cmocka_unit_test(what_will_not_get_better_is_told),
		cmocka_unit_test(what_says_that_it_was_stopped_goes_on),
		cmocka_unit_test(a_cancel_wakes_who_waits),
		cmocka_unit_test(
			in_a_cancelled_task_what_has_landed_is_told_first),
		cmocka_unit_test(
			a_cancel_between_completion_and_wake_loses_none),
		cmocka_unit_test(a_close_that_missed_is_tried_again),
		cmocka_unit_test(
			a_close_that_missed_behind_a_landing_is_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
