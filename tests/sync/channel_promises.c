/* SPDX-License-Identifier: MIT */
/*
 * Promises about channels that are broken: ends that are closed, loops and
 * threads that have no business there.
 */
#include "rota/rota.h"
#include "support/broken.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Everything that can be done to an end. */
enum verb {
	SEND,
	TRY_SEND,
	SHARE_SENDER,
	INSPECT_SENDER,
	CLOSE_SENDER,
	RECEIVE,
	TRY_RECEIVE,
	SHARE_RECEIVER,
	INSPECT_RECEIVER,
	CLOSE_RECEIVER,
	VERBS,
};

static const char *const names[VERBS] = {
	"rota_channel_send",        "rota_channel_try_send",
	"rota_sender_share",        "rota_sender_inspect",
	"rota_sender_close",        "rota_channel_receive",
	"rota_channel_try_receive", "rota_receiver_share",
	"rota_receiver_inspect",    "rota_receiver_close",
};

static struct rota_sender sender;
static struct rota_receiver receiver;
static alignas(16) char memory[512];
static enum verb verb;

static int open_channel(bool local)
{
	return rota_channel_open(
		(&(struct rota_channel_options){ .item_bytes = 8,
						 .capacity = 1,
						 .memory = memory,
						 .local = local }),
		&sender, &receiver);
}

static int do_verb(void)
{
	uint64_t item = 0;

	switch (verb) {
	case SEND:
		return rota_channel_send(&sender, &item);
	case TRY_SEND:
		return rota_channel_try_send(&sender, &item);
	case SHARE_SENDER:
		return rota_sender_share(&sender).channel != NULL;
	case INSPECT_SENDER:
		return rota_sender_inspect(&sender).depth != 0;
	case CLOSE_SENDER:
		rota_sender_close(&sender);
		return 0;
	case RECEIVE:
		return rota_channel_receive(&receiver, &item);
	case TRY_RECEIVE:
		return rota_channel_try_receive(&receiver, &item);
	case SHARE_RECEIVER:
		return rota_receiver_share(&receiver).channel != NULL;
	case INSPECT_RECEIVER:
		return rota_receiver_inspect(&receiver).depth != 0;
	default:
		rota_receiver_close(&receiver);
		return 0;
	}
}

/* Each verb, which has to be named, and what is wrong. */
static void expect_of_each(int (*fn)(void *), const char *words)
{
	for (verb = 0; verb < VERBS; verb++) {
		test_expect_abort_outside(fn, names[verb]);
		test_expect_abort_outside(fn, words);
	}
}

static int run(int (*fn)(void *), unsigned loops)
{
	return rota_run(&(struct rota_config){ .loops = loops }, fn, NULL);
}

static int use_closed(void *arg)
{
	int error = open_channel(false);

	(void)arg;
	if (error)
		return error;
	if (verb <= CLOSE_SENDER)
		rota_sender_close(&sender);
	else
		rota_receiver_close(&receiver);
	return do_verb();
}

static int run_use_closed(void *arg)
{
	(void)arg;
	return run(use_closed, 1);
}

static void an_end_that_is_closed_is_not_to_be_used_or_closed(void **state)
{
	(void)state;
	expect_of_each(run_use_closed, "is closed");
}

static int use_nothing(void *arg)
{
	(void)arg;
	return do_verb();
}

static int run_use_nothing(void *arg)
{
	(void)arg;
	return run(use_nothing, 1);
}

static void an_end_that_was_never_opened_is_not_to_be_used(void **state)
{
	(void)state;
	expect_of_each(run_use_nothing, "never opened");
}

/* A copy of an end, when both kinds are closed: of memory that is still there
 * at least. */
static int use_gone(void *arg)
{
	int error = open_channel(false);
	struct rota_sender other = sender;
	struct rota_receiver another = receiver;

	(void)arg;
	if (error)
		return error;
	rota_sender_close(&other);
	rota_receiver_close(&another);
	return do_verb();
}

static int run_use_gone(void *arg)
{
	(void)arg;
	return run(use_gone, 1);
}

static void a_copy_of_an_end_dies_with_the_channel(void **state)
{
	(void)state;
	expect_of_each(run_use_gone, "is closed");
}

static int close_copy_of_sender(void *arg)
{
	int error = open_channel(false);
	struct rota_sender other = sender;

	(void)arg;
	if (error)
		return error;
	rota_sender_close(&sender);
	rota_sender_close(&other);
	return 0;
}

static int close_copy_of_receiver(void *arg)
{
	int error = open_channel(false);
	struct rota_receiver other = receiver;

	(void)arg;
	if (error)
		return error;
	rota_receiver_close(&receiver);
	rota_receiver_close(&other);
	return 0;
}

static void a_copy_of_an_end_is_not_to_be_closed_too(void **state)
{
	(void)state;
	test_expect_abort(close_copy_of_sender, "a copy of it was closed");
	test_expect_abort(close_copy_of_receiver, "a copy of it was closed");
}

static int do_it_there(void *value)
{
	(void)value;
	return do_verb();
}

static int open_there(void *value)
{
	(void)value;
	return open_channel(true);
}

static int do_it_on_loop_0(void *arg)
{
	struct rota_group group;
	int error;

	(void)arg;
	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, open_there, 0);
	error |= rota_group_wait(&group);
	return error ? error : do_verb();
}

static int run_on_two_loops(void *arg)
{
	(void)arg;
	return run(do_it_on_loop_0, 2);
}

static void a_local_channel_is_for_its_own_loop(void **state)
{
	(void)state;
	expect_of_each(run_on_two_loops, "is called on loop 0 (0x");
	expect_of_each(run_on_two_loops, ") for what loop 1 (0x");
}

static void *do_it_on_thread(void *arg)
{
	(void)arg;
	return do_verb() ? &sender : NULL;
}

static int start_thread(void *arg)
{
	pthread_t thread;
	int error = open_channel(false);

	(void)arg;
	if (error)
		return error;
	error = pthread_create(&thread, NULL, do_it_on_thread, NULL);
	return error ? error : pthread_join(thread, NULL);
}

static int run_with_thread(void *arg)
{
	(void)arg;
	return run(start_thread, 1);
}

/* An engine of one loop makes local channels of its own accord. */
static void a_channel_of_a_loop_alone_is_not_for_threads(void **state)
{
	(void)state;
	for (verb = 0; verb < VERBS; verb++) {
		test_expect_abort_outside(run_with_thread, names[verb]);
		test_expect_abort_outside(run_with_thread,
					  verb == SEND || verb == RECEIVE
						  ? "outside of a task"
						  : "a thread without a loop");
	}
}

static void *run_another_engine(void *arg)
{
	(void)arg;
	return run(do_it_there, 1) ? &sender : NULL;
}

static int start_engine(void *arg)
{
	pthread_t thread;
	int error = open_channel(false);

	(void)arg;
	if (error)
		return error;
	error = pthread_create(&thread, NULL, run_another_engine, NULL);
	return error ? error : pthread_join(thread, NULL);
}

static int run_two_engines(void *arg)
{
	(void)arg;
	return run(start_engine, 1);
}

static void a_channel_of_a_loop_alone_is_not_for_another_engine(void **state)
{
	(void)state;
	expect_of_each(run_two_engines, "alone may use");
}

static int open_it(void *arg)
{
	(void)arg;
	return open_channel(false);
}

static int use_it_afterwards(void *arg)
{
	(void)arg;
	return run(open_it, 1) | do_verb();
}

static void a_channel_of_a_loop_alone_ends_with_that(void **state)
{
	(void)state;
	for (verb = 0; verb < VERBS; verb++)
		test_expect_abort_outside(
			use_it_afterwards,
			verb == SEND || verb == RECEIVE
				? "outside of a task"
				: "without a loop for what loop 0 (0x");
}

/* Without a task there is nobody to wait, whoever may use the channel. */
static int wait_outside(void *arg)
{
	(void)arg;
	return open_channel(false) | do_verb();
}

static void wait_in_callback(struct rota_message *message)
{
	(void)message;
	(void)!do_verb();
}

static int send_message(void *arg)
{
	static struct rota_message message = { .fn = wait_in_callback };
	int error = open_channel(false);

	(void)arg;
	rota_message_send(0, &message);
	return error | rota_sleep(ROTA_SECOND);
}

static void only_tasks_wait(void **state)
{
	(void)state;
	for (verb = SEND; verb < VERBS; verb += RECEIVE - SEND) {
		test_expect_abort_outside(wait_outside, names[verb]);
		test_expect_abort_outside(wait_outside, "outside of a task");
		test_expect_abort(send_message, names[verb]);
		test_expect_abort(send_message, "outside of a task");
	}
}

/* A function that has returned past its scope is found by the next verb, even if
 * that need not wait. */
static __attribute__((noinline)) void leave_group_open(void)
{
	struct rota_group group;

	TEST_NEXT_LINE();
	rota_group_open(&group, NULL);
}

/* So deep that the frames of a verb do not reach it. */
static __attribute__((noinline)) void leave_it_open_below(void)
{
	volatile char room[4096];

	room[0] = 0;
	leave_group_open();
	room[1] = room[0];
}

static int do_it_in_no_scope(void *arg)
{
	const int error = open_channel(false);
	const uint64_t item = 0;
	uint64_t got;

	(void)arg;
	if (error || rota_channel_try_send(&sender, &item))
		return 1;
	if (verb == SEND && rota_channel_try_receive(&receiver, &got) < 0)
		return 1;
	leave_it_open_below();
	return do_verb();
}

static void a_scope_that_was_left_open_is_found(void **state)
{
	(void)state;
	for (verb = SEND; verb < VERBS; verb += RECEIVE - SEND)
		test_expect_abort(do_it_in_no_scope,
				  "returned from the function");
}

/* Nobody can ever come: the list of tasks says who waits for what. */
static int wait_for_nobody(void *arg)
{
	(void)arg;
	if (open_channel(false))
		return 1;
	verb = RECEIVE;
	return do_verb();
}

static int fill_for_nobody(void *arg)
{
	(void)arg;
	verb = SEND;
	return open_channel(false) | do_verb() | do_verb();
}

/* One that somebody outside might have ended is over: the next one is told. */
static int wait_for_others_before(void *arg)
{
	uint64_t item = 0;
	struct rota_deadline deadline;
	int got;

	rota_deadline_begin(&deadline, rota_after_ns(1000));
	got = rota_channel_receive(&receiver, &item);
	rota_deadline_end(&deadline);
	return got == -ETIME ? wait_for_nobody(arg) : got;
}

static int open_and_run(void *arg)
{
	(void)arg;
	return open_channel(false) | run(wait_for_others_before, 1);
}

static void a_wait_that_nobody_can_end_is_told(void **state)
{
	(void)state;
	test_expect_abort_outside(open_and_run, "rota_channel_receive");
	test_expect_abort(wait_for_nobody, "rota_channel_receive");
	test_expect_abort(fill_for_nobody, "rota_channel_send");
}

static int use_end(void *value)
{
	(void)value;
	verb = verb == CLOSE_SENDER ? SEND : RECEIVE;
	return do_verb() | do_verb();
}

static int select_by_end(void *value)
{
	uint64_t item = 0;
	struct rota_arm arms[] = {
		rota_arm_never(),
		verb == CLOSE_SENDER ? rota_arm_send(&sender, &item)
				     : rota_arm_receive(&receiver, &item),
	};

	(void)value;
	return (rota_select(arms, 2) | rota_select(arms, 2)) < 0;
}

/* Closes the last end by which the task waits; the capacity is 1. */
static int close_under(rota_task_fn *fn)
{
	struct rota_group group;
	const enum verb closing = verb;
	int error = open_channel(false);

	rota_group_open(&group, NULL);
	TEST_NEXT_LINE();
	error |= rota_go(&group, fn, 0);
	rota_yield();
	verb = closing;
	return error | do_verb() | rota_group_wait(&group);
}

static int close_sender_under_send(void *arg)
{
	(void)arg;
	verb = CLOSE_SENDER;
	return close_under(use_end);
}

static int close_receiver_under_receive(void *arg)
{
	(void)arg;
	verb = CLOSE_RECEIVER;
	return close_under(use_end);
}

static int close_sender_under_select(void *arg)
{
	(void)arg;
	verb = CLOSE_SENDER;
	return close_under(select_by_end);
}

static int close_receiver_under_select(void *arg)
{
	(void)arg;
	verb = CLOSE_RECEIVER;
	return close_under(select_by_end);
}

static void an_end_by_which_another_task_waits_is_not_to_be_closed(void **state)
{
	(void)state;
	test_expect_abort(close_sender_under_send, "rota_sender_close: task ");
	test_expect_abort(close_sender_under_send,
			  "waits for it in rota_channel_send");
	test_expect_abort(close_receiver_under_receive,
			  "rota_receiver_close: task ");
	test_expect_abort(close_receiver_under_receive,
			  "waits for it in rota_channel_receive");
	test_expect_abort(close_sender_under_select,
			  "waits for it in rota_select");
	test_expect_abort(close_receiver_under_select,
			  "waits for it in rota_select");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_end_that_is_closed_is_not_to_be_used_or_closed),
		cmocka_unit_test(
			an_end_that_was_never_opened_is_not_to_be_used),
		cmocka_unit_test(a_copy_of_an_end_dies_with_the_channel),
		cmocka_unit_test(a_copy_of_an_end_is_not_to_be_closed_too),
		cmocka_unit_test(a_local_channel_is_for_its_own_loop),
		cmocka_unit_test(a_channel_of_a_loop_alone_is_not_for_threads),
		cmocka_unit_test(
			a_channel_of_a_loop_alone_is_not_for_another_engine),
		cmocka_unit_test(a_channel_of_a_loop_alone_ends_with_that),
		cmocka_unit_test(only_tasks_wait),
		cmocka_unit_test(a_scope_that_was_left_open_is_found),
		cmocka_unit_test(a_wait_that_nobody_can_end_is_told),
		cmocka_unit_test(
			an_end_by_which_another_task_waits_is_not_to_be_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
