/* SPDX-License-Identifier: MIT */
/*
 * A set of descriptors that are watched: each sentence of rota/watch.h. What
 * ends a wait is watch_ends.c, broken promises are watch_promises.c.
 */
#include "rota/rota.h"
#include "support/pair.h"
#include "support/run.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PAIRS 3
#define MANY 100

/* The data of a descriptor is where its count is. */
struct stage {
	struct rota_watch watch;
	int pairs[PAIRS][2];
	unsigned told[PAIRS];
	unsigned events[PAIRS];
	int codes[8];
};

static int close_stage(struct stage *stage)
{
	int error = 0;

	for (int i = 0; i < PAIRS; i++)
		error |= test_pair_close(stage->pairs[i]);
	rota_watch_close(&stage->watch);
	return error;
}

/* All are watched for what can be read. */
static int open_stage(struct stage *stage)
{
	int error = rota_watch_open(&stage->watch);

	for (int i = 0; i < PAIRS && !error; i++) {
		error = test_pair_open(stage->pairs[i]);
		if (!error)
			error = rota_watch_set(&stage->watch,
					       stage->pairs[i][0], POLLIN,
					       &stage->told[i]);
	}
	return error;
}

static void note(struct stage *stage, const struct rota_ready *ready, int count)
{
	for (int i = 0; i < count; i++) {
		unsigned *told = ready[i].data;

		++*told;
		stage->events[told - stage->told] = ready[i].events;
	}
}

/* Waits once, with room for so many. */
static int wait_for(struct stage *stage, unsigned room)
{
	struct rota_ready ready[PAIRS];
	const int count =
		rota_watch_wait(&stage->watch, ROTA_NEVER, ready, room);

	note(stage, ready, count);
	return count;
}

/* Looks, without a wait. */
static int take(struct stage *stage)
{
	struct rota_ready ready[PAIRS];
	const int count = rota_watch_take(&stage->watch, ready, PAIRS);

	note(stage, ready, count);
	return count;
}

static void fill(const struct stage *stage, int i)
{
	if (write(stage->pairs[i][1], "x", 1) != 1)
		abort();
}

static int fill_some_and_wait(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	if (error)
		return error;
	fill(stage, 0);
	fill(stage, 2);
	stage->codes[0] = wait_for(stage, PAIRS);
	return close_stage(stage);
}

static void those_that_are_ready_are_told_with_their_data(void **state)
{
	struct stage stage = { .told = { 0 } };

	(void)state;
	assert_int_equal(test_run(fill_some_and_wait, &stage), 0);
	assert_int_equal(stage.codes[0], 2);
	assert_int_equal(stage.told[0], 1);
	assert_int_equal(stage.told[1], 0);
	assert_int_equal(stage.told[2], 1);
	assert_int_equal(stage.events[0], POLLIN);
	assert_int_equal(stage.events[2], POLLIN);
}

static int wait_thrice(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	if (error)
		return error;
	fill(stage, 1);
	for (int i = 0; i < 3; i++)
		stage->codes[i] = wait_for(stage, PAIRS);
	return close_stage(stage);
}

static void one_is_told_as_long_as_it_is_ready(void **state)
{
	struct stage stage = { .told = { 0 } };

	(void)state;
	assert_int_equal(test_run(wait_thrice, &stage), 0);
	assert_int_equal(stage.told[1], 3);
}

static int wait_with_room_for_one(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	if (error)
		return error;
	for (int i = 0; i < PAIRS; i++)
		fill(stage, i);
	for (int i = 0; i < 2 * PAIRS; i++)
		if (wait_for(stage, 1) != 1)
			stage->codes[0]--;
	return close_stage(stage);
}

static void each_comes_in_turn_if_there_is_little_room(void **state)
{
	struct stage stage = { .told = { 0 } };

	(void)state;
	assert_int_equal(test_run(wait_with_room_for_one, &stage), 0);
	assert_int_equal(stage.codes[0], 0);
	for (int i = 0; i < PAIRS; i++)
		assert_int_equal(stage.told[i], 2);
}

static int watch_many(void *arg)
{
	static int pipes[MANY][2];
	struct stage *stage = arg;
	struct rota_ready ready[MANY];
	bool seen[MANY] = { false };
	int error = rota_watch_open(&stage->watch);

	for (int i = 0; i < MANY && !error; i++) {
		error = pipe2(pipes[i], O_CLOEXEC);
		if (!error)
			error = rota_watch_set(&stage->watch, pipes[i][1],
					       POLLOUT, &seen[i]);
	}
	for (int i = 0; i < 2 && !error; i++) {
		stage->codes[i] =
			rota_watch_wait(&stage->watch, ROTA_NEVER, ready, MANY);
		for (int j = 0; j < stage->codes[i]; j++)
			*(bool *)ready[j].data = true;
	}
	for (int i = 0; i < MANY && !error; i++) {
		stage->codes[2] += seen[i];
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	rota_watch_close(&stage->watch);
	return error;
}

static void of_a_hundred_none_is_left_out(void **state)
{
	struct stage stage = { .told = { 0 } };

	(void)state;
	assert_int_equal(test_run(watch_many, &stage), 0);
	assert_int_equal(stage.codes[0], 64);
	assert_int_equal(stage.codes[2], MANY);
}

/* The first gets the count of the second. */
static int change(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	if (error)
		return error;
	fill(stage, 0);
	error = rota_watch_set(&stage->watch, stage->pairs[0][0], POLLOUT,
			       &stage->told[1]);
	stage->codes[0] = wait_for(stage, PAIRS);
	return error | close_stage(stage);
}

static void what_is_set_last_counts(void **state)
{
	struct stage stage = { .told = { 0 } };

	(void)state;
	assert_int_equal(test_run(change, &stage), 0);
	assert_int_equal(stage.codes[0], 1);
	assert_int_equal(stage.told[1], 1);
	assert_int_equal(stage.events[1], POLLOUT);
}

static int drop(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	if (error)
		return error;
	fill(stage, 0);
	fill(stage, 1);
	for (int i = 0; i < 2; i++) /* then it is out already */
		error |= rota_watch_set(&stage->watch, stage->pairs[0][0], 0,
					NULL);
	stage->codes[0] = take(stage);
	return error | close_stage(stage);
}

static void one_that_was_removed_is_not_told(void **state)
{
	struct stage stage = { .told = { 0 } };

	(void)state;
	assert_int_equal(test_run(drop, &stage), 0);
	assert_int_equal(stage.codes[0], 1);
	assert_int_equal(stage.told[0], 0);
}

/* The lowest number that is free is the one that was closed. */
static int close_and_reuse(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	if (error)
		return error;
	fill(stage, 0);
	error = rota_close(stage->pairs[0][0]);
	stage->codes[0] = take(stage);
	error |= rota_watch_set(&stage->watch, stage->pairs[0][0], 0, NULL);
	stage->codes[1] = dup(stage->pairs[1][0]) - stage->pairs[0][0];
	fill(stage, 1);
	error |= rota_watch_set(&stage->watch, stage->pairs[1][0], 0, NULL);
	stage->codes[2] = take(stage);
	error |= rota_watch_set(&stage->watch, stage->pairs[0][0], POLLIN,
				&stage->told[2]);
	stage->codes[3] = take(stage);
	return error | close_stage(stage);
}

static void a_closed_one_is_out_and_its_number_is_anothers(void **state)
{
	struct stage stage = { .told = { 0 } };

	(void)state;
	assert_int_equal(test_run(close_and_reuse, &stage), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stage.codes[i], 0);
	assert_int_equal(stage.codes[3], 1);
	assert_int_equal(stage.told[2], 1);
}

static int add_a_moment_later(void *value)
{
	struct stage *stage = *(struct stage **)value;
	int error = rota_sleep(ROTA_MILLISECOND);

	stage->codes[1] = (int)stage->told[0];
	fill(stage, 0);
	return error | rota_watch_set(&stage->watch, stage->pairs[0][0], POLLIN,
				      &stage->told[0]);
}

static int wait_for_what_is_added(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error = open_stage(stage);

	if (error)
		return error;
	error = rota_watch_set(&stage->watch, stage->pairs[0][0], 0, NULL);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, add_a_moment_later, stage);
	stage->codes[0] = wait_for(stage, PAIRS);
	error |= rota_group_wait(&group);
	return error | close_stage(stage);
}

static void a_wait_hears_of_what_another_task_adds(void **state)
{
	struct stage stage = { .told = { 0 } };

	(void)state;
	assert_int_equal(test_run(wait_for_what_is_added, &stage), 0);
	assert_int_equal(stage.codes[0], 1);
	assert_int_equal(stage.codes[1], 0);
	assert_int_equal(stage.told[0], 1);
}

static int set_what_cannot_be(void *arg)
{
	struct stage *stage = arg;
	struct rota_ready ready;
	int error = open_stage(stage), *codes = stage->codes;
	const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (error)
		return error;
	codes[0] = rota_watch_set(&stage->watch, file, POLLIN, NULL);
	codes[1] = rota_watch_set(&stage->watch, -1, POLLIN, NULL);
	codes[2] = rota_watch_set(&stage->watch, rota_watch_fd(&stage->watch),
				  POLLIN, NULL);
	codes[3] = rota_watch_set(&stage->watch, stage->pairs[0][0],
				  POLLIN | 1u << 31, NULL);
	codes[4] = rota_watch_wait(&stage->watch, ROTA_NEVER, &ready, 0);
	codes[5] = rota_watch_take(&stage->watch, &ready, 0);
	fill(stage, 0);
	codes[6] = take(stage) + take(stage);
	return close(file) | close_stage(stage);
}

static void what_cannot_be_watched_is_refused(void **state)
{
	static const int right[] = { -EPERM,  -EBADF,  -EINVAL, -EINVAL,
				     -EINVAL, -EINVAL, 2 };
	struct stage stage = { .told = { 0 } };

	(void)state;
	assert_int_equal(test_run(set_what_cannot_be, &stage), 0);
	assert_memory_equal(stage.codes, right, sizeof(right));
}

/* With an event that happens, or something to read. */
static int choose(struct stage *stage, bool set)
{
	struct rota_event event;
	struct rota_arm arms[2];
	int chosen;

	rota_event_init(&event, NULL);
	arms[0] = rota_arm_event(&event);
	arms[1] = rota_arm_poll(rota_watch_fd(&stage->watch), POLLIN);
	if (set)
		rota_event_set(&event);
	else
		fill(stage, 0);
	chosen = rota_select(arms, 2);
	rota_event_fini(&event);
	return chosen;
}

static int select_both(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	if (error)
		return error;
	stage->codes[0] = choose(stage, true);
	stage->codes[1] = take(stage);
	stage->codes[2] = choose(stage, false);
	stage->codes[3] = take(stage);
	return close_stage(stage);
}

static void a_select_waits_for_it_beside_other_things(void **state)
{
	static const int right[] = { 0, 0, 1, 1 };
	struct stage stage = { .told = { 0 } };

	(void)state;
	assert_int_equal(test_run(select_both, &stage), 0);
	assert_memory_equal(stage.codes, right, sizeof(right));
}

static int open_many_times(void *arg)
{
	struct rota_watch watches[3];
	int error = 0;

	(void)arg;
	for (int round = 0; round < 3 && !error; round++) {
		for (int i = 0; i < 3; i++)
			error |= rota_watch_open(&watches[i]);
		for (int i = 0; i < 3; i++)
			rota_watch_close(&watches[(i + round) % 3]);
	}
	return error;
}

static void sets_are_closed_in_any_order_and_opened_again(void **state)
{
	(void)state;
	assert_int_equal(test_run(open_many_times, NULL), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_that_are_ready_are_told_with_their_data),
		cmocka_unit_test(one_is_told_as_long_as_it_is_ready),
		cmocka_unit_test(each_comes_in_turn_if_there_is_little_room),
		cmocka_unit_test(of_a_hundred_none_is_left_out),
		cmocka_unit_test(what_is_set_last_counts),
		cmocka_unit_test(one_that_was_removed_is_not_told),
		cmocka_unit_test(
			a_closed_one_is_out_and_its_number_is_anothers),
		cmocka_unit_test(a_wait_hears_of_what_another_task_adds),
		cmocka_unit_test(what_cannot_be_watched_is_refused),
		cmocka_unit_test(a_select_waits_for_it_beside_other_things),
		cmocka_unit_test(sets_are_closed_in_any_order_and_opened_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
