/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says of a stream that is closed already: its record is free,
 * or another stream's by then. Under a clock of the test's.
 */
#include "rota/rota.h"
#include "support/process.h"
#include "support/served.h"
#include "support/timed.h"
#include "task/task.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct seen {
	struct test_kernel kernel;
	struct rota_group group;
	struct test_served first, second;
	const struct ri_shot *record; /* of the first one */
	bool early;      /* the answer comes before the second is opened */
	bool reused;     /* the second had the same record */
	bool quiet;      /* nobody is to look at it, or to cancel it again */
	int64_t took_ns; /* the second one's close */
	int codes[4];
};

static bool hold_answers(void *context, const struct test_arrival *arrival)
{
	(void)context;
	return arrival->opcode == IORING_OP_ASYNC_CANCEL;
}

/* Its cancel misses, but the operation ends by itself. */
static int close_first(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int error = test_served_open(&seen->first) | test_settle();

	seen->record = seen->first.stream.shot;
	test_kernel_hold(&seen->kernel, hold_answers, NULL);
	seen->kernel.spoil = 1;
	rota_stream_close(&seen->first.stream);
	return error;
}

static int use_second(struct seen *seen)
{
	struct test_served *second = &seen->second;
	const struct ri_tasks *tasks = ri_tasks_here();
	struct rota_view view;
	int error;

	if (!seen->early)
		test_kernel_release_all(&seen->kernel);
	error = test_settle();
	seen->quiet = ri_list_empty(&tasks->shots.missed) &&
		      ri_list_empty(&tasks->shots.chores) &&
		      ri_wheel_empty(&tasks->loop.wheel);
	error |= test_served_give(second, 3);
	seen->codes[1] = rota_stream_view(&second->stream, &view);
	seen->took_ns = test_now_ns();
	test_served_close(second);
	seen->took_ns = test_now_ns() - seen->took_ns;
	return error;
}

static int answer_late(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, close_first, seen);
	error |= test_settle() | test_settle();
	error |= rota_close(seen->first.peer);
	error |= rota_group_wait(&seen->group);
	seen->codes[0] = (int)test_kernel_held(&seen->kernel);
	test_kernel_hold(&seen->kernel, NULL, NULL);
	if (seen->early) {
		test_kernel_release_all(&seen->kernel);
		error |= test_settle();
	}
	error |= test_served_open(&seen->second) | test_settle();
	seen->reused = seen->second.stream.shot == seen->record;
	return error | use_second(seen) | rota_close(seen->first.fd);
}

static void an_answer_that_comes_late_is_for_nobody(void **state)
{
	(void)state;
	for (int early = 0; early < 2; early++) {
		struct seen seen = { .early = early };
		const unsigned before = test_process_descriptors();

		assert_int_equal(test_run_timed_with(NULL, &seen.kernel,
						     answer_late, &seen),
				 0);
		assert_int_equal(test_process_descriptors(), before);
		assert_int_equal(seen.codes[0], 1);
		assert_true(seen.reused);
		assert_true(seen.quiet);
		assert_int_equal(seen.codes[1], 3);
		assert_in_range(seen.took_ns, 0, 10);
	}
}

/* The same record again and again. */
static int open_often(void *arg)
{
	struct seen *seen = arg;
	uint16_t generation = 0;
	int error = 0;

	for (int i = 0; i < 1000 && !error; i++) {
		const uint16_t last = generation;

		error = test_served_open(&seen->first);
		if (i % 2)
			error |= test_settle();
		generation = seen->first.stream.shot->generation;
		seen->codes[0] += i % 2 && generation == last;
		test_served_close(&seen->first);
	}
	seen->codes[1] = (int)ri_tasks_here()->shots.made;
	return error;
}

static void a_record_that_is_used_again_has_another_name(void **state)
{
	struct seen seen = { .early = false };

	(void)state;
	assert_int_equal(
		test_run_timed_with(NULL, &seen.kernel, open_often, &seen), 0);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.codes[1], 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_that_comes_late_is_for_nobody),
		cmocka_unit_test(a_record_that_is_used_again_has_another_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
