/* SPDX-License-Identifier: MIT */
/*
 * The control words of the floating point unit belong to each task.
 */
#include "stack/control.h"

#include "stack/switch.h"
#include "support/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct words {
	uint64_t first[2], after[2], spawner;
};

struct rounder {
	struct words *words;
	unsigned index;
};

static int round_my_way(void *value)
{
	const struct rounder *me = value;

	me->words->first[me->index] = ri_switch_control();
	set_control(rounding(me->index + 1));
	rota_yield();
	rota_yield();
	me->words->after[me->index] = ri_switch_control();
	return 0;
}

static int round_three_ways(void *arg)
{
	struct words *words = arg;
	const uint64_t before = ri_switch_control();
	struct rota_group group;

	set_control(rounding(3));
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 2; i++) {
		const struct rounder rounder = { words, i };

		if (rota_go(&group, round_my_way, rounder))
			return -1;
	}
	rota_group_wait(&group);
	words->spawner = ri_switch_control();
	set_control(before);
	return 0;
}

static void tasks_start_with_the_control_words_of_the_thread(void **state)
{
	struct words words = { 0 };

	(void)state;
	assert_int_equal(test_run(round_three_ways, &words), 0);
	assert_true(words.spawner == rounding(3));
	for (unsigned i = 0; i < 2; i++) {
		assert_true(words.first[i] == ri_switch_control());
		assert_true(words.after[i] == rounding(i + 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			tasks_start_with_the_control_words_of_the_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
