/* SPDX-License-Identifier: MIT */
/*
 * Channels between loops of an engine: everything that holds on one loop holds
 * there, whoever sleeps, is busy or is cancelled meanwhile.
 */
#include "support/loops.h"
#include "support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define ITEMS 20000u
#define ROUNDS 200u
#define WATCHED 40u

struct seen {
	struct rota_channel_options options;
	struct rota_sender sender;
	struct rota_receiver receiver;
	unsigned count;        /* items that are to pass */
	unsigned received;     /* that did, in order */
	bool disorder;         /* one came that was not the next */
	atomic_uint discarded; /* items */
	atomic_uint told;      /* tasks that were told what they should be */
	atomic_uint refused;   /* tasks that were told something else */
	atomic_bool watched;   /* somebody has looked at it */
};

static void note_discarded(void *item, void *context)
{
	struct seen *seen = context;

	(void)item;
	atomic_fetch_add(&seen->discarded, 1);
}

static int open_channel(struct seen *seen, size_t capacity)
{
	seen->options = (struct rota_channel_options){
		.item_bytes = sizeof(uint64_t),
		.capacity = capacity,
		.discard = note_discarded,
		.context = seen,
	};
	return rota_channel_open(&seen->options, &seen->sender,
				 &seen->receiver);
}

static int send_all(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int error = 0;

	for (uint64_t i = 0; i < seen->count && !error; i++)
		error = rota_channel_send(&seen->sender, &i);
	rota_sender_close(&seen->sender);
	return error;
}

static int receive_all(void *value)
{
	struct seen *seen = *(struct seen **)value;
	uint64_t item;
	int got;

	while ((got = rota_channel_receive(&seen->receiver, &item)) > 0)
		seen->disorder |= item != seen->received++;
	rota_receiver_close(&seen->receiver);
	return got;
}

static int pass_items(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, send_all, seen);
	if (!error)
		error = rota_go_on(&group, 2, receive_all, seen);
	return rota_group_wait(&group) | error;
}

static int pass_through_0(void *arg)
{
	return open_channel(arg, 0) | pass_items(arg);
}

static int pass_through_1(void *arg)
{
	return open_channel(arg, 1) | pass_items(arg);
}

static int pass_through_100(void *arg)
{
	return open_channel(arg, 100) | pass_items(arg);
}

static void items_go_from_loop_to_loop_in_order(void **state)
{
	int (*const passes[])(void *) = { pass_through_0, pass_through_1,
					  pass_through_100 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct seen seen = { .count = test_rounds(ITEMS) };

		assert_int_equal(test_run_loops(passes[i], &seen), 0);
		assert_false(seen.disorder);
		assert_int_equal(seen.received, seen.count);
		assert_int_equal(atomic_load(&seen.discarded), 0);
	}
}

/* Waits until so many of them stand in line. */
static int await_waiters(const struct seen *seen, unsigned senders,
			 unsigned receivers)
{
	struct rota_channel_state state;
	int error = 0;

	do {
		state = rota_receiver_inspect(&seen->receiver);
		if (state.senders_waiting == senders &&
		    state.receivers_waiting == receivers)
			return 0;
		error = rota_yield();
	} while (!error);
	return error;
}

static int hear_end(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_receiver own = rota_receiver_share(&seen->receiver);
	uint64_t item;
	const int got = rota_channel_receive(&own, &item);

	atomic_fetch_add(got == 0 ? &seen->told : &seen->refused, 1);
	rota_receiver_close(&own);
	return 0;
}

static int end_everywhere(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = open_channel(seen, 0);

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 3 * TEST_LOOPS && !error; i++)
		error = rota_go_on(&group, i % TEST_LOOPS, hear_end, seen);
	if (!error)
		error = await_waiters(seen, 0, 3 * TEST_LOOPS);
	rota_sender_close(&seen->sender);
	error |= rota_group_wait(&group);
	rota_receiver_close(&seen->receiver);
	return error;
}

static void the_end_is_told_on_all_loops(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(test_run_loops(end_everywhere, &seen), 0);
	assert_int_equal(atomic_load(&seen.told), 3 * TEST_LOOPS);
	assert_int_equal(atomic_load(&seen.refused), 0);
}

static int hear_of_broken_pipe(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_sender own = rota_sender_share(&seen->sender);
	const uint64_t item = 1;
	const int error = rota_channel_send(&own, &item);

	atomic_fetch_add(error == -EPIPE ? &seen->told : &seen->refused, 1);
	rota_sender_close(&own);
	return 0;
}

static int break_everywhere(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = open_channel(seen, 2);

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 3 * TEST_LOOPS && !error; i++)
		error = rota_go_on(&group, i % TEST_LOOPS, hear_of_broken_pipe,
				   seen);
	if (!error)
		error = await_waiters(seen, 3 * TEST_LOOPS - 2, 0);
	rota_receiver_close(&seen->receiver);
	error |= rota_group_wait(&group);
	rota_sender_close(&seen->sender);
	return error;
}

static void who_waits_to_send_is_told_on_all_loops(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(test_run_loops(break_everywhere, &seen), 0);
	assert_int_equal(atomic_load(&seen.told), 3 * TEST_LOOPS - 2);
	/* their items lay in it */
	assert_int_equal(atomic_load(&seen.refused), 2);
	assert_int_equal(atomic_load(&seen.discarded), 2);
}

/* Looks at it from another loop until it is over. */
static int watch(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_sender own = rota_sender_share(&seen->sender);
	struct rota_channel_state state;
	int error = 0;

	do {
		state = rota_sender_inspect(&own);
		if (!state.receivers && state.depth)
			atomic_fetch_add(&seen->refused, 1);
		atomic_store(&seen->watched, true);
		error = rota_yield();
	} while (state.receivers && !error);
	rota_sender_close(&own);
	return error;
}

static int discard_watched(void *arg)
{
	struct seen *seen = arg;
	int error = 0;

	for (unsigned i = 0; i < WATCHED && !error; i++) {
		struct rota_group group;

		atomic_store(&seen->watched, false);
		error = open_channel(seen, 50);
		rota_group_open(&group, NULL);
		error |= rota_go_on(&group, 1, watch, seen);
		for (uint64_t item = 0; item < 50 && !error; item++)
			error = rota_channel_send(&seen->sender, &item);
		await(&seen->watched);
		rota_receiver_close(&seen->receiver);
		error |= rota_group_wait(&group);
		rota_sender_close(&seen->sender);
	}
	return error;
}

static void what_is_discarded_is_gone_for_everybody_at_once(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(test_run_loops(discard_watched, &seen), 0);
	assert_int_equal(atomic_load(&seen.refused), 0);
	assert_int_equal(atomic_load(&seen.discarded), 50 * WATCHED);
}

/* Back and forth between loops that have nothing else to do: each lies down
 * while the other one answers. */
static int answer(void *value)
{
	const struct rota_sender sender = ((struct rota_sender *)value)[0];
	const struct rota_receiver receiver =
		((struct rota_receiver *)value)[1];
	uint64_t item;
	int got;

	while ((got = rota_channel_receive(&receiver, &item)) > 0) {
		item++;
		got = rota_channel_send(&sender, &item);
		if (got)
			break;
	}
	return got;
}

struct both {
	struct rota_sender sender;
	struct rota_receiver receiver;
};

static int ask_now_and_then(struct seen *there, struct seen *back)
{
	struct test_random random;
	int error = 0;

	test_random_init(&random);
	for (uint64_t i = 0; i < test_rounds(ROUNDS) && !error; i++) {
		uint64_t item = i;

		/* So that it is caught at any point of lying down. */
		error = rota_sleep((int64_t)test_random_below(&random, 100000));
		if (!error)
			error = rota_channel_send(&there->sender, &item);
		if (!error)
			error = rota_channel_receive(&back->receiver, &item) -
				1;
		if (item != i + 1)
			error = -EPROTO;
	}
	return error;
}

static int wake_sleepers(void *arg)
{
	struct seen *there = arg, back = { 0 };
	struct rota_group group;
	struct both both;
	int error = open_channel(there, 0) | open_channel(&back, 1);

	both = (struct both){ back.sender, there->receiver };
	rota_group_open(&group, NULL);
	error |= rota_go_on(&group, 2, answer, both);
	error |= ask_now_and_then(there, &back);
	rota_sender_close(&there->sender);
	error |= rota_group_wait(&group);
	rota_receiver_close(&there->receiver);
	rota_sender_close(&back.sender);
	rota_receiver_close(&back.receiver);
	return error;
}

static void a_loop_that_sleeps_is_woken_for_an_item(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(test_run_loops(wake_sleepers, &seen), 0);
}

static int use_local(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_group group;
	int error;

	seen->options = (struct rota_channel_options){
		.item_bytes = sizeof(uint64_t),
		.local = true,
	};
	error = rota_channel_open(&seen->options, &seen->sender,
				  &seen->receiver);
	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go(&group, send_all, seen);
	if (!error)
		error = rota_go(&group, receive_all, seen);
	return rota_group_wait(&group) | error;
}

static int use_local_there(void *arg)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, use_local, arg);
	return rota_group_wait(&group) | error;
}

static void a_local_channel_serves_its_loop(void **state)
{
	struct seen seen = { .count = 100 };

	(void)state;
	assert_int_equal(test_run_loops(use_local_there, &seen), 0);
	assert_int_equal(seen.received, 100);
	assert_false(seen.disorder);
}

/* Those who wait on several loops have one order, too. */
static int note_turn(void *value)
{
	struct seen *seen = ((struct seen **)value)[0];
	const uint64_t wanted = ((uint64_t *)value)[1];
	uint64_t item = 0;
	const int got = rota_channel_receive(&seen->receiver, &item);

	atomic_fetch_add(
		got == 1 && item == wanted ? &seen->told : &seen->refused, 1);
	return 0;
}

struct turn {
	struct seen *seen;
	uint64_t number;
};

static int take_turns(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = open_channel(seen, 0);

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 30 && !error; i++) {
		const struct turn turn = { seen, i };

		error = rota_go_on(&group, i % TEST_LOOPS, note_turn, turn);
		if (!error)
			error = await_waiters(seen, 0, i + 1);
	}
	for (uint64_t i = 0; i < 30 && !error; i++)
		error = rota_channel_try_send(&seen->sender, &i);
	error |= rota_group_wait(&group);
	rota_sender_close(&seen->sender);
	rota_receiver_close(&seen->receiver);
	return error;
}

static void those_who_wait_on_several_loops_have_one_order(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(test_run_loops(take_turns, &seen), 0);
	assert_int_equal(atomic_load(&seen.told), 30);
	assert_int_equal(atomic_load(&seen.refused), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_go_from_loop_to_loop_in_order),
		cmocka_unit_test(the_end_is_told_on_all_loops),
		cmocka_unit_test(who_waits_to_send_is_told_on_all_loops),
		cmocka_unit_test(
			what_is_discarded_is_gone_for_everybody_at_once),
		cmocka_unit_test(a_loop_that_sleeps_is_woken_for_an_item),
		cmocka_unit_test(a_local_channel_serves_its_loop),
		cmocka_unit_test(
			those_who_wait_on_several_loops_have_one_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
