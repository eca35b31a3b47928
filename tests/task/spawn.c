/* SPDX-License-Identifier: MIT */
/*
 * Spawning: what arrives of the value, who starts when, and the bound of
 * tasks.
 */
#include "rota/rota.h"
#include "support/run.h"
#include "support/trail.h"

#include <fenv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* Spawns one task with a value, and joins it. */
#define RUN_WITH(fn, ...)                                   \
	__extension__({                                     \
		struct rota_group group_;                   \
		int error_, outcome_;                       \
		rota_group_open(&group_, NULL);             \
		error_ = rota_go(&group_, fn, __VA_ARGS__); \
		outcome_ = rota_group_wait(&group_);        \
		error_ ? error_ : outcome_;                 \
	})

struct large {
	unsigned char bytes[ROTA_VALUE_BYTES];
};

static int check_large(void *value)
{
	const struct large *large = value;

	for (unsigned i = 0; i < ROTA_VALUE_BYTES; i++)
		if (large->bytes[i] != (unsigned char)(i * 5 + 1))
			return -EBADMSG;
	return 0;
}

static int spawn_large(void *arg)
{
	struct large large;

	(void)arg;
	for (unsigned i = 0; i < ROTA_VALUE_BYTES; i++)
		large.bytes[i] = (unsigned char)(i * 5 + 1);
	return RUN_WITH(check_large, large);
}

static void a_value_of_48_bytes_arrives_whole(void **state)
{
	(void)state;
	assert_int_equal(test_run(spawn_large, NULL), 0);
}

static int check_int(void *value)
{
	return *(int *)value == 4711 ? 0 : -EBADMSG;
}

static int check_char(void *value)
{
	return *(char *)value == 'x' ? 0 : -EBADMSG;
}

static int check_pointer(void *value)
{
	return **(int **)value == 4711 ? 0 : -EBADMSG;
}

struct three {
	int a;
	short b;
	char c;
};

static int check_three(void *value)
{
	const struct three *three = value;

	return three->a == 1 && three->b == 2 && three->c == 3 ? 0 : -EBADMSG;
}

static int spawn_sizes(void *arg)
{
	int number = 4711;
	char letter = 'x';
	int error = RUN_WITH(check_int, number);

	(void)arg;
	if (!error)
		error = RUN_WITH(check_char, letter);
	if (!error)
		error = RUN_WITH(check_pointer, &number);
	if (!error)
		error = RUN_WITH(check_three, ((struct three){ 1, 2, 3 }));
	return error;
}

static void values_of_each_size_arrive_whole(void **state)
{
	(void)state;
	assert_int_equal(test_run(spawn_sizes, NULL), 0);
}

static int check_alignment(void *value)
{
	return (uintptr_t)value % 16 ? -EBADMSG : 0;
}

static int spawn_aligned(void *arg)
{
	(void)arg;
	return RUN_WITH(check_alignment, 'x');
}

static void the_value_is_aligned_to_16_bytes(void **state)
{
	(void)state;
	assert_int_equal(test_run(spawn_aligned, NULL), 0);
}

static int sums[8];

static int add_up(void *value)
{
	const int number = *(int *)value;

	sums[number]++;
	return 0;
}

static int spawn_loop_variable(void *arg)
{
	struct rota_group group;
	int error = 0;

	(void)arg;
	rota_group_open(&group, NULL);
	for (int number = 0; number < 8 && !error; number++)
		error = rota_go(&group, add_up, number);
	return rota_group_wait(&group) | error;
}

static void the_value_is_a_copy_made_at_the_spawn(void **state)
{
	(void)state;
	assert_int_equal(test_run(spawn_loop_variable, NULL), 0);
	for (int number = 0; number < 8; number++)
		assert_int_equal(sums[number], 1);
}

struct note {
	struct test_trail *trail;
	const char *word;
};

static int add_note(void *value)
{
	const struct note *note = value;

	test_trail_add(note->trail, note->word);
	return 0;
}

static int spawn_late(void *arg)
{
	struct test_trail *trail = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, add_note, ((struct note){ trail, "b" }));
	if (!error)
		error = rota_go(&group, add_note,
				((struct note){ trail, "c" }));
	test_trail_add(trail, "a");
	rota_yield();
	test_trail_add(trail, "d");
	return rota_group_wait(&group) | error;
}

static void tasks_start_in_order_once_their_spawner_suspends(void **state)
{
	struct test_trail trail = { "" };

	(void)state;
	assert_int_equal(test_run(spawn_late, &trail), 0);
	assert_string_equal(trail.text, "abcd");
}

struct given {
	struct test_trail *trail;
	char *memory;
};

static int release(void *value)
{
	struct given *given = value;

	test_trail_add(given->trail,
		       rota_cancelled() == -ECANCELED ? "ran" : "not told");
	free(given->memory);
	return rota_cancelled();
}

static int cancel_before_start(void *arg)
{
	struct given given = { arg, malloc(100) };
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, release, given);
	rota_group_cancel(&group, (struct rota_cancellation){ -EPIPE, NULL });
	return error ? error : rota_group_wait(&group);
}

static void a_task_accepted_before_the_cancel_still_runs(void **state)
{
	struct test_trail trail = { "" };

	(void)state;
	assert_int_equal(test_run(cancel_before_start, &trail), -EPIPE);
	assert_string_equal(trail.text, "ran");
}

struct tree {
	struct rota_group *group;
	unsigned *count;
	unsigned depth;
};

static int grow(void *value)
{
	struct tree tree = *(struct tree *)value;
	int error = 0;

	(*tree.count)++;
	if (!tree.depth--)
		return 0;
	for (int i = 0; i < 2 && !error; i++)
		error = rota_go(tree.group, grow, tree);
	return error;
}

static int plant(void *arg)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, grow, ((struct tree){ &group, arg, 6 }));
	return rota_group_wait(&group) | error;
}

static void members_spawn_into_their_own_group_while_it_is_joined(void **state)
{
	unsigned count = 0;

	(void)state;
	assert_int_equal(test_run(plant, &count), 0);
	assert_int_equal(count, 127);
}

struct dumped {
	int fd;
	int line;
	int count;
};

static int dump_here(void *value)
{
	struct dumped *dumped = *(struct dumped **)value;

	dumped->count = rota_dump(dumped->fd);
	return 0;
}

static int spawn_and_dump(void *arg)
{
	struct dumped *dumped = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	dumped->line = __LINE__ + 1;
	error = rota_go(&group, dump_here, dumped);
	return rota_group_wait(&group) | error;
}

static void the_site_of_the_spawn_is_recorded(void **state)
{
	struct dumped dumped = { .fd = memfd_create("dump", MFD_CLOEXEC) };
	char text[1024] = "", line[64];

	(void)state;
	assert_true(dumped.fd >= 0);
	assert_int_equal(test_run(spawn_and_dump, &dumped), 0);
	assert_true(pread(dumped.fd, text, sizeof(text) - 1, 0) > 0);
	close(dumped.fd);
	snprintf(line, sizeof(line), "task/spawn.c:%d)", dumped.line);
	assert_int_equal(dumped.count, 2);
	assert_non_null(strstr(text, line));
	assert_non_null(strstr(text, "dump_here"));
}

struct bound {
	unsigned accepted;
	int refusal;
	int after;
	int outcome;
};

static int rest(void *value)
{
	(void)value;
	return rota_yield();
}

static int reach_bound(void *arg)
{
	struct bound *bound = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	while (!(bound->refusal = rota_go(&group, rest, 0)))
		bound->accepted++;
	rota_yield();
	rota_yield();
	bound->after = rota_go(&group, rest, 0);
	bound->outcome = rota_group_wait(&group);
	return 0;
}

static void
beyond_tasks_max_a_spawn_is_refused_and_the_group_joins(void **state)
{
	const struct rota_config config = { .tasks_max = 10 };
	struct bound bound = { 0 };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, reach_bound, &bound), 0);
	assert_int_equal(bound.accepted, 9);
	assert_int_equal(bound.refusal, -EAGAIN);
	assert_int_equal(bound.after, 0);
	assert_int_equal(bound.outcome, 0);
}

static int reach_bound_with_limit(void *arg)
{
	struct bound *bound = arg;
	struct rota_group group;

	rota_group_open(&group, &(struct rota_group_options){ .limit = 9 });
	while (bound->accepted < 20 &&
	       !(bound->refusal = rota_go(&group, rest, 0)))
		bound->accepted++;
	bound->outcome = rota_group_wait(&group);
	return 0;
}

static void a_refused_spawn_leaves_its_slot_to_others(void **state)
{
	const struct rota_config config = { .tasks_max = 5 };
	struct bound bound = { 0 };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, reach_bound_with_limit,
				       &bound),
			 0);
	assert_int_equal(bound.accepted, 4);
	assert_int_equal(bound.refusal, -EAGAIN);
	assert_int_equal(bound.outcome, 0);
}

static int answer(void *arg)
{
	return *(int *)arg;
}

static void the_first_tasks_result_is_the_runs(void **state)
{
	int result = 42, error = -EXDEV;

	(void)state;
	assert_int_equal(test_run(answer, &result), 42);
	assert_int_equal(test_run(answer, &error), -EXDEV);
}

/* Leaves the x87 and SSE rounding mode changed, as fesetround(3) does. */
static int round_up(void *value)
{
	(void)value;
	return fesetround(FE_UPWARD) ? -EIO : 0;
}

static int note_rounding(void *value)
{
	**(int **)value = fegetround();
	return 0;
}

static int round_in_turn(void *arg)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, round_up, 0);
	if (!error)
		error = rota_go(&group, note_rounding, (int *)arg);
	return error ? error : rota_group_wait(&group);
}

static void a_task_starts_with_the_rounding_mode_of_the_run(void **state)
{
	int mode = -1;

	(void)state;
	assert_int_equal(test_run(round_in_turn, &mode), 0);
	assert_int_equal(mode, FE_TONEAREST);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_of_48_bytes_arrives_whole),
		cmocka_unit_test(values_of_each_size_arrive_whole),
		cmocka_unit_test(the_value_is_aligned_to_16_bytes),
		cmocka_unit_test(the_value_is_a_copy_made_at_the_spawn),
		cmocka_unit_test(
			tasks_start_in_order_once_their_spawner_suspends),
		cmocka_unit_test(a_task_accepted_before_the_cancel_still_runs),
		cmocka_unit_test(
			members_spawn_into_their_own_group_while_it_is_joined),
		cmocka_unit_test(the_site_of_the_spawn_is_recorded),
		cmocka_unit_test(
			beyond_tasks_max_a_spawn_is_refused_and_the_group_joins),
		cmocka_unit_test(a_refused_spawn_leaves_its_slot_to_others),
		cmocka_unit_test(the_first_tasks_result_is_the_runs),
		cmocka_unit_test(
			a_task_starts_with_the_rounding_mode_of_the_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
