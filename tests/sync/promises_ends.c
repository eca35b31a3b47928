/* SPDX-License-Identifier: MIT */
/*
 * What tasks wait at lives until the last of those waits has returned: one that
 * ends too early ends the program.
 */
#include "support/broken.h"
#include "support/loops.h"
#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What the tasks of a test have in common. */
struct shared {
	struct rota_event event;         /* ends too early */
	struct rota_event other;         /* does not */
	struct rota_wait_group pending;  /* ends too early */
	struct rota_condition condition; /* ends too early */
	struct rota_mutex mutex;         /* of the condition */
	atomic_bool busy;                /* the other loop does not listen */
	atomic_bool over;                /* it may again */
	int (*wait)(struct shared *);    /* what the other one waits for */
	void (*serve_and_end)(struct shared *); /* what ends that too early */
};

static int wait_there(void *value)
{
	struct shared *shared = *(struct shared **)value;

	return shared->wait(shared);
}

/* Whatever is served on this loop meanwhile, it does not hear of it. */
static int be_busy(void *value)
{
	struct shared *shared = *(struct shared **)value;

	atomic_store(&shared->busy, true);
	spin(&shared->over);
	return 0;
}

static int serve_elsewhere(void *arg)
{
	struct shared *shared = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, wait_there, shared);
	error |= rota_go_on(&group, 1, be_busy, shared);
	if (!error) {
		spin(&shared->busy);
		shared->serve_and_end(shared);
		atomic_store(&shared->over, true);
	}
	return rota_group_wait(&group);
}

static int run_elsewhere(int (*wait)(struct shared *),
			 void (*serve_and_end)(struct shared *))
{
	struct shared shared = { .wait = wait, .serve_and_end = serve_and_end };

	rota_event_init(&shared.event, NULL);
	rota_event_init(&shared.other, NULL);
	rota_wait_group_init(&shared.pending, NULL);
	rota_wait_group_add(&shared.pending, 1);
	rota_condition_init(&shared.condition, NULL);
	rota_mutex_init(&shared.mutex, NULL);
	return test_run_loops(serve_elsewhere, &shared);
}

static int wait_for_event(struct shared *shared)
{
	return rota_event_wait(&shared->event);
}

static void set_and_end(struct shared *shared)
{
	rota_event_set(&shared->event);
	rota_event_fini(&shared->event);
}

static int end_event(void *arg)
{
	(void)arg;
	return run_elsewhere(wait_for_event, set_and_end);
}

static int wait_for_group(struct shared *shared)
{
	return rota_wait_group_wait(&shared->pending);
}

static void finish_and_end(struct shared *shared)
{
	rota_wait_group_done(&shared->pending);
	rota_wait_group_fini(&shared->pending);
}

static int end_wait_group(void *arg)
{
	(void)arg;
	return run_elsewhere(wait_for_group, finish_and_end);
}

static int wait_for_condition(struct shared *shared)
{
	int error = rota_mutex_lock(&shared->mutex);

	if (!error)
		error = rota_condition_wait(&shared->condition, &shared->mutex);
	return error;
}

static void signal_and_end(struct shared *shared)
{
	rota_condition_broadcast(&shared->condition);
	rota_condition_fini(&shared->condition);
}

static int end_condition(void *arg)
{
	(void)arg;
	return run_elsewhere(wait_for_condition, signal_and_end);
}

static void nothing_ends_while_who_was_served_elsewhere_comes_back(void **state)
{
	(void)state;
	test_expect_abort_outside(end_event,
				  "rota_event_fini: of the tasks that waited "
				  "for it, 1 ");
	test_expect_abort_outside(end_wait_group,
				  "rota_wait_group_fini: of the tasks that");
	test_expect_abort_outside(end_condition,
				  "rota_condition_fini: of the tasks that");
}

static int select_both(void *value)
{
	struct shared *shared = *(struct shared **)value;
	struct rota_arm arms[] = { rota_arm_event(&shared->event),
				   rota_arm_event(&shared->other) };

	return rota_select(arms, 2) < 0;
}

/* The select has been won by the first one, and leaves both later. */
static int end_beside_select(struct rota_event *first, struct shared *shared)
{
	struct rota_group group;
	int error;

	rota_event_init(&shared->event, NULL);
	rota_event_init(&shared->other, NULL);
	rota_group_open(&group, NULL);
	error = rota_go(&group, select_both, shared);
	rota_yield();
	rota_event_set(first);
	set_and_end(shared);
	return rota_group_wait(&group) | error;
}

static int end_what_has_won(void *arg)
{
	struct shared shared = { .wait = NULL };

	(void)arg;
	return end_beside_select(&shared.event, &shared);
}

static int end_what_has_not_won(void *arg)
{
	struct shared shared = { .wait = NULL };

	(void)arg;
	return end_beside_select(&shared.other, &shared);
}

static void nothing_ends_while_a_select_has_to_leave_it(void **state)
{
	(void)state;
	test_expect_abort(end_what_has_won, "rota_event_fini: of the tasks");
	test_expect_abort(end_what_has_not_won,
			  "rota_event_fini: of the tasks");
}

/* In the frame of who waits, and set from elsewhere, at any moment: what it
 * stands on is gone when it has returned. */
struct frame {
	struct rota_event event;
	struct rota_event never;
	unsigned round;
};

static int set_there(void *value)
{
	struct frame *frame = *(struct frame **)value;

	for (unsigned i = 0; i < frame->round % 7; i++)
		rota_yield();
	rota_event_set(&frame->event);
	return 0;
}

static int wait_in_frame(unsigned round)
{
	struct frame frame = { .round = round };
	struct rota_arm arms[] = { rota_arm_event(&frame.event),
				   rota_arm_event(&frame.never) };
	struct rota_group group;
	int error;

	rota_event_init(&frame.event, NULL);
	rota_event_init(&frame.never, NULL);
	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, set_there, &frame);
	if (round % 2)
		error |= rota_event_wait(&frame.event);
	else
		error |= rota_select(arms, 2);
	error |= rota_group_wait(&group);
	rota_event_fini(&frame.event);
	rota_event_fini(&frame.never);
	return error;
}

static int wait_in_frames(void *arg)
{
	int error = 0;

	(void)arg;
	for (unsigned i = 0; i < test_rounds(20000) && !error; i++)
		error = wait_in_frame(i);
	return error;
}

static void what_was_waited_for_may_end_when_the_wait_has_returned(void **state)
{
	(void)state;
	assert_int_equal(test_run_loops(wait_in_frames, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			nothing_ends_while_who_was_served_elsewhere_comes_back),
		cmocka_unit_test(nothing_ends_while_a_select_has_to_leave_it),
		cmocka_unit_test(
			what_was_waited_for_may_end_when_the_wait_has_returned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
