/* SPDX-License-Identifier: MIT */
#include "support/shielded.h"

#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

const struct rota_cancellation test_enough = { -EPIPE, "enough" };

void test_shielded_run(int (*fn)(void *), struct test_shielded *seen)
{
	const struct rota_config small = { .stack_bytes = 16384 };

	assert_int_equal(test_run_timed_with(&small, &seen->kernel, fn, seen),
			 0);
}

void test_shielded_cancel(struct test_shielded *seen)
{
	rota_group_cancel(&seen->group, test_enough);
}
