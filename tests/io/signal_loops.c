/* SPDX-License-Identifier: MIT */
/*
 * Signals in an engine of several loops: whichever loop opens a set, a signal
 * of it acts nowhere, and the last close lets it act again.
 */
#include "support/loops.h"
#include "support/signals.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static int wait_there(void *value)
{
	struct rota_signals signals;
	int number = rota_signals_open(&signals, SIGUSR1, SIGTERM);

	(void)value;
	if (number)
		return number;
	test_signal_send(SIGTERM);
	number = rota_signals_wait(&signals, NULL);
	rota_signals_close(&signals);
	return number == SIGTERM ? 0 : -EBADMSG;
}

/* SIGTERM has no handler: acting, it would end the program. */
static int wait_on_each(void *arg)
{
	struct rota_group group;
	int error = test_signal_is_blocked(SIGTERM) ? -EBADMSG : 0;

	(void)arg;
	for (unsigned i = 0; i < TEST_LOOPS && !error; i++) {
		rota_group_open(&group, NULL);
		error = rota_go_on(&group, i, wait_there, 0);
		error |= rota_group_wait(&group);
	}
	return error ? error : test_signal_is_blocked(SIGTERM) ? -EBADF : 0;
}

static void a_task_of_any_loop_takes_a_signal_that_acts_nowhere(void **state)
{
	(void)state;
	assert_int_equal(test_run_loops(wait_on_each, NULL), 0);
}

/* Opened and closed by tasks of different loops. */
struct story {
	atomic_bool there_open, here_closed;
	bool kept,
		freed; /* SIGTERM was blocked between the closes, not after */
};

static int open_there(void *value)
{
	struct story *story = *(struct story **)value;
	struct rota_signals signals;
	int error = rota_signals_open(&signals, SIGTERM);

	atomic_store(&story->there_open, true);
	if (error)
		return error;
	await(&story->here_closed);
	rota_signals_close(&signals);
	return 0;
}

static int close_here_first(void *arg)
{
	struct story *story = arg;
	struct rota_signals signals;
	struct rota_group group;
	int error = rota_signals_open(&signals, SIGTERM);

	rota_group_open(&group, NULL);
	if (!error)
		error = rota_go_on(&group, 1, open_there, story);
	if (!error)
		await(&story->there_open);
	rota_signals_close(&signals);
	story->kept = test_signal_is_blocked(SIGTERM);
	atomic_store(&story->here_closed, true);
	error |= rota_group_wait(&group);
	story->freed = !test_signal_is_blocked(SIGTERM);
	return error;
}

static void the_last_close_on_any_loop_unblocks(void **state)
{
	struct story story = { .kept = false };

	(void)state;
	assert_int_equal(test_run_loops(close_here_first, &story), 0);
	assert_true(story.kept);
	assert_true(story.freed);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_task_of_any_loop_takes_a_signal_that_acts_nowhere),
		cmocka_unit_test(the_last_close_on_any_loop_unblocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
