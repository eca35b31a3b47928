/* SPDX-License-Identifier: MIT */
/*
 * What is told when streams wait for buffers for long: who has them. Under a
 * clock of the test's; the order in which they are fed: io/stream_hunger.c.
 */
#include "rota/rota.h"
#include "support/child.h"
#include "support/flow.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct flow flow;

static struct rota_view kept;

static int setup(void **state)
{
	(void)state;
	flow_init_buffers(&flow, 2, 1);
	test_kernel_clock(&flow.kernel, 1000 * ROTA_SECOND);
	return 0;
}

static void rest(int64_t duration_ns)
{
	(void)!rota_sleep(duration_ns);
}

/* Stream 0 has both, one of them kept. */
static int take_all(void)
{
	int error = flow_open(&flow, 0, NULL);

	flow_say(&flow, 0, "ab");
	flow_settle();
	flow_view(&flow, 0);
	kept = flow.view;
	rota_view_keep(&flow.streams[0], &flow.view);
	return error;
}

static int go_hungry(unsigned i)
{
	int error = flow_open(&flow, i, NULL);

	flow_say(&flow, i, "x");
	flow_settle();
	flow_expect(&flow, flow_hungry(&flow, i), "it is not hungry");
	return error;
}

static void end(void)
{
	if (kept.data)
		rota_view_release(&kept);
	for (unsigned i = 0; i < FLOW_STREAMS; i++)
		flow_close(&flow, i);
	flow_audit(&flow);
}

static int starve(void *value)
{
	int error = take_all() | go_hungry(1);

	(void)value;
	rest(900 * ROTA_MILLISECOND);
	flow_note(&flow, (int)flow.said.lines);
	rest(200 * ROTA_MILLISECOND);
	flow_note(&flow, (int)flow.said.lines);
	rest(10 * ROTA_SECOND);
	flow_note(&flow, (int)flow.said.lines);
	end();
	return error;
}

/* Where it is spawned. */
static const int starve_line = __LINE__ + 8;

static int starve_in_member(void *arg)
{
	int error;

	(void)arg;
	rota_group_open(&flow.group, NULL);
	error = rota_go(&flow.group, starve, 0);
	return error | rota_group_wait(&flow.group);
}

static void after_a_second_it_is_told_once_who_has_them(void **state)
{
	char words[256];

	(void)state;
	flow_run(&flow, starve_in_member);
	assert_int_equal(flow.codes[0], 0);
	assert_int_equal(flow.codes[1], 3);
	assert_int_equal(flow.codes[2], 3);
	assert_true(test_log_has(&flow.said,
				 "streams have waited for buffers for 1000 ms: "
				 "of 2, 2 are out, 1 of them kept by "
				 "rota_view_keep\n"));
	snprintf(words, sizeof(words),
		 "a view is kept by task starve (spawned at %s:%d)\n", __FILE__,
		 starve_line);
	assert_true(test_log_has(&flow.said, words));
	snprintf(words, sizeof(words),
		 "2 of the buffers: task 1 starve (spawned at %s:%d) waits in "
		 "sleep for ",
		 __FILE__, starve_line);
	assert_true(test_log_has(&flow.said, words));
}

static int be_fed_in_time(void *arg)
{
	int error = take_all() | go_hungry(1);

	(void)arg;
	rest(900 * ROTA_MILLISECOND);
	flow_close(&flow, 0);
	flow_note(&flow, flow_view(&flow, 1));
	rest(ROTA_SECOND);
	end();
	return error;
}

static void who_is_fed_in_time_is_not_told_of(void **state)
{
	(void)state;
	flow_run(&flow, be_fed_in_time);
	assert_int_equal(flow.said.lines, 0);
}

static int starve_together(void *arg)
{
	int error = take_all() | go_hungry(1);

	(void)arg;
	rest(900 * ROTA_MILLISECOND);
	error |= go_hungry(2);
	rest(200 * ROTA_MILLISECOND);
	flow_note(&flow, (int)flow.said.lines > 0);
	end();
	return error;
}

static void a_second_counts_from_the_first_who_waits(void **state)
{
	(void)state;
	flow_run(&flow, starve_together);
	assert_int_equal(flow.codes[0], true);
}

static int end_at_once(void *arg)
{
	int error = take_all() | go_hungry(1);

	(void)arg;
	end();
	return error;
}

static void an_engine_may_end_before_the_second_is_over(void **state)
{
	(void)state;
	flow_run(&flow, end_at_once);
	assert_int_equal(flow.said.lines, 0);
}

/* Somebody waits all the time, but each is fed soon. */
static int be_fed_by_turns(void *arg)
{
	int error = take_all() | go_hungry(1) | go_hungry(2) | go_hungry(3);

	(void)arg;
	rota_view_release(&kept);
	for (unsigned round = 0; round < 30; round++) {
		const unsigned i = 1 + round % 3;

		rest(300 * ROTA_MILLISECOND);
		flow_expect(&flow, flow_hungry(&flow, 1 + (round + 1) % 3),
			    "nobody waits");
		flow_expect(&flow, flow_view(&flow, i) == 1, "no byte");
		flow_close(&flow, i);
		error |= go_hungry(i);
	}
	flow_note(&flow, (int)flow.said.lines);
	end();
	return error;
}

static void while_some_are_fed_it_is_not_told(void **state)
{
	(void)state;
	flow_run(&flow, be_fed_by_turns);
	assert_int_equal(flow.codes[0], 0);
}

/* The first is fed; of the second it is told when a second of its own is over,
 * and of the third, after that, again. */
static int starve_by_turns(void *arg)
{
	int error = take_all() | go_hungry(1);

	(void)arg;
	rest(900 * ROTA_MILLISECOND);
	rota_view_release(&kept);
	flow_hear(&flow, 1, 1);
	flow_expect(&flow, !flow_hungry(&flow, 1), "it is not fed");
	error |= go_hungry(2);
	rest(500 * ROTA_MILLISECOND);
	flow_note(&flow, (int)flow.said.lines);
	rest(600 * ROTA_MILLISECOND);
	flow_note(&flow, (int)flow.said.lines > 0);
	flow.said.lines = 0;
	flow_close(&flow, 1);
	flow_hear(&flow, 2, 1);
	rest(10 * ROTA_SECOND);
	flow_note(&flow, (int)flow.said.lines);
	error |= go_hungry(3);
	rest(1100 * ROTA_MILLISECOND);
	flow_note(&flow, (int)flow.said.lines > 0);
	end();
	return error;
}

static void each_famine_has_a_second_of_its_own(void **state)
{
	static const int expected[] = { 0, true, 0, true };

	(void)state;
	flow_run(&flow, starve_by_turns);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(flow.codes[i], expected[i]);
}

/* Nothing more than sixteen lines. */
static struct rota_view many[40];

static int keep_many(void *arg)
{
	const struct rota_stream_options options = { .items_max = 40 };
	int error = flow_open(arg, 0, &options);

	flow_drip(&flow, 0, 40);
	for (unsigned i = 0; i < 40; i++) {
		flow_view(&flow, 0);
		many[i] = flow.view;
		rota_view_keep(&flow.streams[0], &flow.view);
	}
	error |= go_hungry(1);
	rest(2 * ROTA_SECOND);
	flow_note(&flow, (int)flow.said.lines);
	for (unsigned i = 0; i < 40; i++)
		rota_view_release(&many[i]);
	flow_close(&flow, 0);
	flow_close(&flow, 1);
	return error;
}

static void no_more_than_sixteen_are_named(void **state)
{
	(void)state;
	flow.config.stream_buffers = 40;
	flow_run(&flow, keep_many);
	assert_int_equal(flow.codes[0], 17);
}

static int wait_for_ever(void *arg)
{
	(void)arg;
	return take_all() | go_hungry(1) | flow_view(&flow, 1);
}

/* To stderr. */
static int run_in_child(int (*fn)(void *), unsigned buffers)
{
	flow.config.stream_buffers = buffers;
	flow.config.log = NULL;
	flow.config.context = NULL;
	return rota_run(&flow.config, fn, &flow);
}

static int wait_in_child(void *arg)
{
	(void)arg;
	return run_in_child(wait_for_ever, 2);
}

static void a_deadlock_tells_who_has_them(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, wait_in_child, NULL);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(
		strstr(child.errors, "streams have waited for buffers for "));
	assert_non_null(strstr(child.errors,
			       "a view is kept by task main (spawned at"));
	assert_non_null(strstr(child.errors, "2 of the buffers: task 0"));
	assert_non_null(strstr(child.errors, "deadlock: 1 tasks wait"));
}

/* At its cap it waits for what it keeps itself. */
static int keep_ones_due(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_say(&flow, 0, "ab");
	for (int i = 0; i < 2; i++) {
		flow_view(&flow, 0);
		rota_view_keep(&flow.streams[0], &flow.view);
	}
	return error | flow_view(&flow, 0);
}

static int keep_in_child(void *arg)
{
	(void)arg;
	return run_in_child(keep_ones_due, 8);
}

static void so_does_one_of_who_keeps_all_that_it_may_have(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, keep_in_child, NULL);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors,
			       "a view is kept by task main (spawned at"));
	assert_non_null(strstr(child.errors, "deadlock: 1 tasks wait"));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(after_a_second_it_is_told_once_who_has_them),
		TEST(who_is_fed_in_time_is_not_told_of),
		TEST(a_second_counts_from_the_first_who_waits),
		TEST(an_engine_may_end_before_the_second_is_over),
		TEST(while_some_are_fed_it_is_not_told),
		TEST(each_famine_has_a_second_of_its_own),
		TEST(no_more_than_sixteen_are_named),
		TEST(a_deadlock_tells_who_has_them),
		TEST(so_does_one_of_who_keeps_all_that_it_may_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
