/* SPDX-License-Identifier: MIT */
#include "support/story.h"

#include "support/run.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

int story_run_with(struct test_kernel *kernel, int (*fn)(void *), void *arg)
{
	const int result = test_run_with(NULL, &kernel->table, fn, arg);

	assert_int_equal(test_kernel_left(kernel), 0);
	return result;
}

int story_run(int (*fn)(void *), void *arg)
{
	struct test_kernel kernel;

	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, STORY_START_NS);
	return story_run_with(&kernel, fn, arg);
}

int64_t story_now_ns(void)
{
	return rota_now_ns() - STORY_START_NS;
}

void story_note(struct test_trail *trail, const char *name, int code)
{
	test_trail_add(trail, name);
	if (code == -ECANCELED)
		test_trail_add(trail, "!");
	else if (code == -ETIME)
		test_trail_add(trail, "~");
	else if (code == -ESHUTDOWN)
		test_trail_add(trail, ".");
	else if (code < 0)
		test_trail_add(trail, "?");
	test_trail_add(trail, " ");
}

int act(void *value)
{
	const struct actor *actor = value;
	const int code = rota_sleep(actor->sleep_ns);

	story_note(actor->trail, actor->name, code);
	if (!code)
		return actor->result;
	return actor->spoiled ? actor->spoiled : code;
}
