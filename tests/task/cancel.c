/* SPDX-License-Identifier: MIT */
/*
 * Cancelling a group: by whom, when, and whom it reaches.
 */
#include "rota/rota.h"
#include "support/kernel.h"
#include "support/pair.h"
#include "support/run.h"
#include "support/trail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct stage {
	struct rota_group group;
	struct rota_group inner;
	struct test_trail trail;
	int codes[8];
	int pair[2]; /* connected sockets with nothing in them */
	unsigned count;
};

static const struct rota_cancellation enough = { -EPIPE, "enough" };

static int sleep_long(void *value)
{
	struct stage *stage = *(struct stage **)value;
	const int code = rota_sleep_until(ROTA_NEVER);

	stage->count += code == -ECANCELED;
	return code;
}

static int cancel_it(void *value)
{
	struct stage *stage = *(struct stage **)value;

	rota_group_cancel(&stage->group, enough);
	stage->codes[0] = rota_yield();
	return 0;
}

static int have_member_cancel(void *arg)
{
	struct stage *stage = arg;
	int error;

	rota_group_open(&stage->group, NULL);
	error = rota_go(&stage->group, sleep_long, stage);
	error |= rota_go(&stage->group, cancel_it, stage);
	error |= rota_go(&stage->group, sleep_long, stage);
	return error ? error : rota_group_wait(&stage->group);
}

static void a_member_cancels_its_group_and_itself(void **state)
{
	struct stage stage = { .count = 0 };

	(void)state;
	assert_int_equal(test_run(have_member_cancel, &stage), -EPIPE);
	assert_int_equal(stage.codes[0], -ECANCELED);
	assert_int_equal(stage.count, 2);
}

static int have_outsider_cancel(void *arg)
{
	struct stage *stage = arg;
	struct rota_group outsiders;
	int error, outcome;

	rota_group_open(&outsiders, NULL);
	rota_group_open(&stage->group, NULL);
	error = rota_go(&stage->group, sleep_long, stage);
	error |= rota_go(&outsiders, cancel_it, stage);
	outcome = rota_group_wait(&stage->group);
	error |= rota_group_wait(&outsiders);
	return error ? error : outcome;
}

static void an_outsider_cancels_a_group_and_not_itself(void **state)
{
	struct stage stage = { .count = 0 };

	(void)state;
	assert_int_equal(test_run(have_outsider_cancel, &stage), -EPIPE);
	assert_int_equal(stage.codes[0], 0);
	assert_int_equal(stage.count, 1);
}

static int cancel_before_start(void *arg)
{
	struct stage *stage = arg;
	int error = 0;

	rota_group_open(&stage->group, NULL);
	for (int i = 0; i < 3; i++)
		error |= rota_go(&stage->group, sleep_long, stage);
	rota_group_cancel(&stage->group, enough);
	return error ? error : rota_group_wait(&stage->group);
}

static void members_that_have_not_started_start_cancelled(void **state)
{
	struct stage stage = { .count = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_before_start, &stage), -EPIPE);
	assert_int_equal(stage.count, 3);
}

static int cancel_empty(void *arg)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_cancel(&group, *(struct rota_cancellation *)arg);
	return rota_group_wait(&group);
}

static void a_group_of_nobody_can_be_cancelled(void **state)
{
	struct rota_cancellation cause = enough;

	(void)state;
	assert_int_equal(test_run(cancel_empty, &cause), -EPIPE);
}

/* The owner in its own verbs while a member ends the group. */
static int cancel_after_a_turn(void *value)
{
	rota_yield();
	rota_yield();
	return cancel_it(value);
}

static int fail_after_a_turn(void *value)
{
	rota_yield();
	rota_yield();
	return *(int *)value;
}

static int owner_in_verbs(void *arg)
{
	struct stage *stage = arg;
	struct rota_group tasks;
	char byte;
	int error = test_pair_open(stage->pair);

	for (int i = 0; i < 3; i++) {
		rota_group_open(&tasks, NULL);
		error |= rota_go(&tasks, fail_after_a_turn, -EXDEV);
		if (i == 0)
			stage->codes[i] =
				rota_recv(stage->pair[0], &byte, 1, 0);
		else if (i == 1)
			stage->codes[i] = rota_sleep_until(ROTA_NEVER);
		else
			stage->codes[i] = rota_poll(stage->pair[0], 1);
		error |= rota_group_wait(&tasks) != -EXDEV;
	}
	return error | test_pair_close(stage->pair);
}

static void the_owners_verbs_return_when_a_member_fails(void **state)
{
	struct stage stage = { .count = 0 };

	(void)state;
	assert_int_equal(test_run(owner_in_verbs, &stage), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stage.codes[i], -ECANCELED);
}

static int owner_is_cancelled(void *arg)
{
	struct stage *stage = arg;
	int error;

	rota_group_open(&stage->group, NULL);
	error = rota_go(&stage->group, cancel_after_a_turn, stage);
	stage->codes[1] = rota_sleep_until(ROTA_NEVER);
	stage->codes[2] = rota_cancelled();
	stage->codes[3] = rota_group_wait(&stage->group);
	stage->codes[4] = rota_cancelled();
	return error;
}

static void once_it_has_waited_the_owner_is_free_again(void **state)
{
	struct stage stage = { .count = 0 };

	(void)state;
	assert_int_equal(test_run(owner_is_cancelled, &stage), 0);
	assert_int_equal(stage.codes[1], -ECANCELED);
	assert_int_equal(stage.codes[2], -ECANCELED);
	assert_int_equal(stage.codes[3], -EPIPE);
	assert_int_equal(stage.codes[4], 0);
}

static int release_in_turns(void *value)
{
	struct stage *stage = *(struct stage **)value;
	const int code = rota_sleep_until(ROTA_NEVER);

	/* Release verbs work in a cancelled task, and wait joins. */
	stage->codes[0] = rota_shutdown(stage->pair[0], SHUT_RDWR);
	stage->codes[1] = test_pair_close(stage->pair);
	return code;
}

static int cancel_releasers(void *arg)
{
	struct stage *stage = arg;
	int error = test_pair_open(stage->pair);

	rota_group_open(&stage->group, NULL);
	error |= rota_go(&stage->group, release_in_turns, stage);
	rota_yield();
	rota_group_cancel(&stage->group, enough);
	return error ? error : rota_group_wait(&stage->group);
}

static void a_cancelled_task_can_release_what_it_has(void **state)
{
	struct stage stage = { .codes = { 1, 1 } };

	(void)state;
	assert_int_equal(test_run(cancel_releasers, &stage), -EPIPE);
	assert_int_equal(stage.codes[0], 0);
	assert_int_equal(stage.codes[1], 0);
}

/* Shutdowns run on threads of the kernel's, a few at a time: most of these have
 * not begun when the cancel comes. */
#define SHUTDOWNS 64

struct release {
	struct stage *stage;
	int fd;
	int *code;
};

static int shut_down(void *value)
{
	const struct release *release = value;

	*release->code = rota_shutdown(release->fd, SHUT_RDWR);
	return rota_cancelled();
}

static int cancel_shutdowns(void *arg)
{
	struct stage *stage = arg;
	int pairs[SHUTDOWNS][2], codes[SHUTDOWNS], error = 0;
	char byte;

	rota_group_open(&stage->group, NULL);
	for (int i = 0; i < SHUTDOWNS && !error; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]))
			return -errno;
		error = rota_go(
			&stage->group, shut_down,
			((struct release){ stage, pairs[i][0], &codes[i] }));
	}
	rota_yield();
	rota_group_cancel(&stage->group, enough);
	error |= rota_group_wait(&stage->group) != -EPIPE;
	for (int i = 0; i < SHUTDOWNS && !error; i++) {
		stage->count += codes[i] == 0 &&
				recv(pairs[i][1], &byte, 1, MSG_DONTWAIT) == 0;
		error = rota_close(pairs[i][0]) | rota_close(pairs[i][1]);
	}
	return error;
}

static void a_release_that_is_under_way_is_not_cancelled(void **state)
{
	struct stage stage = { .count = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_shutdowns, &stage), 0);
	assert_int_equal(stage.count, SHUTDOWNS);
}

/* Groups inside of groups, by members and by owners. */
struct nest {
	struct stage *stage;
	int depth;
};

static int nest_down(void *value)
{
	struct nest nest = *(struct nest *)value;
	struct rota_group group;
	int error;

	if (!nest.depth--)
		return sleep_long(&nest.stage);
	rota_group_open(&group, NULL);
	error = rota_go(&group, nest_down, nest);
	error |= rota_go(&group, sleep_long, nest.stage);
	return error ? error : rota_group_wait(&group);
}

static int cancel_nest(void *arg)
{
	struct stage *stage = arg;
	int error;

	rota_group_open(&stage->group, NULL);
	error = rota_go(&stage->group, nest_down, ((struct nest){ stage, 9 }));
	for (int i = 0; i < 20; i++)
		rota_yield();
	rota_group_cancel(&stage->group, enough);
	return error ? error : rota_group_wait(&stage->group);
}

static void a_cancel_reaches_members_of_groups_inside(void **state)
{
	struct stage stage = { .count = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_nest, &stage), -EPIPE);
	assert_int_equal(stage.count, 10);
}

static int wait_on(void *value)
{
	struct stage *stage = *(struct stage **)value;

	stage->codes[0] = rota_sleep(ROTA_MICROSECOND);
	return 0;
}

static int cancel_inside_only(void *arg)
{
	struct stage *stage = arg;
	int error;

	rota_group_open(&stage->group, NULL);
	error = rota_go(&stage->group, wait_on, stage);
	rota_group_open(&stage->inner, NULL);
	error |= rota_go(&stage->inner, sleep_long, stage);
	rota_yield();
	rota_group_cancel(&stage->inner, enough);
	stage->codes[1] = rota_group_wait(&stage->inner);
	stage->codes[2] = rota_cancelled();
	return error | rota_group_wait(&stage->group);
}

static void a_cancel_does_not_reach_what_is_around(void **state)
{
	struct stage stage = { .codes = { 1 } };

	(void)state;
	assert_int_equal(test_run(cancel_inside_only, &stage), 0);
	assert_int_equal(stage.codes[0], 0);
	assert_int_equal(stage.codes[1], -EPIPE);
	assert_int_equal(stage.codes[2], 0);
}

static int fail_inside(void *value)
{
	struct rota_group group;
	int error;

	(void)value;
	rota_group_open(&group, NULL);
	error = rota_go(&group, fail_after_a_turn, -EXDEV);
	return error ? error : rota_group_wait(&group);
}

static int fail_deep(void *arg)
{
	struct stage *stage = arg;
	int error;

	rota_group_open(&stage->group, NULL);
	error = rota_go(&stage->group, sleep_long, stage);
	error |= rota_go(&stage->group, fail_inside, 0);
	return error ? error : rota_group_wait(&stage->group);
}

static void an_error_that_each_owner_returns_climbs_to_the_top(void **state)
{
	struct stage stage = { .count = 0 };

	(void)state;
	assert_int_equal(test_run(fail_deep, &stage), -EXDEV);
	assert_int_equal(stage.count, 1);
}

static int ignore_cancel(void *value)
{
	struct stage *stage = *(struct stage **)value;

	while (rota_sleep(ROTA_SECOND) != -ECANCELED)
		;
	for (int i = 0; i < 3; i++)
		stage->codes[i] = rota_sleep(ROTA_SECOND);
	stage->codes[3] = rota_open("/dev/null", 0, 0);
	stage->codes[4] = rota_poll(0, 1);
	stage->codes[5] = rota_go(&stage->group, ignore_cancel, stage);
	return 0;
}

static int cancel_the_ignorant(void *arg)
{
	struct stage *stage = arg;
	int error;

	rota_group_open(&stage->group, NULL);
	error = rota_go(&stage->group, ignore_cancel, stage);
	rota_yield();
	rota_group_cancel(&stage->group, enough);
	return error ? error : rota_group_wait(&stage->group);
}

static void a_cancel_is_sticky_for_every_verb(void **state)
{
	struct stage stage = { .count = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_the_ignorant, &stage), -EPIPE);
	for (int i = 0; i < 6; i++)
		assert_int_equal(stage.codes[i], -ECANCELED);
}

static int cancel_10000(void *arg)
{
	struct stage *stage = arg;
	int error = 0;

	rota_group_open(&stage->group, NULL);
	for (int i = 0; i < 10000 && !error; i++)
		error = rota_go(&stage->group, sleep_long, stage);
	rota_yield();
	rota_group_cancel(&stage->group, enough);
	return error ? error : rota_group_wait(&stage->group);
}

static void a_cancel_reaches_10000_members(void **state)
{
	struct stage stage = { .count = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_10000, &stage), -EPIPE);
	assert_int_equal(stage.count, 10000);
}

/* Some members end while the sweep of a large group is under way. */
static int end_when_told(void *value)
{
	struct stage *stage = *(struct stage **)value;

	while (!rota_yield())
		;
	stage->count++;
	return -ECANCELED;
}

static int cancel_a_mix(void *arg)
{
	struct stage *stage = arg;
	int error = 0;

	rota_group_open(&stage->group, NULL);
	for (int i = 0; i < 1000 && !error; i++)
		error = i % 3 ? rota_go(&stage->group, sleep_long, stage)
			      : rota_go(&stage->group, end_when_told, stage);
	rota_yield();
	rota_group_cancel(&stage->group, enough);
	return error ? error : rota_group_wait(&stage->group);
}

static void members_that_end_during_the_sweep_hide_nobody(void **state)
{
	struct stage stage = { .count = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_a_mix, &stage), -EPIPE);
	assert_int_equal(stage.count, 1000);
}

static int nest_owners(struct stage *stage, int depth)
{
	struct rota_group group;
	int code;

	rota_group_open(&group, NULL);
	if (depth)
		code = nest_owners(stage, depth - 1);
	else
		code = rota_sleep_until(ROTA_NEVER);
	stage->count += rota_group_wait(&group) == -EPIPE;
	return code;
}

static int nest_1000(void *value)
{
	return nest_owners(*(struct stage **)value, 999);
}

static int cancel_1000_deep(void *arg)
{
	struct stage *stage = arg;
	int error;

	rota_group_open(&stage->group,
			&(struct rota_group_options){ .stack_bytes = 8 << 20 });
	error = rota_go(&stage->group, nest_1000, stage);
	rota_yield();
	rota_group_cancel(&stage->group, enough);
	return error ? error : rota_group_wait(&stage->group);
}

static void a_cancel_goes_1000_scopes_deep(void **state)
{
	struct stage stage = { .count = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_1000_deep, &stage), -EPIPE);
	assert_int_equal(stage.count, 1000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_member_cancels_its_group_and_itself),
		cmocka_unit_test(an_outsider_cancels_a_group_and_not_itself),
		cmocka_unit_test(members_that_have_not_started_start_cancelled),
		cmocka_unit_test(a_group_of_nobody_can_be_cancelled),
		cmocka_unit_test(the_owners_verbs_return_when_a_member_fails),
		cmocka_unit_test(once_it_has_waited_the_owner_is_free_again),
		cmocka_unit_test(a_cancelled_task_can_release_what_it_has),
		cmocka_unit_test(a_release_that_is_under_way_is_not_cancelled),
		cmocka_unit_test(a_cancel_reaches_members_of_groups_inside),
		cmocka_unit_test(a_cancel_does_not_reach_what_is_around),
		cmocka_unit_test(
			an_error_that_each_owner_returns_climbs_to_the_top),
		cmocka_unit_test(a_cancel_is_sticky_for_every_verb),
		cmocka_unit_test(a_cancel_reaches_10000_members),
		cmocka_unit_test(members_that_end_during_the_sweep_hide_nobody),
		cmocka_unit_test(a_cancel_goes_1000_scopes_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
