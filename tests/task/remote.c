/* SPDX-License-Identifier: MIT */
/*
 * Members on other loops: their proxies know what the group has come to, and
 * whoever was accepted runs, as soon as there is room.
 */
#include "support/loops.h"
#include "task/task.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int do_nothing(void *value)
{
	(void)value;
	return 0;
}

/* Idle members, and what their sleeps came to. */
struct idlers {
	struct rota_group *inner;      /* their group */
	int (*spawn)(struct idlers *); /* one of them, somehow elsewhere */
	int seen[TEST_LOOPS];          /* by loop; 1: not there */
	int result;                    /* of their group */
};

static int idle_a_second(void *value)
{
	struct idlers *idlers = *(struct idlers **)value;
	struct rota_idle idle;

	rota_idle_begin(&idle);
	idlers->seen[rota_loop()] = rota_sleep(ROTA_SECOND);
	rota_idle_end(&idle);
	return 0;
}

static int spawn_on_each(struct idlers *idlers)
{
	int error = 0;

	for (unsigned i = 0; i < TEST_LOOPS && !error; i++)
		error = rota_go_on(idlers->inner, i, idle_a_second, idlers);
	return error;
}

/* Keeps the loop of the group busy, so that the others take all there is. */
static int spawn_spread(struct idlers *idlers)
{
	int error = 0;

	for (unsigned i = 0; i < 100 && !error; i++)
		error = rota_go_spread(idlers->inner, idle_a_second, idlers);
	return error;
}

static int join_idlers(struct idlers *idlers)
{
	const int error = idlers->spawn(idlers);

	idlers->result = rota_group_wait(idlers->inner);
	return error;
}

static int drain_then_open(void *arg)
{
	struct rota_group outer, inner;
	int error;

	rota_group_open(&outer, NULL);
	rota_group_drain(&outer, ROTA_NEVER);
	rota_group_open(&inner, NULL);
	((struct idlers *)arg)->inner = &inner;
	error = join_idlers(arg);
	rota_group_wait(&outer);
	return error;
}

static int open_then_drain(void *arg)
{
	struct rota_group outer, inner;
	int error;

	rota_group_open(&outer, NULL);
	rota_group_open(&inner, NULL);
	rota_group_drain(&outer, ROTA_NEVER);
	((struct idlers *)arg)->inner = &inner;
	error = join_idlers(arg);
	rota_group_wait(&outer);
	return error;
}

/* All loops have a proxy already, with nobody in it. */
static int use_then_drain(void *arg)
{
	struct rota_group outer, inner;
	int error = 0;

	rota_group_open(&outer, NULL);
	rota_group_open(&inner, &(struct rota_group_options){ .limit = 3 });
	for (unsigned i = 0; i < 3 * TEST_LOOPS && !error; i++)
		error = rota_go_on(&inner, i % TEST_LOOPS, do_nothing, 0);
	while (inner.live)
		pass(1000);
	rota_group_drain(&outer, ROTA_NEVER);
	((struct idlers *)arg)->inner = &inner;
	error = error ? error : join_idlers(arg);
	rota_group_wait(&outer);
	return error;
}

static void expect_drained(int (*story)(void *),
			   int (*spawn)(struct idlers *idlers))
{
	struct idlers idlers = { .spawn = spawn, .seen = { 1, 1, 1 } };
	unsigned ran = 0;

	assert_int_equal(test_run_loops(story, &idlers), 0);
	assert_int_equal(idlers.result, 0);
	for (unsigned i = 0; i < TEST_LOOPS; i++) {
		if (idlers.seen[i] == 1)
			continue;
		assert_int_equal(idlers.seen[i], -ESHUTDOWN);
		ran++;
	}
	if (spawn == spawn_on_each)
		assert_int_equal(ran, TEST_LOOPS);
}

static void members_sent_elsewhere_in_a_drain_are_told_of_it(void **state)
{
	(void)state;
	expect_drained(drain_then_open, spawn_on_each);
	expect_drained(open_then_drain, spawn_on_each);
}

static void members_spread_in_a_drain_are_told_of_it(void **state)
{
	(void)state;
	expect_drained(drain_then_open, spawn_spread);
	expect_drained(open_then_drain, spawn_spread);
	expect_drained(use_then_drain, spawn_spread);
}

static void a_proxy_without_members_is_told_of_a_drain(void **state)
{
	(void)state;
	expect_drained(use_then_drain, spawn_on_each);
}

/* One more member than the other loop has records for. */
struct crowd {
	atomic_bool begun;  /* who fills it has its turn */
	atomic_bool sent;   /* the one too many is on its way */
	atomic_bool let_go; /* those that fill it */
	atomic_bool ran;    /* the one that waits for room */
	bool busy;          /* one of them keeps the loop busy */
	bool early;         /* it ran before there was room */
	unsigned yields;    /* how often the busy one yielded */
};

/* How long who keeps a loop busy waits for another one to run. */
#define YIELDS_MAX 2000000u

/* The loop is idle at times. */
static int take_room(void *value)
{
	struct crowd *crowd = *(struct crowd **)value;

	while (!atomic_load(&crowd->let_go))
		pass(1000);
	return 0;
}

static int keep_busy(void *value)
{
	struct crowd *crowd = *(struct crowd **)value;

	while (!atomic_load(&crowd->ran) && crowd->yields < YIELDS_MAX) {
		rota_yield();
		crowd->yields++;
	}
	return 0;
}

/* Before the loop has told that it is full. */
static int fill_up(void *value)
{
	struct crowd *crowd = *(struct crowd **)value;
	struct rota_group group;
	int error;

	atomic_store(&crowd->begun, true);
	spin(&crowd->sent);
	rota_group_open(&group, NULL);
	error = rota_go(&group, take_room, crowd);
	if (!error)
		error = rota_go(&group, crowd->busy ? keep_busy : take_room,
				crowd);
	return rota_group_wait(&group) < 0 ? -EBADMSG : error;
}

static int note_that_it_ran(void *value)
{
	struct crowd *crowd = *(struct crowd **)value;

	crowd->early = !atomic_load(&crowd->let_go);
	atomic_store(&crowd->ran, true);
	return 0;
}

static int overfill(void *arg)
{
	struct crowd *crowd = arg;
	struct rota_group group;
	int error, result;

	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, fill_up, crowd);
	await(&crowd->begun);
	if (!error)
		error = rota_go_on(&group, 1, note_that_it_ran, crowd);
	atomic_store(&crowd->sent, true);
	pass(ROTA_MILLISECOND);
	atomic_store(&crowd->let_go, true);
	result = rota_group_wait(&group);
	return error ? error : result;
}

static void run_crowd(struct crowd *crowd)
{
	const struct rota_config config = { .loops = 2, .tasks_max = 3 };

	assert_int_equal(test_run_with(&config, NULL, overfill, crowd), 0);
	assert_true(atomic_load(&crowd->ran));
	assert_false(crowd->early);
}

static void a_member_waits_where_there_is_no_room_for_it(void **state)
{
	struct crowd crowd = { .busy = false };

	(void)state;
	/* The engine ends at once, and nothing may be left of the wait. */
	for (unsigned i = 0; i < 20; i++) {
		crowd = (struct crowd){ .busy = false };
		run_crowd(&crowd);
	}
}

static void a_member_gets_room_on_a_loop_that_is_never_idle(void **state)
{
	struct crowd crowd = { .busy = true };

	(void)state;
	run_crowd(&crowd);
	assert_in_range(crowd.yields, 1, YIELDS_MAX - 1);
}

/* A cancel from elsewhere, and the end of who called for it. */
struct late {
	struct hold hold;         /* of loop 0 */
	struct rota_group *group; /* two members of it are on loop 1: */
	atomic_bool a_go;         /* the first one may end, */
	atomic_bool a_ends;       /* does, */
	atomic_bool a_ended;      /* and has told loop 0, */
	atomic_bool b_ends;       /* before the second one has cancelled */
	int result;
};

static int end_first(void *value)
{
	struct late *late = *(struct late **)value;

	await(&late->a_go);
	atomic_store(&late->a_ends, true);
	return 0;
}

/* When loop 0 has taken the mail that the first one's end is in, the second
 * one cancels, and its end is told by the same mail. */
static int cancel_then_end(void *value)
{
	struct late *late = *(struct late **)value;

	await(&late->a_ends);
	atomic_store(&late->a_ended, true);
	await(&late->hold.begun);
	rota_group_cancel(late->group,
			  (struct rota_cancellation){ -EINTR, NULL });
	atomic_store(&late->b_ends, true);
	return 0;
}

/* In another group, on loop 1: runs when the second one has ended. */
static int let_loop_go(void *value)
{
	struct late *late = *(struct late **)value;

	await(&late->b_ends);
	hold_end(&late->hold);
	return 0;
}

static int join_before_cancel(void *arg)
{
	struct late *late = arg;
	struct rota_group others, group;
	int error;

	rota_group_open(&others, NULL);
	error = rota_go_on(&others, 1, let_loop_go, late);
	rota_group_open(&group, NULL);
	late->group = &group;
	if (!error)
		error = rota_go_on(&group, 1, end_first, late);
	if (!error)
		error = rota_go_on(&group, 1, cancel_then_end, late);
	late->hold.message.fn = hold_arrived;
	rota_message_send(0, &late->hold.message);
	atomic_store(&late->a_go, true);
	spin(&late->a_ended);
	late->result = rota_group_wait(&group);
	rota_group_wait(&others);
	return error;
}

static void a_join_waits_for_a_cancel_on_its_way(void **state)
{
	struct late late = { .result = 1 };

	(void)state;
	assert_int_equal(test_run_loops(join_before_cancel, &late), 0);
	assert_int_equal(late.result, -EINTR);
}

#define DEEP 200000u

/* More than a stack of the default size. */
static int use_stack(void *value)
{
	volatile char deep[DEEP];

	for (unsigned i = 0; i < DEEP; i += 4096)
		deep[i] = *(char *)value;
	return deep[0] == *(char *)value ? 0 : -EBADMSG;
}

static int send_to_stacks(void *arg)
{
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, &(struct rota_group_options){
					.stack_bytes = (size_t)256 << 10 });
	for (unsigned i = 0; i < TEST_LOOPS && !error; i++)
		error = rota_go_on(&group, i, use_stack, 'x');
	if (!error)
		error = rota_go_spread(&group, use_stack, 'x');
	*(int *)arg = rota_group_wait(&group);
	return error;
}

static void members_elsewhere_have_their_groups_stacks(void **state)
{
	int result = 1;

	(void)state;
	assert_int_equal(test_run_loops(send_to_stacks, &result), 0);
	assert_int_equal(result, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			members_sent_elsewhere_in_a_drain_are_told_of_it),
		cmocka_unit_test(members_spread_in_a_drain_are_told_of_it),
		cmocka_unit_test(a_proxy_without_members_is_told_of_a_drain),
		cmocka_unit_test(a_member_waits_where_there_is_no_room_for_it),
		cmocka_unit_test(
			a_member_gets_room_on_a_loop_that_is_never_idle),
		cmocka_unit_test(a_join_waits_for_a_cancel_on_its_way),
		cmocka_unit_test(members_elsewhere_have_their_groups_stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
