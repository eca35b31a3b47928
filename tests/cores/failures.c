/* SPDX-License-Identifier: MIT */
/*
 * The Nth call of each kind fails, for N from 1 until there are no more calls:
 * each is a clean error, and nothing is left behind.
 */
#include "support/kernel.h"
#include "support/log.h"
#include "support/mask.h"
#include "support/process.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TASKS 5

/* More than any of these needs. */
#define CALLS_MAX 200

struct seen {
	struct test_kernel kernel;
	struct test_log log;
	unsigned started, ended;
	bool refused; /* rota_go told the error */
};

static int rest(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const int error = rota_sleep(ROTA_MICROSECOND);

	seen->ended++;
	return error;
}

/* Stacks of three sizes, and timers. */
static int work(void *arg)
{
	struct seen *seen = arg;
	int error = 0;

	for (unsigned i = 1; i <= 3 && !error; i++) {
		struct rota_group group;

		rota_group_open(&group, &(struct rota_group_options){
						.stack_bytes = i * 100000 });
		for (unsigned j = 0; j < TASKS && !error; j++) {
			error = rota_go(&group, rest, seen);
			seen->started += !error;
			seen->refused = error != 0;
		}
		rota_group_wait(&group);
	}
	return error;
}

/* What the run returned; *fired tells whether there was such a call. */
static int run_with_fault(struct seen *seen, const struct test_fault *fault,
			  bool *fired)
{
	const struct rota_config config = { .log = test_log_write,
					    .context = &seen->log };
	int result;

	memset(seen, 0, sizeof(*seen));
	test_kernel_init(&seen->kernel);
	test_kernel_fail(&seen->kernel, fault);
	result = test_run_with(&config, &seen->kernel.table, work, seen);
	*fired = seen->kernel.faults[0].times == 0;
	return result;
}

/* Runs with the Nth call of a kind failing. Returns how many there are. */
static unsigned fail_each(enum test_call call, int error, bool harmless)
{
	const unsigned descriptors = test_process_descriptors();
	bool fired = true;
	unsigned nth = 0;

	while (fired) {
		const struct test_fault fault = { .call = call,
						  .nth = ++nth,
						  .error = error };
		static struct seen seen;
		const int result = run_with_fault(&seen, &fault, &fired);

		assert_true(nth < CALLS_MAX);
		assert_true(result == 0 || result == error);
		assert_int_equal(result == 0, !fired || harmless);
		assert_int_equal(seen.started, seen.ended);
		assert_int_equal(test_kernel_left(&seen.kernel), 0);
		assert_int_equal(test_process_descriptors(), descriptors);
		/* Told by one line, or by rota_go. */
		if (result)
			assert_int_equal(seen.log.lines, !seen.refused);
		else
			assert_int_equal(seen.log.lines, 0);
	}
	return nth - 1;
}

static void each_map_may_fail(void **state)
{
	(void)state;
	/* the engine, records, table, signal stack (not if there is one), four
	 * sizes */
	assert_in_range(fail_each(TEST_MAP, -ENOMEM, false), 7, 8);
}

static void each_advice_may_fail(void **state)
{
	(void)state;
	assert_in_range(fail_each(TEST_ADVISE, -ENOMEM, false), 4, 4 + 16);
}

static void each_protection_may_fail(void **state)
{
	(void)state;
	setenv("ROTA_MASK", "guard", 1);
	assert_int_equal(fail_each(TEST_FORBID, -ENOMEM, false), 16);
}

static void the_ring_may_not_open(void **state)
{
	(void)state;
	assert_int_equal(fail_each(TEST_RING_OPEN, -EMFILE, false), 1);
}

static void memory_for_the_ring_may_lack_at_first(void **state)
{
	(void)state;
	assert_int_equal(fail_each(TEST_RING_OPEN, -ENOMEM, true), 1);
}

/* Of the ring's descriptor, which we do without; the probe, too; of the workers;
 * and the withdrawal of the descriptor. */
static void each_registration_may_fail(void **state)
{
	static struct seen seen;
	bool fired;
	int results[5];

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		results[i] = run_with_fault(
			&seen,
			&(struct test_fault){ .call = TEST_ENROLL,
					      .nth = i + 1,
					      .error = -ENOMEM },
			&fired);
		assert_int_equal(fired, i < 4);
		assert_int_equal(test_kernel_left(&seen.kernel), 0);
	}
	assert_int_equal(results[0], 0);
	assert_int_equal(results[1], 0);
	assert_int_equal(results[2], -ENOMEM);
	assert_int_equal(results[3], 0);
	assert_int_equal(results[4], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_map_may_fail),
		cmocka_unit_test(each_advice_may_fail),
		cmocka_unit_test_setup_teardown(each_protection_may_fail,
						test_mask_keep,
						test_mask_restore),
		cmocka_unit_test(the_ring_may_not_open),
		cmocka_unit_test(memory_for_the_ring_may_lack_at_first),
		cmocka_unit_test(each_registration_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
