/* SPDX-License-Identifier: MIT */
/*
 * The limit of a group: who spawns waits for a slot, first come, first served,
 * and can be cancelled while it waits.
 */
#include "rota/rota.h"
#include "support/kernel.h"
#include "support/run.h"
#include "support/trail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

struct stage {
	struct rota_group group;  /* with the limit */
	struct rota_group others; /* of those who spawn into it */
	struct test_trail trail;
	unsigned running, most;
	int codes[4];
};

static int count_up(void *value)
{
	struct stage *stage = *(struct stage **)value;

	if (++stage->running > stage->most)
		stage->most = stage->running;
	rota_yield();
	rota_yield();
	stage->running--;
	return 0;
}

static int spawn_100(void *arg)
{
	struct stage *stage = arg;
	int error = 0;

	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 3 });
	for (int i = 0; i < 100 && !error; i++)
		error = rota_go(&stage->group, count_up, stage);
	return error | rota_group_wait(&stage->group);
}

static void never_more_than_the_limit_run(void **state)
{
	struct stage stage = { .running = 0 };

	(void)state;
	assert_int_equal(test_run(spawn_100, &stage), 0);
	assert_int_equal(stage.most, 3);
	assert_int_equal(stage.running, 0);
}

struct step {
	struct stage *stage;
	const char *word;
	int *code;
};

static int hold_slot(void *value)
{
	const struct step *step = value;
	const int code = rota_sleep_until(ROTA_NEVER);

	if (step->word)
		test_trail_add(&step->stage->trail, step->word);
	return code;
}

static int hold_briefly(void *value)
{
	const struct step *step = value;

	test_trail_add(&step->stage->trail, step->word);
	return rota_yield();
}

/* Spawns one into the limited group from outside of it. */
static int spawn_there(void *value)
{
	const struct step *step = value;

	*step->code = rota_go(&step->stage->group, hold_briefly,
			      ((struct step){ step->stage, step->word, NULL }));
	return 0;
}

static int spawn_from(struct stage *stage, struct rota_group *where, int index)
{
	static const char *const words[] = { "a", "b", "c", "d" };

	return rota_go(
		where, spawn_there,
		((struct step){ stage, words[index], &stage->codes[index] }));
}

static int queue_up(void *arg)
{
	struct stage *stage = arg;
	int error = 0;

	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 1 });
	rota_group_open(&stage->others, NULL);
	for (int i = 0; i < 4; i++)
		error |= spawn_from(stage, &stage->others, i);
	error |= rota_group_wait(&stage->others);
	return error | rota_group_wait(&stage->group);
}

static void waiters_get_their_slots_in_the_order_they_came(void **state)
{
	struct stage stage = { .running = 0 };

	(void)state;
	assert_int_equal(test_run(queue_up, &stage), 0);
	assert_string_equal(stage.trail.text, "abcd");
}

static int end_at_once(void *value)
{
	(void)value;
	return 0;
}

static int overtake(void *arg)
{
	struct stage *stage = arg;
	int error;

	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 1 });
	rota_group_open(&stage->others, NULL);
	/* Its end hands its slot to the first who waits, who is ready then but
	 * has not run: who comes meanwhile must queue behind. */
	error = rota_go(&stage->group, end_at_once, 0);
	error |= spawn_from(stage, &stage->others, 0);
	error |= spawn_from(stage, &stage->others, 1);
	rota_yield();
	error |= rota_go(&stage->group, hold_briefly,
			 ((struct step){ stage, "c", NULL }));
	error |= rota_group_wait(&stage->others);
	return error | rota_group_wait(&stage->group);
}

static void nobody_overtakes_who_was_handed_a_slot(void **state)
{
	struct stage stage = { .running = 0 };

	(void)state;
	assert_int_equal(test_run(overtake, &stage), 0);
	assert_string_equal(stage.trail.text, "abc");
}

/* A spawn within a group of its own, which somebody cancels. */
static int spawn_in_own_scope(void *value)
{
	const struct step *step = value;
	struct rota_group *own = &step->stage->others;

	rota_group_open(own, NULL);
	*step->code = rota_go(&step->stage->group, hold_briefly,
			      ((struct step){ step->stage, "x", NULL }));
	(void)rota_group_wait(own);
	return 0;
}

static int cancel_the_first_waiter(void *arg)
{
	struct stage *stage = arg;
	struct rota_group spawners;
	int error;

	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 1 });
	rota_group_open(&spawners, NULL);
	error = rota_go(&stage->group, hold_briefly,
			((struct step){ stage, "h", NULL }));
	error |= rota_go(&spawners, spawn_in_own_scope,
			 ((struct step){ stage, NULL, &stage->codes[3] }));
	error |= spawn_from(stage, &spawners, 0);
	error |= spawn_from(stage, &spawners, 1);
	rota_yield();
	rota_group_cancel(&stage->others,
			  (struct rota_cancellation){ 0, NULL });
	error |= rota_group_wait(&spawners);
	return error | rota_group_wait(&stage->group);
}

static void a_cancelled_waiter_leaves_the_queue_to_the_others(void **state)
{
	struct stage stage = { .running = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_the_first_waiter, &stage), 0);
	assert_int_equal(stage.codes[3], -ECANCELED);
	assert_int_equal(stage.codes[0], 0);
	assert_string_equal(stage.trail.text, "hab");
}

static int end_after_two_turns(void *value)
{
	(void)value;
	rota_yield();
	return 0;
}

/* The slot is handed over and the waiter cancelled before it runs. */
static int cancel_with_the_slot(void *arg)
{
	struct stage *stage = arg;
	struct rota_group spawners;
	int error;

	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 1 });
	rota_group_open(&spawners, NULL);
	error = rota_go(&stage->group, end_after_two_turns, 0);
	error |= rota_go(&spawners, spawn_in_own_scope,
			 ((struct step){ stage, NULL, &stage->codes[3] }));
	error |= spawn_from(stage, &spawners, 0);
	rota_yield();
	/* The holder is behind this task in the queue; it ends before. */
	error |= rota_yield();
	rota_group_cancel(&stage->others,
			  (struct rota_cancellation){ 0, NULL });
	error |= rota_group_wait(&spawners);
	return error | rota_group_wait(&stage->group);
}

static void a_slot_handed_to_a_cancelled_waiter_is_handed_on(void **state)
{
	struct stage stage = { .running = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_with_the_slot, &stage), 0);
	assert_int_equal(stage.codes[3], -ECANCELED);
	assert_int_equal(stage.codes[0], 0);
	assert_string_equal(stage.trail.text, "a");
}

static int cancel_the_group(void *arg)
{
	struct stage *stage = arg;
	struct rota_group spawners;
	int error;

	rota_group_open(&spawners, NULL);
	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 1 });
	error = rota_go(&stage->group, hold_slot,
			((struct step){ stage, "h", NULL }));
	error |= spawn_from(stage, &spawners, 0);
	error |= spawn_from(stage, &spawners, 1);
	rota_yield();
	rota_group_cancel(&stage->group,
			  (struct rota_cancellation){ -EPIPE, NULL });
	error |= rota_group_wait(&stage->group) != -EPIPE;
	return error | rota_group_wait(&spawners);
}

static void cancelling_the_group_wakes_all_who_wait_for_its_slots(void **state)
{
	struct stage stage = { .running = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_the_group, &stage), 0);
	assert_int_equal(stage.codes[0], -ECANCELED);
	assert_int_equal(stage.codes[1], -ECANCELED);
	assert_string_equal(stage.trail.text, "h");
}

/* The holder does not end: it is in a release verb, whose completion is held. */
struct held_release {
	struct stage stage;
	struct test_kernel kernel;
	int early; /* what the waiter had got while the holder was there */
};

static bool hold_closes(void *context, const struct test_arrival *arrival)
{
	(void)context;
	return arrival->opcode == IORING_OP_CLOSE;
}

static int close_something(void *value)
{
	(void)value;
	rota_close(dup(STDIN_FILENO));
	return 0;
}

static int cancel_around_a_release(void *arg)
{
	struct held_release *held = arg;
	struct stage *stage = &held->stage;
	struct rota_group spawners;
	int error;

	test_kernel_hold(&held->kernel, hold_closes, NULL);
	rota_group_open(&spawners, NULL);
	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 1 });
	error = rota_go(&stage->group, close_something, 0);
	stage->codes[0] = 1;
	error |= spawn_from(stage, &spawners, 0);
	error |= rota_sleep(ROTA_MILLISECOND);
	rota_group_cancel(&stage->group,
			  (struct rota_cancellation){ -EPIPE, NULL });
	rota_yield();
	/* The owner's verbs return at once now; a release verb gives turns. */
	rota_shutdown(-1, 0);
	held->early = stage->codes[0];
	test_kernel_hold(&held->kernel, NULL, NULL);
	test_kernel_release_all(&held->kernel);
	error |= rota_group_wait(&stage->group) != -EPIPE;
	return error | rota_group_wait(&spawners);
}

static void who_waits_for_a_slot_is_woken_before_the_members_end(void **state)
{
	struct held_release held = { .early = 1 };

	(void)state;
	test_kernel_init(&held.kernel);
	assert_int_equal(test_run_with(NULL, &held.kernel.table,
				       cancel_around_a_release, &held),
			 0);
	assert_int_equal(held.early, -ECANCELED);
}

static int fail_after_a_turn(void *value)
{
	rota_yield();
	return *(int *)value;
}

static int feed_the_failing(void *arg)
{
	struct stage *stage = arg;

	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 1 });
	stage->codes[0] = rota_go(&stage->group, fail_after_a_turn, -EXDEV);
	stage->codes[1] = rota_go(&stage->group, hold_slot,
				  ((struct step){ stage, "h", NULL }));
	return rota_group_wait(&stage->group);
}

static void a_feeder_that_waits_is_woken_by_the_first_error(void **state)
{
	struct stage stage = { .running = 0 };

	(void)state;
	assert_int_equal(test_run(feed_the_failing, &stage), -EXDEV);
	assert_int_equal(stage.codes[0], 0);
	assert_int_equal(stage.codes[1], -ECANCELED);
	assert_string_equal(stage.trail.text, "");
}

static int feed_until_time(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	int error;

	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 1 });
	error = rota_go(&stage->group, hold_slot,
			((struct step){ stage, NULL, NULL }));
	rota_deadline_begin(&deadline, rota_after_ns(ROTA_MICROSECOND));
	stage->codes[0] = rota_go(&stage->group, end_at_once, 0);
	stage->codes[1] = rota_deadline_end(&deadline);
	rota_group_cancel(&stage->group, (struct rota_cancellation){ 0, NULL });
	return error ? error : rota_group_wait(&stage->group);
}

static void a_deadline_ends_the_wait_for_a_slot(void **state)
{
	struct stage stage = { .running = 0 };

	(void)state;
	assert_int_equal(test_run(feed_until_time, &stage), -ECANCELED);
	assert_int_equal(stage.codes[0], -ETIME);
	assert_int_equal(stage.codes[1], true);
}

static int spawn_among_own(void *value)
{
	const struct step *step = value;

	*step->code = rota_go(&step->stage->group, hold_briefly,
			      ((struct step){ step->stage, "x", NULL }));
	return 0;
}

static int fill_with_members(struct stage *stage, int members)
{
	int error = 0;

	rota_group_open(&stage->group, &(struct rota_group_options){
					       .limit = (unsigned)members });
	for (int i = 0; i < members; i++)
		error |= rota_go(
			&stage->group, spawn_among_own,
			((struct step){ stage, NULL, &stage->codes[i] }));
	return error | rota_group_wait(&stage->group);
}

static int fill_with_one(void *arg)
{
	return fill_with_members(arg, 1);
}

static int fill_with_three(void *arg)
{
	return fill_with_members(arg, 3);
}

static void
the_last_member_that_would_wait_for_its_own_slot_is_told(void **state)
{
	struct stage one = { .running = 0 }, three = { .running = 0 };

	(void)state;
	assert_int_equal(test_run(fill_with_one, &one), 0);
	assert_int_equal(one.codes[0], -EDEADLK);
	assert_string_equal(one.trail.text, "");
	assert_int_equal(test_run(fill_with_three, &three), 0);
	assert_int_equal(three.codes[0], 0);
	assert_int_equal(three.codes[1], 0);
	assert_int_equal(three.codes[2], -EDEADLK);
	assert_string_equal(three.trail.text, "xx");
}

/* A member waits for a slot in a scope of its own. */
static int member_spawns_in_own_scope(void *value)
{
	return spawn_in_own_scope(value);
}

static int member_spawns_later(void *value)
{
	const struct step *step = value;

	rota_yield();
	return spawn_among_own((void *)(uintptr_t)step);
}

static int cancel_one_member(void *arg)
{
	struct stage *stage = arg;
	int error;

	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 2 });
	error = rota_go(&stage->group, member_spawns_in_own_scope,
			((struct step){ stage, NULL, &stage->codes[0] }));
	error |= rota_go(&stage->group, member_spawns_later,
			 ((struct step){ stage, NULL, &stage->codes[1] }));
	rota_yield();
	/* The first waits, the second is ready. Cancelled, the first will end
	 * and free its slot: the second one's wait does end. */
	rota_group_cancel(&stage->others,
			  (struct rota_cancellation){ 0, NULL });
	return error | rota_group_wait(&stage->group);
}

static void a_member_whose_wait_was_cancelled_counts_as_running(void **state)
{
	struct stage stage = { .running = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_one_member, &stage), 0);
	assert_int_equal(stage.codes[0], -ECANCELED);
	assert_int_equal(stage.codes[1], 0);
	assert_string_equal(stage.trail.text, "x");
}

/* Waits for a slot around it, beside somebody who works. */
static int wait_in_background(void *value)
{
	const struct step *step = value;

	*step->code = rota_go(&step->stage->group, hold_briefly,
			      ((struct step){ step->stage, "x", NULL }));
	return 0;
}

static int work_beside(void *value)
{
	struct rota_group inside;
	int error;

	rota_group_open(&inside, NULL);
	error = rota_go_background(&inside, wait_in_background,
				   *(const struct step *)value);
	error |=
		rota_go(&inside, count_up, ((const struct step *)value)->stage);
	return error | rota_group_wait(&inside);
}

static int fill_with_workers(void *arg)
{
	struct stage *stage = arg;
	int error = 0;

	rota_group_open(&stage->group,
			&(struct rota_group_options){ .limit = 2 });
	for (int i = 0; i < 2; i++)
		error |= rota_go(
			&stage->group, work_beside,
			((struct step){ stage, NULL, &stage->codes[i] }));
	return error | rota_group_wait(&stage->group);
}

static void
a_background_members_wait_for_a_slot_further_out_holds_nobody_up(void **state)
{
	struct stage stage = { .running = 0 };

	(void)state;
	assert_int_equal(test_run(fill_with_workers, &stage), 0);
	for (int i = 0; i < 2; i++)
		assert_int_not_equal(stage.codes[i], -EDEADLK);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_more_than_the_limit_run),
		cmocka_unit_test(
			waiters_get_their_slots_in_the_order_they_came),
		cmocka_unit_test(nobody_overtakes_who_was_handed_a_slot),
		cmocka_unit_test(
			a_cancelled_waiter_leaves_the_queue_to_the_others),
		cmocka_unit_test(
			a_slot_handed_to_a_cancelled_waiter_is_handed_on),
		cmocka_unit_test(
			cancelling_the_group_wakes_all_who_wait_for_its_slots),
		cmocka_unit_test(
			who_waits_for_a_slot_is_woken_before_the_members_end),
		cmocka_unit_test(
			a_feeder_that_waits_is_woken_by_the_first_error),
		cmocka_unit_test(a_deadline_ends_the_wait_for_a_slot),
		cmocka_unit_test(
			the_last_member_that_would_wait_for_its_own_slot_is_told),
		cmocka_unit_test(
			a_member_whose_wait_was_cancelled_counts_as_running),
		cmocka_unit_test(
			a_background_members_wait_for_a_slot_further_out_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
