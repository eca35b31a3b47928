/* SPDX-License-Identifier: MIT */
/*
 * fork(2) in a thread beside an engine: in the child it is dead, and says so.
 */
#include "rota/job.h"

#include "support/door.h"
#include "support/run.h"
#include "support/started.h"
#include "stack/sanitizer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What the child finds of its parent's. */
struct found {
	struct test_started started;
	struct door door;
	struct rota_job under_way, ended;
};

static void set_up(struct found *found)
{
	door_make(&found->door);
	assert_int_equal(test_start(&found->started, NULL, NULL), 0);
	assert_int_equal(test_submit(&found->started, &found->ended, door_pass,
				     &found->door),
			 0);
	door_let(&found->door, 1);
	assert_int_equal(rota_job_wait(&found->ended), 1);
	assert_int_equal(test_submit(&found->started, &found->under_way,
				     door_pass, &found->door),
			 0);
	door_await(&found->door, 2);
}

/* The parent's engine goes on, whatever the child did. */
static void tear_down(struct found *found)
{
	door_let(&found->door, 1);
	assert_int_equal(rota_job_wait(&found->under_way), 1);
	assert_int_equal(test_stop(&found->started, 0), 0);
	door_remove(&found->door);
}

/* In a child of this thread: what fn returned. */
static int in_child(int (*fn)(struct found *found), struct found *found)
{
	const pid_t pid = fork();
	int status;

	if (pid == 0) {
		alarm(test_seconds());
		_exit(fn(found));
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int try_all(struct found *found)
{
	struct rota_engine *engine = found->started.engine;
	struct rota_job job;

	if (test_submit(&found->started, &job, door_pass, &found->door) !=
	    -EOWNERDEAD)
		return 1;
	if (rota_engine_stop(engine, ROTA_NEVER) != -EOWNERDEAD)
		return 2;
	rota_job_cancel(&found->under_way, (struct rota_cancellation){ 0 });
	if (!rota_job_ended(&found->under_way) ||
	    rota_job_wait(&found->under_way) != -EOWNERDEAD)
		return 3;
	if (!rota_job_ended(&found->ended) || rota_job_wait(&found->ended) != 1)
		return 4;
	rota_engine_abandon(engine);
	return 0;
}

static void in_a_child_every_call_says_that_the_engine_is_dead(void **state)
{
	struct found found;

	(void)state;
	set_up(&found);
	assert_int_equal(in_child(try_all, &found), 0);
	assert_false(rota_job_ended(&found.under_way));
	tear_down(&found);
}

/* Its sanitizer wants no threads in the child of one with threads. */
static void need_threads_in_children(void)
{
	if (RI_TSAN)
		test_skip("threads after a fork, under TSan");
}

static int start_own(struct found *found)
{
	struct rota_engine *engine;
	struct rota_job job;
	struct door door;
	int result;

	rota_engine_abandon(found->started.engine);
	if (rota_engine_start(&engine, NULL))
		return 1;
	door_make(&door);
	job = (struct rota_job){ .engine = engine };
	if (rota_submit(&job, door_pass, &door))
		return 2;
	door_let(&door, 1);
	result = rota_job_wait(&job);
	return result == 1 ? -rota_engine_stop(engine, 0) : 3;
}

static void a_child_may_start_an_engine_of_its_own(void **state)
{
	struct found found;

	(void)state;
	need_threads_in_children();
	set_up(&found);
	assert_int_equal(in_child(start_own, &found), 0);
	tear_down(&found);
}

/* And its child: an engine of the child is dead there too. */
static int fork_again(struct found *found)
{
	struct test_started own;
	int result;

	if (rota_engine_start(&own.engine, NULL))
		return 10;
	found->started.engine = own.engine;
	found->under_way = (struct rota_job){ .engine = own.engine };
	if (rota_submit(&found->under_way, door_pass, &found->door))
		return 11;
	result = in_child(try_all, found);
	if (rota_engine_stop(own.engine, 0))
		return 12;
	return result;
}

static void so_is_the_engine_of_a_child_in_its_child(void **state)
{
	struct found found;

	(void)state;
	need_threads_in_children();
	set_up(&found);
	assert_int_equal(in_child(fork_again, &found), 0);
	tear_down(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			in_a_child_every_call_says_that_the_engine_is_dead),
		cmocka_unit_test(a_child_may_start_an_engine_of_its_own),
		cmocka_unit_test(so_is_the_engine_of_a_child_in_its_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
