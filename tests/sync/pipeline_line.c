/* SPDX-License-Identifier: MIT */
/*
 * Pipelines that are a line: all of it runs or nothing does, and each item that
 * was made has come to its end, was discarded, or is the one that failed.
 */
#include "support/loops.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define ITEMS 200
#define STAGES 4
#define SINK (STAGES - 1)

struct line;

struct part {
	struct line *line;
	unsigned index; /* of the stage */
};

struct line {
	struct rota_pipeline_stage stages[STAGES];
	struct part parts[STAGES];         /* what the stages are given */
	struct rota_group_options group;   /* to run it in */
	int failing;                       /* a stage; -1: none */
	atomic_int made;                   /* items that the source made */
	atomic_int calls;                  /* of any fn */
	atomic_int ends[ITEMS];            /* how often each came to one */
	atomic_int out, discarded, failed; /* which one it was */
	int spawned;                       /* what the spawn has returned */
	int result;                        /* of the group */
};

static void note(struct line *line, int item, atomic_int *count)
{
	atomic_fetch_add(&line->ends[item], 1);
	atomic_fetch_add(count, 1);
}

/* Each stage adds one to what it gets. */
static int work(void *in, void *out, void *arg)
{
	struct part *part = arg;
	struct line *line = part->line;
	int item = in ? *(int *)in - (int)part->index
		      : atomic_fetch_add(&line->made, 1);

	atomic_fetch_add(&line->calls, 1);
	if (item >= ITEMS)
		return 0;
	if (item % 7 == 0)
		rota_yield();
	if ((int)part->index == line->failing && item >= ITEMS / 2) {
		note(line, item, &line->failed);
		return -EIO;
	}
	if (part->index == SINK)
		note(line, item, &line->out);
	else
		*(int *)out = item + (int)part->index + 1;
	return 1;
}

static void discard(void *item, void *arg)
{
	struct part *part = arg;

	note(part->line, *(int *)item - (int)part->index - 1,
	     &part->line->discarded);
}

static void make(struct line *line, unsigned workers, bool spread)
{
	*line = (struct line){ .failing = -1 };
	for (unsigned i = 0; i < STAGES; i++) {
		line->parts[i] = (struct part){ line, i };
		line->stages[i] = (struct rota_pipeline_stage){
			.fn = work,
			.workers = workers,
			.spread = spread && i != 2,
			.out_bytes = i == SINK ? 0 : sizeof(int),
			.capacity = i == SINK ? 0 : i,
			.discard = i == SINK ? NULL : discard,
			.arg = &line->parts[i],
		};
	}
}

static int play(void *arg)
{
	struct line *line = arg;
	struct rota_group group;

	rota_group_open(&group, &line->group);
	line->spawned = rota_go_pipeline(&group, line->stages, STAGES);
	line->result = rota_group_wait(&group);
	return 0;
}

/* Of the items that were made, that is. */
static void assert_each_once(struct line *line)
{
	const int made = line->made < ITEMS ? line->made : ITEMS;

	for (int i = 0; i < ITEMS; i++)
		assert_int_equal(line->ends[i], i < made);
	assert_int_equal(line->out + line->discarded + line->failed, made);
}

static void assert_nothing_was_begun(struct line *line, int error)
{
	assert_int_equal(line->spawned, error);
	assert_int_equal(line->result, 0);
	assert_int_equal(line->calls, 0);
}

static void what_is_made_comes_out_at_the_end(void **state)
{
	struct line line;

	(void)state;
	for (unsigned workers = 0; workers < 4; workers++) {
		make(&line, workers, false);
		assert_int_equal(test_run(play, &line), 0);
		assert_int_equal(line.spawned, 0);
		assert_int_equal(line.result, 0);
		assert_each_once(&line);
		assert_int_equal(line.out, ITEMS);
	}
}

static void over_loops_it_comes_out_too(void **state)
{
	struct line line;

	(void)state;
	for (unsigned workers = 1; workers < 6; workers++) {
		make(&line, workers, true);
		assert_int_equal(test_run_loops(play, &line), 0);
		assert_int_equal(line.spawned, 0);
		assert_int_equal(line.result, 0);
		assert_each_once(&line);
		assert_int_equal(line.out, ITEMS);
	}
}

static void when_one_stage_fails_all_end_and_what_is_left_is_discarded(void **s)
{
	struct line line;

	(void)s;
	for (unsigned i = 0; i < 2 * STAGES; i++) {
		make(&line, 1 + i % 3, i >= STAGES);
		line.failing = (int)i % STAGES;
		assert_int_equal(test_run_loops(play, &line), 0);
		assert_int_equal(line.spawned, 0);
		assert_int_equal(line.result, -EIO);
		assert_each_once(&line);
		assert_true(line.failed >= 1);
	}
}

/* As many workers as there are, but one, for which there is no room. */
static void at_the_limit_of_its_group_nothing_is_begun(void **state)
{
	struct line line;

	(void)state;
	for (unsigned limit = 1; limit <= 3 * STAGES; limit++) {
		make(&line, 3, false);
		line.group.limit = limit;
		assert_int_equal(test_run(play, &line), 0);
		if (limit < 3 * STAGES)
			assert_nothing_was_begun(&line, -EAGAIN);
		else
			assert_int_equal(line.out, ITEMS);
	}
}

static void over_loops_nothing_is_begun_either(void **state)
{
	struct line line;

	(void)state;
	for (unsigned limit = 1; limit < 3 * STAGES; limit++) {
		make(&line, 3, true);
		line.group.limit = limit;
		assert_int_equal(test_run_loops(play, &line), 0);
		assert_nothing_was_begun(&line, -EAGAIN);
	}
}

/* A member on another loop asks for each slot, and waits for the answer: what
 * is on its own loop runs meanwhile. */
struct asker {
	struct line *line;
	struct rota_group *group;
};

static int spawn_from_there(void *value)
{
	const struct asker *asker = value;
	struct line *line = asker->line;

	line->spawned = rota_go_pipeline(asker->group, line->stages, STAGES);
	return 0;
}

static int play_from_there(void *arg)
{
	struct line *line = arg;
	struct rota_group group;
	const struct asker asker = { line, &group };
	int error;

	rota_group_open(&group, &line->group);
	error = rota_go_on(&group, 1, spawn_from_there, asker);
	line->result = rota_group_wait(&group);
	return error;
}

static void spawn_at_limit_from_there(unsigned limit, bool spread)
{
	struct line line;

	make(&line, 3, spread);
	line.group.limit = limit;
	assert_int_equal(test_run_loops(play_from_there, &line), 0);
	if (limit <= 3 * STAGES)
		assert_nothing_was_begun(&line, -EAGAIN);
	else
		assert_int_equal(line.out, ITEMS);
	assert_each_once(&line);
}

static void a_source_waits_until_all_of_the_line_is_there(void **state)
{
	(void)state;
	for (unsigned limit = 2; limit <= 3 * STAGES + 1; limit++) {
		spawn_at_limit_from_there(limit, false);
		spawn_at_limit_from_there(limit, true);
	}
}

static void with_too_few_tasks_nothing_is_begun(void **state)
{
	struct rota_config config = { .loops = 1 };
	struct line line;

	(void)state;
	for (unsigned tasks = 1; tasks <= 2 * STAGES + 1; tasks++) {
		config.tasks_max = tasks;
		make(&line, 2, false);
		assert_int_equal(test_run_with(&config, NULL, play, &line), 0);
		if (tasks <= 2 * STAGES)
			assert_nothing_was_begun(&line, -EAGAIN);
		else
			assert_int_equal(line.out, ITEMS);
	}
}

static int play_cancelled(void *arg)
{
	struct line *line = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_cancel(&group, (struct rota_cancellation){ -EINTR, NULL });
	line->spawned = rota_go_pipeline(&group, line->stages, STAGES);
	line->result = rota_group_wait(&group) == -EINTR ? 0 : -EPROTO;
	return 0;
}

static void in_a_cancelled_group_nothing_is_begun(void **state)
{
	struct line line;

	(void)state;
	make(&line, 2, false);
	assert_int_equal(test_run(play_cancelled, &line), 0);
	assert_nothing_was_begun(&line, -ECANCELED);
}

static void expect_refused(struct line *line)
{
	assert_int_equal(test_run(play, line), 0);
	assert_nothing_was_begun(line, -EINVAL);
	make(line, 1, false);
}

static void options_that_cannot_be_are_refused(void **state)
{
	struct line line;

	(void)state;
	make(&line, 1, false);
	for (unsigned i = 0; i < STAGES; i++) {
		line.stages[i].fn = NULL;
		expect_refused(&line);
	}
	for (unsigned i = 0; i < SINK; i++) {
		line.stages[i].out_bytes = 0;
		expect_refused(&line);
		line.stages[i].capacity = SIZE_MAX / 4;
		expect_refused(&line);
	}
	line.stages[SINK].out_bytes = 1;
	expect_refused(&line);
	line.stages[SINK].capacity = 1;
	expect_refused(&line);
	line.stages[SINK].discard = discard;
	expect_refused(&line);
}

static int play_too_short(void *arg)
{
	struct line *line = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	line->spawned = rota_go_pipeline(&group, line->stages, 0);
	if (line->spawned == -EINVAL)
		line->spawned =
			rota_go_pipeline(&group, &line->stages[SINK], 1);
	if (line->spawned == -EINVAL)
		line->spawned = rota_go_pipeline(&group, NULL, STAGES);
	line->result = rota_group_wait(&group);
	return 0;
}

static void one_stage_is_no_line(void **state)
{
	struct line line;

	(void)state;
	make(&line, 1, false);
	assert_int_equal(test_run(play_too_short, &line), 0);
	assert_nothing_was_begun(&line, -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_made_comes_out_at_the_end),
		cmocka_unit_test(over_loops_it_comes_out_too),
		cmocka_unit_test(
			when_one_stage_fails_all_end_and_what_is_left_is_discarded),
		cmocka_unit_test(at_the_limit_of_its_group_nothing_is_begun),
		cmocka_unit_test(over_loops_nothing_is_begun_either),
		cmocka_unit_test(a_source_waits_until_all_of_the_line_is_there),
		cmocka_unit_test(with_too_few_tasks_nothing_is_begun),
		cmocka_unit_test(in_a_cancelled_group_nothing_is_begun),
		cmocka_unit_test(options_that_cannot_be_are_refused),
		cmocka_unit_test(one_stage_is_no_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
