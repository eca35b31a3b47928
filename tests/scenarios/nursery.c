/* SPDX-License-Identifier: MIT */
/*
 * Stories of an owner and its children: who fails, who is woken, who may still
 * come, who reports that it is ready. The scenarios are those that Trio's
 * nurseries are tested with; those of its cancel scopes are in cancel.c.
 */
#include "rota/rota.h"
#include "support/process.h"
#include "support/story.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define KEPT 4

struct seen {
	struct test_trail trail;
	struct rota_failure list[KEPT];
	struct rota_failures failures;
	struct rota_group group;
	int codes[6];
	int64_t times_ns[4];
	int pair[2]; /* of one who is to report */
	int value;   /* what it reports */
};

static void open_seen(struct seen *seen)
{
	seen->failures.list = seen->list;
	seen->failures.max = KEPT;
	rota_group_open(&seen->group, &(struct rota_group_options){
					      .failures = &seen->failures });
}

/* Children of 10 and 20, and an owner who would sleep for an hour. */
struct household {
	int children[2]; /* what they return */
	int owner;       /* not 0: what it fails with at once */
	int outcome;     /* as expected, like these two: */
	const char *trail;
	unsigned failures;
};

static int keep_house(struct seen *seen, const struct household *house)
{
	int error;

	open_seen(seen);
	error = rota_go(&seen->group, act,
			((struct actor){ &seen->trail, "a", 10,
					 house->children[0], 0 }));
	error |= rota_go(&seen->group, act,
			 ((struct actor){ &seen->trail, "b", 20,
					  house->children[1], 0 }));
	if (house->owner) {
		error |= rota_sleep(15);
		rota_group_cancel(&seen->group, (struct rota_cancellation){
							house->owner, NULL });
	} else {
		story_note(&seen->trail, "owner", rota_sleep(3600));
	}
	return error ? -EPROTO : rota_group_wait(&seen->group);
}

/* The owner's error is the cause; a child's goes before it. */
static const struct household houses[] = {
	{ { 0, 0 }, 0, 0, "a b owner ", 0 },
	{ { 0, -EIO }, 0, -EIO, "a b owner! ", 1 },
	{ { -EIO, -EDOM }, 0, -EIO, "a owner! b! ", 1 },
	{ { 0, 0 }, -EPERM, -EPERM, "a b! ", 0 },
};

struct visit {
	struct seen seen;
	const struct household *house;
};

static int visit_house(void *arg)
{
	struct visit *visit = arg;

	return keep_house(&visit->seen, visit->house);
}

static void a_failure_wakes_the_owner_and_ends_the_other_children(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(houses) / sizeof(*houses); i++) {
		struct visit visit = { .house = &houses[i] };

		assert_int_equal(test_run_timed(visit_house, &visit),
				 houses[i].outcome);
		assert_string_equal(visit.seen.trail.text, houses[i].trail);
		assert_int_equal(visit.seen.failures.count, houses[i].failures);
	}
}

/* Both: the owner gives up while a child is about to fail of its own. */
static int fail_with_child(void *arg)
{
	struct seen *seen = arg;
	const struct actor child = { &seen->trail, "a", 50, 0, -EIO };
	int error;

	open_seen(seen);
	error = rota_go(&seen->group, act, child);
	error |= rota_sleep(10);
	rota_group_cancel(&seen->group,
			  (struct rota_cancellation){ -EDOM, "owner" });
	seen->codes[0] = rota_cause().error;
	seen->codes[1] = rota_group_wait(&seen->group);
	return error;
}

static void when_both_fail_the_owner_has_his_own_and_the_childs(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(fail_with_child, &seen), 0);
	assert_int_equal(seen.codes[0], -EDOM);
	assert_int_equal(seen.codes[1], -EIO);
	assert_int_equal(seen.failures.count, 1);
}

/* One loops over verbs that never wait, one fails. */
static int loop_until_told(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int code;

	do
		code = rota_yield();
	while (!code);
	story_note(&seen->trail, "looper", code);
	return code;
}

static int crash_a_looper(void *arg)
{
	struct seen *seen = arg;
	int error;

	open_seen(seen);
	error = rota_go(&seen->group, loop_until_told, seen);
	error |= rota_go(&seen->group, act,
			 ((struct actor){ &seen->trail, "a", 0, -EIO, 0 }));
	return error ? -EPROTO : rota_group_wait(&seen->group);
}

static void one_that_never_waits_is_told_at_its_next_verb(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(crash_a_looper, &seen), -EIO);
	assert_string_equal(seen.trail.text, "a looper! ");
}

/* A tree: two workers with two leaves each. */
static int keep_leaves(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const struct actor leaf = { &seen->trail, "twig", 99, 0, 0 };
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, act, leaf);
	error |= rota_go(&group, act, leaf);
	(void)rota_group_wait(&group);
	test_trail_add(&seen->trail, "worker ");
	return error;
}

static int cancel_a_tree(void *arg)
{
	struct seen *seen = arg;
	int error;

	open_seen(seen);
	error = rota_go(&seen->group, keep_leaves, seen);
	error |= rota_go(&seen->group, keep_leaves, seen);
	error |= rota_sleep(1);
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0, NULL });
	return error ? -EPROTO : rota_group_wait(&seen->group);
}

static int count_words(const char *text, const char *word)
{
	int count = 0;

	while ((text = strstr(text, word))) {
		count++;
		text += strlen(word);
	}
	return count;
}

static void a_cancel_reaches_every_leaf_before_any_worker_ends(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_a_tree, &seen), -ECANCELED);
	assert_int_equal(count_words(seen.trail.text, "twig! "), 4);
	assert_int_equal(count_words(seen.trail.text, "worker "), 2);
	assert_int_equal(strlen(seen.trail.text), 4 * 6 + 2 * 7);
}

/* A child brings a brother while the owner waits already; he brings another. */
static int bring_brother(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const int code = rota_sleep(10);

	test_trail_add(&seen->trail, "brother ");
	if (code || ++seen->value == 5)
		return code;
	return rota_go(&seen->group, bring_brother, seen);
}

static int wait_for_brothers(void *arg)
{
	struct seen *seen = arg;
	int error, outcome;

	open_seen(seen);
	error = rota_go(&seen->group, bring_brother, seen);
	outcome = rota_group_wait(&seen->group);
	seen->times_ns[0] = test_now_ns();
	return error ? -EPROTO : outcome;
}

static void while_one_is_there_others_may_come(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(wait_for_brothers, &seen), 0);
	assert_int_equal(count_words(seen.trail.text, "brother "), 5);
	assert_int_equal(seen.times_ns[0], 50);
}

/* Spawners queue at the limit when the group is cancelled, while its members
 * cling to their slots. */
static int queue_up(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const struct actor child = { &seen->trail, "child", 10, 0, 0 };
	const int code = rota_go(&seen->group, act_in_shield, child);

	seen->value += !code;
	story_note(&seen->trail, "spawner", code);
	if (code)
		seen->times_ns[0] = test_now_ns();
	return code;
}

static int cancel_a_queue(void *arg)
{
	struct seen *seen = arg;
	const struct actor child = { &seen->trail, "child", 10, 0, 0 };
	struct rota_group spawners;
	int error = 0;

	rota_group_open(&spawners, &(struct rota_group_options){
					   .mode = ROTA_GROUP_KEEP_GOING });
	rota_group_open(&seen->group,
			&(struct rota_group_options){ .limit = 2 });
	error |= rota_go(&seen->group, act_in_shield, child);
	error |= rota_go(&seen->group, act_in_shield, child);
	for (int i = 0; i < 4; i++)
		error |= rota_go(&spawners, queue_up, seen);
	error |= rota_sleep(12);
	rota_group_cancel(&seen->group,
			  (struct rota_cancellation){ -EPIPE, NULL });
	seen->codes[0] = rota_group_wait(&seen->group);
	seen->times_ns[1] = test_now_ns();
	seen->codes[1] = rota_group_wait(&spawners);
	return error;
}

static void a_cancel_at_the_limit_loses_nobody_and_starts_nobody(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_a_queue, &seen), 0);
	assert_int_equal(seen.codes[0], -EPIPE);
	assert_int_equal(seen.codes[1], -ECANCELED);
	assert_int_equal(seen.value, 2);
	assert_int_equal(count_words(seen.trail.text, "child "), 2);
	assert_int_equal(count_words(seen.trail.text, "child! "), 2);
	assert_int_equal(count_words(seen.trail.text, "spawner "), 2);
	assert_int_equal(count_words(seen.trail.text, "spawner! "), 2);
	/* Who waits is told at once. */
	assert_int_equal(seen.times_ns[0], 12);
	assert_int_equal(seen.times_ns[1], 20);
}

/* One ends and hands on its slot, then another fails: in one turn, before who
 * got the slot could run. */
static int end_and_fail_at_once(void *arg)
{
	struct seen *seen = arg;
	const struct actor ends = { &seen->trail, "ends", 10, 0, 0 };
	const struct actor fails = { &seen->trail, "fails", 10, -EIO, 0 };
	struct rota_group spawners;
	int error = 0;

	rota_group_open(&spawners, &(struct rota_group_options){
					   .mode = ROTA_GROUP_KEEP_GOING });
	rota_group_open(&seen->group,
			&(struct rota_group_options){ .limit = 2 });
	error |= rota_go(&seen->group, act, ends);
	error |= rota_go(&seen->group, act, fails);
	error |= rota_go(&spawners, queue_up, seen);
	seen->codes[0] = rota_group_wait(&seen->group);
	seen->codes[1] = rota_group_wait(&spawners);
	return error;
}

static void a_slot_handed_on_as_all_ends_starts_nobody(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(end_and_fail_at_once, &seen), 0);
	assert_string_equal(seen.trail.text, "ends fails spawner! ");
	assert_int_equal(seen.codes[0], -EIO);
	assert_int_equal(seen.codes[1], -ECANCELED);
}

/* One that reports when it is ready. There is no verb for that: a pipe does,
 * whose other end closes if it never reports. */
static int report_ready(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int code = rota_sleep(seen->times_ns[0]), written = 0;

	if (!code && seen->value)
		written = rota_write(seen->pair[1], &seen->value,
				     sizeof(seen->value));
	rota_close(seen->pair[1]);
	if (!code && written == sizeof(seen->value))
		code = rota_sleep(seen->times_ns[0]);
	story_note(&seen->trail, "server", code);
	return code ? code : seen->codes[0];
}

/* The value reported; -ENODATA if it ended without; or as a verb. The child
 * owns the end that it writes to, but not before it is accepted. */
static int start(struct seen *seen)
{
	int value = 0, code;

	if (pipe2(seen->pair, O_CLOEXEC))
		return -EPROTO;
	code = rota_go(&seen->group, report_ready, seen);
	if (code)
		rota_close(seen->pair[1]);
	else
		code = rota_read(seen->pair[0], &value, sizeof(value));
	rota_close(seen->pair[0]);
	if (code > 0)
		return value;
	return code ? code : -ENODATA;
}

static int start_and_wait(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline limit;

	open_seen(seen);
	rota_deadline_begin(&limit, TEST_START_NS + seen->times_ns[3]);
	seen->codes[1] = start(seen);
	seen->times_ns[1] = test_now_ns();
	rota_deadline_end(&limit);
	seen->codes[2] = rota_group_wait(&seen->group);
	seen->times_ns[2] = test_now_ns();
	return 0;
}

static void a_child_that_reports_ready_runs_on_after_the_start(void **state)
{
	struct seen seen = { .value = 42, .times_ns = { 10, 0, 0, 99 } };
	const unsigned before = test_process_descriptors();

	(void)state;
	assert_int_equal(test_run_timed(start_and_wait, &seen), 0);
	assert_int_equal(seen.codes[1], 42);
	assert_int_equal(seen.times_ns[1], 10);
	assert_int_equal(seen.codes[2], 0);
	assert_int_equal(seen.times_ns[2], 20);
	assert_int_equal(test_process_descriptors(), before);
}

static void a_start_learns_when_the_child_ends_without_a_report(void **state)
{
	struct seen fails = { .codes = { -EIO }, .times_ns = { 10, 0, 0, 99 } };
	struct seen ends = { .times_ns = { 10, 0, 0, 99 } };
	const unsigned before = test_process_descriptors();

	(void)state;
	assert_int_equal(test_run_timed(start_and_wait, &fails), 0);
	/* Either is right: the end of the pipe, or the group's cancel. */
	assert_true(fails.codes[1] == -ENODATA || fails.codes[1] == -ECANCELED);
	assert_int_equal(fails.codes[2], -EIO);
	assert_int_equal(test_run_timed(start_and_wait, &ends), 0);
	assert_int_equal(ends.codes[1], -ENODATA);
	assert_int_equal(ends.codes[2], 0);
	assert_int_equal(test_process_descriptors(), before);
}

static void a_start_may_be_given_up_while_the_child_goes_on(void **state)
{
	struct seen seen = { .value = 42, .times_ns = { 10, 0, 0, 5 } };
	struct seen late = { .value = 42, .times_ns = { 10, 0, 0, -5 } };
	const unsigned before = test_process_descriptors();

	(void)state;
	assert_int_equal(test_run_timed(start_and_wait, &seen), 0);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_int_equal(seen.times_ns[1], 5);
	/* Its report goes nowhere. */
	assert_string_equal(seen.trail.text, "server ");
	assert_int_equal(test_run_timed(start_and_wait, &late), 0);
	assert_int_equal(late.codes[1], -ETIME);
	assert_string_equal(late.trail.text, "");
	assert_int_equal(test_process_descriptors(), before);
}

/* A service is told to stop, what needs it may end first. */
static int shut_down_in_order(void *arg)
{
	struct seen *seen = arg;
	struct rota_group services, clients;
	int error;

	rota_group_open(&services, NULL);
	error = rota_go_background(
		&services, act,
		((struct actor){ &seen->trail, "service", 3600, 0, 0 }));
	rota_group_open(&clients, NULL);
	error |=
		rota_go(&clients, act,
			((struct actor){ &seen->trail, "client", 3600, 0, 0 }));
	error |= rota_sleep(10);
	rota_group_cancel(&clients, (struct rota_cancellation){ 0, NULL });
	seen->codes[0] = rota_group_wait(&clients);
	test_trail_add(&seen->trail, "then ");
	seen->codes[1] = rota_group_wait(&services);
	return error;
}

static void who_is_needed_is_stopped_after_those_who_need_him(void **state)
{
	struct seen seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(shut_down_in_order, &seen), 0);
	assert_string_equal(seen.trail.text, "client! then service! ");
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[1], 0);
}

/* Two lists, read side by side, until the shorter one ends. */
struct pairs {
	int at[2], ends[2];
	int items[2];
};

static int next_item(void *value)
{
	struct {
		struct pairs *pairs;
		int list;
	} *step = value;
	struct pairs *pairs = step->pairs;

	rota_yield();
	if (pairs->at[step->list] == pairs->ends[step->list])
		return -ENODATA;
	pairs->items[step->list] = pairs->at[step->list]++;
	return 0;
}

static int read_pairs(void *arg)
{
	struct pairs *pairs = arg;
	int read = 0, outcome;

	for (;; read++) {
		struct rota_group group;
		int error = 0;

		rota_group_open(&group, NULL);
		for (int i = 0; i < 2; i++) {
			const struct {
				struct pairs *pairs;
				int list;
			} step = { pairs, i };

			error |= rota_go(&group, next_item, step);
		}
		outcome = rota_group_wait(&group);
		if (error || outcome)
			break;
		read = pairs->items[0] == pairs->items[1] ? read : -100;
	}
	return outcome == -ENODATA && !rota_sleep(1) ? read : -EPROTO;
}

static void an_end_that_is_an_error_ends_a_round_and_not_the_task(void **state)
{
	struct pairs pairs = { .ends = { 4, 2 } };

	(void)state;
	assert_int_equal(test_run_timed(read_pairs, &pairs), 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_failure_wakes_the_owner_and_ends_the_other_children),
		cmocka_unit_test(
			when_both_fail_the_owner_has_his_own_and_the_childs),
		cmocka_unit_test(one_that_never_waits_is_told_at_its_next_verb),
		cmocka_unit_test(
			a_cancel_reaches_every_leaf_before_any_worker_ends),
		cmocka_unit_test(while_one_is_there_others_may_come),
		cmocka_unit_test(
			a_cancel_at_the_limit_loses_nobody_and_starts_nobody),
		cmocka_unit_test(a_slot_handed_on_as_all_ends_starts_nobody),
		cmocka_unit_test(
			a_child_that_reports_ready_runs_on_after_the_start),
		cmocka_unit_test(
			a_start_learns_when_the_child_ends_without_a_report),
		cmocka_unit_test(
			a_start_may_be_given_up_while_the_child_goes_on),
		cmocka_unit_test(
			who_is_needed_is_stopped_after_those_who_need_him),
		cmocka_unit_test(
			an_end_that_is_an_error_ends_a_round_and_not_the_task),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
