/* SPDX-License-Identifier: MIT */
/*
 * Accept streams: who came, in order; when they stop; what they say instead.
 * Under a clock of the test's. What goes wrong is in stream_accept_ends.c.
 */
#include "rota/rota.h"
#include "support/callers.h"
#include "support/log.h"
#include "support/timed.h"
#include "task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	struct test_kernel kernel;
	struct test_log log;
	struct rota_config config;
	struct rota_group group;
	struct callers callers;
	struct rota_stream stream;
	struct rota_stream other;
	struct rota_stream_options options;
	unsigned landed[4]; /* descriptors that were accepted by then */
	unsigned flying[4]; /* operations in flight */
	int codes[8];
	int64_t times_ns[4];
};

/* Runs fn under the clock, and asserts that no descriptor is left. */
static void run(int (*fn)(void *), struct seen *seen)
{
	seen->config.log = test_log_write;
	seen->config.context = &seen->log;
	test_run_timed_clean(&seen->config, &seen->kernel, fn, seen);
}

static int open_stream(struct seen *seen)
{
	const int error = callers_open(&seen->callers);

	return error ? error
		     : rota_accept_stream_open(&seen->stream,
					       seen->callers.listener,
					       &seen->options);
}

static int take(struct seen *seen, unsigned count)
{
	int error = 0;

	for (unsigned i = 0; i < count && !error; i++)
		error = callers_take(&seen->callers,
				     rota_stream_accept(&seen->stream));
	return error;
}

static int close_stream(struct seen *seen)
{
	rota_stream_close(&seen->stream);
	callers_close(&seen->callers);
	return 0;
}

/* Those that the kernel has accepted and nobody has taken. */
static void note(struct seen *seen, unsigned i)
{
	const struct ri_shot *shot = seen->stream.shot;

	seen->landed[i] = shot->queue->tail - shot->queue->head;
	seen->flying[i] = ri_tasks_here()->loop.in_flight;
}

static int accept_some(void *arg)
{
	struct seen *seen = arg;
	int error = open_stream(seen);

	error |= callers_come(&seen->callers, 3) | test_settle();
	error |= take(seen, 3);
	error |= callers_come(&seen->callers, 2) | take(seen, 2);
	seen->codes[0] = rota_stream_ready(&seen->stream);
	error |= callers_come(&seen->callers, 1) | test_settle();
	seen->codes[1] = rota_stream_ready(&seen->stream);
	seen->codes[2] = rota_stream_accept(&seen->stream);
	seen->codes[3] = fcntl(seen->codes[2], F_GETFD);
	error |= callers_take(&seen->callers, seen->codes[2]);
	return error | close_stream(seen);
}

static void connections_come_in_order_and_close_on_exec(void **state)
{
	struct seen seen = { .landed = { 0 } };

	(void)state;
	run(accept_some, &seen);
	assert_string_equal(seen.callers.order, "abcdef");
	assert_int_equal(seen.codes[0], false);
	assert_int_equal(seen.codes[1], true);
	assert_int_equal(seen.codes[3], FD_CLOEXEC);
	assert_int_equal(seen.log.lines, 0);
}

/* With two allowed. */
static int stop_and_go(void *arg)
{
	struct seen *seen = arg;
	int error;

	seen->options.items_max = 2;
	error = open_stream(seen) | test_settle();
	note(seen, 0);
	error |= callers_come(&seen->callers, 3) | test_settle();
	note(seen, 1);
	error |= callers_come(&seen->callers, 10) | test_settle();
	note(seen, 2);
	error |= take(seen, 2) | test_settle();
	note(seen, 3);
	error |= take(seen, 11);
	return error | close_stream(seen);
}

static void
while_enough_have_landed_the_others_wait_in_the_backlog(void **state)
{
	struct seen seen = { .landed = { 0 } };

	(void)state;
	run(stop_and_go, &seen);
	assert_int_equal(seen.flying[0], 1);
	assert_int_equal(seen.landed[0], 0);
	assert_int_equal(seen.flying[1], 0);
	assert_int_equal(seen.landed[1], 3);
	assert_int_equal(seen.flying[2], 0);
	assert_int_equal(seen.landed[2], 3);
	assert_int_equal(seen.landed[3], 1 + 10);
	assert_string_equal(seen.callers.order, "abcdefghijklm");
}

/* With four allowed. */
static int go_on_at_half(void *arg)
{
	struct seen *seen = arg;
	int error;

	seen->options.items_max = 4;
	error = open_stream(seen) | test_settle();
	error |= callers_come(&seen->callers, 4) | test_settle();
	for (unsigned i = 0; i < 3; i++) {
		note(seen, i);
		error |= take(seen, 1) | test_settle();
	}
	return error | close_stream(seen);
}

static void it_goes_on_when_half_of_them_are_taken(void **state)
{
	struct seen seen = { .landed = { 0 } };

	(void)state;
	run(go_on_at_half, &seen);
	assert_int_equal(seen.landed[0], 4);
	assert_int_equal(seen.flying[0], 0);
	assert_int_equal(seen.landed[1], 3);
	assert_int_equal(seen.flying[1], 0);
	assert_int_equal(seen.landed[2], 2);
	assert_int_equal(seen.flying[2], 1);
}

static int allow_by_default(void *arg)
{
	struct seen *seen = arg;
	int error = open_stream(seen);

	error |= callers_come(&seen->callers, 63) | test_settle();
	note(seen, 0);
	error |= callers_come(&seen->callers, 1) | test_settle();
	note(seen, 1);
	return error | close_stream(seen);
}

static void by_default_it_stops_at_64(void **state)
{
	struct seen seen = { .landed = { 0 } };

	(void)state;
	run(allow_by_default, &seen);
	assert_int_equal(seen.landed[0], 63);
	assert_int_equal(seen.flying[0], 1);
	assert_int_equal(seen.landed[1], 64);
	assert_int_equal(seen.flying[1], 0);
}

static int close_with_landed(void *arg)
{
	struct seen *seen = arg;
	int error = open_stream(seen);

	error |= callers_come(&seen->callers, 5) | test_settle();
	note(seen, 0);
	rota_stream_close(&seen->stream);
	seen->codes[0] = (int)callers_closed(&seen->callers);
	callers_close(&seen->callers);
	return error;
}

static void to_close_it_closes_connections_that_have_landed(void **state)
{
	struct seen seen = { .landed = { 0 } };

	(void)state;
	run(close_with_landed, &seen);
	assert_int_equal(seen.landed[0], 5);
	assert_int_equal(seen.codes[0], 5);
}

/* They land while it is being closed. */
static int close_while_landing(void *arg)
{
	struct seen *seen = arg;
	int error = open_stream(seen) | test_settle();

	error |= callers_come(&seen->callers, 5);
	note(seen, 0);
	rota_stream_close(&seen->stream);
	seen->codes[0] = (int)callers_closed(&seen->callers);
	callers_close(&seen->callers);
	return error;
}

static void those_that_land_while_it_is_closed_are_closed_too(void **state)
{
	struct seen seen = { .landed = { 0 } };

	(void)state;
	run(close_while_landing, &seen);
	assert_int_equal(seen.landed[0], 0);
	/* Or they wait in the backlog, for the next one that accepts. */
	assert_in_range(seen.codes[0], 0, 5);
}

static int share_listener(void *arg)
{
	struct seen *seen = arg;
	int error = open_stream(seen);

	error |= rota_accept_stream_open(&seen->other, seen->callers.listener,
					 NULL);
	for (int i = 0; i < 10; i++)
		error |= test_settle() | callers_come(&seen->callers, 1);
	error |= test_settle();
	while (rota_stream_ready(&seen->stream))
		error |= take(seen, 1);
	while (rota_stream_ready(&seen->other))
		error |= callers_take(&seen->callers,
				      rota_stream_accept(&seen->other));
	rota_stream_close(&seen->other);
	return error | close_stream(seen);
}

static void two_of_one_listener_share_who_comes(void **state)
{
	struct seen seen = { .landed = { 0 } };

	(void)state;
	run(share_listener, &seen);
	assert_int_equal(seen.callers.taken, 10);
	for (char letter = 'a'; letter < 'a' + 10; letter++)
		assert_non_null(strchr(seen.callers.order, letter));
}

static int overflow(void *arg)
{
	struct seen *seen = arg;
	int error = open_stream(seen) | test_settle();

	for (int i = 0; i < 3; i++) {
		error |= callers_come(&seen->callers, 20) | test_settle() |
			 test_settle();
		error |= take(seen, 20);
	}
	seen->codes[0] = seen->stream.shot->generation;
	return error | close_stream(seen);
}

static void none_is_lost_when_completions_overflow(void **state)
{
	struct seen seen = { .config = { .entries = 2, .completions = 4 } };

	(void)state;
	run(overflow, &seen);
	assert_string_equal(seen.callers.order, "abcdefghijklmnopqrst"
						"uvwxyzabcdefghijklmn"
						"opqrstuvwxyzabcdefgh");
	/* It did happen: the kernel has ended it each time. */
	assert_true(seen.codes[0] > 3);
}

/* They come one after the other, and the kernel cannot be told to stop. */
static int come_in_a_jam(void *arg)
{
	struct seen *seen = arg;
	int error = open_stream(seen) | test_settle();

	seen->kernel.submit_error = -EAGAIN;
	for (int i = 0; i < 20; i++)
		error |= callers_come(&seen->callers, 2) | test_settle();
	note(seen, 0);
	seen->kernel.submit_error = 0;
	error |= take(seen, 40);
	return error | close_stream(seen);
}

static void none_is_lost_while_the_kernel_takes_no_entries(void **state)
{
	struct seen seen = { .config = { .entries = 2, .completions = 4 },
			     .options = { .items_max = 2 } };

	(void)state;
	run(come_in_a_jam, &seen);
	assert_string_equal(seen.callers.order, "abcdefghijklmnopqrst"
						"uvwxyzabcdefghijklmn");
}

struct server {
	struct seen *seen;
	unsigned calls;
	int code;        /* what ended it */
	int64_t time_ns; /* when */
};

/* Who serves accepts all that came. */
static int serve(struct rota_stream *stream, void *arg)
{
	struct server *server = arg;
	int code;

	server->calls++;
	do {
		code = callers_take(&server->seen->callers,
				    rota_stream_accept(stream));
	} while (!code && rota_stream_ready(stream));
	if (!code)
		return 0;
	server->code = code;
	server->time_ns = test_now_ns();
	rota_stream_close(stream);
	return 0;
}

static int serve_listener(void *arg)
{
	struct seen *seen = arg;
	struct server server = { .seen = seen };
	int error;

	seen->options.idle_ns = ROTA_SECOND;
	error = open_stream(seen);
	rota_group_open(&seen->group, NULL);
	error |= rota_stream_serve(&seen->group, &seen->stream, serve, &server);
	for (unsigned i = 1; i <= 3; i++)
		error |= callers_come(&seen->callers, i) | test_settle();
	seen->codes[0] = (int)server.calls;
	error |= rota_group_wait(&seen->group);
	seen->codes[1] = server.code;
	seen->times_ns[0] = server.time_ns;
	callers_close(&seen->callers);
	return error;
}

static void who_serves_a_listener_needs_no_stack_either(void **state)
{
	struct seen seen = { .landed = { 0 } };

	(void)state;
	run(serve_listener, &seen);
	assert_int_equal(seen.codes[0], 3);
	assert_string_equal(seen.callers.order, "abcdef");
	assert_int_equal(seen.codes[1], -ETIME);
	assert_in_range(seen.times_ns[0], ROTA_SECOND, ROTA_SECOND + 10);
}

static int refuse(void *arg)
{
	const struct test_fault fault = { .call = TEST_MAP,
					  .nth = 1,
					  .error = -ENOMEM };
	struct seen *seen = arg;
	int error = callers_open(&seen->callers);
	const int fd = seen->callers.listener;

	seen->codes[0] = rota_accept_stream_open(&seen->stream, -1, NULL);
	test_kernel_fail(&seen->kernel, &fault);
	seen->codes[1] = rota_accept_stream_open(&seen->stream, fd, NULL);
	test_kernel_mend(&seen->kernel);
	error |= rota_accept_stream_open(&seen->stream, fd, NULL);
	seen->codes[2] = rota_accept_stream_open(&seen->other, fd, NULL);
	rota_stream_close(&seen->stream);
	error |= rota_accept_stream_open(&seen->other, fd, NULL);
	rota_stream_close(&seen->other);
	callers_close(&seen->callers);
	return error;
}

static void without_memory_or_at_the_bound_it_is_refused(void **state)
{
	struct seen seen = { .config = { .streams_max = 1 } };

	(void)state;
	run(refuse, &seen);
	assert_int_equal(seen.codes[0], -EBADF);
	assert_int_equal(seen.codes[1], -ENOMEM);
	assert_int_equal(seen.codes[2], -EAGAIN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_come_in_order_and_close_on_exec),
		cmocka_unit_test(
			while_enough_have_landed_the_others_wait_in_the_backlog),
		cmocka_unit_test(it_goes_on_when_half_of_them_are_taken),
		cmocka_unit_test(by_default_it_stops_at_64),
		cmocka_unit_test(
			to_close_it_closes_connections_that_have_landed),
		cmocka_unit_test(
			those_that_land_while_it_is_closed_are_closed_too),
		cmocka_unit_test(two_of_one_listener_share_who_comes),
		cmocka_unit_test(none_is_lost_when_completions_overflow),
		cmocka_unit_test(
			none_is_lost_while_the_kernel_takes_no_entries),
		cmocka_unit_test(who_serves_a_listener_needs_no_stack_either),
		cmocka_unit_test(without_memory_or_at_the_bound_it_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
