/* SPDX-License-Identifier: MIT */
/*
 * Pipelines of stages: what goes through, how they end, and that each item that
 * was made has come to the end, was discarded, or is the one that failed.
 */
#include "support/loops.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ITEMS 300

struct seen;

struct part {
	struct seen *seen;
	int failing; /* the item that it fails with; -1: none */
};

struct seen {
	struct part source, middle, sink;
	struct rota_sender to_middle, to_sink;
	struct rota_receiver from_source, from_middle;
	size_t capacity;      /* of both channels */
	unsigned sources;     /* stages that send to the first one */
	unsigned workers;     /* in the middle and at the end */
	bool spread;          /* all of them */
	int skipping;         /* items that the middle drops: multiples */
	atomic_int next;      /* the item that is made next */
	int ends[ITEMS];      /* how often each has come to its end */
	atomic_int out;       /* came to the end of the pipeline */
	atomic_int discarded; /* came to that end */
	atomic_int failed;    /* came to that end */
	atomic_int skipped;   /* came to that end */
	int64_t deadline_ns;  /* of the group, from now; 0: none */
	int result;           /* of the group */
	bool in_order;        /* they came out as they went in */
	int last;             /* that came out */
};

static void note(struct seen *seen, int item, atomic_int *count)
{
	__atomic_fetch_add(&seen->ends[item], 1, __ATOMIC_RELAXED);
	atomic_fetch_add(count, 1);
}

static bool fails(const struct part *part, int item)
{
	if (item != part->failing)
		return false;
	note(part->seen, item, &part->seen->failed);
	return true;
}

static int produce(void *in, void *out, void *arg)
{
	struct part *part = arg;
	const int item = atomic_fetch_add(&part->seen->next, 1);

	if (in || item >= ITEMS)
		return in ? -EPROTO : 0;
	*(int *)out = item;
	return fails(part, item) ? -EIO : 1;
}

static int hand_on(void *in, void *out, void *arg)
{
	struct part *part = arg;
	const int item = *(int *)in;

	if (item % 3 == 0)
		rota_yield();
	if (fails(part, item))
		return -EIO;
	if (part->seen->skipping && item % part->seen->skipping == 0) {
		note(part->seen, item, &part->seen->skipped);
		return 0;
	}
	*(long *)out = item;
	return 1;
}

static int consume(void *in, void *out, void *arg)
{
	struct part *part = arg;
	struct seen *seen = part->seen;
	const int item = (int)*(long *)in;

	if (out)
		return -EPROTO;
	if (fails(part, item))
		return -EIO;
	note(seen, item, &seen->out);
	if (seen->workers == 1) {
		seen->in_order &= item > seen->last;
		seen->last = item;
	}
	return item % 5 ? 1 : 0;
}

static void discard_first(void *item, void *context)
{
	struct seen *seen = context;

	note(seen, *(int *)item, &seen->discarded);
}

static void discard_second(void *item, void *context)
{
	struct seen *seen = context;

	note(seen, (int)*(long *)item, &seen->discarded);
}

static void make(struct seen *seen, size_t capacity)
{
	const struct part part = { seen, -1 };

	*seen = (struct seen){ .source = part,
			       .middle = part,
			       .sink = part,
			       .capacity = capacity,
			       .sources = 1,
			       .workers = 1,
			       .in_order = true,
			       .last = -1 };
}

/* Two, one behind the other, with the ends in `seen`. */
static int open_channels(struct seen *seen)
{
	struct rota_channel_options options = { .item_bytes = sizeof(int),
						.capacity = seen->capacity,
						.discard = discard_first,
						.context = seen };
	int error = rota_channel_open(&options, &seen->to_middle,
				      &seen->from_source);

	options.item_bytes = sizeof(long);
	options.discard = discard_second;
	if (!error)
		error = rota_channel_open(&options, &seen->to_sink,
					  &seen->from_middle);
	return error;
}

static int start_sources(struct seen *seen, struct rota_group *group,
			 const struct rota_stage *source)
{
	int error = 0;

	for (unsigned i = 1; i < seen->sources && !error; i++) {
		struct rota_sender to = rota_sender_share(&seen->to_middle);
		struct rota_stage more = *source;

		more.to = &to;
		error = rota_go_stage(group, &more);
	}
	return error | rota_go_stage(group, source);
}

static int play(void *arg)
{
	struct seen *seen = arg;
	struct rota_stage source = { .to = &seen->to_middle,
				     .fn = produce,
				     .arg = &seen->source,
				     .spread = seen->spread };
	struct rota_stage middle = { .from = &seen->from_source,
				     .to = &seen->to_sink,
				     .fn = hand_on,
				     .arg = &seen->middle,
				     .workers = seen->workers,
				     .spread = seen->spread };
	struct rota_stage sink = { .from = &seen->from_middle,
				   .fn = consume,
				   .arg = &seen->sink,
				   .workers = seen->workers,
				   .spread = seen->spread };
	struct rota_group group;
	int error = open_channels(seen);

	if (error)
		return error;
	rota_group_open(
		&group,
		&(struct rota_group_options){
			.deadline_ns =
				seen->deadline_ns
					? rota_after_ns(seen->deadline_ns)
					: 0 });
	error = start_sources(seen, &group, &source);
	error |= rota_go_stage(&group, &middle);
	error |= rota_go_stage(&group, &sink);
	seen->result = rota_group_wait(&group);
	return error;
}

/* Of the items that were made, that is. */
static void assert_each_once(struct seen *seen)
{
	const int next = atomic_load(&seen->next);
	const int made = next < ITEMS ? next : ITEMS;

	for (int i = 0; i < ITEMS; i++)
		assert_int_equal(seen->ends[i], i < made);
	assert_int_equal(seen->out + seen->discarded + seen->failed +
				 seen->skipped,
			 made);
}

static void what_is_made_comes_out_in_order(void **state)
{
	struct seen seen;

	(void)state;
	for (size_t capacity = 0; capacity < 5; capacity++) {
		make(&seen, capacity);
		assert_int_equal(test_run(play, &seen), 0);
		assert_int_equal(seen.result, 0);
		assert_each_once(&seen);
		assert_int_equal(seen.out, ITEMS);
		assert_true(seen.in_order);
	}
}

static void stages_fan_out_and_in(void **state)
{
	struct seen seen;

	(void)state;
	for (size_t capacity = 0; capacity < 5; capacity++) {
		make(&seen, capacity);
		seen.sources = 3;
		seen.workers = 4;
		assert_int_equal(test_run(play, &seen), 0);
		assert_int_equal(seen.result, 0);
		assert_each_once(&seen);
		assert_int_equal(seen.out, ITEMS);
	}
}

static void a_stage_may_send_nothing_on(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, 2);
	seen.skipping = 4;
	assert_int_equal(test_run(play, &seen), 0);
	assert_int_equal(seen.result, 0);
	assert_each_once(&seen);
	assert_int_equal(seen.skipped, ITEMS / 4);
	assert_int_equal(seen.out, ITEMS - ITEMS / 4);
}

/* One of the three stages fails. */
static void set_failing(struct seen *seen, int stage)
{
	struct part *parts[] = { &seen->source, &seen->middle, &seen->sink };

	parts[stage]->failing = 100;
}

static void when_a_stage_fails_all_of_them_end(void **state)
{
	struct seen seen;

	(void)state;
	for (unsigned i = 0; i < 3 * 4 * 3; i++) {
		make(&seen, i % 4);
		seen.workers = 1 + i / 4 % 3;
		seen.sources = 1 + i % 2;
		set_failing(&seen, (int)(i / 12));
		assert_int_equal(test_run(play, &seen), 0);
		assert_int_equal(seen.result, -EIO);
		assert_each_once(&seen);
		assert_int_equal(seen.failed, 1);
		assert_true(seen.out < ITEMS);
	}
}

static void a_deadline_ends_all_stages_wherever_they_are(void **state)
{
	struct seen seen;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		make(&seen, i % 3);
		seen.workers = 1 + i % 2;
		seen.deadline_ns = i * 100 + 1;
		assert_int_equal(test_run(play, &seen), 0);
		assert_true(seen.result == -ETIME || seen.out == ITEMS);
		assert_each_once(&seen);
	}
}

static void over_loops_each_item_comes_out_too(void **state)
{
	struct seen seen;

	(void)state;
	for (size_t capacity = 0; capacity < 5; capacity++) {
		make(&seen, capacity);
		seen.sources = 2;
		seen.workers = 4;
		seen.spread = true;
		assert_int_equal(test_run_loops(play, &seen), 0);
		assert_int_equal(seen.result, 0);
		assert_each_once(&seen);
		assert_int_equal(seen.out, ITEMS);
	}
}

static void over_loops_a_failure_of_any_stage_ends_them(void **state)
{
	struct seen seen;

	(void)state;
	for (unsigned i = 0; i < 3 * 4; i++) {
		make(&seen, i % 4);
		seen.workers = 4;
		seen.spread = true;
		set_failing(&seen, (int)(i / 4));
		assert_int_equal(test_run_loops(play, &seen), 0);
		assert_int_equal(seen.result, -EIO);
		assert_each_once(&seen);
	}
}

/* Takes three, and has had enough. */
static int take_three(void *arg)
{
	struct seen *seen = arg;
	struct rota_stage source = { .to = &seen->to_middle,
				     .fn = produce,
				     .arg = &seen->source };
	struct rota_stage middle = { .from = &seen->from_source,
				     .to = &seen->to_sink,
				     .fn = hand_on,
				     .arg = &seen->middle };
	struct rota_group group;
	int error = open_channels(seen);
	long item;

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go_stage(&group, &source);
	error |= rota_go_stage(&group, &middle);
	for (int i = 0; i < 3 && !error; i++) {
		error = rota_channel_receive(&seen->from_middle, &item) != 1;
		note(seen, (int)item, &seen->out);
	}
	rota_receiver_close(&seen->from_middle);
	seen->result = rota_group_wait(&group);
	return error;
}

static void
stages_before_one_that_has_had_enough_end_without_a_failure(void **s)
{
	struct seen seen;

	(void)s;
	for (size_t capacity = 0; capacity < 5; capacity++) {
		make(&seen, capacity);
		assert_int_equal(test_run(take_three, &seen), 0);
		assert_int_equal(seen.result, 0);
		assert_each_once(&seen);
		assert_int_equal(seen.out, 3);
	}
}

static int start_badly(void *arg)
{
	struct seen *seen = arg;
	struct rota_stage none = { .fn = produce };
	struct rota_stage source = { .to = &seen->to_middle };
	struct rota_stage middle = { .from = &seen->from_source,
				     .to = &seen->to_sink };
	struct rota_group group;
	int error = open_channels(seen);
	long item;

	if (error)
		return error;
	rota_group_open(&group, NULL);
	seen->result = rota_go_stage(&group, &none);
	if (rota_go_stage(&group, &source) != -EINVAL ||
	    rota_go_stage(&group, &middle) != -EINVAL)
		error = -EPROTO;
	/* their ends are closed */
	error |= rota_channel_receive(&seen->from_middle, &item);
	rota_receiver_close(&seen->from_middle);
	return error | rota_group_wait(&group);
}

static void a_stage_that_cannot_be_has_closed_its_ends(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, 1);
	assert_int_equal(test_run(start_badly, &seen), 0);
	assert_int_equal(seen.result, -EINVAL);
}

static int start_too_many(void *arg)
{
	struct seen *seen = arg;
	struct rota_stage source = { .to = &seen->to_middle,
				     .fn = produce,
				     .arg = &seen->source };
	struct rota_stage middle = { .from = &seen->from_source,
				     .to = &seen->to_sink,
				     .fn = hand_on,
				     .arg = &seen->middle,
				     .workers = 8 };
	struct rota_group group;
	int error = open_channels(seen);
	long item;

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go_stage(&group, &source);
	seen->result = rota_go_stage(&group, &middle);
	while (rota_channel_receive(&seen->from_middle, &item) > 0)
		note(seen, (int)item, &seen->out);
	rota_receiver_close(&seen->from_middle);
	return error | rota_group_wait(&group);
}

static void of_too_many_workers_those_that_were_spawned_do_it(void **state)
{
	const struct rota_config config = { .tasks_max = 5 };
	struct seen seen;

	(void)state;
	make(&seen, 1);
	assert_int_equal(test_run_with(&config, NULL, start_too_many, &seen),
			 0);
	assert_int_equal(seen.result, -EAGAIN);
	assert_each_once(&seen);
	assert_int_equal(seen.out, ITEMS);
}

static int cancel_before_it_starts(void *arg)
{
	struct seen *seen = arg;
	struct rota_stage source = { .to = &seen->to_middle,
				     .fn = produce,
				     .arg = &seen->source };
	struct rota_group group;
	int error = open_channels(seen);

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go_stage(&group, &source);
	rota_group_cancel(&group, (struct rota_cancellation){ -EINTR, NULL });
	seen->result = rota_group_wait(&group);
	rota_receiver_close(&seen->from_source);
	rota_sender_close(&seen->to_sink);
	rota_receiver_close(&seen->from_middle);
	return error;
}

static void a_source_that_is_cancelled_makes_nothing(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, 1);
	assert_int_equal(test_run(cancel_before_it_starts, &seen), 0);
	assert_int_equal(seen.result, -EINTR);
	assert_int_equal(seen.next, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_made_comes_out_in_order),
		cmocka_unit_test(stages_fan_out_and_in),
		cmocka_unit_test(a_stage_may_send_nothing_on),
		cmocka_unit_test(when_a_stage_fails_all_of_them_end),
		cmocka_unit_test(a_deadline_ends_all_stages_wherever_they_are),
		cmocka_unit_test(over_loops_each_item_comes_out_too),
		cmocka_unit_test(over_loops_a_failure_of_any_stage_ends_them),
		cmocka_unit_test(
			stages_before_one_that_has_had_enough_end_without_a_failure),
		cmocka_unit_test(a_source_that_is_cancelled_makes_nothing),
		cmocka_unit_test(a_stage_that_cannot_be_has_closed_its_ends),
		cmocka_unit_test(
			of_too_many_workers_those_that_were_spawned_do_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
