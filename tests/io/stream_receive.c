/* SPDX-License-Identifier: MIT */
/*
 * What a receive stream hands out: all that was sent, in order, as views and as
 * copies, and its end; and where it stops.
 */
#include "support/flow.h"
#include "task/shot.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>

/* The kernel hands over so many in one go; a stream that is asked to stop is
 * past that by no more. */
#define GO 33u

static struct flow flow;

static int setup(void **state)
{
	(void)state;
	flow_init_buffers(&flow, 8, 64);
	return 0;
}

static int view_in_order(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_say(&flow, 0, "one ");
	flow_settle();
	flow_say(&flow, 0, "two ");
	flow_note(&flow, flow_view(&flow, 0));
	flow_settle();
	flow_say(&flow, 0, "three");
	flow_note(&flow, flow_view(&flow, 0));
	flow_note(&flow, flow_view(&flow, 0));
	flow_audit(&flow);
	flow_close(&flow, 0);
	flow_audit(&flow);
	return error;
}

static void views_come_in_the_order_in_which_it_was_sent(void **state)
{
	(void)state;
	flow_run(&flow, view_in_order);
	assert_string_equal(flow.text[0], "one two three");
	assert_int_equal(flow.codes[0], 4);
	assert_int_equal(flow.codes[1], 4);
	assert_int_equal(flow.codes[2], 5);
}

static int view_long(void *arg)
{
	char text[201];
	int error = flow_open(arg, 0, NULL);

	memset(text, 'x', 200);
	memcpy(text + 63, "[|]", 3);
	text[200] = 0;
	flow_say(&flow, 0, text);
	for (int i = 0; i < 4; i++)
		flow_note(&flow, flow_view(&flow, 0));
	flow_expect(&flow, !strcmp(text, flow.text[0]), "other bytes");
	flow_audit(&flow);
	flow_close(&flow, 0);
	return error;
}

static void what_is_longer_than_a_buffer_comes_in_several_views(void **state)
{
	static const int lengths[] = { 64, 64, 64, 8 };

	(void)state;
	flow_run(&flow, view_long);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(flow.codes[i], lengths[i]);
}

static int write_into_view(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_say(&flow, 0, "a");
	flow_view(&flow, 0);
	memset(flow.view.data, '!', 64);
	flow_say(&flow, 0, "b");
	flow_view(&flow, 0);
	flow_close(&flow, 0);
	return error;
}

static void a_view_may_be_written_to(void **state)
{
	(void)state;
	flow_run(&flow, write_into_view);
	assert_string_equal(flow.text[0], "ab");
}

static int reader(void *value)
{
	(void)value;
	flow_hear(&flow, 0, 3);
	flow_note(&flow, (int)flow.heard[0]);
	return 0;
}

/* The reader opens the stream itself: a stream is its opener's. */
static int open_and_read(void *value)
{
	int error = flow_open(&flow, 0, NULL);

	flow_note(&flow, rota_stream_ready(&flow.streams[0]));
	error |= reader(value);
	flow_close(&flow, 0);
	return error;
}

static int say_later(void *arg)
{
	int error;

	(void)arg;
	rota_group_open(&flow.group, NULL);
	error = rota_go(&flow.group, open_and_read, 0);
	flow_settle();
	flow_expect(&flow, flow.noted == 1, "it did not wait");
	flow_say(&flow, 0, "a");
	flow_settle();
	flow_say(&flow, 0, "bc");
	return error | rota_group_wait(&flow.group);
}

static void a_view_waits_until_something_lands(void **state)
{
	(void)state;
	flow_run(&flow, say_later);
	assert_string_equal(flow.text[0], "abc");
	assert_int_equal(flow.codes[0], false);
	assert_int_equal(flow.codes[1], 3);
}

static int look_whether_ready(void *arg)
{
	int error = flow_open(arg, 0, NULL);
	struct rota_stream *stream = &flow.streams[0];

	flow_settle();
	flow_note(&flow, rota_stream_ready(stream));
	flow_say(&flow, 0, "four");
	flow_settle();
	flow_note(&flow, rota_stream_ready(stream));
	flow_copy(&flow, 0, 1);
	flow_note(&flow, rota_stream_ready(stream)); /* three are left over */
	flow_view(&flow, 0);
	flow_note(&flow, rota_stream_ready(stream));
	flow_hang_up(&flow, 0);
	flow_settle();
	flow_note(&flow, rota_stream_ready(stream));
	flow_note(&flow, flow_view(&flow, 0));
	flow_note(&flow, rota_stream_ready(stream));
	flow_close(&flow, 0);
	return error;
}

static void it_is_ready_with_bytes_and_at_the_end(void **state)
{
	static const int expected[] = { 0, 1, 1, 0, 1, 0, 1 };

	(void)state;
	flow_run(&flow, look_whether_ready);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(flow.codes[i], expected[i]);
}

static int copy_in_parts(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_say(&flow, 0, "0123456789");
	flow_settle();
	flow_say(&flow, 0, "abc");
	flow_settle();
	flow_note(&flow, flow_copy(&flow, 0, 4));
	flow_note(&flow, flow_copy(&flow, 0, 3));
	flow_audit(&flow);
	flow_note(&flow, flow_copy(&flow, 0, 100));
	flow_note(&flow, flow_copy(&flow, 0, 100));
	flow_audit(&flow);
	flow_close(&flow, 0);
	return error;
}

static void a_copy_takes_what_landed_next_and_leaves_the_rest(void **state)
{
	static const int expected[] = { 4, 3, 3, 3 };

	(void)state;
	flow_run(&flow, copy_in_parts);
	assert_string_equal(flow.text[0], "0123456789abc");
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(flow.codes[i], expected[i]);
}

static int mix(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_say(&flow, 0, "0123456789");
	flow_settle();
	flow_say(&flow, 0, "abcdef");
	flow_settle();
	flow_note(&flow, flow_copy(&flow, 0, 3));
	flow_note(&flow, flow_view(&flow, 0)); /* the seven others */
	flow_audit(&flow);
	flow_note(&flow, flow_copy(&flow, 0, 2));
	flow_note(&flow, flow_view(&flow, 0));
	flow_say(&flow, 0, "!");
	flow_note(&flow, flow_copy(&flow, 0, 9));
	flow_close(&flow, 0);
	return error;
}

static void a_view_lends_what_copies_have_left_over(void **state)
{
	static const int expected[] = { 3, 7, 2, 4, 1 };

	(void)state;
	flow_run(&flow, mix);
	assert_string_equal(flow.text[0], "0123456789abcdef!");
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(flow.codes[i], expected[i]);
}

static int copy_nothing(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_note(&flow, flow_copy(&flow, 0, 0));
	flow_say(&flow, 0, "a");
	flow_settle();
	flow_note(&flow, flow_copy(&flow, 0, 0));
	flow_note(&flow, flow_copy(&flow, 0, 1));
	flow_hang_up(&flow, 0);
	flow_note(&flow, flow_copy(&flow, 0, 1));
	flow_close(&flow, 0);
	return error;
}

static void a_copy_of_no_bytes_is_refused(void **state)
{
	(void)state;
	flow_run(&flow, copy_nothing);
	assert_int_equal(flow.codes[0], -EINVAL);
	assert_int_equal(flow.codes[1], -EINVAL);
	assert_int_equal(flow.codes[2], 1);
	assert_int_equal(flow.codes[3], 0);
}

static int hear_the_end(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_say(&flow, 0, "last");
	flow_settle();
	flow_say(&flow, 0, " words");
	flow_hang_up(&flow, 0);
	flow_settle();
	flow_note(&flow, flow_view(&flow, 0));
	flow_note(&flow, flow_view(&flow, 0));
	for (int i = 0; i < 3; i++) {
		flow_note(&flow, flow_view(&flow, 0));
		flow_note(&flow, flow_copy(&flow, 0, 1));
	}
	flow_expect(&flow, !flow_in_flight(&flow, 0), "it goes on");
	flow_audit(&flow);
	flow_close(&flow, 0);
	return error;
}

static void the_end_comes_behind_all_bytes_and_stays(void **state)
{
	(void)state;
	flow_run(&flow, hear_the_end);
	assert_string_equal(flow.text[0], "last words");
	assert_int_equal(flow.codes[0], 4);
	assert_int_equal(flow.codes[1], 6);
	for (unsigned i = 2; i < 8; i++)
		assert_int_equal(flow.codes[i], 0);
}

/* Closed with bytes that it has not read, the peer resets the connection. */
static int hear_a_reset(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_expect(&flow, send(flow.pairs[0][0], "unread", 6, 0) == 6, "send");
	flow_say(&flow, 0, "before");
	flow_settle();
	flow_hang_up(&flow, 0);
	flow_settle();
	flow_note(&flow, flow_view(&flow, 0));
	for (int i = 0; i < 2; i++) {
		flow_note(&flow, flow_view(&flow, 0));
		flow_note(&flow, flow_copy(&flow, 0, 1));
	}
	flow_audit(&flow);
	flow_close(&flow, 0);
	return error;
}

static void an_error_comes_behind_what_has_landed_and_stays(void **state)
{
	(void)state;
	flow_run(&flow, hear_a_reset);
	assert_string_equal(flow.text[0], "before");
	assert_int_equal(flow.codes[0], 6);
	for (unsigned i = 1; i < 5; i++)
		assert_int_equal(flow.codes[i], -ECONNRESET);
}

static int hear_a_reset_by_tcp(void *arg)
{
	const struct linger now = { .l_onoff = 1 };
	int error = flow_open_tcp(arg, 0, NULL);

	flow_say(&flow, 0, "before");
	while (!rota_stream_ready(&flow.streams[0]))
		flow_settle();
	error |= setsockopt(flow.pairs[0][1], SOL_SOCKET, SO_LINGER, &now,
			    sizeof(now));
	flow_hang_up(&flow, 0);
	for (int i = 0; i < 3; i++)
		flow_note(&flow, flow_view(&flow, 0));
	flow_close(&flow, 0);
	return error;
}

static void so_does_a_reset_by_tcp(void **state)
{
	(void)state;
	flow_run(&flow, hear_a_reset_by_tcp);
	assert_string_equal(flow.text[0], "before");
	assert_int_equal(flow.codes[0], 6);
	assert_int_equal(flow.codes[1], -ECONNRESET);
	assert_int_equal(flow.codes[2], -ECONNRESET);
}

/* Bytes that nobody has received yet. */
static int in_socket(const struct flow *of, unsigned i)
{
	int bytes = 0;

	return ioctl(of->pairs[i][0], FIONREAD, &bytes) ? -errno : bytes;
}

#define DRIPS 200u

static int reach_the_cap(void *arg)
{
	const struct rota_stream_options options = { .items_max = 5 };
	int error = flow_open(arg, 0, &options);
	unsigned held;

	flow_drip(&flow, 0, DRIPS);
	flow_settle();
	held = flow_held(&flow, 0);
	flow_note(&flow, (int)held);
	flow_note(&flow, flow_in_flight(&flow, 0));
	flow_expect(&flow, in_socket(&flow, 0) == (int)(DRIPS - held),
		    "bytes are lost");
	flow_audit(&flow);
	/* It stays so while nobody reads. */
	flow_settle();
	flow_expect(&flow, flow_held(&flow, 0) == held, "more has landed");
	for (unsigned i = 0; i < DRIPS; i++) {
		flow_expect(&flow, flow_view(&flow, 0) == 1, "no byte");
		flow_audit(&flow);
		if (i % 7 == 0)
			flow_settle();
	}
	flow_close(&flow, 0);
	return error;
}

static void assert_dripped(unsigned i, unsigned count)
{
	assert_int_equal(flow.heard[i], count);
	for (unsigned n = 0; n < count; n++)
		assert_int_equal(flow.text[i][n], 'a' + n % 26);
}

static void at_its_cap_it_stops_and_goes_on_without_loss(void **state)
{
	(void)state;
	flow.config.stream_buffer_bytes = 1;
	flow_run(&flow, reach_the_cap);
	assert_true(flow.codes[0] >= 5 && flow.codes[0] <= 5 + (int)GO);
	assert_false(flow.codes[1]);
	assert_dripped(0, DRIPS);
}

/* Half of what it may have is gone: it goes on, before all is. */
static int go_on_at_half(void *arg)
{
	const struct rota_stream_options options = { .items_max = 6 };
	int error = flow_open(arg, 0, &options);

	flow_drip(&flow, 0, 1);
	flow_settle();
	flow_drip(&flow, 0, 5);
	flow_settle();
	flow_note(&flow, (int)flow_held(&flow, 0));
	for (int i = 0; i < 3; i++)
		flow_view(&flow, 0);
	flow_settle();
	flow_note(&flow, flow_in_flight(&flow, 0)); /* one is lent: 4 held */
	flow_view(&flow, 0);
	flow_settle();
	flow_note(&flow, flow_in_flight(&flow, 0));
	flow_drip(&flow, 0, 2);
	flow_settle();
	flow_note(&flow, (int)flow_held(&flow, 0));
	flow_audit(&flow);
	flow_close(&flow, 0);
	return error;
}

static void with_half_of_it_gone_it_receives_again(void **state)
{
	static const int expected[] = { 6, false, true, 5 };

	(void)state;
	flow.config.stream_buffer_bytes = 1;
	flow_run(&flow, go_on_at_half);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(flow.codes[i], expected[i]);
}

static int look_at_caps(void *arg)
{
	static const unsigned given[] = { 0, 1, 2, 100, 1000000 };
	int error = 0;

	(void)arg;
	for (unsigned i = 0; i < 5; i++) {
		const struct rota_stream_options options = { .items_max =
								     given[i] };

		error |= flow_open(&flow, i, &options);
		flow_note(&flow, flow.streams[i].shot->buffers.allowed);
		flow_close(&flow, i);
	}
	error |= flow_open(&flow, 0, NULL);
	flow_note(&flow, flow.streams[0].shot->buffers.allowed);
	flow_close(&flow, 0);
	return error;
}

static void the_cap_is_a_sixteenth_of_all_and_at_least_two(void **state)
{
	static const int expected[] = { 16, 2, 2, 100, 32768, 16 };

	(void)state;
	flow.config.stream_buffers = 256;
	flow_run(&flow, look_at_caps);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(flow.codes[i], expected[i]);
}

/* Through TCP, whose pieces are other ones than were sent. */
static int hear_much(void *arg)
{
	char text[300];
	int error = flow_open_tcp(arg, 0, NULL);

	for (unsigned i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('!' + i % 90);
	text[sizeof(text) - 1] = 0;
	for (unsigned round = 0; round < 200; round++) {
		flow.heard[0] = 0;
		flow_say(&flow, 0, text);
		flow_hear(&flow, 0, sizeof(text) - 1);
		flow_expect(&flow, !strcmp(text, flow.text[0]), "other bytes");
		flow_audit(&flow);
	}
	flow_close(&flow, 0);
	return error;
}

static void much_goes_through_few_buffers(void **state)
{
	(void)state;
	flow_run(&flow, hear_much);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(views_come_in_the_order_in_which_it_was_sent),
		TEST(what_is_longer_than_a_buffer_comes_in_several_views),
		TEST(a_view_may_be_written_to),
		TEST(a_view_waits_until_something_lands),
		TEST(it_is_ready_with_bytes_and_at_the_end),
		TEST(a_copy_takes_what_landed_next_and_leaves_the_rest),
		TEST(a_view_lends_what_copies_have_left_over),
		TEST(a_copy_of_no_bytes_is_refused),
		TEST(the_end_comes_behind_all_bytes_and_stays),
		TEST(an_error_comes_behind_what_has_landed_and_stays),
		TEST(so_does_a_reset_by_tcp),
		TEST(at_its_cap_it_stops_and_goes_on_without_loss),
		TEST(with_half_of_it_gone_it_receives_again),
		TEST(the_cap_is_a_sixteenth_of_all_and_at_least_two),
		TEST(much_goes_through_few_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
