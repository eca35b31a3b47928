/* SPDX-License-Identifier: MIT */
/*
 * Stories of handing a bundle of tasks over, waiting for it and closing it:
 * closing is cancel and wait. The scenarios are those that libdill's bundles
 * and coroutines are tested with.
 */
#include "rota/rota.h"
#include "support/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int close_group(struct rota_group *group)
{
	rota_group_cancel(group, (struct rota_cancellation){ 0, NULL });
	return rota_group_wait(group);
}

/* Members with their sleeps, and how long the owner looks on before it closes;
 * below 0: it does not suspend at all. */
struct closing {
	unsigned count;
	int64_t sleeps_ns[3];
	int64_t look_on_ns;
	const char *trail; /* what is seen */
	int64_t ended_ns;  /* when */
};

struct closed {
	const struct closing *closing;
	struct test_trail trail;
	int64_t ended_ns;
};

static int look_on_and_close(void *arg)
{
	static const char *const names[] = { "a", "b", "c" };
	struct closed *closed = arg;
	const struct closing *closing = closed->closing;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < closing->count; i++)
		error |= rota_go(&group, act,
				 ((struct actor){ &closed->trail, names[i],
						  closing->sleeps_ns[i], 0,
						  0 }));
	if (closing->look_on_ns >= 0)
		error |= rota_sleep(closing->look_on_ns);
	if (close_group(&group) != -ECANCELED)
		error = -EPROTO;
	closed->ended_ns = test_now_ns();
	return error;
}

/* Differs by design: one that had no time to start runs, and is told then. */
static void a_group_may_be_closed_whatever_its_members_do(void **state)
{
	static const struct closing closings[] = {
		{ 0, { 0 }, -1, "", 0 },
		{ 1, { 0 }, -1, "a! ", 0 },
		{ 1, { 1 }, 100, "a ", 100 },
		{ 1, { 100000 }, 100, "a! ", 100 },
		{ 2, { 50, 50 }, 100, "a b ", 100 },
		{ 2, { 100000, 100000 }, 100, "a! b! ", 100 },
		{ 3, { 50, 200, 60 }, 100, "a c b! ", 100 },
		{ 3, { 200, 200, 200 }, -1, "a! b! c! ", 0 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(closings) / sizeof(*closings); i++) {
		struct closed closed = { .closing = &closings[i] };

		assert_int_equal(test_run_timed(look_on_and_close, &closed), 0);
		assert_string_equal(closed.trail.text, closings[i].trail);
		assert_int_equal(closed.ended_ns, closings[i].ended_ns);
	}
}

/* A wait with a time: in the options, or a deadline around it all. */
struct limited {
	struct test_trail trail;
	bool around; /* else in the options */
	bool came;
	int64_t ended_ns;
};

static int fill_and_wait(struct limited *limited, int64_t deadline_ns)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	static const int64_t sleeps_ns[] = { 50, 50, 200, 201 };
	struct rota_group group;
	int error = 0, outcome;

	rota_group_open(&group, &(struct rota_group_options){
					.deadline_ns = deadline_ns });
	for (int i = 0; i < 4; i++)
		error |= rota_go(&group, act,
				 ((struct actor){ &limited->trail, names[i],
						  sleeps_ns[i], 0, 0 }));
	outcome = rota_group_wait(&group);
	limited->ended_ns = test_now_ns();
	return error ? -EPROTO : outcome;
}

static int wait_limited(void *arg)
{
	struct limited *limited = arg;
	struct rota_deadline limit;
	int outcome;

	if (!limited->around)
		return fill_and_wait(limited, rota_after_ns(100));
	rota_deadline_begin(&limit, rota_after_ns(100));
	outcome = fill_and_wait(limited, 0);
	limited->came = rota_deadline_end(&limit);
	return outcome;
}

/* Differs by design: a wait that is out of time leaves nobody behind. */
static void a_wait_with_a_time_ends_who_is_late_and_joins_him(void **state)
{
	struct limited limited = { .around = false };

	(void)state;
	for (int i = 0; i < 2; i++) {
		limited = (struct limited){ .around = i == 1 };
		assert_int_equal(test_run_timed(wait_limited, &limited),
				 -ETIME);
		assert_string_equal(limited.trail.text, "a b c~ d~ ");
		assert_int_equal(limited.came, limited.around);
		assert_int_equal(limited.ended_ns, 100);
	}
}

/* A line between two tasks, and goodbyes on it. */
struct line {
	int pair[2];
	int codes[6];
	char heard[32];
};

/* Hung up on: every verb fails, except where it is shielded. */
static int say_goodbye(void *value)
{
	struct line *line = *(struct line **)value;
	struct rota_shield shield;
	struct rota_group none;
	char byte;

	line->codes[0] = rota_recv(line->pair[1], &byte, 1, 0);
	line->codes[1] = rota_sleep(1000);
	line->codes[2] = rota_send(line->pair[1], "oops", 4, 0);
	rota_group_open(&none, NULL);
	line->codes[3] = rota_go(&none, say_goodbye, line);
	line->codes[4] = rota_group_wait(&none);
	rota_shield_begin(&shield, ROTA_SECOND);
	line->codes[5] = rota_send_all(line->pair[1], "bye", 3, NULL);
	rota_shield_end(&shield);
	return rota_shutdown(line->pair[1], SHUT_WR) | rota_cancelled();
}

static int hang_up(void *arg)
{
	struct line *line = arg;
	struct rota_group group;
	int error, code;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line->pair))
		return -EPROTO;
	rota_group_open(&group, NULL);
	error = rota_go(&group, say_goodbye, line);
	error |= rota_sleep(10);
	if (close_group(&group) != -ECANCELED)
		error = -EPROTO;
	code = rota_recv(line->pair[0], line->heard, sizeof(line->heard) - 1,
			 MSG_WAITALL);
	rota_close(line->pair[0]);
	rota_close(line->pair[1]);
	return error ? -EPROTO : code;
}

static void who_is_hung_up_on_may_say_goodbye_in_a_shield(void **state)
{
	struct line line = { .heard = "" };

	(void)state;
	assert_int_equal(test_run_timed(hang_up, &line), 3);
	for (int i = 0; i < 5; i++)
		assert_int_equal(line.codes[i], -ECANCELED);
	assert_int_equal(line.codes[5], 0);
	assert_string_equal(line.heard, "bye");
}

/* A reader and a writer; each may end first. */
static int write_words(void *value)
{
	struct line *line = *(struct line **)value;

	for (int i = 0; i < 3; i++)
		line->codes[0] |= rota_send_all(line->pair[1], "word", 4, NULL);
	return rota_shutdown(line->pair[1], SHUT_WR);
}

static int read_to_the_end(void *value)
{
	struct line *line = *(struct line **)value;
	size_t bytes = 0;
	int code = rota_sleep(10);

	while (!code && bytes < sizeof(line->heard) - 1) {
		const int n =
			rota_recv(line->pair[0], line->heard + bytes, 3, 0);

		if (n <= 0)
			code = n ? n : 1;
		else
			bytes += (size_t)n;
	}
	return code;
}

static int read_one_and_leave(void *value)
{
	struct line *line = *(struct line **)value;
	const int code = rota_recv(line->pair[0], line->heard, 1, 0);

	return code == 1 ? rota_close(line->pair[0]) : code;
}

static int write_for_ever(void *value)
{
	struct line *line = *(struct line **)value;
	int code;

	do
		code = rota_send_all(line->pair[1], "word", 4, NULL);
	while (!code);
	line->codes[0] = code;
	return 0;
}

static int connect_two(struct line *line, rota_task_fn *writer,
		       rota_task_fn *reader)
{
	struct rota_group group;
	int error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line->pair))
		return -EPROTO;
	rota_group_open(&group, NULL);
	error = rota_go(&group, writer, line);
	error |= rota_go(&group, reader, line);
	error |= rota_group_wait(&group);
	if (reader != read_one_and_leave)
		rota_close(line->pair[0]);
	rota_close(line->pair[1]);
	return error;
}

static int writer_ends_first(void *arg)
{
	return connect_two(arg, write_words, read_to_the_end);
}

static int reader_ends_first(void *arg)
{
	return connect_two(arg, write_for_ever, read_one_and_leave);
}

static void when_one_end_hangs_up_the_other_learns_of_it(void **state)
{
	struct line first = { .heard = "" }, second = { .heard = "" };

	(void)state;
	assert_int_equal(test_run_timed(writer_ends_first, &first), 0);
	assert_int_equal(first.codes[0], 0);
	assert_string_equal(first.heard, "wordwordword");
	assert_int_equal(test_run_timed(reader_ends_first, &second), 0);
	assert_true(second.codes[0] == -EPIPE ||
		    second.codes[0] == -ECONNRESET);
}

/* A bundle in a member of a bundle in a member of a bundle. */
struct bundles {
	struct test_trail trail;
	int depth;
	int outcomes[4];
	struct rota_group *middle; /* of depth 2 */
};

static int be_bundle(void *value)
{
	struct bundles *bundles = *(struct bundles **)value;
	const int depth = ++bundles->depth;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	if (depth == 2)
		bundles->middle = &group;
	if (depth < 3)
		error = rota_go(&group, be_bundle, bundles);
	else
		error = rota_go(&group, act,
				((struct actor){ &bundles->trail, "leaf",
						 100000, 0, 0 }));
	bundles->outcomes[depth] = rota_group_wait(&group);
	test_trail_add(
		&bundles->trail,
		((const char *[]){ "", "outer ", "middle ", "inner " })[depth]);
	return error | rota_cancelled();
}

static int close_outermost(void *arg)
{
	struct bundles *bundles = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, be_bundle, bundles);
	error |= rota_sleep(10);
	bundles->outcomes[0] = close_group(&group);
	test_trail_add(&bundles->trail, "owner ");
	return error | rota_cancelled();
}

static void bundles_in_bundles_end_from_the_inside(void **state)
{
	struct bundles bundles = { .depth = 0 };

	(void)state;
	assert_int_equal(test_run_timed(close_outermost, &bundles), 0);
	assert_string_equal(bundles.trail.text,
			    "leaf! inner middle outer owner ");
	for (int i = 0; i < 4; i++)
		assert_int_equal(bundles.outcomes[i], -ECANCELED);
}

static int close_middle(void *arg)
{
	struct bundles *bundles = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, be_bundle, bundles);
	error |= rota_sleep(10);
	rota_group_cancel(bundles->middle,
			  (struct rota_cancellation){ 0, NULL });
	bundles->outcomes[0] = rota_group_wait(&group);
	test_trail_add(&bundles->trail, "owner ");
	return error;
}

static void a_bundle_in_the_middle_may_be_closed_alone(void **state)
{
	struct bundles bundles = { .depth = 0 };

	(void)state;
	assert_int_equal(test_run_timed(close_middle, &bundles), 0);
	assert_string_equal(bundles.trail.text,
			    "leaf! inner middle outer owner ");
	assert_int_equal(bundles.outcomes[3], -ECANCELED);
	assert_int_equal(bundles.outcomes[2], -ECANCELED);
	assert_int_equal(bundles.outcomes[1], 0);
	assert_int_equal(bundles.outcomes[0], 0);
}

/* A member closes the bundle that it is in: it asks, the owner waits. */
struct inside {
	struct rota_group group;
	struct test_trail trail;
	int codes[4];
};

static int close_from_inside(void *value)
{
	struct inside *inside = *(struct inside **)value;
	const struct actor late = { &inside->trail, "late", 0, 0, 0 };

	inside->codes[0] = rota_sleep(10);
	rota_group_cancel(&inside->group,
			  (struct rota_cancellation){ -EOWNERDEAD, NULL });
	test_trail_add(&inside->trail, "asked ");
	inside->codes[1] = rota_yield();
	inside->codes[2] = rota_go(&inside->group, act, late);
	inside->codes[3] = rota_go_background(&inside->group, act, late);
	rota_shutdown(-1, 0);
	test_trail_add(&inside->trail, "done ");
	return 0;
}

static int let_members_close(void *arg)
{
	struct inside *inside = arg;
	const struct actor other = { &inside->trail, "other", 100000, 0, 0 };
	int error, outcome;

	rota_group_open(&inside->group, NULL);
	error = rota_go(&inside->group, close_from_inside, inside);
	error |= rota_go(&inside->group, close_from_inside, inside);
	error |= rota_go(&inside->group, act, other);
	outcome = rota_group_wait(&inside->group);
	test_trail_add(&inside->trail, "owner ");
	return error ? -EPROTO : outcome;
}

static void a_member_may_ask_to_close_but_only_the_owner_waits(void **state)
{
	struct inside inside = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(let_members_close, &inside),
			 -EOWNERDEAD);
	assert_int_equal(strncmp(inside.trail.text, "asked asked ", 12), 0);
	assert_non_null(strstr(inside.trail.text, "other! "));
	assert_null(strstr(inside.trail.text, "late"));
	assert_non_null(strstr(inside.trail.text, "done owner "));
	for (int i = 1; i < 4; i++)
		assert_int_equal(inside.codes[i], -ECANCELED);
}

/* Who waits for a bundle is closed himself. */
static int wait_for_nobody(void *value)
{
	struct bundles *bundles = *(struct bundles **)value;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, act,
			((struct actor){ &bundles->trail, "a", 2000, 0, 0 }));
	bundles->outcomes[1] = rota_group_wait(&group);
	return error ? -EPROTO : bundles->outcomes[1];
}

static int close_who_waits(void *arg)
{
	struct bundles *bundles = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, wait_for_nobody, bundles);
	error |= rota_sleep(50);
	bundles->outcomes[0] = close_group(&group);
	return error ? -EPROTO : (int)test_now_ns();
}

static void a_wait_is_cut_short_with_what_it_waits_for(void **state)
{
	struct bundles bundles = { .depth = 0 };

	(void)state;
	assert_int_equal(test_run_timed(close_who_waits, &bundles), 50);
	assert_string_equal(bundles.trail.text, "a! ");
	assert_int_equal(bundles.outcomes[0], -ECANCELED);
	assert_int_equal(bundles.outcomes[1], -ECANCELED);
}

/* Members that take turns. */
struct turns {
	struct test_trail *trail;
	const char *name;
	int count, points;
	int *sum;
};

static int take_turns(void *value)
{
	const struct turns *turns = value;

	for (int i = 0; i < turns->count; i++) {
		*turns->sum += turns->points;
		test_trail_add(turns->trail, turns->name);
		if (rota_yield())
			return -EPROTO;
	}
	return 0;
}

static int let_take_turns(void *arg)
{
	struct rota_group group;
	int sum = 0, error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, take_turns,
			((struct turns){ arg, "a", 4, 100, &sum }));
	error |= rota_go(&group, take_turns,
			 ((struct turns){ arg, "b", 1, 10, &sum }));
	error |= rota_go(&group, take_turns,
			 ((struct turns){ arg, "c", 2, 1, &sum }));
	error |= rota_group_wait(&group);
	return error ? -EPROTO : sum;
}

static void who_yields_goes_behind_all_others(void **state)
{
	struct test_trail trail = { "" };

	(void)state;
	assert_int_equal(test_run_timed(let_take_turns, &trail), 412);
	assert_string_equal(trail.text, "abcacaa");
}

/* A group whose members need more stack than the others. */
static int fill_stack(void *value)
{
	volatile char room[200 * 1024];

	for (size_t i = 0; i < sizeof(room); i += 512)
		room[i] = *(char *)value;
	if (rota_sleep(10))
		return -EPROTO;
	for (size_t i = 0; i < sizeof(room); i += 512)
		if (room[i] != *(char *)value)
			return -EPROTO;
	return 0;
}

static int run_two_sizes(void *arg)
{
	const struct actor small = { arg, "small", 5, 0, 0 };
	struct rota_group wide, narrow;
	int error = 0;

	rota_group_open(&narrow, NULL);
	rota_group_open(&wide, &(struct rota_group_options){
				       .stack_bytes = (size_t)256 << 10 });
	for (char i = 1; i <= 20; i++) {
		error |= rota_go(&wide, fill_stack, i);
		error |= rota_go(&narrow, act, small);
	}
	error |= rota_group_wait(&wide);
	return rota_group_wait(&narrow) | error;
}

static void one_group_may_have_larger_stacks_than_the_next(void **state)
{
	struct test_trail trail = { "" };

	(void)state;
	assert_int_equal(test_run_timed(run_two_sizes, &trail), 0);
	assert_int_equal(strlen(trail.text), 20 * strlen("small "));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_may_be_closed_whatever_its_members_do),
		cmocka_unit_test(
			a_wait_with_a_time_ends_who_is_late_and_joins_him),
		cmocka_unit_test(who_is_hung_up_on_may_say_goodbye_in_a_shield),
		cmocka_unit_test(when_one_end_hangs_up_the_other_learns_of_it),
		cmocka_unit_test(bundles_in_bundles_end_from_the_inside),
		cmocka_unit_test(a_bundle_in_the_middle_may_be_closed_alone),
		cmocka_unit_test(
			a_member_may_ask_to_close_but_only_the_owner_waits),
		cmocka_unit_test(a_wait_is_cut_short_with_what_it_waits_for),
		cmocka_unit_test(who_yields_goes_behind_all_others),
		cmocka_unit_test(
			one_group_may_have_larger_stacks_than_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
