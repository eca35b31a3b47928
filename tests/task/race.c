/* SPDX-License-Identifier: MIT */
/*
 * Completion, cancel, deadline and close of one operation, in every order that
 * can be forced (support/race.h).
 */
#include "support/race.h"

#include "support/run.h"
#include "task/task.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* The code that each interruption gives. */
static const int codes[] = { -ECANCELED, -ETIME, -EBADF };

static int complete_then_interrupt(struct race *race)
{
	int error = race_settle();

	test_kernel_hold(&race->kernel, race_hold_victim, race);
	error |= race->verb->complete(race) | race_settle();
	race->held = test_kernel_held(&race->kernel);
	error |= race_interrupt(race) | race_settle();
	race->early = race->returned;
	test_kernel_release_all(&race->kernel);
	return error | race_settle();
}

static void a_completion_beats_the_cancel_that_comes_after_it(void **state)
{
	struct race race;

	(void)state;
	RACE_EACH(&race, complete_then_interrupt)
	{
		assert_int_equal(race.held, 1);
		assert_false(race.early);
		assert_true(race.result >= 0);
		assert_true(race.misses > 0);
	}
}

static int interrupt_then_complete(struct race *race)
{
	int error = race_settle();

	test_kernel_hold(&race->kernel, race_hold_victim, race);
	error |= race_interrupt(race) | race_settle();
	race->held = test_kernel_held(&race->kernel);
	race->early = race->returned;
	if (race->by != RACE_CLOSE) {
		error |= race->verb->complete(race) | race_settle();
		race->remained = race->verb->remains(race);
	}
	test_kernel_release_all(&race->kernel);
	return error | race_settle();
}

static void a_cancel_that_won_took_nothing(void **state)
{
	struct race race;

	(void)state;
	RACE_EACH(&race, interrupt_then_complete)
	{
		assert_int_equal(race.held, 1);
		assert_false(race.early);
		assert_int_equal(race.result, codes[race.by]);
		assert_int_equal(race.misses, 0);
		assert_int_equal(race.cancels, 1);
		assert_true(race.remained || race.by == RACE_CLOSE);
	}
}

/* The victim's entry and its cancel go out together. */
static int interrupt_in_one_batch(struct race *race)
{
	int error = 0;

	if (race->by == RACE_DEADLINE)
		race->kernel.clock_ns = RACE_DEADLINE_NS - 1;
	rota_yield(); /* the owner runs ... */
	rota_yield(); /* ... and the victim: its entry is filled in */
	error |= ri_tasks_here()->loop.in_flight != 1;
	error |= ri_tasks_here()->loop.ring.submitted != 0;
	error |= race_interrupt(race);
	return error | race_settle();
}

static void an_operation_is_cancelled_in_its_own_batch(void **state)
{
	struct race race;

	(void)state;
	RACE_EACH(&race, interrupt_in_one_batch)
	{
		assert_int_equal(race.result, codes[race.by]);
		assert_true(race.cancels <= 1);
	}
}

/* It is ready already when the batch with both goes out. */
static int complete_and_interrupt_in_one_batch(struct race *race)
{
	int error = race->verb->complete(race);

	rota_yield();
	rota_yield();
	error |= race_interrupt(race);
	return error | race_settle();
}

static void what_is_there_before_its_batch_goes_out_is_delivered(void **state)
{
	struct race race;

	(void)state;
	RACE_EACH(&race, complete_and_interrupt_in_one_batch)
	assert_true(race.result >= 0);
}

static int interrupt_in_all_ways(struct race *race)
{
	const enum race_interruption first = race->by;
	int error;

	race->deadline_ns = RACE_DEADLINE_NS;
	error = race_settle();

	test_kernel_hold(&race->kernel, race_hold_victim, race);
	error |= race_interrupt(race) | race_settle();
	for (race->by = RACE_CANCEL; race->by <= RACE_CLOSE; race->by++)
		if (race->by != first)
			error |= race_interrupt(race) | race_settle();
	race->by = first;
	test_kernel_release_all(&race->kernel);
	return error | race_settle();
}

static void however_often_it_is_interrupted_one_cancel_goes_out(void **state)
{
	struct race race;

	(void)state;
	RACE_EACH(&race, interrupt_in_all_ways)
	{
		assert_int_equal(race.cancels, 1);
		/* The group is outermost, and a scope goes before a close. */
		assert_int_equal(race.result, -ECANCELED);
	}
}

static int spoil_three_cancels(struct race *race)
{
	int error = race_settle();

	race->sabotaged = 3;
	error |= race_interrupt(race) | race_settle();
	race->early = race->returned;
	race->held = race->misses;
	return error | rota_sleep(10 * ROTA_SECOND);
}

static void a_cancel_that_missed_is_tried_again(void **state)
{
	struct race race;

	(void)state;
	RACE_EACH(&race, spoil_three_cancels)
	{
		assert_false(race.early);
		assert_int_equal(race.held, 1);
		assert_int_equal(race.misses, 3);
		assert_int_equal(race.cancels, 4);
		assert_int_equal(race.result, codes[race.by]);
	}
}

/* Another operation's misses must not make a later retry come late. */
static int spoil_one(struct race *race)
{
	int error = race_settle();

	race->sabotaged = 1;
	error |= race_interrupt(race) | race_settle();
	error |= rota_sleep(ROTA_SECOND);
	race->early = race->returned;
	return error;
}

static void a_retry_comes_within_a_second(void **state)
{
	struct race race;

	(void)state;
	RACE_EACH(&race, spoil_one)
	assert_true(race.early);
}

static int miss_with_ealready(struct race *race)
{
	int error = race_settle();

	test_kernel_hold(&race->kernel, race_hold_everything, race);
	error |= race->verb->complete(race) | race_settle();
	error |= race_interrupt(race) | race_settle();
	race->held = test_kernel_held(&race->kernel);
	if (race->held == 2) {
		test_kernel_held_at(&race->kernel, 1)->res = -EALREADY;
		test_kernel_release(&race->kernel, 1);
	}
	error |= rota_sleep(ROTA_SECOND);
	/* It was asked again, as the completion has not come. */
	race->remained = race->cancels > 1;
	test_kernel_hold(&race->kernel, race_hold_nothing, race);
	test_kernel_release_all(&race->kernel);
	return error | race_settle();
}

static void an_operation_that_runs_is_asked_again_and_delivered(void **state)
{
	struct race race;

	(void)state;
	for (int v = 0; v < RACE_VERBS; v++) {
		race_run(&race, &race_verbs[v], RACE_CANCEL,
			 miss_with_ealready);
		assert_int_equal(race.held, 2);
		assert_true(race.remained);
		assert_true(race.result >= 0);
	}
}

static int recv_byte(struct race *race)
{
	char byte;

	return rota_recv(race->fd, &byte, 1, 0);
}

/* A late answer to a cancel meets the next operation of the same task. */
static int call_twice(struct race *race)
{
	struct rota_deadline deadline;
	int first;

	rota_deadline_begin(&deadline, RACE_DEADLINE_NS);
	first = recv_byte(race);
	rota_deadline_end(&deadline);
	race->rest_done = first == 1;
	return recv_byte(race);
}

static const struct race_verb recv_twice = { "recv twice",   race_open_pair,
					     call_twice,     race_send_byte,
					     NULL,           false,
					     IORING_OP_RECV, 0 };

static int answer_late(struct race *race)
{
	int error = race_settle();

	test_kernel_hold(&race->kernel, race_hold_everything, race);
	error |= race_send_byte(race) | race_settle();
	error |= rota_sleep_until(RACE_DEADLINE_NS) | race_settle();
	race->held = test_kernel_held(&race->kernel);
	test_kernel_release(&race->kernel, 0);
	error |= race_settle();
	/* It is in its second receive now. */
	test_kernel_release_all(&race->kernel);
	error |= rota_sleep(10 * ROTA_SECOND);
	race->early = race->returned;
	test_kernel_hold(&race->kernel, race_hold_nothing, race);
	return error | race_send_byte(race) | race_settle();
}

static void
a_late_answer_to_a_cancel_does_not_meet_the_next_operation(void **state)
{
	struct race race;

	(void)state;
	race_run(&race, &recv_twice, RACE_CANCEL, answer_late);
	assert_int_equal(race.held, 2);
	assert_true(race.rest_done);
	assert_false(race.early);
	assert_int_equal(race.result, 1);
	assert_int_equal(race.cancels, 1);
}

static int make_fifo(struct race *race)
{
	snprintf(race->path, sizeof(race->path), "/tmp/rota-race-%d",
		 (int)getpid());
	unlink(race->path);
	race->fd = -1;
	race->peer = -1;
	return mkfifo(race->path, 0600) ? -errno : 0;
}

static int call_open(struct race *race)
{
	/* With O_CREAT it goes to a thread, which waits for a writer. */
	return rota_open(race->path, O_RDONLY | O_CREAT, 0600);
}

static int open_writer(struct race *race)
{
	race->peer = open(race->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return race->peer < 0 ? -errno : 0;
}

/* Its worker is a thread: what it does cannot be held in every order. */
static const struct race_verb open_fifo = {
	"open", make_fifo, call_open,        open_writer,
	NULL,   true,      IORING_OP_OPENAT, 20 * ROTA_MILLISECOND
};

/* Opening a fifo without a writer blocks a thread of the kernel's. */
static int interrupt_thread(struct race *race)
{
	int error = race_settle();

	race->early = race->returned;
	return error | race_interrupt(race);
}

static void a_thread_that_blocks_for_it_is_interrupted(void **state)
{
	struct race race;

	(void)state;
	race_run(&race, &open_fifo, RACE_CANCEL, interrupt_thread);
	assert_false(race.early);
	assert_int_equal(race.result, -ECANCELED);
	race_run(&race, &open_fifo, RACE_DEADLINE, interrupt_thread);
	assert_false(race.early);
	assert_int_equal(race.result, -ETIME);
}

static void a_descriptor_opened_before_the_cancel_is_delivered(void **state)
{
	struct race race;

	(void)state;
	race_run(&race, &open_fifo, RACE_CANCEL, complete_then_interrupt);
	assert_int_equal(race.held, 1);
	assert_false(race.early);
	assert_true(race.result >= 0);
}

/* A release verb is none of a cancel's business. */
static int call_shutdown(struct race *race)
{
	return rota_shutdown(race->fd, SHUT_RDWR);
}

static const struct race_verb shutdown_verb = {
	"shutdown", race_open_pair, call_shutdown,      NULL,
	NULL,       false,          IORING_OP_SHUTDOWN, 20 * ROTA_MILLISECOND
};

static int interrupt_release(struct race *race)
{
	int error;

	test_kernel_hold(&race->kernel, race_hold_victim, race);
	error = race_settle();
	race->held = test_kernel_held(&race->kernel);
	error |= race_interrupt(race) | race_settle();
	race->early = race->returned;
	test_kernel_release_all(&race->kernel);
	return error | race_settle();
}

static void a_release_verb_is_not_cancelled(void **state)
{
	struct race race;

	(void)state;
	for (int by = RACE_CANCEL; by <= RACE_CLOSE; by++) {
		race_run(&race, &shutdown_verb, (enum race_interruption)by,
			 interrupt_release);
		assert_int_equal(race.held, 1);
		assert_false(race.early);
		assert_int_equal(race.cancels, 0);
		assert_int_equal(race.result, 0);
	}
}

/* A sleep is not in the kernel: its two ends meet in one turn. */
static int sleep_here(struct race *race)
{
	(void)race;
	return rota_sleep_until(RACE_START_NS + 3 * ROTA_SECOND);
}

static const struct race_verb sleep_verb = { "sleep", make_fifo, sleep_here,
					     NULL,    NULL,      false,
					     -1,      0 };

static int wake_before_cancel(struct race *race)
{
	/* Armed before the victim's, so this one is ready first. */
	const int error = rota_sleep_until(RACE_START_NS + 3 * ROTA_SECOND);

	race->early = race->returned;
	return error | race_interrupt(race);
}

static int cancel_before_wake(struct race *race)
{
	const int error = rota_sleep_until(RACE_START_NS + 3 * ROTA_SECOND - 1);

	race->kernel.clock_ns = RACE_START_NS + 3 * ROTA_SECOND;
	return error | race_interrupt(race);
}

static void a_sleep_that_is_over_is_not_undone_by_a_cancel(void **state)
{
	struct race race;

	(void)state;
	race_run(&race, &sleep_verb, RACE_CANCEL, wake_before_cancel);
	assert_false(race.early);
	assert_int_equal(race.result, 0);
	race_run(&race, &sleep_verb, RACE_CANCEL, cancel_before_wake);
	assert_int_equal(race.result, -ECANCELED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_completion_beats_the_cancel_that_comes_after_it),
		cmocka_unit_test(a_cancel_that_won_took_nothing),
		cmocka_unit_test(an_operation_is_cancelled_in_its_own_batch),
		cmocka_unit_test(
			what_is_there_before_its_batch_goes_out_is_delivered),
		cmocka_unit_test(
			however_often_it_is_interrupted_one_cancel_goes_out),
		cmocka_unit_test(a_cancel_that_missed_is_tried_again),
		cmocka_unit_test(a_retry_comes_within_a_second),
		cmocka_unit_test(
			an_operation_that_runs_is_asked_again_and_delivered),
		cmocka_unit_test(
			a_late_answer_to_a_cancel_does_not_meet_the_next_operation),
		cmocka_unit_test(a_thread_that_blocks_for_it_is_interrupted),
		cmocka_unit_test(
			a_descriptor_opened_before_the_cancel_is_delivered),
		cmocka_unit_test(a_release_verb_is_not_cancelled),
		cmocka_unit_test(
			a_sleep_that_is_over_is_not_undone_by_a_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
