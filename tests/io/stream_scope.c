/* SPDX-License-Identifier: MIT */
/*
 * Whose a receive stream is, and from when to when: what breaks that aborts,
 * and names the line. Streams and tickers end in any order.
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/flow.h"
#include "support/pair.h"
#include "support/random.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct rota_stream stream;
static struct rota_view view;
static int pair[2];

static int leave_open(void *arg)
{
	int error = test_pair_open(pair);

	(void)arg;
	TEST_NEXT_LINE();
	error |= rota_receive_stream_open(&stream, pair[0], NULL);
	return error;
}

static __attribute__((noinline)) int open_in_frame(void)
{
	struct rota_stream local;
	int error = test_pair_open(pair);

	TEST_NEXT_LINE();
	error |= rota_receive_stream_open(&local, pair[0], NULL);
	return error;
}

static int return_past_it(void *arg)
{
	(void)arg;
	return open_in_frame() | rota_yield();
}

static int open_it(void)
{
	const int error = test_pair_open(pair);

	return error ? error : rota_receive_stream_open(&stream, pair[0], NULL);
}

/* Also a verb that does not wait looks. */
static int return_past_it_and_look(void *arg)
{
	(void)arg;
	return open_it() | open_in_frame() | rota_stream_ready(&stream);
}

static int close_twice(void *arg)
{
	int error = test_pair_open(pair);

	(void)arg;
	TEST_NEXT_LINE();
	error |= rota_receive_stream_open(&stream, pair[0], NULL);
	rota_stream_close(&stream);
	rota_stream_close(&stream);
	return error;
}

static int view_when_closed(void *arg)
{
	int error = open_it();

	(void)arg;
	rota_stream_close(&stream);
	return error | rota_stream_view(&stream, &view);
}

static int view_unopened(void *arg)
{
	static struct rota_stream none;

	(void)arg;
	return rota_stream_view(&none, &view);
}

static int open_again(void *arg)
{
	int error = open_it();

	(void)arg;
	TEST_NEXT_LINE();
	return error | rota_receive_stream_open(&stream, pair[0], NULL);
}

static int accept_from_it(void *arg)
{
	int error = test_pair_open(pair);

	(void)arg;
	TEST_NEXT_LINE();
	error |= rota_receive_stream_open(&stream, pair[0], NULL);
	return error | rota_stream_accept(&stream);
}

static int poll_it(void *arg)
{
	(void)arg;
	return open_it() | rota_stream_poll(&stream);
}

static int open_polled(void)
{
	const int error = test_pair_open(pair);

	return error ? error : rota_poll_stream_open(&stream, pair[0], POLLIN);
}

static int view_polled(void *arg)
{
	(void)arg;
	return open_polled() | rota_stream_view(&stream, &view);
}

static int copy_polled(void *arg)
{
	char byte;

	(void)arg;
	return open_polled() | rota_stream_recv(&stream, &byte, 1);
}

static int keep_polled(void *arg)
{
	const int error = open_polled();

	(void)arg;
	rota_view_keep(&stream, &view);
	return error;
}

static void mistakes_abort_and_name_the_line(void **state)
{
	static const char kind[] = "is not for the kind of stream opened here";

	(void)state;
	test_expect_abort(leave_open, "the stream opened here is still open");
	test_expect_abort(return_past_it, "returned from the function");
	test_expect_abort(return_past_it_and_look, "returned from the");
	test_expect_abort(close_twice, "the stream opened here is closed");
	test_expect_abort(view_when_closed, "the stream opened here is closed");
	test_expect_abort(view_unopened, "for a stream that is not open");
	test_expect_abort(open_again, "the stream is open already");
	test_expect_abort(accept_from_it, kind);
	test_expect_abort(poll_it, kind);
	test_expect_abort(view_polled, kind);
	test_expect_abort(copy_polled, kind);
	test_expect_abort(keep_polled, kind);
}

/* Another task uses the stream of the first one. */
static int view_as_another(void *value)
{
	(void)value;
	return rota_stream_view(&stream, &view);
}

static int copy_as_another(void *value)
{
	char byte;

	(void)value;
	return rota_stream_recv(&stream, &byte, 1);
}

static int look_as_another(void *value)
{
	(void)value;
	return rota_stream_ready(&stream);
}

static int keep_as_another(void *value)
{
	(void)value;
	rota_view_keep(&stream, &view);
	return 0;
}

static int close_as_another(void *value)
{
	(void)value;
	rota_stream_close(&stream);
	return 0;
}

static int (*another)(void *value);

static int by_another(void *arg)
{
	struct rota_group group;
	int error = test_pair_open(pair);

	(void)arg;
	TEST_NEXT_LINE();
	error |= rota_receive_stream_open(&stream, pair[0], NULL);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, another, 0);
	return error | rota_group_wait(&group);
}

static void it_is_for_the_task_that_opened_it(void **state)
{
	static int (*const others[])(
		void *) = { view_as_another, copy_as_another, look_as_another,
			    keep_as_another, close_as_another };

	(void)state;
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		another = others[i];
		test_expect_abort(by_another, "is another task's than");
	}
}

static int open_outside(void *arg)
{
	(void)arg;
	return rota_receive_stream_open(&stream, 0, NULL);
}

static void it_is_for_tasks(void **state)
{
	(void)state;
	test_expect_abort_outside(open_outside, "rota_receive_stream_open");
	test_expect_abort_outside(view_unopened, "rota_stream_view");
	test_expect_abort_outside(look_as_another, "rota_stream_ready");
	test_expect_abort_outside(close_as_another, "rota_stream_close");
}

/* Three of each; in a task, or in one that is cancelled meanwhile. */
#define EACH 3

static struct flow flow;
static struct test_random order;
static struct rota_ticker tickers[EACH];

static void shuffle(unsigned places[2 * EACH])
{
	for (unsigned i = 0; i < 2 * EACH; i++)
		places[i] = i;
	for (unsigned i = 2 * EACH; i > 1; i--) {
		const unsigned j = (unsigned)test_random_below(&order, i);
		const unsigned place = places[i - 1];

		places[i - 1] = places[j];
		places[j] = place;
	}
}

static int begin_and_end(void *value)
{
	unsigned places[2 * EACH];
	int error = 0;

	(void)value;
	if (rota_cancelled())
		return 0;
	shuffle(places);
	for (unsigned i = 0; i < 2 * EACH; i++)
		if (places[i] < EACH)
			error |= flow_open(&flow, places[i], NULL);
		else
			error |= rota_ticker_open(&tickers[places[i] - EACH],
						  ROTA_SECOND);
	for (unsigned i = 0; i < EACH; i++) {
		flow_say(&flow, i, "hello");
		(void)!flow_view(&flow, i);
		flow.heard[i] = 0;
	}
	shuffle(places);
	for (unsigned i = 0; i < 2 * EACH; i++) {
		if (places[i] < EACH)
			flow_close(&flow, places[i]);
		else
			rota_ticker_close(&tickers[places[i] - EACH]);
		flow_audit(&flow);
		(void)!rota_yield();
	}
	return error;
}

static int in_any_order(void *arg)
{
	int error = 0;

	(void)arg;
	for (unsigned round = test_rounds(400); round; round--) {
		rota_group_open(&flow.group, NULL);
		error |= rota_go(&flow.group, begin_and_end, 0);
		while (test_random_below(&order, 4))
			(void)!rota_yield();
		if (round % 2)
			rota_group_cancel(&flow.group,
					  (struct rota_cancellation){ 0, 0 });
		(void)rota_group_wait(&flow.group);
		flow_audit(&flow);
	}
	return error;
}

static void streams_and_tickers_end_in_any_order(void **state)
{
	(void)state;
	flow_init(&flow);
	test_random_init(&order);
	flow_run(&flow, in_any_order);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_abort_and_name_the_line),
		cmocka_unit_test(it_is_for_the_task_that_opened_it),
		cmocka_unit_test(it_is_for_tasks),
		cmocka_unit_test(streams_and_tickers_end_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
