/* SPDX-License-Identifier: MIT */
/*
 * Stories of scopes in scopes: what ends with what, when, why, and what a
 * scope costs. The scenarios are those that Go's context is tested with; those
 * of its functions that are called on cancel are in callback.c.
 */
#include "rota/rota.h"
#include "support/random.h"
#include "support/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Two branches below one owner. */
struct family {
	struct test_trail trail;
	struct rota_group branch; /* of the first member */
	int codes[4];
	struct rota_cancellation cause;
};

static int be_leaf(void *value)
{
	struct family *family = *(struct family **)value;
	struct rota_deadline hours;
	struct rota_idle idle;
	int code;

	rota_deadline_begin(&hours, rota_after_ns(10000 * ROTA_SECOND));
	rota_idle_begin(&idle);
	code = rota_sleep_until(ROTA_NEVER);
	rota_idle_end(&idle);
	story_note(&family->trail, "below", rota_cancelled());
	family->codes[0] = rota_deadline_end(&hours);
	return code;
}

static int be_branch(void *value)
{
	struct family *family = *(struct family **)value;
	struct rota_deadline late;
	int error;

	rota_group_open(&family->branch, NULL);
	error = rota_go(&family->branch, be_leaf, family);
	story_note(&family->trail, "below", rota_sleep_until(ROTA_NEVER));
	rota_deadline_begin(&late, rota_after_ns(ROTA_SECOND));
	family->codes[1] = rota_cancelled();
	family->cause = rota_cause();
	rota_deadline_end(&late);
	family->codes[2] = rota_group_wait(&family->branch);
	family->codes[3] = rota_cancelled();
	return error;
}

static int cancel_a_branch(void *arg)
{
	struct family *family = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, be_branch, family);
	error |= rota_go(&group, act,
			 ((struct actor){ &family->trail, "other", 9, 0, 0 }));
	error |= rota_sleep(5);
	/* It waits for nobody. */
	rota_group_cancel(&family->branch,
			  (struct rota_cancellation){ -EPIPE, "cut" });
	story_note(&family->trail, "cut", rota_cancelled());
	return rota_group_wait(&group) | error;
}

static void a_cancel_reaches_what_is_below_and_nothing_beside(void **state)
{
	struct family family = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_a_branch, &family), 0);
	assert_string_equal(family.trail.text, "cut below! below! other ");
	assert_int_equal(family.codes[0], false);
	assert_int_equal(family.codes[1], -ECANCELED);
	assert_int_equal(family.cause.error, -EPIPE);
	assert_string_equal(family.cause.reason, "cut");
	assert_int_equal(family.codes[2], -EPIPE);
	assert_int_equal(family.codes[3], 0);
}

static void call_nothing(void *arg)
{
	(void)arg;
}

/* One scope of each kind, then the memory is something else. */
static void open_and_end(int kind)
{
	union {
		struct rota_group group;
		struct rota_deadline deadline;
		struct rota_shield shield;
		struct rota_idle idle;
		struct rota_callback callback;
	} scope;

	switch (kind) {
	case 0:
		rota_group_open(&scope.group, NULL);
		(void)rota_group_wait(&scope.group);
		break;
	case 1:
		rota_deadline_begin(&scope.deadline, rota_after_ns(3));
		rota_deadline_end(&scope.deadline);
		break;
	case 2:
		rota_shield_begin(&scope.shield, 3);
		rota_shield_end(&scope.shield);
		break;
	case 3:
		rota_idle_begin(&scope.idle);
		rota_idle_end(&scope.idle);
		break;
	default:
		rota_callback_begin(&scope.callback, call_nothing, NULL);
		rota_callback_end(&scope.callback);
	}
	memset(&scope, 0xa5, sizeof(scope));
	__asm__ volatile("" : : "g"(&scope) : "memory");
}

static int begin_and_forget(void *value)
{
	const struct actor *actor = value;
	struct rota_deadline deadline;
	int code;

	rota_deadline_begin(&deadline, rota_after_ns(100));
	for (int kind = 0; kind < 5; kind++)
		open_and_end(kind);
	code = act((void *)(uintptr_t)actor);
	rota_deadline_end(&deadline);
	return code;
}

static int outlive_children(void *arg)
{
	struct test_trail *trail = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, begin_and_forget,
			((struct actor){ trail, "a", 50, 0, 0 }));
	error |= rota_go(&group, begin_and_forget,
			 ((struct actor){ trail, "b", 5, 0, 0 }));
	error |= rota_sleep(10);
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	return rota_group_wait(&group) == -ECANCELED ? error : -EPROTO;
}

static void a_scope_that_is_over_is_met_by_no_cancel_and_no_clock(void **state)
{
	struct test_trail trail = { "" };

	(void)state;
	assert_int_equal(test_run_timed(outlive_children, &trail), 0);
	assert_string_equal(trail.text, "b a! ");
}

/* A sleep of 100 in a time-out in a time-out; durations from the start. */
struct timeouts {
	int64_t outer_ns, inner_ns;
	int64_t wakes_ns;  /* when the sleep ends */
	bool outer, inner; /* which of them came, by then */
};

static int sleep_in_timeouts(void *arg)
{
	struct timeouts *seen = arg;
	struct rota_deadline outer, inner;
	int code;

	rota_deadline_begin(&outer, rota_after_ns(seen->outer_ns));
	rota_deadline_begin(&inner, rota_after_ns(seen->inner_ns));
	code = rota_sleep(100);
	seen->wakes_ns = test_now_ns();
	seen->inner = rota_deadline_end(&inner);
	seen->outer = rota_deadline_end(&outer);
	return code;
}

static void the_earlier_time_out_counts_however_they_nest(void **state)
{
	static const struct timeouts cases[] = {
		{ 50, 30, 30, false, true },
		{ 30, 50, 30, true, false },
		{ 30, INT64_MAX, 30, true, false },
		{ INT64_MAX, 30, 30, false, true },
		{ INT64_MAX - 1, INT64_MAX, 100, false, false },
		{ 100 * ROTA_SECOND, 101, 100, false, false },
		{ 50, 0, 0, false, true },
		{ 50, -1, 0, false, true },
		{ INT64_MIN, 50, 0, true, false },
		{ 0, 0, 0, true, false },
		{ -7, INT64_MAX, 0, true, false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct timeouts seen = cases[i];
		const bool came = cases[i].outer || cases[i].inner;

		assert_int_equal(test_run_timed(sleep_in_timeouts, &seen),
				 came ? -ETIME : 0);
		assert_int_equal(seen.wakes_ns, cases[i].wakes_ns);
		assert_int_equal(seen.outer, cases[i].outer);
		assert_int_equal(seen.inner, cases[i].inner);
	}
}

/* The group is cancelled before its time comes, and outlives it. */
static int cancel_before_the_time(void *arg)
{
	struct rota_cancellation *causes = arg;
	struct rota_shield shield;
	struct rota_group group;
	int code, outcome;

	rota_group_open(&group, &(struct rota_group_options){
					.deadline_ns = rota_after_ns(20) });
	rota_group_cancel(&group, (struct rota_cancellation){ -EXDEV, NULL });
	causes[0] = rota_cause();
	rota_shield_begin(&shield, ROTA_NEVER);
	code = rota_sleep(1000);
	rota_shield_end(&shield);
	causes[1] = rota_cause();
	causes[2].error = rota_cancelled();
	outcome = rota_group_wait(&group);
	return code ? code : outcome;
}

static void a_time_out_that_was_cancelled_first_never_comes(void **state)
{
	struct rota_cancellation causes[3] = { { 0, NULL } };

	(void)state;
	assert_int_equal(test_run_timed(cancel_before_the_time, causes),
			 -EXDEV);
	assert_int_equal(causes[0].error, -EXDEV);
	assert_int_equal(causes[1].error, -EXDEV);
	assert_int_equal(causes[2].error, -ECANCELED);
}

/* What happens to a group in a group, in order: P and C cancel the parent and
 * the child, T is the child's time. */
struct story {
	const char *events;
	int parent, child; /* the causes */
	int code;          /* in the child */
};

static int tell(void *arg)
{
	struct story *seen = arg;
	struct rota_group parent, child;
	struct rota_shield shield;
	int error = 0;

	rota_group_open(&parent, NULL);
	rota_group_open(&child, &(struct rota_group_options){
					.deadline_ns = rota_after_ns(20) });
	for (const char *event = seen->events; *event; event++) {
		rota_shield_begin(&shield, ROTA_NEVER);
		error |= rota_sleep(*event == 'T' ? 20 : 1);
		rota_shield_end(&shield);
		if (*event == 'P')
			rota_group_cancel(&parent, (struct rota_cancellation){
							   -EPERM, NULL });
		if (*event == 'C')
			rota_group_cancel(&child, (struct rota_cancellation){
							  -EDOM, NULL });
	}
	seen->code = rota_cancelled();
	seen->child = rota_cause().error;
	error |= rota_group_wait(&child) != seen->child;
	seen->parent = rota_cause().error;
	error |= rota_group_wait(&parent) != seen->parent;
	return error | rota_cancelled();
}

static void what_came_first_is_the_cause_from_there_inwards(void **state)
{
	static const struct story stories[] = {
		{ "", 0, 0, 0 },
		{ "P", -EPERM, -EPERM, -ECANCELED },
		{ "C", 0, -EDOM, -ECANCELED },
		{ "T", 0, -ETIME, -ETIME },
		{ "PC", -EPERM, -EPERM, -ECANCELED },
		{ "CP", -EPERM, -EDOM, -ECANCELED },
		{ "PT", -EPERM, -EPERM, -ECANCELED },
		{ "CT", 0, -EDOM, -ECANCELED },
		{ "TC", 0, -ETIME, -ETIME },
		{ "TP", -EPERM, -ETIME, -ECANCELED },
		{ "CPTCP", -EPERM, -EDOM, -ECANCELED },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(stories) / sizeof(*stories); i++) {
		struct story seen = stories[i];

		assert_int_equal(test_run_timed(tell, &seen), 0);
		assert_int_equal(seen.parent, stories[i].parent);
		assert_int_equal(seen.child, stories[i].child);
		assert_int_equal(seen.code, stories[i].code);
	}
}

/* Who a request is for, as tasks see it. */
struct identity {
	const char *root, *child, *grandchild, *sibling, *shielded;
	const char *after_clear;
};

static int note_identity(void *value)
{
	const char **seen = *(const char ***)value;

	*seen = rota_task_inherited();
	rota_task_set_inherited((void *)(uintptr_t) "of its own");
	return 0;
}

static int hand_down(void *value)
{
	struct identity *identity = *(struct identity **)value;
	static const char other[] = "second";
	struct rota_group group;
	int error;

	identity->child = rota_task_inherited();
	rota_group_open(&group, NULL);
	rota_task_set_inherited((void *)(uintptr_t)other);
	error = rota_go(&group, note_identity, &identity->grandchild);
	rota_task_set_inherited(NULL);
	error |= rota_go(&group, note_identity, &identity->after_clear);
	return rota_group_wait(&group) | error;
}

static int inherit(void *arg)
{
	struct identity *identity = arg;
	static const char first[] = "first";
	struct rota_shield shield;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	rota_task_set_inherited((void *)(uintptr_t)first);
	error = rota_go(&group, hand_down, identity);
	error |= rota_go(&group, note_identity, &identity->sibling);
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	rota_shield_begin(&shield, ROTA_SECOND);
	identity->shielded = rota_task_inherited();
	rota_shield_end(&shield);
	if (rota_group_wait(&group) != -ECANCELED)
		error = -EPROTO;
	identity->root = rota_task_inherited();
	return error;
}

static void what_is_inherited_goes_down_and_never_up_or_sideways(void **state)
{
	struct identity seen = { .after_clear = "nothing" };

	(void)state;
	/* Cancelled before it started, hand_down spawns nobody. */
	assert_int_equal(test_run_timed(inherit, &seen), 0);
	assert_string_equal(seen.root, "first");
	assert_string_equal(seen.child, "first");
	assert_string_equal(seen.sibling, "first");
	assert_string_equal(seen.shielded, "first");
	assert_string_equal(seen.after_clear, "nothing");
}

static int inherit_freely(void *arg)
{
	struct identity *identity = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	identity->root = rota_task_inherited();
	rota_task_set_inherited((void *)(uintptr_t) "first");
	error = rota_go(&group, hand_down, identity);
	rota_task_set_inherited(NULL);
	return rota_group_wait(&group) | error;
}

static void what_is_inherited_is_as_it_was_at_the_spawn(void **state)
{
	struct identity seen = { .root = "something", .after_clear = "" };

	(void)state;
	assert_int_equal(test_run_timed(inherit_freely, &seen), 0);
	assert_null(seen.root);
	assert_string_equal(seen.child, "first");
	assert_string_equal(seen.grandchild, "second");
	assert_null(seen.after_clear);
}

/* What a shield in a cancelled group lets through. */
struct sheltered {
	int codes[6];
	struct rota_cancellation cause;
	struct test_trail trail;
};

static int shelter(void *arg)
{
	struct sheltered *seen = arg;
	struct rota_group doomed, group;
	struct rota_shield shield;
	struct rota_deadline limit;

	rota_group_open(&doomed, &(struct rota_group_options){
					 .deadline_ns = rota_after_ns(10) });
	seen->codes[0] = rota_sleep(20);
	rota_shield_begin(&shield, ROTA_NEVER);
	seen->codes[1] = rota_cancelled();
	seen->cause = rota_cause();
	seen->codes[2] = rota_sleep(20);
	rota_group_open(&group, NULL);
	rota_deadline_begin(&limit, rota_after_ns(5));
	seen->codes[3] = rota_go(
		&group, act, ((struct actor){ &seen->trail, "a", 7, 0, 0 }));
	story_note(&seen->trail, "b", rota_sleep(20));
	rota_deadline_end(&limit);
	seen->codes[4] = rota_group_wait(&group);
	rota_shield_end(&shield);
	seen->codes[5] = rota_sleep(1);
	return rota_group_wait(&doomed);
}

static void a_shield_keeps_out_what_is_around_and_nothing_inside(void **state)
{
	struct sheltered seen = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(shelter, &seen), -ETIME);
	assert_int_equal(seen.codes[0], -ETIME);
	for (int i = 1; i < 5; i++)
		assert_int_equal(seen.codes[i], 0);
	assert_int_equal(seen.codes[5], -ETIME);
	assert_int_equal(seen.cause.error, 0);
	assert_string_equal(seen.trail.text, "b~ a ");
}

#define BUSY_SCOPES 10000

/* Each keeps a scope open while the others open and end theirs. */
static int open_often(void *value)
{
	const unsigned rounds = *(unsigned *)value;
	struct rota_deadline deadline;

	for (unsigned i = 0; i < rounds; i++) {
		rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND + i));
		if (rota_yield() || rota_deadline_end(&deadline))
			return -EPROTO;
	}
	return 0;
}

struct growth {
	struct test_kernel kernel;
	unsigned members;
	size_t bytes[2]; /* mapped before and after */
};

static int parent_a_million(void *arg)
{
	struct growth *growth = arg;
	const unsigned once = 1, often = 100;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < growth->members && !error; i++)
		error = rota_go(&group, open_often, once);
	error |= rota_sleep(10);
	growth->bytes[0] = growth->kernel.mapped_bytes;
	for (unsigned i = 0; i < growth->members && !error; i++)
		error = rota_go(&group, open_often, often);
	error |= rota_sleep(10);
	growth->bytes[1] = growth->kernel.mapped_bytes;
	return rota_group_wait(&group) | error;
}

/* A list that were searched would take half an hour. */
static void a_million_scopes_come_and_go_below_one_that_stays(void **state)
{
	struct growth growth = { .members = test_rounds(BUSY_SCOPES) };

	(void)state;
	assert_int_equal(test_run_timed_with(NULL, &growth.kernel,
					     parent_a_million, &growth),
			 0);
	assert_int_equal(growth.bytes[1], growth.bytes[0]);
}

/* Nothing can be mapped any more, and enters are counted. */
static int begin_without_memory(void *arg)
{
	struct test_kernel *kernel = arg;
	unsigned enters;

	test_kernel_fail(kernel, &(struct test_fault){ .call = TEST_MAP,
						       .times = TEST_FOREVER,
						       .error = -ENOMEM });
	enters = kernel->calls[TEST_ENTER];
	for (int i = 0; i < 1000; i++)
		for (int kind = 0; kind < 5; kind++)
			open_and_end(kind);
	enters = kernel->calls[TEST_ENTER] - enters;
	test_kernel_mend(kernel);
	return (int)enters;
}

static void scopes_need_no_memory_and_no_system_call(void **state)
{
	struct test_kernel kernel;

	(void)state;
	assert_int_equal(test_run_timed_with(NULL, &kernel,
					     begin_without_memory, &kernel),
			 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_cancel_reaches_what_is_below_and_nothing_beside),
		cmocka_unit_test(
			a_scope_that_is_over_is_met_by_no_cancel_and_no_clock),
		cmocka_unit_test(the_earlier_time_out_counts_however_they_nest),
		cmocka_unit_test(
			a_time_out_that_was_cancelled_first_never_comes),
		cmocka_unit_test(
			what_came_first_is_the_cause_from_there_inwards),
		cmocka_unit_test(
			what_is_inherited_goes_down_and_never_up_or_sideways),
		cmocka_unit_test(what_is_inherited_is_as_it_was_at_the_spawn),
		cmocka_unit_test(
			a_shield_keeps_out_what_is_around_and_nothing_inside),
		cmocka_unit_test(
			a_million_scopes_come_and_go_below_one_that_stays),
		cmocka_unit_test(scopes_need_no_memory_and_no_system_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
