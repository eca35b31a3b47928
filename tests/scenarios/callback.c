/* SPDX-License-Identifier: MIT */
/*
 * Stories of functions that are called on cancel. The scenarios are those that
 * Go's context is tested with in what it calls after a context is done.
 */
#include "rota/rota.h"
#include "support/story.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

/* A callback that notes its name, ends a wait, cancels a group. */
struct call {
	struct test_trail *trail;
	const char *name;
	int fd;                    /* gets a byte; -1: none does */
	struct rota_group *victim; /* is cancelled, or NULL */
};

static void note_call(void *arg)
{
	const struct call *call = arg;

	test_trail_add(call->trail, call->name);
	test_trail_add(call->trail, " ");
	if (call->fd >= 0 && write(call->fd, "", 1) != 1)
		test_trail_add(call->trail, "(broken pipe) ");
	if (call->victim)
		rota_group_cancel(call->victim,
				  (struct rota_cancellation){ -EDOM, NULL });
}

/* Stands for a library's request, which the engine cannot cancel. */
static int wait_for_library(int fd)
{
	struct rota_shield shield;
	char byte;
	int code;

	rota_shield_begin(&shield, ROTA_NEVER);
	code = rota_read(fd, &byte, 1);
	rota_shield_end(&shield);
	return code;
}

struct waiter {
	struct test_trail *trail;
	int *pipe;
	bool *stopped; /* what rota_callback_end said */
};

static int wait_with_callback(void *value)
{
	const struct waiter *waiter = value;
	struct call call = { waiter->trail, "called", waiter->pipe[1], NULL };
	struct rota_callback callback;
	int code;

	rota_callback_begin(&callback, note_call, &call);
	code = wait_for_library(waiter->pipe[0]);
	*waiter->stopped = rota_callback_end(&callback);
	return code == 1 ? 0 : -EPROTO;
}

struct seen {
	struct test_trail trail;
	struct rota_group group;
	int pipes[3][2];
	bool stopped[4];
	int codes[4];
};

static int open_pipes(struct seen *seen)
{
	int error = 0;

	for (int i = 0; i < 3; i++)
		error |= pipe2(seen->pipes[i], O_CLOEXEC);
	return error ? -EPROTO : 0;
}

static void close_pipes(struct seen *seen)
{
	for (int i = 0; i < 6; i++)
		rota_close(seen->pipes[i / 2][i % 2]);
}

/* The second one is answered before the cancel. */
static int cancel_two_of_three(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = open_pipes(seen);

	rota_group_open(&group, NULL);
	for (int i = 0; i < 3; i++)
		error |= rota_go(&group, wait_with_callback,
				 ((struct waiter){ &seen->trail, seen->pipes[i],
						   &seen->stopped[i] }));
	error |= rota_sleep(5);
	error |= rota_write(seen->pipes[1][1], "", 1) != 1;
	error |= rota_sleep(5);
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	/* Never inside of the call that cancels. */
	test_trail_add(&seen->trail, "cancelled ");
	if (rota_group_wait(&group) != -ECANCELED)
		error = -EPROTO;
	close_pipes(seen);
	return error;
}

static void each_callback_is_called_but_for_those_ended_before(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_two_of_three, &seen), 0);
	assert_string_equal(seen.trail.text, "cancelled called called ");
	assert_false(seen.stopped[0]);
	assert_true(seen.stopped[1]);
	assert_false(seen.stopped[2]);
}

static int cancel_nobody(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = open_pipes(seen);

	rota_group_open(&group, NULL);
	error |= rota_go(&group, wait_with_callback,
			 ((struct waiter){ &seen->trail, seen->pipes[0],
					   &seen->stopped[0] }));
	error |= rota_write(seen->pipes[0][1], "", 1) != 1;
	error |= rota_group_wait(&group);
	close_pipes(seen);
	return error;
}

static void what_is_not_cancelled_calls_nobody(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_nobody, &seen), 0);
	assert_string_equal(seen.trail.text, "");
	assert_true(seen.stopped[0]);
}

/* Begun when all is over already: called as soon as the loop comes round. */
static int begin_too_late(void *arg)
{
	struct seen *seen = arg;
	struct call call = { &seen->trail, "a", -1, NULL };
	struct rota_callback callback;
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	rota_callback_begin(&callback, note_call, &call);
	test_trail_add(&seen->trail, "begun ");
	rota_shutdown(-1, 0);
	rota_shutdown(-1, 0);
	seen->stopped[0] = rota_callback_end(&callback);
	rota_callback_begin(&callback, note_call, &call);
	seen->stopped[1] = rota_callback_end(&callback);
	rota_shutdown(-1, 0);
	return rota_group_wait(&group);
}

static void in_a_cancelled_scope_it_is_called_soon_and_only_once(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(begin_too_late, &seen), -ECANCELED);
	assert_string_equal(seen.trail.text, "begun a ");
	assert_false(seen.stopped[0]);
	/* Ended before the loop came round. */
	assert_true(seen.stopped[1]);
}

/* Ended after the cancel, before the loop could call it. */
static int end_in_the_same_breath(void *arg)
{
	struct seen *seen = arg;
	struct call call = { &seen->trail, "a", -1, NULL };
	struct rota_callback callback;
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_callback_begin(&callback, note_call, &call);
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	seen->stopped[0] = rota_callback_end(&callback);
	rota_shutdown(-1, 0);
	return rota_group_wait(&group);
}

static void one_ended_between_cancel_and_call_is_never_called(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(end_in_the_same_breath, &seen),
			 -ECANCELED);
	assert_string_equal(seen.trail.text, "");
	assert_true(seen.stopped[0]);
}

/* Three in one task, one of them in a shield; time ends them. */
static int expire_three(void *arg)
{
	struct seen *seen = arg;
	struct call calls[] = { { &seen->trail, "a", -1, NULL },
				{ &seen->trail, "b", -1, NULL },
				{ &seen->trail, "c", -1, NULL } };
	struct rota_callback callbacks[3];
	struct rota_deadline limit;
	struct rota_shield shield;

	rota_callback_begin(&callbacks[0], note_call, &calls[0]);
	rota_deadline_begin(&limit, rota_after_ns(5));
	rota_callback_begin(&callbacks[1], note_call, &calls[1]);
	rota_shield_begin(&shield, 20);
	rota_callback_begin(&callbacks[2], note_call, &calls[2]);
	seen->codes[0] = rota_sleep(10);
	test_trail_add(&seen->trail, "at 10 ");
	seen->codes[1] = rota_sleep(100);
	rota_shutdown(-1, 0);
	seen->stopped[2] = rota_callback_end(&callbacks[2]);
	seen->stopped[3] = rota_shield_end(&shield);
	seen->stopped[1] = rota_callback_end(&callbacks[1]);
	rota_deadline_end(&limit);
	seen->stopped[0] = rota_callback_end(&callbacks[0]);
	return (int)test_now_ns();
}

static void callbacks_follow_their_own_scope_and_no_other(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(expire_three, &seen), 25);
	assert_string_equal(seen.trail.text, "b at 10 c ");
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_true(seen.stopped[0]);
	assert_false(seen.stopped[1]);
	assert_false(seen.stopped[2]);
	assert_true(seen.stopped[3]);
}

/* The one inside is cancelled first, and cancels the one around it, while that
 * is about to be cancelled by somebody else. */
static int interlock(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct call call = { &seen->trail, "up", -1, &seen->group };
	struct rota_callback callback;
	struct rota_group inner;

	rota_group_open(&inner, NULL);
	rota_callback_begin(&callback, note_call, &call);
	rota_group_cancel(&inner, (struct rota_cancellation){ -EIO, NULL });
	seen->codes[0] = rota_sleep_until(ROTA_NEVER);
	rota_shutdown(-1, 0);
	seen->codes[1] = rota_cause().error;
	seen->stopped[0] = rota_callback_end(&callback);
	seen->codes[2] = rota_group_wait(&inner);
	return 0;
}

static int cancel_crosswise(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, interlock, seen);
	story_note(&seen->trail, "owner", rota_sleep_until(ROTA_NEVER));
	seen->codes[3] = rota_cause().error;
	return rota_group_wait(&seen->group) == -EDOM ? error : -EPROTO;
}

static void a_callback_may_cancel_what_is_around_it(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_crosswise, &seen), 0);
	assert_string_equal(seen.trail.text, "up owner! ");
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[1], -EIO);
	assert_false(seen.stopped[0]);
	assert_int_equal(seen.codes[2], -EIO);
	assert_int_equal(seen.codes[3], -EDOM);
}

#define CALLBACKS 1000

/* A chain: each call cancels the group of the next. */
struct chain {
	struct rota_group groups[CALLBACKS + 1];
	unsigned called;
	unsigned next;
};

static void pull(void *arg)
{
	struct chain *chain = arg;
	struct rota_group *group = &chain->groups[++chain->called];

	if (chain->called < CALLBACKS)
		rota_group_cancel(group, (struct rota_cancellation){ 0, NULL });
}

static int be_chained(void *value)
{
	struct chain *chain = *(struct chain **)value;
	struct rota_group *group = &chain->groups[chain->next++];
	struct rota_callback callback;
	bool stopped;

	rota_group_open(group, NULL);
	rota_callback_begin(&callback, pull, chain);
	if (rota_sleep_until(ROTA_NEVER) != -ECANCELED)
		return -EPROTO;
	while (chain->called < CALLBACKS)
		rota_shutdown(-1, 0);
	stopped = rota_callback_end(&callback);
	return rota_group_wait(group) == -ECANCELED && !stopped ? 0 : -EPROTO;
}

static int pull_chain(void *arg)
{
	struct chain *chain = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (int i = 0; i < CALLBACKS && !error; i++)
		error = rota_go(&group, be_chained, chain);
	error |= rota_sleep(1);
	rota_group_cancel(&chain->groups[0],
			  (struct rota_cancellation){ 0, NULL });
	return rota_group_wait(&group) | error;
}

static void calls_that_lead_to_calls_all_come(void **state)
{
	static struct chain chain;

	(void)state;
	chain.called = chain.next = 0;
	assert_int_equal(test_run_timed(pull_chain, &chain), 0);
	assert_int_equal(chain.called, CALLBACKS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			each_callback_is_called_but_for_those_ended_before),
		cmocka_unit_test(what_is_not_cancelled_calls_nobody),
		cmocka_unit_test(
			in_a_cancelled_scope_it_is_called_soon_and_only_once),
		cmocka_unit_test(
			one_ended_between_cancel_and_call_is_never_called),
		cmocka_unit_test(callbacks_follow_their_own_scope_and_no_other),
		cmocka_unit_test(a_callback_may_cancel_what_is_around_it),
		cmocka_unit_test(calls_that_lead_to_calls_all_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
