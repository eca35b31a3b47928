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
	void (*direct)(struct scene *scene); /* tells the puppets what to do */
	struct test_show show;
	unsigned slots;           /* of the show's group */
	struct rota_group others; /* of those who are not inside */
	int codes[6];             /* of rota_go; 1: not back then */
	enum test_puppet_state state;
};

static int play(void *arg)
{
	struct scene *scene = arg;

	test_show_open(&scene->show, scene->slots);
	scene->direct(scene);
	test_show_close(&scene->show);
	return 0;
}

/* Runs the director under a clock of the test's. */
static void run_scene(void (*direct)(struct scene *), struct scene *scene)
{
	scene->direct = direct;
	assert_int_equal(test_run_timed(play, scene), 0);
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

static void wait_inside_then_join(struct scene *scene)
{
	struct test_puppet *holder = member(scene);
	struct test_puppet *waiter = inside(holder);

	test_puppet_do(waiter, TEST_GO);
	scene->codes[0] = waiter->code;
	test_puppet_do(holder, TEST_JOIN);
	scene->codes[1] = waiter->code;
	test_puppet_do(waiter, TEST_END);
	scene->state = holder->state;
}

static void
a_wait_inside_is_refused_when_the_holder_of_the_slot_joins(void **state)
{
	struct scene scene = { .slots = 1 };

	(void)state;
	run_scene(wait_inside_then_join, &scene);
	assert_int_equal(scene.codes[0], 1);
	assert_int_equal(scene.codes[1], -EDEADLK);
	assert_int_equal(scene.state, TEST_LISTENS);
}

static void join_then_wait_inside(struct scene *scene)
{
	struct test_puppet *holder = member(scene);
	struct test_puppet *waiter = inside(holder);

	test_puppet_do(holder, TEST_JOIN);
	test_puppet_do(waiter, TEST_GO);
	scene->codes[0] = waiter->code;
	scene->state = waiter->state;
}

static void a_wait_inside_is_refused_while_the_holder_joins(void **state)
{
	struct scene scene = { .slots = 1 };

	(void)state;
	run_scene(join_then_wait_inside, &scene);
	assert_int_equal(scene.codes[0], -EDEADLK);
	assert_int_equal(scene.state, TEST_LISTENS);
}

/* The owners of three levels join in any order: the last one closes the
 * circle. */
static void join_three_levels(struct scene *scene, const int order[3])
{
	struct test_puppet *owners[3], *waiter;

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
}

static void join_outwards(struct scene *scene)
{
	join_three_levels(scene, (const int[]){ 2, 1, 0 });
}

static void join_inwards(struct scene *scene)
{
	join_three_levels(scene, (const int[]){ 0, 1, 2 });
}

static void join_the_middle_last(struct scene *scene)
{
	join_three_levels(scene, (const int[]){ 0, 2, 1 });
}

static void through_three_levels_the_last_join_closes_the_circle(void **state)
{
	static void (*const orders[])(struct scene *) = {
		join_outwards, join_inwards, join_the_middle_last
	};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct scene scene = { .slots = 1 };

		run_scene(orders[i], &scene);
		for (int joined = 0; joined < 3; joined++)
			assert_int_equal(scene.codes[joined], 1);
		assert_int_equal(scene.codes[3], -EDEADLK);
	}
}

static void wait_while_one_works(struct scene *scene)
{
	struct test_puppet *holder, *worker, *waiter;

	holder = member(scene);
	worker = member(scene);
	waiter = inside(holder);
	test_puppet_do(waiter, TEST_GO);
	test_puppet_do(holder, TEST_JOIN);
	scene->codes[0] = waiter->code;
	test_puppet_do(worker, TEST_END);
	scene->codes[1] = waiter->code;
}

static void while_one_holder_works_the_others_wait_for_its_slot(void **state)
{
	struct scene scene = { .slots = 2 };

	(void)state;
	run_scene(wait_while_one_works, &scene);
	assert_int_equal(scene.codes[0], 1);
	assert_int_equal(scene.codes[1], 0);
}

static void join_both(struct scene *scene)
{
	struct test_puppet *holders[2], *waiters[2];

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
}

static void of_two_holders_who_join_the_second_ones_is_told(void **state)
{
	struct scene scene = { .slots = 2 };

	(void)state;
	run_scene(join_both, &scene);
	assert_int_equal(scene.codes[0], 1);
	assert_int_equal(scene.codes[1], -EDEADLK);
	assert_int_equal(scene.codes[2], 0);
}

/* Two waits below one holder. Each is in a group of its own, so that one can
 * be cancelled. */
static void hold_one_up_twice(struct scene *scene)
{
	struct test_puppet *holder, *other, *owners[2], *waiters[2];

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
}

static void who_is_held_up_by_two_waits_is_so_without_one_of_them(void **state)
{
	struct scene scene = { .slots = 2 };

	(void)state;
	run_scene(hold_one_up_twice, &scene);
	assert_int_equal(scene.codes[0], -ECANCELED);
	assert_int_equal(scene.codes[1], 1);
	assert_int_equal(scene.codes[2], -EDEADLK);
}

static void wait_twice_below_one(struct scene *scene)
{
	struct test_puppet *holder, *waiters[2];

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
}

static void two_waits_below_one_holder_hold_up_one_slot(void **state)
{
	struct scene scene = { .slots = 2 };

	(void)state;
	run_scene(wait_twice_below_one, &scene);
	assert_int_equal(scene.codes[0], 1);
	assert_int_equal(scene.codes[1], 1);
}

static void cancel_below(struct scene *scene, bool settled)
{
	struct test_puppet *holder, *other, *waiter;

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
}

static void cancel_below_and_settle(struct scene *scene)
{
	cancel_below(scene, true);
}

static void cancel_below_at_once(struct scene *scene)
{
	cancel_below(scene, false);
}

static void a_cancelled_wait_below_holds_nobody_up(void **state)
{
	struct scene scene = { .slots = 2 };

	(void)state;
	run_scene(cancel_below_and_settle, &scene);
	assert_int_equal(scene.codes[0], -ECANCELED);
	assert_int_equal(scene.codes[1], 1);
	assert_int_equal(scene.codes[2], 0);
}

/* Members are told of a cancel after the task that cancelled has suspended. */
static void nor_does_one_that_has_not_been_told_yet(void **state)
{
	struct scene scene = { .slots = 2 };

	(void)state;
	run_scene(cancel_below_at_once, &scene);
	assert_int_equal(scene.codes[0], -ECANCELED);
	assert_int_equal(scene.codes[1], 1);
	assert_int_equal(scene.codes[2], 0);
}

/* The group in between is cancelled: its owner, which is told first, joins. */
static void cancel_then_join(struct scene *scene)
{
	struct test_puppet *holder = member(scene);
	struct test_puppet *waiter = inside(holder);

	test_puppet_do(waiter, TEST_GO);
	rota_group_cancel(&holder->own[0],
			  (struct rota_cancellation){ 0, NULL });
	test_show_settle();
	scene->codes[0] = waiter->code;
	scene->state = holder->state;
}

static void a_cancelled_wait_is_told_of_the_cancel_by_a_join_too(void **state)
{
	struct scene scene = { .slots = 1 };

	(void)state;
	run_scene(cancel_then_join, &scene);
	assert_int_equal(scene.codes[0], -ECANCELED);
	assert_int_equal(scene.state, TEST_ENDED);
}

static void wait_in_background(struct scene *scene)
{
	struct test_puppet *holder, *background;

	holder = member(scene);
	background =
		test_puppet_add_background(&scene->show, &scene->show.group);
	test_show_settle();
	test_puppet_do(background, TEST_GO);
	scene->codes[0] = background->code;
	test_puppet_do(holder, TEST_END);
	scene->codes[1] = background->code;
}

static void a_background_member_that_waits_holds_no_slot_up(void **state)
{
	struct scene scene = { .slots = 1 };

	(void)state;
	run_scene(wait_in_background, &scene);
	assert_int_equal(scene.codes[0], 1);
	assert_int_equal(scene.codes[1], 0);
}

/* Who is joined ends its background members itself. */
static void wait_in_background_below(struct scene *scene)
{
	struct test_puppet *holder, *worker, *background;

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
}

static void nor_does_one_of_a_group_below(void **state)
{
	struct scene scene = { .slots = 1 };

	(void)state;
	run_scene(wait_in_background_below, &scene);
	assert_int_equal(scene.codes[0], 1);
	assert_int_equal(scene.codes[1], -ECANCELED);
	assert_int_equal(scene.state, TEST_LISTENS);
}

/* The outsider is the show's first puppet. */
static void wait_outside(struct scene *scene)
{
	struct test_puppet *holders[2], *first;

	first = test_puppet_add(&scene->show, &scene->others);
	test_show_settle();
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
}

/* The others' group lies around the show's. */
static int play_beside_others(void *arg)
{
	struct scene *scene = arg;
	int error;

	rota_group_open(&scene->others, NULL);
	error = play(scene);
	test_puppet_do(&scene->show.puppets[0], TEST_END);
	return error | rota_group_wait(&scene->others);
}

static void an_outsider_waits_and_gets_its_slot_in_its_turn(void **state)
{
	struct scene scene = { .slots = 2, .direct = wait_outside };

	(void)state;
	assert_int_equal(test_run_timed(play_beside_others, &scene), 0);
	assert_int_equal(scene.codes[0], 1);
	assert_int_equal(scene.codes[1], 1);
	assert_int_equal(scene.codes[2], -EDEADLK);
	assert_int_equal(scene.codes[3], 0);
	assert_int_equal(scene.codes[4], 1);
}

static void drain_around(struct scene *scene)
{
	struct test_puppet *holder = member(scene);
	struct test_puppet *waiter = inside(holder);

	test_puppet_do(waiter, TEST_GO);
	rota_group_drain(&scene->show.group, ROTA_NEVER);
	test_puppet_do(holder, TEST_JOIN);
	scene->codes[0] = waiter->code;
}

static void a_drain_goes_before_the_circle(void **state)
{
	struct scene scene = { .slots = 1 };

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
