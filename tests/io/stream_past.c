/* SPDX-License-Identifier: MIT */
/*
 * rota_stream_recv while there are no buffers: it receives past them, into its
 * caller's. There is one buffer of one byte, and stream 0 has it.
 */
#include "rota/rota.h"
#include "support/flow.h"

#include <errno.h>
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
	flow_init_buffers(&flow, 1, 1);
	return 0;
}

static int take_all(void)
{
	const int error = flow_open(&flow, 0, NULL);

	flow_say(&flow, 0, "x");
	flow_settle();
	flow_expect(&flow, flow_held(&flow, 0) == 1, "there is a buffer left");
	return error;
}

static void give_all(void)
{
	flow_close(&flow, 0);
	flow_settle();
}

static int copy_past(void *arg)
{
	int error = take_all();

	(void)arg;
	error |= flow_open(&flow, 1, NULL);
	flow_say(&flow, 1, "a long word");
	flow_note(&flow, flow_copy(&flow, 1, 6));
	flow_note(&flow, flow_copy(&flow, 1, 6));
	flow_audit(&flow);
	give_all();
	flow_close(&flow, 1);
	return error;
}

static void a_copy_is_received_past_the_buffers(void **state)
{
	(void)state;
	flow_run(&flow, copy_past);
	assert_int_equal(flow.codes[0], 6);
	assert_int_equal(flow.codes[1], 5);
	assert_string_equal(flow.text[1], "a long word");
}

/* The first byte lands, the others are received past it, and so on. */
static int copy_both_ways(void *arg)
{
	int error = flow_open(arg, 1, NULL);

	for (int round = 0; round < 20; round++) {
		flow.heard[1] = 0;
		flow_say(&flow, 1, "abc");
		flow_settle();
		while (flow.heard[1] < 3)
			flow_expect(&flow, flow_copy(&flow, 1, 9) > 0, "none");
		flow_settle();
		flow_say(&flow, 1, "de");
		flow_settle();
		flow_hear(&flow, 1, 5);
		flow_expect(&flow, !strcmp(flow.text[1], "abcde"), "order");
		flow_audit(&flow);
	}
	flow_close(&flow, 1);
	return error;
}

static int end_past(void *arg)
{
	int error = take_all();

	(void)arg;
	error |= flow_open(&flow, 1, NULL);
	flow_say(&flow, 1, "end");
	flow_hang_up(&flow, 1);
	flow_note(&flow, flow_copy(&flow, 1, 9));
	for (int i = 0; i < 2; i++) {
		flow_note(&flow, flow_copy(&flow, 1, 9));
		flow_note(&flow, flow_view(&flow, 1));
	}
	flow_expect(&flow, !flow_hungry(&flow, 1), "it is hungry");
	flow_expect(&flow, !flow_in_flight(&flow, 1), "it goes on");
	give_all();
	flow_note(&flow, flow_view(&flow, 1));
	flow_audit(&flow);
	flow_close(&flow, 1);
	return error;
}

static void the_end_is_told_past_them_and_stays(void **state)
{
	static const int expected[] = { 3, 0, 0, 0, 0, 0 };

	(void)state;
	flow_run(&flow, end_past);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(flow.codes[i], expected[i]);
}

static int fail_past(void *arg)
{
	int error = take_all();

	(void)arg;
	error |= flow_open(&flow, 1, NULL);
	flow_expect(&flow, send(flow.pairs[1][0], "unread", 6, 0) == 6, "send");
	flow_hang_up(&flow, 1);
	for (int i = 0; i < 2; i++) {
		flow_note(&flow, flow_copy(&flow, 1, 9));
		flow_note(&flow, flow_view(&flow, 1));
	}
	give_all();
	flow_note(&flow, flow_view(&flow, 1));
	flow_close(&flow, 1);
	return error;
}

static void an_error_is_told_past_them_and_stays(void **state)
{
	(void)state;
	flow_run(&flow, fail_past);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(flow.codes[i], -ECONNRESET);
}

/* Nothing comes until the deadline; what comes then is there. */
static int be_late_past(void *arg)
{
	struct rota_deadline deadline;
	int error = take_all();

	(void)arg;
	error |= flow_open(&flow, 1, NULL);
	rota_deadline_begin(&deadline, rota_after_ns(ROTA_MILLISECOND));
	flow_note(&flow, flow_copy(&flow, 1, 9));
	flow_note(&flow, flow_copy(&flow, 1, 9));
	rota_deadline_end(&deadline);
	flow_say(&flow, 1, "late");
	flow_note(&flow, flow_copy(&flow, 1, 9));
	give_all();
	flow_say(&flow, 1, "!");
	flow_note(&flow, flow_view(&flow, 1));
	flow_audit(&flow);
	flow_close(&flow, 1);
	return error;
}

static void a_deadline_past_them_takes_nothing(void **state)
{
	(void)state;
	flow_run(&flow, be_late_past);
	assert_int_equal(flow.codes[0], -ETIME);
	assert_int_equal(flow.codes[1], -ETIME);
	assert_int_equal(flow.codes[2], 4);
	assert_int_equal(flow.codes[3], 1);
	assert_string_equal(flow.text[1], "late!");
}

/* There is a buffer again before it goes on: then it is not received past. */
static int be_fed_in_time(void *arg)
{
	int error = take_all();

	(void)arg;
	error |= flow_open(&flow, 1, NULL);
	flow_say(&flow, 1, "ab");
	flow_settle();
	flow_expect(&flow, flow_hungry(&flow, 1), "it is not hungry");
	give_all();
	flow_expect(&flow, !flow_hungry(&flow, 1) || flow_held(&flow, 1),
		    "it is not fed");
	flow_note(&flow, flow_copy(&flow, 1, 9)); /* one byte: of the buffer */
	flow_note(&flow, flow_copy(&flow, 1, 9));
	flow_audit(&flow);
	flow_close(&flow, 1);
	return error;
}

static void what_has_landed_comes_before_what_is_received_past(void **state)
{
	(void)state;
	flow_run(&flow, be_fed_in_time);
	assert_int_equal(flow.codes[0], 1);
	assert_int_equal(flow.codes[1], 1);
	assert_string_equal(flow.text[1], "ab");
}

static void both_ways_in_turn_keep_the_order(void **state)
{
	(void)state;
	flow_run(&flow, copy_both_ways);
}

/* It is hungry without bytes that wait; then it is fed. */
static int be_fed_with_nothing_to_hear(void *arg)
{
	int error = take_all();

	(void)arg;
	error |= flow_open(&flow, 1, NULL);
	flow_say(&flow, 1, "x");
	flow_note(&flow, flow_copy(&flow, 1, 9));
	flow_settle();
	flow_expect(&flow, flow_hungry(&flow, 1), "it is not hungry");
	give_all();
	flow_expect(&flow, flow_in_flight(&flow, 1), "it is not fed");
	flow_say(&flow, 1, "ab");
	flow_note(&flow, flow_copy(&flow, 1, 9));
	flow_note(&flow, flow_copy(&flow, 1, 9));
	flow_audit(&flow);
	flow_close(&flow, 1);
	return error;
}

static void once_fed_it_receives_by_the_buffers_again(void **state)
{
	(void)state;
	flow_run(&flow, be_fed_with_nothing_to_hear);
	assert_int_equal(flow.codes[0], 1);
	assert_int_equal(flow.codes[1], 1);
	assert_int_equal(flow.codes[2], 1);
	assert_string_equal(flow.text[1], "xab");
}

/* The view that it keeps is what it waits for; another task gives it back. */
struct keeper {
	struct rota_view view;
	bool kept;
};

static struct keeper keeper;

static int copy_with_all_kept(void *value)
{
	int error = flow_open(&flow, 1, NULL);

	(void)value;
	flow_say(&flow, 1, "kx");
	flow_view(&flow, 1);
	keeper.view = flow.view;
	rota_view_keep(&flow.streams[1], &flow.view);
	keeper.kept = true;
	flow_note(&flow, flow_copy(&flow, 1, 2));
	flow_note(&flow, flow_copy(&flow, 1, 2));
	flow_note(&flow, flow_copy(&flow, 1, 2));
	flow_audit(&flow);
	flow_close(&flow, 1);
	return error;
}

static int release_meanwhile(void *arg)
{
	int error;

	(void)arg;
	rota_group_open(&flow.group, NULL);
	error = rota_go(&flow.group, copy_with_all_kept, 0);
	while (!keeper.kept)
		flow_settle();
	flow_settle();
	rota_view_release(&keeper.view);
	flow_settle();
	flow_expect(&flow, !flow_in_flight(&flow, 1), "it receives twice");

	flow_say(&flow, 1, "ab");
	flow_settle();
	flow_say(&flow, 1, "cd");
	return error | rota_group_wait(&flow.group);
}

static void a_view_released_meanwhile_does_not_make_it_receive_twice(void **s)
{
	(void)s;
	flow_run(&flow, release_meanwhile);
	assert_int_equal(flow.codes[0], 1);
	assert_int_equal(flow.codes[1], 2);
	assert_memory_equal(flow.text[1], "kxabc", 5);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_copy_is_received_past_the_buffers),
		TEST(the_end_is_told_past_them_and_stays),
		TEST(an_error_is_told_past_them_and_stays),
		TEST(a_deadline_past_them_takes_nothing),
		TEST(what_has_landed_comes_before_what_is_received_past),
		TEST(once_fed_it_receives_by_the_buffers_again),
		TEST(both_ways_in_turn_keep_the_order),
		TEST(a_view_released_meanwhile_does_not_make_it_receive_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
