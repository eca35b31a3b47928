/* SPDX-License-Identifier: MIT */
/*
 * Many operations that end at once, on a ring of few entries: none is lost for
 * want of an entry or of room for completions.
 */
#include "rota/rota.h"
#include "support/run.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 10000

struct stage {
	struct rota_group group;
	int pair[2];
	int64_t deadline_ns;
	unsigned blocked; /* tasks that have called their verb */
	unsigned late, cancelled, others;
};

static const struct rota_config small = { .entries = 64 };

static int receive(void *value)
{
	struct stage *stage = *(struct stage **)value;
	struct rota_deadline deadline;
	char byte;
	int result;

	rota_deadline_begin(&deadline, stage->deadline_ns);
	stage->blocked++;
	result = rota_recv(stage->pair[0], &byte, 1, 0);
	if (rota_deadline_end(&deadline) && result == -ETIME)
		stage->late++;
	else if (result == -ECANCELED)
		stage->cancelled++;
	else
		stage->others++;
	return 0;
}

static int spawn_many(struct stage *stage)
{
	int error = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, stage->pair))
		return -errno;
	rota_group_open(&stage->group, NULL);
	for (int i = 0; i < MANY && !error; i++)
		error = rota_go(&stage->group, receive, stage);
	return error;
}

static int expire_at_once(void *arg)
{
	struct stage *stage = arg;
	int error = spawn_many(stage);

	error |= rota_group_wait(&stage->group);
	close(stage->pair[0]);
	close(stage->pair[1]);
	return error;
}

static void a_ring_of_64_entries_serves_10000_deadlines_at_once(void **state)
{
	struct stage stage = { .deadline_ns = TEST_START_NS + ROTA_SECOND };
	struct test_kernel kernel;

	(void)state;
	assert_int_equal(test_run_timed_with(&small, &kernel, expire_at_once,
					     &stage),
			 0);
	assert_int_equal(stage.late, MANY);
	assert_int_equal(kernel.clock_ns, TEST_START_NS + ROTA_SECOND);
}

static int cancel_at_once(void *arg)
{
	struct stage *stage = arg;
	int error = spawn_many(stage);

	while (stage->blocked < MANY)
		rota_yield();
	error |= rota_sleep_until(rota_after_ns(ROTA_MILLISECOND));
	rota_group_cancel(&stage->group,
			  (struct rota_cancellation){ -EPIPE, NULL });
	error |= rota_group_wait(&stage->group) != -EPIPE;
	close(stage->pair[0]);
	close(stage->pair[1]);
	return error;
}

static void a_ring_of_64_entries_serves_10000_cancels_at_once(void **state)
{
	struct stage stage = { .deadline_ns = ROTA_NEVER };

	(void)state;
	assert_int_equal(test_run_with(&small, NULL, cancel_at_once, &stage),
			 0);
	assert_int_equal(stage.cancelled, MANY);
}

static void completions_that_overflow_their_queue_all_arrive(void **state)
{
	const struct rota_config tiny = { .entries = 8, .completions = 16 };
	struct stage stage = { .deadline_ns = ROTA_NEVER };

	(void)state;
	assert_int_equal(test_run_with(&tiny, NULL, cancel_at_once, &stage), 0);
	assert_int_equal(stage.cancelled, MANY);
}

static int close_at_once(void *arg)
{
	struct stage *stage = arg;
	int error = spawn_many(stage);

	while (stage->blocked < MANY)
		rota_yield();
	error |= rota_close(stage->pair[0]);
	error |= rota_group_wait(&stage->group);
	close(stage->pair[1]);
	return error;
}

static void a_close_ends_10000_waits_at_once(void **state)
{
	struct stage stage = { .deadline_ns = ROTA_NEVER };

	(void)state;
	assert_int_equal(test_run_with(&small, NULL, close_at_once, &stage), 0);
	assert_int_equal(stage.others, MANY);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_ring_of_64_entries_serves_10000_deadlines_at_once),
		cmocka_unit_test(
			a_ring_of_64_entries_serves_10000_cancels_at_once),
		cmocka_unit_test(
			completions_that_overflow_their_queue_all_arrive),
		cmocka_unit_test(a_close_ends_10000_waits_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
