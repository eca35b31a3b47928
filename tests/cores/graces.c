/* SPDX-License-Identifier: MIT */
/*
 * Engines whose tasks all end before the grace that they were given is over.
 */
#include "rota/rota.h"
#include "support/guest.h"
#include "support/started.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Longer than any test may take. */
#define GRACE_NS (3600 * ROTA_SECOND)

static int wait_idly(void *value)
{
	struct rota_idle idle;
	int error;

	(void)value;
	rota_idle_begin(&idle);
	error = rota_sleep(ROTA_NEVER);
	rota_idle_end(&idle);
	return error;
}

static void an_engine_without_jobs_stops_and_leaves_its_grace(void **state)
{
	const struct rota_config config = { .loops = 2 };
	struct test_started started;

	(void)state;
	assert_int_equal(test_start(&started, &config, NULL), 0);
	assert_int_equal(test_stop(&started, GRACE_NS), 0);
}

static void an_engine_stops_as_soon_as_who_is_idle_has_ended(void **state)
{
	const struct rota_config config = { .loops = 2 };
	struct test_started started;
	struct rota_job job;

	(void)state;
	assert_int_equal(test_start(&started, &config, NULL), 0);
	assert_int_equal(test_submit(&started, &job, wait_idly, &job), 0);
	assert_int_equal(test_stop(&started, GRACE_NS), 0);
	assert_int_equal(rota_job_wait(&job), -ESHUTDOWN);
}

static void a_guest_ends_as_soon_as_who_is_idle_has(void **state)
{
	struct test_guest guest = { 0 };
	struct rota_job job;

	(void)state;
	assert_int_equal(test_guest_make(&guest, NULL, NULL), 0);
	assert_int_equal(test_submit(&guest, &job, wait_idly, &job), 0);
	assert_int_equal(rota_engine_drain(guest.engine, GRACE_NS), 0);
	test_guest_until(&guest, &job);
	assert_int_equal(rota_engine_destroy(guest.engine), 0);
	assert_int_equal(rota_job_wait(&job), -ESHUTDOWN);
}

static void
a_guest_without_jobs_is_drained_and_ends_without_a_step(void **state)
{
	static const int64_t graces_ns[] = { 0, GRACE_NS, ROTA_NEVER };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct test_guest guest = { 0 };

		assert_int_equal(test_guest_make(&guest, NULL, NULL), 0);
		assert_int_equal(rota_engine_drain(guest.engine, graces_ns[i]),
				 0);
		assert_int_equal(rota_engine_destroy(guest.engine), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_engine_without_jobs_stops_and_leaves_its_grace),
		cmocka_unit_test(
			an_engine_stops_as_soon_as_who_is_idle_has_ended),
		cmocka_unit_test(a_guest_ends_as_soon_as_who_is_idle_has),
		cmocka_unit_test(
			a_guest_without_jobs_is_drained_and_ends_without_a_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
