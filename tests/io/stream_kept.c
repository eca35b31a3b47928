/* SPDX-License-Identifier: MIT */
/*
 * Views that are kept: they stand until they are released, are counted, and
 * somebody is named for each. Buffers are of four bytes.
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/flow.h"
#include "task/task.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct flow flow;

/* The views that are kept. */
static struct rota_view kept[64];

static int setup(void **state)
{
	(void)state;
	flow_init_buffers(&flow, 8, 4);
	return 0;
}

/* The next view of the stream, kept as this one. */
static void keep(unsigned i, unsigned as)
{
	flow_expect(&flow, flow_view(&flow, i) > 0, "there is nothing to keep");
	kept[as] = flow.view;
	rota_view_keep(&flow.streams[i], &flow.view);
	flow_audit(&flow);
}

static void release(unsigned as)
{
	rota_view_release(&kept[as]);
	flow_audit(&flow);
}

static bool holds(unsigned as, const char *text)
{
	return kept[as].bytes == strlen(text) &&
	       !memcmp(kept[as].data, text, kept[as].bytes);
}

static int keep_while_reading(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_say(&flow, 0, "keep");
	keep(0, 0);
	flow_note(&flow, (int)flow_held(&flow, 0));
	for (int i = 0; i < 50; i++) {
		flow_say(&flow, 0, "go!");
		flow_expect(&flow, flow_view(&flow, 0) == 3, "no view");
		flow_audit(&flow);
	}
	flow_note(&flow, (int)flow_held(&flow, 0));
	flow_expect(&flow, holds(0, "keep"), "it was written over");
	release(0);
	flow_note(&flow, (int)flow_held(&flow, 0));
	flow_expect(&flow, !kept[0].data && !kept[0].bytes, "it still stands");
	flow_close(&flow, 0);
	flow_audit(&flow);
	return error;
}

static void a_kept_view_stands_while_others_come_and_go(void **state)
{
	(void)state;
	flow_run(&flow, keep_while_reading);
	assert_int_equal(flow.codes[0], 1);
	assert_int_equal(flow.codes[1], 2);
	assert_int_equal(flow.codes[2], 1);
}

static int keep_the_rest(void *arg)
{
	const struct rota_stream_options options = { .items_max = 4 };
	int error = flow_open(arg, 0, &options);

	flow_say(&flow, 0, "abcdefgh");
	flow_note(&flow, flow_copy(&flow, 0, 1));
	keep(0, 0);
	flow_note(&flow, flow_copy(&flow, 0, 2));
	keep(0, 1);
	flow_say(&flow, 0, "i");
	flow_note(&flow, flow_view(&flow, 0));
	flow_expect(&flow, holds(0, "bcd"), "the first");
	flow_expect(&flow, holds(1, "gh"), "the second");
	release(1);
	flow_expect(&flow, holds(0, "bcd"), "the first");
	release(0);
	flow_close(&flow, 0);
	return error;
}

static void what_a_copy_left_over_can_be_kept(void **state)
{
	(void)state;
	flow_run(&flow, keep_the_rest);
	assert_string_equal(flow.text[0], "abcdefghi");
}

/* Beyond what it is allowed, and in every order. */
static int outlive(void *arg)
{
	const struct rota_stream_options options = { .items_max = 2 };
	int error = flow_open(arg, 0, &options);

	for (unsigned i = 0; i < 20; i++)
		flow_say(&flow, 0, "abcd");
	flow_settle();
	flow_note(&flow, (int)flow_held(&flow, 0));
	for (unsigned i = 0; i < 6; i++)
		keep(0, i);
	release(1);
	flow_close(&flow, 0);
	flow_audit(&flow);
	error |= flow_open(&flow, 1, NULL);
	flow_expect(&flow, flow_held(&flow, 1) == 0, "it holds another's");
	flow_say(&flow, 1, "next");
	keep(1, 6);
	release(0);
	release(5);
	flow_expect(&flow, flow_held(&flow, 1) == 1, "it holds another's");
	for (unsigned i = 2; i < 5; i++)
		flow_expect(&flow, holds(i, "abcd"), "it was written over");
	release(4);
	flow_close(&flow, 1);
	flow_audit(&flow);
	flow_expect(&flow, holds(6, "next"), "it was written over");
	release(6);
	release(2);
	release(3);
	return error;
}

static void kept_views_outlive_their_stream(void **state)
{
	(void)state;
	flow_run(&flow, outlive);
	assert_true(flow.codes[0] > 2);
}

/* All buffers there are, kept by streams that are closed: there are others. */
static int keep_all(void *arg)
{
	int error = 0;

	(void)arg;
	for (unsigned i = 0; i < 64; i++) {
		error |= flow_open(&flow, 0, NULL);
		flow_say(&flow, 0, "abcd");
		keep(0, i);
		flow_close(&flow, 0);
		flow_audit(&flow);
		flow.heard[0] = 0;
	}
	for (unsigned i = 0; i < 64; i++) {
		flow_expect(&flow, holds(i, "abcd"), "it was written over");
		release(i);
	}
	return error;
}

static void kept_by_nobody_they_are_not_missed(void **state)
{
	(void)state;
	flow_run(&flow, keep_all);
}

static int release_it(void *value)
{
	release(*(unsigned *)value);
	return 0;
}

static int hand_over(void *arg)
{
	int error = flow_open(arg, 0, NULL);

	flow_say(&flow, 0, "one");
	keep(0, 0);
	flow_say(&flow, 0, "two");
	keep(0, 1);
	rota_group_open(&flow.group, NULL);
	error |= rota_go(&flow.group, release_it, 1u);
	error |= rota_group_wait(&flow.group);
	flow_note(&flow, (int)flow_held(&flow, 0));
	flow_say(&flow, 0, "more");
	flow_note(&flow, flow_view(&flow, 0));
	flow_close(&flow, 0);
	rota_group_open(&flow.group, NULL);
	error |= rota_go(&flow.group, release_it, 0u);
	return error | rota_group_wait(&flow.group);
}

static void another_task_may_release_it(void **state)
{
	(void)state;
	flow_run(&flow, hand_over);
	assert_int_equal(flow.codes[0], 1);
	assert_int_equal(flow.codes[1], 4);
}

/* At the cap; all but one of the views are kept from there on. */
static int keep_all_but_one(void *arg)
{
	const struct rota_stream_options options = { .items_max = 4 };
	int error = flow_open(arg, 0, &options);

	flow_say(&flow, 0,
		 "aaaabbbbcccc"
		 "ddddeeeeffff");
	flow_settle();
	flow_expect(&flow, !flow_in_flight(&flow, 0), "it goes on");
	keep(0, 0);
	keep(0, 1);
	keep(0, 2);
	flow_hear(&flow, 0, 24);
	flow_say(&flow, 0, "gggg");
	flow_hear(&flow, 0, 28);
	flow_audit(&flow);
	for (unsigned i = 0; i < 3; i++)
		release(i);
	flow_close(&flow, 0);
	return error;
}

static void with_room_for_one_more_than_is_kept_it_goes_on(void **state)
{
	(void)state;
	flow_run(&flow, keep_all_but_one);
	assert_string_equal(flow.text[0], "aaaabbbbccccddddeeeeffffgggg");
}

/* The same with the last one that landed. */
static int keep_the_last(void *arg)
{
	const struct rota_stream_options options = { .items_max = 4 };
	int error = flow_open(arg, 0, &options);

	flow_say(&flow, 0, "aaaabbbbccccdddd");
	flow_settle();
	flow_expect(&flow, flow_held(&flow, 0) == 4, "they are not all");
	flow_expect(&flow, !flow_in_flight(&flow, 0), "it goes on");
	keep(0, 0);
	flow_view(&flow, 0);
	keep(0, 1); /* the one before goes back: three are held */
	keep(0, 2);
	flow_say(&flow, 0, "eeee");
	flow_hear(&flow, 0, 20);
	flow_audit(&flow);
	for (unsigned i = 0; i < 3; i++)
		release(i);
	flow_close(&flow, 0);
	return error;
}

static void so_it_does_when_the_last_that_landed_is_kept(void **state)
{
	(void)state;
	flow_run(&flow, keep_the_last);
	assert_string_equal(flow.text[0], "aaaabbbbccccddddeeee");
}

/* As many are kept as it may have: it waits until one is released. */
static int wait_for_release(void *value)
{
	const struct rota_stream_options options = { .items_max = 2 };
	int error = flow_open(&flow, 0, &options);

	(void)value;
	flow_say(&flow, 0, "aaaa");
	keep(0, 0);
	flow_say(&flow, 0, "bbbb");
	keep(0, 1);
	flow_note(&flow, flow_view(&flow, 0));
	flow_close(&flow, 0);
	return error;
}

static int release_later(void *arg)
{
	int error;

	(void)arg;
	rota_group_open(&flow.group, NULL);
	error = rota_go(&flow.group, wait_for_release, 0);
	flow_settle();
	flow_say(&flow, 0, "cccc");
	flow_settle();
	flow_expect(&flow, !flow.noted, "it goes on");
	flow_expect(&flow, !flow_in_flight(&flow, 0), "it receives");
	release(1);
	error |= rota_group_wait(&flow.group);
	release(0);
	return error;
}

static void with_all_that_it_may_have_kept_it_waits(void **state)
{
	(void)state;
	flow_run(&flow, release_later);
	assert_int_equal(flow.codes[0], 4);
}

static struct rota_view view;
static struct rota_stream stream, other;
static int pair[2];

static int open_one(struct rota_stream *one, const char *text)
{
	int error;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -errno;
	error = rota_receive_stream_open(one, pair[0], NULL);
	if (!error && write(pair[1], text, strlen(text)) < 0)
		error = -errno;
	return error;
}

static int view_one(struct rota_stream *one, const char *text)
{
	const int error = open_one(one, text);

	return error ? error : rota_stream_view(one, &view);
}

static int release_twice(void *arg)
{
	struct rota_view again;

	(void)arg;
	if (view_one(&stream, "x") != 1)
		return -EIO;
	rota_view_keep(&stream, &view);
	again = view;
	rota_view_release(&view);
	rota_view_release(&again);
	return 0;
}

static int release_what_was_released(void *arg)
{
	(void)arg;
	if (view_one(&stream, "x") != 1)
		return -EIO;
	rota_view_keep(&stream, &view);
	rota_view_release(&view);
	rota_view_release(&view);
	return 0;
}

static int release_what_is_not_kept(void *arg)
{
	(void)arg;
	if (view_one(&stream, "x") != 1)
		return -EIO;
	rota_view_release(&view);
	return 0;
}

static int release_before_any(void *arg)
{
	struct rota_view none = { .buffer = 0 };

	(void)arg;
	rota_view_release(&none);
	return 0;
}

static int keep_twice(void *arg)
{
	(void)arg;
	if (view_one(&stream, "x") != 1)
		return -EIO;
	rota_view_keep(&stream, &view);
	rota_view_keep(&stream, &view);
	return 0;
}

static int keep_the_one_before(void *arg)
{
	struct rota_view before;

	(void)arg;
	if (view_one(&stream, "x") != 1)
		return -EIO;
	before = view;
	if (write(pair[1], "y", 1) != 1 ||
	    rota_stream_view(&stream, &view) != 1)
		return -EIO;
	rota_view_keep(&stream, &before);
	return 0;
}

static int keep_anothers(void *arg)
{
	(void)arg;
	if (view_one(&other, "x") != 1 || view_one(&stream, "x") != 1)
		return -EIO;
	rota_view_keep(&other, &view);
	return 0;
}

static int keep_of_a_closed_one(void *arg)
{
	(void)arg;
	if (view_one(&stream, "x") != 1)
		return -EIO;
	rota_stream_close(&stream);
	rota_view_keep(&stream, &view);
	return 0;
}

static void mistakes_abort(void **state)
{
	static const char unkept[] = "rota_view_release for a view that is "
				     "not kept";
	static const char not_last[] = "rota_view_keep for what is not the "
				       "stream's last view";

	(void)state;
	test_expect_abort(release_twice, unkept);
	test_expect_abort(release_what_was_released, unkept);
	test_expect_abort(release_what_is_not_kept, unkept);
	test_expect_abort(release_before_any, unkept);
	test_expect_abort(keep_twice, not_last);
	test_expect_abort(keep_the_one_before, not_last);
	test_expect_abort(keep_anothers, not_last);
	test_expect_abort(keep_of_a_closed_one, "is closed, in task");
	test_expect_abort_outside(release_before_any, "rota_view_release");
}

static int leave_one(void *value)
{
	(void)value;
	if (view_one(&stream, "x") != 1)
		return -EIO;
	rota_view_keep(&stream, &view);
	rota_stream_close(&stream);
	return 0;
}

/* Where it is spawned. */
static const int leave_line = __LINE__ + 9;

static int leave_by_a_member(void *arg)
{
	struct rota_group group;
	int error;

	(void)arg;
	rota_group_open(&group, NULL);
	error = rota_go(&group, leave_one, 0);
	return error | rota_group_wait(&group);
}

static void one_that_is_left_at_the_end_names_who_kept_it(void **state)
{
	char words[256];

	(void)state;
	snprintf(words, sizeof(words),
		 "a view is kept by task leave_one (spawned at %s:%d)",
		 __FILE__, leave_line);
	test_expect_abort(leave_by_a_member,
			  "1 views that were kept are not released");
	test_expect_abort(leave_by_a_member, words);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_kept_view_stands_while_others_come_and_go),
		TEST(what_a_copy_left_over_can_be_kept),
		TEST(kept_views_outlive_their_stream),
		TEST(kept_by_nobody_they_are_not_missed),
		TEST(another_task_may_release_it),
		TEST(with_room_for_one_more_than_is_kept_it_goes_on),
		TEST(so_it_does_when_the_last_that_landed_is_kept),
		TEST(with_all_that_it_may_have_kept_it_waits),
		TEST(mistakes_abort),
		TEST(one_that_is_left_at_the_end_names_who_kept_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
