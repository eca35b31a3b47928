/* SPDX-License-Identifier: MIT */
/*
 * The pointer that tasks inherit from who spawns them.
 */
#include "rota/rota.h"
#include "support/run.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct seen {
	struct rota_group group;
	void *before; /* of the first task */
	void *values[6];
	void *after;
};

static int marks[3];

struct child {
	struct seen *seen;
	int index;
};

static int look(void *value)
{
	const struct child *child = value;

	child->seen->values[child->index] = rota_task_inherited();
	return 0;
}

/* Changes its own, before and after the yield in which others look. */
static int change(void *value)
{
	const struct child *child = value;

	rota_task_set_inherited(&marks[2]);
	rota_yield();
	return look(value) | (child->index < 0);
}

static int look_later(void *value)
{
	rota_yield();
	return look(value);
}

static int spawn_in_each_way(void *arg)
{
	struct seen *seen = arg;
	int error;

	seen->before = rota_task_inherited();
	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, look, ((struct child){ seen, 0 }));
	rota_task_set_inherited(&marks[0]);
	error |= rota_go(&seen->group, look, ((struct child){ seen, 1 }));
	error |= rota_try_go(&seen->group, look, ((struct child){ seen, 2 }));
	error |= rota_go_background(&seen->group, look,
				    ((struct child){ seen, 3 }));
	error |= rota_go(&seen->group, change, ((struct child){ seen, 4 }));
	error |= rota_go(&seen->group, look_later, ((struct child){ seen, 5 }));
	rota_task_set_inherited(&marks[1]);
	error |= rota_group_wait(&seen->group);
	seen->after = rota_task_inherited();
	return error;
}

static void a_task_inherits_what_its_spawner_had_then(void **state)
{
	struct seen seen = { .before = &marks[0], .values = { &marks[1] } };

	(void)state;
	assert_int_equal(test_run(spawn_in_each_way, &seen), 0);
	assert_null(seen.before);
	assert_null(seen.values[0]);
	for (int i = 1; i < 4; i++)
		assert_ptr_equal(seen.values[i], &marks[0]);
}

static void what_a_task_sets_is_its_own(void **state)
{
	struct seen seen = { .after = NULL };

	(void)state;
	assert_int_equal(test_run(spawn_in_each_way, &seen), 0);
	assert_ptr_equal(seen.values[4], &marks[2]);
	assert_ptr_equal(seen.values[5], &marks[0]);
	assert_ptr_equal(seen.after, &marks[1]);
}

static int spawn_as_stranger(void *value)
{
	struct seen *seen = *(struct seen **)value;

	rota_task_set_inherited(&marks[2]);
	return rota_go(&seen->group, look, ((struct child){ seen, 0 }));
}

static int let_a_stranger_spawn(void *arg)
{
	struct seen *seen = arg;
	struct rota_group others;
	int error;

	rota_task_set_inherited(&marks[0]);
	rota_group_open(&others, NULL);
	rota_group_open(&seen->group, NULL);
	error = rota_go(&others, spawn_as_stranger, seen);
	error |= rota_yield();
	error |= rota_group_wait(&seen->group);
	return error | rota_group_wait(&others);
}

static void it_comes_from_the_spawner_not_from_the_owner(void **state)
{
	struct seen seen = { .values = { NULL } };

	(void)state;
	assert_int_equal(test_run(let_a_stranger_spawn, &seen), 0);
	assert_ptr_equal(seen.values[0], &marks[2]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_task_inherits_what_its_spawner_had_then),
		cmocka_unit_test(what_a_task_sets_is_its_own),
		cmocka_unit_test(it_comes_from_the_spawner_not_from_the_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
