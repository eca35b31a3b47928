/* SPDX-License-Identifier: MIT */
/*
 * -EDEADLK: the wait for a slot that would leave nobody who could ever free
 * one is refused, through groups in between too, and no other.
 */
#include "support/puppet.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct scene {
	struct test_show show;
	struct rota_group others; /* of those who are not inside */
	int codes[6];             /* of rota_go; 1: not back then */
	enum test_puppet_state state;
};

/* Runs the director under a clock of the test's. */
static void run_scene(int (*direct)(void *), struct scene *scene)
{
	assert_int_equal(test_run_timed(direct, scene), 0);
}

/* A member, settled. */
static struct test_puppet *member(struct scene *scene)
{
	struct test_puppet *puppet =
		test_puppet_add(&scene->show, &scene->show.group);

	test_show_settle();
	return puppet;
}

/* One inside the innermost group of another, settled. */
static struct test_puppet *inside(struct test_puppet *owner)
{
	struct test_puppet *puppet;

	test_puppet_do(owner, TEST_OPEN);
	puppet = test_puppet_add(owner->show, &owner->own[owner->depth - 1]);
	test_show_settle();
	return puppet;
}

static int wait_inside_then_join(void *arg)
{
	struct scene *scene = arg;
	struct test_puppet *holder, *waiter;

	test_show_open(&scene->show, 1);
	holder = member(scene);
	waiter = inside(holder);
	test_puppet_do(waiter, TEST_GO);
	scene->codes[0] = waiter->code;
	test_puppet_do(holder, TEST_JOIN);
	scene->codes[1] = waiter->code;
	test_puppet_do(waiter, TEST_END);
	scene->state = holder->state;
	test_show_close(&scene->show);
	return 0;
}

static void
a_wait_inside_is_refused_when_the_holder_of_the_slot_joins(void **state)
{
	struct scene scene = { 0 };

	(void)state;
	run_scene(wait_inside_then_join, &scene);
	assert_int_equal(scene.codes[0], 1);
	assert_int_equal(scene.codes[1], -EDEADLK);
	assert_int_equal(scene.state, TEST_LISTENS);
}

static int join_then_wait_inside(void *arg)
{
	struct scene *scene = arg;
	struct test_puppet *holder, *waiter;

	test_show_open(&scene->show, 1);
	holder = member(scene);
	waiter = inside(holder);
	test_puppet_do(holder, TEST_JOIN);
	test_puppet_do(waiter, TEST_GO);
	scene->codes[0] = waiter->code;
	scene->state = waiter->state;
	test_show_close(&scene->show);
	return 0;
}

static void a_wait_inside_is_refused_while_the_holder_joins(void **state)
{
	struct scene scene = { 0 };

	(void)state;
	run_scene(join_then_wait_inside, &scene);
	assert_int_equal(scene.codes[0], -EDEADLK);
	assert_int_equal(scene.state, TEST_LISTENS);
}

/* The owners of three levels join in any order: the last one closes the
 * circle. */
static int join_three_levels(struct scene *scene, const int order[3])
{
	struct test_puppet *owners[3], *waiter;

	test_show_open(&scene->show, 1);
	owners[0] = member(scene);
	owners[1] = inside(owners[0]);
	owners[2] = inside(owners[1]);
	waiter = inside(owners[2]);
	test_puppet_do(waiter, TEST_GO);
	for (int i = 0; i < 3; i++) {
		scene->codes[i] = waiter->code;
		test_puppet_do(owners[order[i]], TEST_JOIN);
	}
	scene->codes[3] = waiter->code;
	test_show_close(&scene->show);
	return 0;
}

static int join_outwards(void *arg)
{
	return join_three_levels(arg, (const int[]){ 2, 1, 0 });
}

static int join_inwards(void *arg)
{
	return join_three_levels(arg, (const int[]){ 0, 1, 2 });
}

static int join_the_middle_last(void *arg)
{
	return join_three_levels(arg, (const int[]){ 0, 2, 1 });
}

static void through_three_levels_the_last_join_closes_the_circle(void **state)
{
	static int (*const orders[])(void *) = { join_outwards, join_inwards,
						 join_the_middle_last };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct scene scene = { 0 };

		run_scene(orders[i], &scene);
		for (int joined = 0; joined < 3; joined++)
			assert_int_equal(scene.codes[joined], 1);
		assert_int_equal(scene.codes[3], -EDEADLK);
	}
}

static int wait_while_one_works(void *arg)
{
	struct scene *scene = arg;
	struct test_puppet *holder, *worker, *waiter;

	test_show_open(&scene->show, 2);
	holder = member(scene);
	worker = member(scene);
	waiter = inside(holder);
	test_puppet_do(waiter, TEST_GO);
	test_puppet_do(holder, TEST_JOIN);
	scene->codes[0] = waiter->code;
	test_puppet_do(worker, TEST_END);
	scene->codes[1] = waiter->code;
	test_show_close(&scene->show);
	return 0;
}

static void while_one_holder_works_the_others_wait_for_its_slot(void **state)
{
	struct scene scene = { 0 };

	(void)state;
	run_scene(wait_while_one_works, &scene);
	assert_int_equal(scene.codes[0], 1);
	assert_int_equal(scene.codes[1], 0);
}

static int join_both(void *arg)
{
	struct scene *scene = arg;
	struct test_puppet *holders[2], *waiters[2];

	test_show_open(&scene->show, 2);
	holders[0] = member(scene);
	holders[1] = member(scene);
	for (int i = 0; i < 2; i++) {
		waiters[i] = inside(holders[i]);
		test_puppet_do(waiters[i], TEST_GO);
	}
	for (int i = 0; i < 2; i++)
		test_puppet_do(holders[i], TEST_JOIN);
	scene->codes[0] = waiters[0]->code;
	scene->codes[1] = waiters[1]->code;
	test_puppet_do(waiters[1], TEST_END);
	test_puppet_do(holders[1], TEST_END);
	scene->codes[2] = waiters[0]->code;
	test_show_close(&scene->show);
	return 0;
}

static void of_two_holders_who_join_the_second_ones_is_told(void **state)
{
	struct scene scene = { 0 };

	(void)state;
	run_scene(join_both, &scene);
	assert_int_equal(scene.codes[0], 1);
	assert_int_equal(scene.codes[1], -EDEADLK);
	assert_int_equal(scene.codes[2], 0);
}

/* Two waits below one holder. Each is in a group of its own, so that one can
 * be cancelled. */
static int hold_one_up_twice(void *arg)
{
	struct scene *scene = arg;
	struct test_puppet *holder, *other, *owners[2], *waiters[2];

	test_show_open(&scene->show, 2);
	holder = member(scene);
	other = member(scene);
	owners[0] = inside(holder);
	owners[1] = test_puppet_add(&scene->show, &holder->own[0]);
	test_show_settle();
	for (int i = 0; i < 2; i++) {
		waiters[i] = inside(owners[i]);
		test_puppet_do(waiters[i], TEST_GO);
		test_puppet_do(owners[i], TEST_JOIN);
	}
	test_puppet_do(holder, TEST_JOIN);
	rota_group_cancel(&owners[0]->own[0],
			  (struct rota_cancellation){ 0, NULL });
	test_show_settle();
	scene->codes[0] = waiters[0]->code;
	scene->codes[1] = waiters[1]->code;
	test_puppet_do(other, TEST_GO);
	scene->codes[2] = other->code;
	test_show_close(&scene->show);
	return 0;
}

static void who_is_held_up_by_two_waits_is_so_without_one_of_them(void **state)
{
	struct scene scene = { 0 };

	(void)state;
	run_scene(hold_one_up_twice, &scene);
	assert_int_equal(scene.codes[0], -ECANCELED);
	assert_int_equal(scene.codes[1], 1);
	assert_int_equal(scene.codes[2], -EDEADLK);
}

static int wait_twice_below_one(void *arg)
{
	struct scene *scene = arg;
	struct test_puppet *holder, *waiters[2];

	test_show_open(&scene->show, 2);
	holder = member(scene);
	member(scene);
	waiters[0] = inside(holder);
	waiters[1] = test_puppet_add(&scene->show, &holder->own[0]);
	test_show_settle();
	test_puppet_do(holder, TEST_JOIN);
	test_puppet_do(waiters[0], TEST_GO);
	test_puppet_do(waiters[1], TEST_GO);
	scene->codes[0] = waiters[0]->code;
	scene->codes[1] = waiters[1]->code;
	test_show_close(&scene->show);
	return 0;
}

static void two_waits_below_one_holder_hold_up_one_slot(void **state)
{
	struct scene scene = { 0 };

	(void)state;
	run_scene(wait_twice_below_one, &scene);
	assert_int_equal(scene.codes[0], 1);
	assert_int_equal(scene.codes[1], 1);
}

static int cancel_below(struct scene *scene, bool settled)
{
	struct test_puppet *holder, *other, *waiter;

	test_show_open(&scene->show, 2);
	holder = member(scene);
	other = member(scene);
	waiter = inside(holder);
	test_puppet_do(waiter, TEST_GO);
	test_puppet_do(holder, TEST_JOIN);
	rota_group_cancel(&holder->own[0],
			  (struct rota_cancellation){ 0, NULL });
	if (settled)
		test_show_settle();
	test_puppet_do(other, TEST_GO);
	scene->codes[0] = waiter->code;
	scene->codes[1] = other->code;
	if (holder->state == TEST_LISTENS)
		test_puppet_do(holder, TEST_END);
	scene->codes[2] = other->code;
	test_show_close(&scene->show);
	return 0;
}

static int cancel_below_and_settle(void *arg)
{
	return cancel_below(arg, true);
}

static int cancel_below_at_once(void *arg)
{
	return cancel_below(arg, false);
}

static void a_cancelled_wait_below_holds_nobody_up(void **state)
{
	struct scene scene = { 0 };

	(void)state;
	run_scene(cancel_below_and_settle, &scene);
	assert_int_equal(scene.codes[0], -ECANCELED);
	assert_int_equal(scene.codes[1], 1);
	assert_int_equal(scene.codes[2], 0);
}

/* Members are told of a cancel after the task that cancelled has suspended. */
static void nor_does_one_that_has_not_been_told_yet(void **state)
{
	struct scene scene = { 0 };

	(void)state;
	run_scene(cancel_below_at_once, &scene);
	assert_int_equal(scene.codes[0], -ECANCELED);
	assert_int_equal(scene.codes[1], 1);
	assert_int_equal(scene.codes[2], 0);
}

/* The group in between is cancelled: its owner, which is told first, joins. */
static int cancel_then_join(void *arg)
{
	struct scene *scene = arg;
	struct test_puppet *holder, *waiter;

	test_show_open(&scene->show, 1);
	holder = member(scene);
	waiter = inside(holder);
	test_puppet_do(waiter, TEST_GO);
	rota_group_cancel(&holder->own[0],
			  (struct rota_cancellation){ 0, NULL });
	test_show_settle();
	scene->codes[0] = waiter->code;
	scene->state = holder->state;
	test_show_close(&scene->show);
	return 0;
}

static void a_cancelled_wait_is_told_of_the_cancel_by_a_join_too(void **state)
{
	struct scene scene = { 0 };

	(void)state;
	run_scene(cancel_then_join, &scene);
	assert_int_equal(scene.codes[0], -ECANCELED);
	assert_int_equal(scene.state, TEST_ENDED);
}

static int wait_in_background(void *arg)
{
	struct scene *scene = arg;
	struct test_puppet *holder, *background;

	test_show_open(&scene->show, 1);
	holder = member(scene);
	background =
		test_puppet_add_background(&scene->show, &scene->show.group);
	test_show_settle();
	test_puppet_do(background, TEST_GO);
	scene->codes[0] = background->code;
	test_puppet_do(holder, TEST_END);
	scene->codes[1] = background->code;
	test_show_close(&scene->show);
	return 0;
}

static void a_background_member_that_waits_holds_no_slot_up(void **state)
{
	struct scene scene = { 0 };

	(void)state;
	run_scene(wait_in_background, &scene);
	assert_int_equal(scene.codes[0], 1);
	assert_int_equal(scene.codes[1], 0);
}

/* Who is joined ends its background members itself. */
static int wait_in_background_below(void *arg)
{
	struct scene *scene = arg;
	struct test_puppet *holder, *worker, *background;

	test_show_open(&scene->show, 1);
	holder = member(scene);
	worker = inside(holder);
	background = test_puppet_add_background(&scene->show, &holder->own[0]);
	test_show_settle();
	test_puppet_do(background, TEST_GO);
	test_puppet_do(holder, TEST_JOIN);
	scene->codes[0] = background->code;
	test_puppet_do(worker, TEST_END);
	scene->codes[1] = background->code;
	scene->state = holder->state;
	test_show_close(&scene->show);
	return 0;
}

static void nor_does_one_of_a_group_below(void **state)
{
	struct scene scene = { 0 };

	(void)state;
	run_scene(wait_in_background_below, &scene);
	assert_int_equal(scene.codes[0], 1);
	assert_int_equal(scene.codes[1], -ECANCELED);
	assert_int_equal(scene.state, TEST_LISTENS);
}

static struct test_puppet *outsider(struct scene *scene)
{
	struct test_puppet *puppet =
		test_puppet_add(&scene->show, &scene->others);

	test_show_settle();
	return puppet;
}

static int wait_outside(void *arg)
{
	struct scene *scene = arg;
	struct test_puppet *holders[2], *first;

	rota_group_open(&scene->others, NULL);
	test_show_open(&scene->show, 2);
	first = outsider(scene);
	holders[0] = member(scene);
	holders[1] = member(scene);
	test_puppet_do(first, TEST_GO);
	test_puppet_do(holders[0], TEST_GO);
	scene->codes[0] = first->code;
	scene->codes[1] = holders[0]->code;
	/* It asks for a slot that goes to the outsider first. */
	test_puppet_do(holders[1], TEST_GO);
	scene->codes[2] = holders[1]->code;
	test_puppet_do(holders[1], TEST_END);
	scene->codes[3] = first->code;
	scene->codes[4] = holders[0]->code;
	test_show_close(&scene->show);
	test_puppet_do(first, TEST_END);
	return rota_group_wait(&scene->others);
}

static void an_outsider_waits_and_gets_its_slot_in_its_turn(void **state)
{
	struct scene scene = { 0 };

	(void)state;
	run_scene(wait_outside, &scene);
	assert_int_equal(scene.codes[0], 1);
	assert_int_equal(scene.codes[1], 1);
	assert_int_equal(scene.codes[2], -EDEADLK);
	assert_int_equal(scene.codes[3], 0);
	assert_int_equal(scene.codes[4], 1);
}

static int drain_around(void *arg)
{
	struct scene *scene = arg;
	struct test_puppet *holder, *waiter;

	test_show_open(&scene->show, 1);
	holder = member(scene);
	waiter = inside(holder);
	test_puppet_do(waiter, TEST_GO);
	rota_group_drain(&scene->show.group, ROTA_NEVER);
	test_puppet_do(holder, TEST_JOIN);
	scene->codes[0] = waiter->code;
	test_show_close(&scene->show);
	return 0;
}

static void a_drain_goes_before_the_circle(void **state)
{
	struct scene scene = { 0 };

	(void)state;
	run_scene(drain_around, &scene);
	assert_int_equal(scene.codes[0], -ESHUTDOWN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_wait_inside_is_refused_when_the_holder_of_the_slot_joins),
		cmocka_unit_test(
			a_wait_inside_is_refused_while_the_holder_joins),
		cmocka_unit_test(
			through_three_levels_the_last_join_closes_the_circle),
		cmocka_unit_test(
			while_one_holder_works_the_others_wait_for_its_slot),
		cmocka_unit_test(
			of_two_holders_who_join_the_second_ones_is_told),
		cmocka_unit_test(
			who_is_held_up_by_two_waits_is_so_without_one_of_them),
		cmocka_unit_test(two_waits_below_one_holder_hold_up_one_slot),
		cmocka_unit_test(a_cancelled_wait_below_holds_nobody_up),
		cmocka_unit_test(nor_does_one_that_has_not_been_told_yet),
		cmocka_unit_test(
			a_cancelled_wait_is_told_of_the_cancel_by_a_join_too),
		cmocka_unit_test(
			a_background_member_that_waits_holds_no_slot_up),
		cmocka_unit_test(nor_does_one_of_a_group_below),
		cmocka_unit_test(
			an_outsider_waits_and_gets_its_slot_in_its_turn),
		cmocka_unit_test(a_drain_goes_before_the_circle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
