/* SPDX-License-Identifier: MIT */
#include "support/timed.h"

#include "support/process.h"
#include "support/run.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

int test_run_timed_with(const struct rota_config *config,
			struct test_kernel *kernel, int (*fn)(void *),
			void *arg)
{
	struct test_kernel own;
	int result;

	if (!kernel)
		kernel = &own;
	test_kernel_init(kernel);
	test_kernel_clock(kernel, TEST_START_NS);
	result = test_run_with(config, &kernel->table, fn, arg);
	assert_int_equal(test_kernel_left(kernel), 0);
	return result;
}

int test_run_timed(int (*fn)(void *), void *arg)
{
	return test_run_timed_with(NULL, NULL, fn, arg);
}

void test_run_timed_clean(const struct rota_config *config,
			  struct test_kernel *kernel, int (*fn)(void *),
			  void *arg)
{
	const unsigned before = test_process_descriptors();

	assert_int_equal(test_run_timed_with(config, kernel, fn, arg), 0);
	assert_int_equal(test_process_descriptors(), before);
}

int64_t test_now_ns(void)
{
	return rota_now_ns() - TEST_START_NS;
}

int test_settle(void)
{
	return rota_sleep(1) | rota_sleep(1) | rota_sleep(1);
}
