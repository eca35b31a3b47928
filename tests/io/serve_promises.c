/* SPDX-License-Identifier: MIT */
/*
 * Broken promises of who serves a stream end the program, and the message
 * names the line to mend. Each runs in a child.
 */
#include "rota/rota.h"
#include "support/broken.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

static struct rota_group group;
static struct rota_stream stream;
static int pair[2];

/* Serves one by fn, wakes it, and waits for it. */
static int serve(rota_serve_fn *fn)
{
	int error = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);

	TEST_NEXT_LINE();
	error |= rota_receive_stream_open(&stream, pair[0], NULL);
	rota_group_open(&group, NULL);
	error |= rota_stream_serve(&group, &stream, fn, NULL);
	error |= send(pair[1], "x", 1, 0) != 1;
	return error | rota_group_wait(&group);
}

static int view(struct rota_stream *landed)
{
	struct rota_view bytes;

	return rota_stream_view(landed, &bytes);
}

static int return_error(struct rota_stream *landed, void *arg)
{
	(void)arg;
	return view(landed) == 1 ? -EIO : 0;
}

static int serve_failing(void *arg)
{
	(void)arg;
	return serve(return_error);
}

static int return_bytes(struct rota_stream *landed, void *arg)
{
	(void)arg;
	return view(landed);
}

static int serve_succeeding(void *arg)
{
	(void)arg;
	return serve(return_bytes);
}

static void a_result_with_the_stream_open_is_told(void **state)
{
	(void)state;
	test_expect_abort(serve_failing,
			  "has returned from serving the stream opened here "
			  "with -5, and left it open");
	test_expect_abort(serve_succeeding,
			  "has returned from serving the stream opened here "
			  "with 1, and left it open");
}

static int look_away(struct rota_stream *landed, void *arg)
{
	(void)arg;
	return rota_stream_ready(landed) ? 0 : -EIO;
}

static int serve_away(void *arg)
{
	(void)arg;
	return serve(look_away);
}

static void a_return_without_a_look_is_told(void **state)
{
	(void)state;
	test_expect_abort(serve_away, "without having looked at it");
}

static int hear_nothing(struct rota_stream *landed, void *arg)
{
	(void)arg;
	if (view(landed) > 0)
		shutdown(pair[1], SHUT_WR);
	return 0;
}

static int serve_to_the_end(void *arg)
{
	(void)arg;
	return serve(hear_nothing);
}

static void a_return_of_0_at_its_end_is_told(void **state)
{
	(void)state;
	test_expect_abort(serve_to_the_end, "at its end, and left it open");
}

static int ignore_cancel(struct rota_stream *landed, void *arg)
{
	(void)arg;
	if (view(landed) > 0)
		rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	return 0;
}

static int serve_cancelled(void *arg)
{
	(void)arg;
	return serve(ignore_cancel);
}

static void a_return_of_0_when_it_is_cancelled_is_told(void **state)
{
	(void)state;
	test_expect_abort(serve_cancelled,
			  "when it was cancelled, and left it open");
}

/* Their frames are gone when the program ends. */
static struct rota_group left;
static struct rota_deadline late;

static int leave_group(struct rota_stream *landed, void *arg)
{
	(void)arg;
	if (view(landed) != 1)
		return 0;
	TEST_NEXT_LINE();
	rota_group_open(&left, NULL);
	return 0;
}

static int serve_and_leave_group(void *arg)
{
	int error = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);

	(void)arg;
	error |= rota_receive_stream_open(&stream, pair[0], NULL);
	rota_group_open(&group, NULL);
	error |= rota_stream_serve(&group, &stream, leave_group, NULL);
	error |= send(pair[1], "x", 1, 0) != 1;
	return error | rota_group_wait(&group);
}

static void a_group_that_it_leaves_open_is_named(void **state)
{
	(void)state;
	test_expect_abort(serve_and_leave_group,
			  "the group opened here is still open, but task "
			  "leave_group");
}

static int leave_deadline(struct rota_stream *landed, void *arg)
{
	(void)arg;
	TEST_NEXT_LINE();
	rota_deadline_begin(&late, ROTA_NEVER);
	rota_stream_close(landed);
	return 0;
}

static int serve_and_leave_deadline(void *arg)
{
	int error = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);

	(void)arg;
	error |= rota_receive_stream_open(&stream, pair[0], NULL);
	rota_group_open(&group, NULL);
	error |= rota_stream_serve(&group, &stream, leave_deadline, NULL);
	error |= send(pair[1], "x", 1, 0) != 1;
	return error | rota_group_wait(&group);
}

static void a_deadline_that_it_leaves_open_at_its_end_is_named(void **state)
{
	(void)state;
	test_expect_abort(serve_and_leave_deadline,
			  "the deadline opened here is still open, but task "
			  "leave_deadline");
}

static int take(struct rota_stream *landed, void *arg)
{
	(void)arg;
	return view(landed) > 0 ? 0 : -EIO;
}

static int use_after_serving(void *arg)
{
	int error = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);

	(void)arg;
	TEST_NEXT_LINE();
	error |= rota_receive_stream_open(&stream, pair[0], NULL);
	rota_group_open(&group, NULL);
	error |= rota_stream_serve(&group, &stream, take, NULL);
	error |= view(&stream);
	return error | rota_group_wait(&group);
}

static int serve_twice(void *arg)
{
	int error = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);

	(void)arg;
	TEST_NEXT_LINE();
	error |= rota_receive_stream_open(&stream, pair[0], NULL);
	rota_group_open(&group, NULL);
	error |= rota_stream_serve(&group, &stream, take, NULL);
	error |= rota_stream_serve(&group, &stream, take, NULL);
	return error | rota_group_wait(&group);
}

static int close_after_serving(void *arg)
{
	int error = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);

	(void)arg;
	TEST_NEXT_LINE();
	error |= rota_receive_stream_open(&stream, pair[0], NULL);
	rota_group_open(&group, NULL);
	error |= rota_stream_serve(&group, &stream, take, NULL);
	rota_stream_close(&stream);
	return error | rota_group_wait(&group);
}

static void who_has_handed_it_over_may_not_use_it(void **state)
{
	(void)state;
	test_expect_abort(use_after_serving, "the stream opened here is "
					     "another task's than main");
	test_expect_abort(serve_twice, "the stream opened here is another "
				       "task's than main");
	test_expect_abort(close_after_serving, "the stream opened here is "
					       "another task's than main");
}

static int use_closed(struct rota_stream *landed, void *arg)
{
	(void)arg;
	rota_stream_close(landed);
	return view(landed);
}

static int serve_and_use_closed(void *arg)
{
	(void)arg;
	return serve(use_closed);
}

static int serve_closed(void *arg)
{
	int error = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);

	(void)arg;
	TEST_NEXT_LINE();
	error |= rota_receive_stream_open(&stream, pair[0], NULL);
	rota_stream_close(&stream);
	rota_group_open(&group, NULL);
	error |= rota_stream_serve(&group, &stream, take, NULL);
	return error | rota_group_wait(&group);
}

static void one_that_is_closed_cannot_be_used_or_served(void **state)
{
	(void)state;
	test_expect_abort(serve_and_use_closed,
			  "the stream opened here is closed");
	test_expect_abort(serve_closed, "the stream opened here is closed");
}

static int serve_unopened(void *arg)
{
	static struct rota_stream unopened;

	(void)arg;
	rota_group_open(&group, NULL);
	return rota_stream_serve(&group, &unopened, take, NULL);
}

static void one_that_nobody_has_opened_cannot_be_served(void **state)
{
	(void)state;
	test_expect_abort(serve_unopened, "for a stream that is not open");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_result_with_the_stream_open_is_told),
		cmocka_unit_test(a_return_without_a_look_is_told),
		cmocka_unit_test(a_return_of_0_at_its_end_is_told),
		cmocka_unit_test(a_return_of_0_when_it_is_cancelled_is_told),
		cmocka_unit_test(a_group_that_it_leaves_open_is_named),
		cmocka_unit_test(
			a_deadline_that_it_leaves_open_at_its_end_is_named),
		cmocka_unit_test(who_has_handed_it_over_may_not_use_it),
		cmocka_unit_test(one_that_is_closed_cannot_be_used_or_served),
		cmocka_unit_test(one_that_nobody_has_opened_cannot_be_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
