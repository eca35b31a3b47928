/* SPDX-License-Identifier: MIT */
#include "support/ticks.h"

#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

void ticks_run(int (*fn)(void *), struct ticks *ticks)
{
	assert_int_equal(test_run_timed_with(NULL, &ticks->kernel, fn, ticks),
			 0);
}

int ticks_note(struct ticks *ticks, struct rota_ticker *ticker)
{
	const unsigned i = ticks->count++;

	ticks->missed[i] = UINT64_MAX;
	ticks->codes[i] = rota_ticker_wait(ticker, &ticks->missed[i]);
	ticks->times_ns[i] = ticks->kernel.clock_ns - TEST_START_NS;
	return ticks->codes[i];
}

void ticks_assert(const struct ticks *ticks, unsigned i, int64_t time_ns,
		  uint64_t missed)
{
	assert_true(i < ticks->count);
	assert_int_equal(ticks->codes[i], 0);
	assert_int_equal(ticks->times_ns[i], time_ns);
	assert_int_equal(ticks->missed[i], missed);
}

void ticks_assert_end(const struct ticks *ticks, unsigned i, int code,
		      int64_t time_ns)
{
	assert_true(i < ticks->count);
	assert_int_equal(ticks->codes[i], code);
	assert_int_equal(ticks->times_ns[i], time_ns);
	assert_int_equal(ticks->missed[i], UINT64_MAX);
}
