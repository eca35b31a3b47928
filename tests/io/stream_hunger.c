/* SPDX-License-Identifier: MIT */
/*
 * Receive streams when there are no buffers: nobody is told, nobody is left
 * out. Mostly there are two buffers of one byte, and stream 0 has both.
 */
#include "rota/rota.h"
#include "support/flow.h"
#include "task/task.h"

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
	flow_init_buffers(&flow, 2, 1);
	return 0;
}

/* Stream 0 has all there is. */
static int take_all(void)
{
	const struct rota_stream_options options = {
		.items_max = flow.config.stream_buffers
	};
	const int error = flow_open(&flow, 0, &options);

	flow_drip(&flow, 0, flow.config.stream_buffers);
	flow_settle();
	flow_expect(&flow, flow_held(&flow, 0) == flow.config.stream_buffers,
		    "there are buffers left");
	return error;
}

/* ... and gives one back. */
static void give_one(void)
{
	flow_view(&flow, 0);
	flow_view(&flow, 0);
	flow_settle();
}

static int open_hungry(unsigned i, const char *text)
{
	const int error = flow_open(&flow, i, NULL);

	flow_say(&flow, i, text);
	flow_settle();
	flow_expect(&flow, flow_hungry(&flow, i), "it has been fed");
	flow_audit(&flow);
	return error;
}

static void close_all(void)
{
	for (unsigned i = 0; i < FLOW_STREAMS; i++)
		flow_close(&flow, i);
	flow_audit(&flow);
}

static int begin_with_none(void *arg)
{
	int error = take_all();

	(void)arg;
	error |= open_hungry(1, "x");
	flow_note(&flow, rota_stream_ready(&flow.streams[1]));
	give_one();
	flow_note(&flow, rota_stream_ready(&flow.streams[1]));
	flow_note(&flow, flow_view(&flow, 1));
	close_all();
	return error;
}

static void a_stream_that_begins_without_a_buffer_waits_for_one(void **state)
{
	(void)state;
	flow_run(&flow, begin_with_none);
	assert_int_equal(flow.codes[0], false);
	assert_int_equal(flow.codes[1], true);
	assert_int_equal(flow.codes[2], 1);
	assert_string_equal(flow.text[1], "x");
}

/* Its own bytes are what the ring is empty of. */
static int be_alone(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_drip(&flow, 0, 100);
	flow_settle();
	flow_audit(&flow);
	for (int i = 0; i < 100; i++) {
		flow_expect(&flow, flow_view(&flow, 0) == 1, "no byte");
		flow_expect(&flow, flow.text[0][i] == 'a' + i % 26, "order");
		flow_audit(&flow);
	}
	close_all();
	return error;
}

static void one_stream_lives_on_two_buffers(void **state)
{
	(void)state;
	flow_run(&flow, be_alone);
	assert_int_equal(flow.heard[0], 100);
}

static void one_stream_lives_on_one_buffer(void **state)
{
	(void)state;
	flow.config.stream_buffers = 1;
	flow_run(&flow, be_alone);
	assert_int_equal(flow.heard[0], 100);
}

/* The kernel says of an end, too, that there is no buffer. */
static int end_with_none(void *arg)
{
	int error = take_all();

	(void)arg;
	error |= flow_open(&flow, 1, NULL);
	flow_hang_up(&flow, 1);
	flow_settle();
	flow_note(&flow, rota_stream_ready(&flow.streams[1]));
	give_one();
	flow_note(&flow, flow_view(&flow, 1));
	flow_note(&flow, flow_view(&flow, 1));
	flow_audit(&flow);
	close_all();
	return error;
}

static void an_end_without_a_buffer_is_told_as_an_end(void **state)
{
	(void)state;
	flow_run(&flow, end_with_none);
	assert_int_equal(flow.codes[0], false);
	assert_int_equal(flow.codes[1], 0);
	assert_int_equal(flow.codes[2], 0);
}

/* Which of 1 to 3 has something: one, or 0 if not just one has. */
static int who_is_ready(void)
{
	int who = 0;

	for (int i = 1; i <= 3; i++)
		if (rota_stream_ready(&flow.streams[i]))
			who = who ? 9 : i;
	return who == 9 ? 0 : who;
}

static int wait_in_turn(void *arg)
{
	int error = take_all();

	(void)arg;
	error |= open_hungry(2, "x");
	error |= open_hungry(3, "y");
	error |= open_hungry(1, "z");
	give_one();
	for (int round = 0; round < 3; round++) {
		const int who = who_is_ready();

		flow_note(&flow, who);
		if (!who)
			break;
		flow_view(&flow, (unsigned)who);
		flow_close(&flow, (unsigned)who);
		error |= flow_open(&flow, (unsigned)who, NULL);
		flow_settle();
		flow_audit(&flow);
	}
	close_all();
	return error;
}

static void buffers_go_to_whom_has_waited_longest(void **state)
{
	(void)state;
	flow_run(&flow, wait_in_turn);
	assert_int_equal(flow.codes[0], 2);
	assert_int_equal(flow.codes[1], 3);
	assert_int_equal(flow.codes[2], 1);
}

/* Two are given back, for 1 and 2; 1 takes both, and would take more. */
static int keep_ones_place(void *arg)
{
	int error = take_all();

	(void)arg;
	error |= open_hungry(1, "abc");
	error |= open_hungry(2, "d");
	error |= open_hungry(3, "e");
	flow_close(&flow, 0);
	flow_settle();
	flow_note(&flow, who_is_ready());
	flow_expect(&flow, flow_hungry(&flow, 2), "2 is not hungry");
	flow_expect(&flow, flow_hungry(&flow, 3), "3 is not hungry");
	flow_audit(&flow);
	flow_note(&flow, flow_view(&flow, 1));
	flow_note(&flow, flow_view(&flow, 1));
	flow_settle(); /* the first byte's goes to 2, though 3 was before 1 */
	flow_note(&flow, rota_stream_ready(&flow.streams[2]));
	flow_note(&flow, rota_stream_ready(&flow.streams[3]));
	flow_view(&flow, 2);
	flow_close(&flow, 2);
	flow_settle();
	flow_note(&flow, rota_stream_ready(&flow.streams[3]));
	flow_audit(&flow);
	flow_hear(&flow, 3, 1);
	flow_close(&flow, 3);
	flow_hear(&flow, 1, 3);
	close_all();
	return error;
}

static void who_had_its_turn_in_vain_keeps_its_place(void **state)
{
	static const int expected[] = { 1, 1, 1, true, false, true };

	(void)state;
	flow_run(&flow, keep_ones_place);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(flow.codes[i], expected[i]);
	assert_string_equal(flow.text[1], "abc");
	assert_string_equal(flow.text[2], "d");
	assert_string_equal(flow.text[3], "e");
}

static void note_who_is_fed(void)
{
	flow_settle();
	for (unsigned i = 2; i < 5; i++)
		flow_note(&flow, rota_stream_ready(&flow.streams[i]));
	flow_audit(&flow);
}

/* Three are given back, for 1, 2 and 3; 1 takes all. */
static int keep_both_places(void *arg)
{
	const struct rota_stream_options options = { .items_max = 4 };
	int error = take_all();

	(void)arg;
	error |= flow_open(&flow, 1, &options);
	flow_say(&flow, 1, "abc");
	flow_settle();
	for (unsigned i = 2; i < 5; i++)
		error |= open_hungry(i, "x");
	flow_close(&flow, 0);
	flow_settle();
	flow_expect(&flow, flow_held(&flow, 1) == 3, "1 has not all");
	flow_view(&flow, 1);
	flow_view(&flow, 1);
	note_who_is_fed();
	flow_view(&flow, 1);
	note_who_is_fed();
	flow_close(&flow, 1);
	note_who_is_fed();
	close_all();
	return error;
}

static void so_do_all_who_had(void **state)
{
	static const int expected[] = { 1, 0, 0, 1, 1, 0, 1, 1, 1 };

	(void)state;
	flow.config.stream_buffers = 3;
	flow_run(&flow, keep_both_places);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(flow.codes[i], expected[i]);
}

/* One for the first of those who wait, and one for stream 0 itself. */
static int count_operations(void *arg)
{
	const struct ri_ring *ring = &ri_tasks_here()->loop.ring;
	uint64_t before;
	int error = take_all();

	(void)arg;
	for (unsigned i = 1; i < FLOW_STREAMS; i++)
		error |= open_hungry(i, "x");
	before = ring->submitted;
	flow_settle();
	flow_note(&flow, (int)(ring->submitted - before));
	give_one();
	flow_note(&flow, (int)(ring->submitted - before));
	flow_settle();
	flow_note(&flow, (int)(ring->submitted - before));
	close_all();
	return error;
}

static void for_one_buffer_one_stream_is_tried(void **state)
{
	(void)state;
	flow_run(&flow, count_operations);
	assert_int_equal(flow.codes[0], 0);
	assert_int_equal(flow.codes[1], 2);
	assert_int_equal(flow.codes[2], 2);
}

/* Who is hungry has not always something to hear: of those the kernel is told
 * too that there is no buffer. They take none, and are no reason to wait. */
static int wait_behind_the_silent(void *arg)
{
	const unsigned last = FLOW_STREAMS - 1;
	int error = take_all();

	(void)arg;
	for (unsigned i = 1; i < last; i++)
		error |= flow_open(&flow, i, NULL);
	error |= open_hungry(last, "x");
	flow_view(&flow, 0);
	flow_view(&flow, 0);
	flow_note(&flow, flow_view(&flow, last));
	flow_audit(&flow);
	close_all();
	return error;
}

static void who_is_silent_holds_up_nobody_behind_it(void **state)
{
	(void)state;
	flow_run(&flow, wait_behind_the_silent);
	assert_int_equal(flow.codes[0], 1);
}

/* Who has read its byte waits for the next one, and has no use for a buffer. */
static int hear_two(void *value)
{
	const bool copies = *(bool *)value;
	int error = flow_open(&flow, 0, NULL);

	flow_say(&flow, 0, "a");
	for (int i = 0; i < 2; i++)
		flow_note(&flow, copies ? flow_copy(&flow, 0, 1)
					: flow_view(&flow, 0));
	flow_close(&flow, 0);
	return error;
}

static int live_on_its_buffer(void *arg)
{
	int error = 0;

	(void)arg;
	for (int copies = 0; copies < 2; copies++) {
		rota_group_open(&flow.group, NULL);
		error |= rota_go(&flow.group, hear_two, (bool)copies);
		flow_settle();
		error |= flow_open(&flow, 1, NULL);
		flow_say(&flow, 1, "x");
		flow_note(&flow, flow_view(&flow, 1));
		flow_audit(&flow);
		flow_close(&flow, 1);
		flow_say(&flow, 0, "b");
		error |= rota_group_wait(&flow.group);
	}
	return error;
}

static void who_waits_for_more_has_no_buffer(void **state)
{
	(void)state;
	flow.config.stream_buffers = 1;
	flow_run(&flow, live_on_its_buffer);
	assert_string_equal(flow.text[0], "abab");
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(flow.codes[i], 1);
}

static int view_all(void *value)
{
	const unsigned i = *(unsigned *)value;

	if (flow_open(&flow, i, NULL))
		return -EIO;
	flow_drip(&flow, i, 100);
	for (int n = 0; n < 100; n++)
		flow_expect(&flow, flow_view(&flow, i) == 1, "no byte");
	flow_close(&flow, i);
	return 0;
}

/* Each with a task: who is faster has no more for it. */
static int share_two(void *arg)
{
	int error = 0;

	(void)arg;
	rota_group_open(&flow.group, NULL);
	for (unsigned i = 0; i < FLOW_STREAMS; i++)
		error |= rota_go(&flow.group, view_all, i);
	error |= rota_group_wait(&flow.group);
	flow_audit(&flow);
	return error;
}

static void eight_streams_share_two_buffers(void **state)
{
	(void)state;
	flow_run(&flow, share_two);
	for (unsigned i = 0; i < FLOW_STREAMS; i++)
		for (unsigned n = 0; n < 100; n++)
			assert_int_equal(flow.text[i][n], 'a' + n % 26);
}

/* It sends without end, and nobody reads. */
static int sit_on_buffers(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	error |= flow_open(&flow, 1, NULL);
	flow_drip(&flow, 0, 200);
	flow_settle();
	flow_expect(&flow, !flow_in_flight(&flow, 0), "it goes on");
	flow_note(&flow, (int)flow_held(&flow, 0));
	flow_audit(&flow);
	for (unsigned i = 0; i < 200; i++) {
		flow_drip(&flow, 1, 6);
		flow.heard[1] = 0;
		flow_hear(&flow, 1, 6);
		flow_expect(&flow, flow.heard[1] == 6, "it hears nothing");
		flow_audit(&flow);
	}
	flow_hear(&flow, 0, 200);
	close_all();
	return error;
}

static void who_never_reads_has_no_more_than_its_due(void **state)
{
	(void)state;
	flow.config.stream_buffers = 8;
	flow_run(&flow, sit_on_buffers);
	assert_true(flow.codes[0] >= 2);
	for (unsigned n = 0; n < 200; n++)
		assert_int_equal(flow.text[0][n], 'a' + n % 26);
}

/* The task of stream 0 sends what nobody takes. */
static int block_in_send(void *value)
{
	static const char block[4096];
	int error = flow_open(&flow, 0, NULL);

	(void)value;
	flow_drip(&flow, 0, 100);
	while (!error) {
		const int n = rota_stream_view(&flow.streams[0], &flow.view);

		if (n > 0)
			error = rota_send_all(flow.pairs[0][0], block,
					      sizeof(block), NULL);
		else
			error = n ? n : -ENODATA;
	}
	flow_note(&flow, (int)flow_held(&flow, 0) > 0);
	flow_close(&flow, 0);
	return error;
}

static int live_beside_it(void *arg)
{
	int error = flow_open(arg, 1, NULL);

	rota_group_open(&flow.group, NULL);
	error |= rota_go(&flow.group, block_in_send, 0);
	flow_settle();
	for (unsigned i = 0; i < 400; i++) {
		flow_drip(&flow, 1, 1);
		flow.heard[1] = 0;
		flow_note(&flow, flow_view(&flow, 1));
		flow.noted = 0;
		flow_expect(&flow, flow.codes[0] == 1, "it hears nothing");
	}
	flow_audit(&flow);
	rota_group_cancel(&flow.group, (struct rota_cancellation){ 0, NULL });
	flow_note(&flow, rota_group_wait(&flow.group));
	close_all();
	return error;
}

static void a_task_that_blocks_in_a_send_starves_nobody(void **state)
{
	(void)state;
	flow.config.stream_buffers = 8;
	flow_run(&flow, live_beside_it);
	assert_int_equal(flow.codes[0], true);
	assert_int_equal(flow.codes[1], -ECANCELED);
}

/* Stream 1 is fed, and has nothing to hear. Later it goes hungry again. */
static int fall_behind(void *arg)
{
	int error = take_all() | flow_open(&flow, 1, NULL);

	(void)arg;
	flow_settle();
	give_one();
	flow_expect(&flow, flow_in_flight(&flow, 1), "it is not fed");
	flow_settle();
	flow_drip(&flow, 0, 1); /* takes the one that 1 had no use for */
	flow_settle();
	error |= open_hungry(2, "b");
	flow_say(&flow, 1, "a");
	flow_settle();
	flow_expect(&flow, flow_hungry(&flow, 1), "it has been fed");
	flow_view(&flow, 0);
	flow_settle();
	flow_note(&flow, flow_hungry(&flow, 1));
	flow_note(&flow, flow_hungry(&flow, 2));
	close_all();
	return error;
}

static void who_had_nothing_to_hear_in_its_turn_takes_a_new_one(void **state)
{
	(void)state;
	flow_run(&flow, fall_behind);
	assert_int_equal(flow.codes[0], true);
	assert_int_equal(flow.codes[1], false);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(who_had_nothing_to_hear_in_its_turn_takes_a_new_one),
		TEST(a_stream_that_begins_without_a_buffer_waits_for_one),
		TEST(one_stream_lives_on_two_buffers),
		TEST(one_stream_lives_on_one_buffer),
		TEST(an_end_without_a_buffer_is_told_as_an_end),
		TEST(buffers_go_to_whom_has_waited_longest),
		TEST(who_had_its_turn_in_vain_keeps_its_place),
		TEST(so_do_all_who_had),
		TEST(for_one_buffer_one_stream_is_tried),
		TEST(who_is_silent_holds_up_nobody_behind_it),
		TEST(who_waits_for_more_has_no_buffer),
		TEST(eight_streams_share_two_buffers),
		TEST(who_never_reads_has_no_more_than_its_due),
		TEST(a_task_that_blocks_in_a_send_starves_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
