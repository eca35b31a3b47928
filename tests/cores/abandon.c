/* SPDX-License-Identifier: MIT */
/*
 * Engines that cannot be stopped and are given up: the process goes on, and can
 * exit.
 */
#include "rota/job.h"

#include "cores/engine.h"
#include "ring/linux.h"
#include "support/child.h"
#include "support/door.h"
#include "support/guest.h"
#include "support/kernel.h"
#include "support/log.h"
#include "support/run.h"
#include "support/started.h"

#include <errno.h>
#include <liburing.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Stacks have guards, which a search for leaks would fall over. All else is
 * memory that would be told if it were lost. */
#define STACKS_BYTES ((size_t)1 << 20)

static void *allocate(void *context, size_t bytes)
{
	void *start = NULL;

	(void)context;
	if (bytes >= STACKS_BYTES)
		return ri_kernel_linux.map(&ri_kernel_linux, bytes, &start)
			       ? NULL
			       : start;
	if (posix_memalign(&start, 4096, bytes))
		return NULL;
	memset(start, 0, bytes);
	return start;
}

static void release(void *context, void *start, size_t bytes)
{
	(void)context;
	if (bytes >= STACKS_BYTES)
		ri_kernel_linux.unmap(&ri_kernel_linux, start, bytes);
	else
		free(start);
}

static int at_once(const struct ri_kernel *kernel, const uint32_t *word,
		   uint32_t value, int64_t deadline_ns)
{
	/* The second after the cancel is over. The answers are waited for. */
	return deadline_ns - ri_kernel_linux.now_ns(kernel) > ROTA_SECOND / 2
		       ? -ETIMEDOUT
		       : ri_kernel_linux.futex_wait(kernel, word, value,
						    deadline_ns);
}

/* What the kernel has for ever. It outlives whoever gives the engine up. */
static struct test_kernel kernel;
static struct test_started started;
static struct rota_job job;
static struct door door;

static const struct rota_config config = {
	.log = test_log_nothing,
	.tasks_max = 64, /* all of it is touched */
	.streams_max = 64,
	.no_overflow_report = true, /* who watches would know of it */
	.allocate = allocate,
	.release = release,
};

static int abandon_stuck(void *arg)
{
	static int reads = IORING_OP_READ;

	(void)arg;
	test_kernel_init(&kernel);
	kernel.table.futex_wait = at_once;
	/* Not what wakes the loop, before Linux 6.13: a poll. */
	test_kernel_hold(&kernel, test_hold_opcode, &reads);
	door_make(&door);
	if (test_start(&started, &config, &kernel.table) ||
	    test_submit(&started, &job, door_pass, &door))
		return 1;
	door_await(&door, 1);
	if (test_stop(&started, 0) != -EBUSY)
		return 2;
	test_abandon(&started);
	exit(0);
}

static int abandon_blocked(void *arg)
{
	static struct ri_kernel impatient;

	(void)arg;
	impatient = *test_linux();
	impatient.futex_wait = at_once;
	door_make(&door);
	if (test_start(&started, &config, &impatient) ||
	    test_submit(&started, &job, door_block, &door))
		return 1;
	door_await(&door, 1);
	if (test_stop(&started, 0) != -EBUSY)
		return 2;
	test_abandon(&started);
	door_let(&door, 1);
	/* what could end has, and tells so */
	exit(rota_job_wait(&job) == 1 ? 0 : 3);
}

/* A guest has no thread that still knows of it. */
static __attribute__((noinline)) int abandon_one_guest(void)
{
	struct test_guest guest;

	if (test_guest_make(&guest, &config, NULL))
		return 1;
	job = (struct rota_job){ .engine = guest.engine };
	if (rota_submit(&job, door_pass, &door) ||
	    rota_engine_step(guest.engine) != 1)
		return 2;
	rota_engine_abandon(guest.engine);
	memset(&job, 0, sizeof(job));
	return 0;
}

static __attribute__((noinline)) int clear_stack(void)
{
	volatile char frame[16384];

	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = 0;
	return frame[0];
}

static int abandon_guest(void *arg)
{
	int error;

	(void)arg;
	door_make(&door);
	error = abandon_one_guest();
	exit(error + clear_stack());
}

static void exits_cleanly(int (*fn)(void *))
{
	struct test_child child;

	test_child_run(&child, fn, NULL);
	if (child.status)
		print_error("%s\n", child.errors);
	assert_int_equal(child.signal, 0);
	assert_int_equal(child.status, 0);
	assert_string_equal(child.errors, "");
}

static void an_operation_of_an_abandoned_engine_may_never_end(void **state)
{
	(void)state;
	exits_cleanly(abandon_stuck);
}

static void a_job_of_an_abandoned_engine_may_end_and_be_waited_for(void **state)
{
	(void)state;
	exits_cleanly(abandon_blocked);
}

static void an_abandoned_guest_is_not_taken_for_lost(void **state)
{
	(void)state;
	exits_cleanly(abandon_guest);
}

static void another_engine_runs_beside_an_abandoned_one(void **state)
{
	struct test_started other;
	struct rota_job late;

	(void)state;
	door_make(&door);
	assert_int_equal(test_start(&started, NULL, NULL), 0);
	test_abandon(&started);
	assert_int_equal(test_submit(&started, &late, door_pass, &door),
			 -ESHUTDOWN);
	assert_int_equal(test_start(&other, NULL, NULL), 0);
	assert_int_equal(test_submit(&other, &job, door_pass, &door), 0);
	door_let(&door, 1);
	assert_int_equal(rota_job_wait(&job), 1);
	assert_int_equal(test_stop(&other, 0), 0);
	door_remove(&door);
}

static int abandon_own(void *value)
{
	rota_engine_abandon(*(struct rota_engine **)value);
	return 0;
}

static int submit_abandon_own(void *arg)
{
	(void)arg;
	if (test_start(&started, NULL, NULL) ||
	    test_submit(&started, &job, abandon_own, started.engine))
		return 1;
	return rota_job_wait(&job);
}

static void a_task_may_not_abandon_its_own_engine(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, submit_abandon_own, NULL);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors,
			       "rota_engine_abandon on a loop of the engine"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_operation_of_an_abandoned_engine_may_never_end),
		cmocka_unit_test(
			a_job_of_an_abandoned_engine_may_end_and_be_waited_for),
		cmocka_unit_test(an_abandoned_guest_is_not_taken_for_lost),
		cmocka_unit_test(a_task_may_not_abandon_its_own_engine),
		/* last: what it leaves behind is there for ever */
		cmocka_unit_test(another_engine_runs_beside_an_abandoned_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
