/* SPDX-License-Identifier: MIT */
/*
 * Stories of fan-out: many tasks for one answer, the first error ends it. The
 * scenarios are those that Go's errgroup is tested with.
 */
#include "rota/rota.h"
#include "support/child.h"
#include "support/story.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define JOBS_MAX 4

/* Members that end in the order of the list, each with its result. */
struct list {
	unsigned count;
	int results[JOBS_MAX];
	int outcome;   /* what the group comes to */
	unsigned told; /* how many are told to end before their turn */
	enum rota_group_mode mode;
};

struct job {
	struct list *list;
	unsigned at;
};

static int answer(void *value)
{
	const struct job *job = value;
	const int code = rota_sleep(job->at + 1);

	job->list->told -= code == -ECANCELED;
	return code ? code : job->list->results[job->at];
}

static int run_list(void *arg)
{
	struct list *list = arg;
	struct rota_group group;

	rota_group_open(&group,
			&(struct rota_group_options){ .mode = list->mode });
	for (unsigned i = 0; i < list->count; i++)
		if (rota_go(&group, answer, ((struct job){ list, i })))
			return -EPROTO;
	return rota_group_wait(&group);
}

static void of_each_list_of_results_the_first_error_is_kept(void **state)
{
	static const struct list lists[] = {
		{ 0, { 0 }, 0, 0, 0 },
		{ 1, { 0 }, 0, 0, 0 },
		{ 1, { -EIO }, -EIO, 0, 0 },
		{ 2, { -EIO, 0 }, -EIO, 1, 0 },
		{ 2, { 0, -EIO }, -EIO, 0, 0 },
		{ 3, { -EIO, 0, -EDOM }, -EIO, 2, 0 },
		{ 3, { 0, -EDOM, -EIO }, -EDOM, 1, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		struct list list = lists[i];

		assert_int_equal(test_run_timed(run_list, &list), list.outcome);
		assert_int_equal(list.told, 0);
		list.mode = ROTA_GROUP_KEEP_GOING;
		assert_int_equal(test_run_timed(run_list, &list), list.outcome);
		assert_int_equal(list.told, 0);
	}
}

/* Differs by design: wait closes the group, so an error is not kept for the
 * next round. */
static int two_rounds(void *arg)
{
	int *outcomes = arg;
	struct rota_group group;
	struct test_trail trail = { "" };

	rota_group_open(&group, &(struct rota_group_options){ .limit = 1 });
	if (rota_go(&group, act, ((struct actor){ &trail, "a", 1, -EIO, 0 })))
		return -EPROTO;
	outcomes[0] = rota_group_wait(&group);
	rota_group_open(&group, NULL);
	outcomes[1] = rota_cancelled();
	for (int i = 0; i < 2; i++)
		outcomes[2] |= rota_try_go(
			&group, act, ((struct actor){ &trail, "b", 1, 0, 0 }));
	outcomes[3] = rota_group_wait(&group);
	return (int)strlen(trail.text);
}

static void a_group_that_is_opened_again_has_forgotten_everything(void **state)
{
	int outcomes[4] = { 0 };

	(void)state;
	assert_int_equal(test_run_timed(two_rounds, outcomes),
			 strlen("a b b "));
	assert_int_equal(outcomes[0], -EIO);
	for (int i = 1; i < 4; i++)
		assert_int_equal(outcomes[i], 0);
}

/* A cause that is seen in the group: by a member and by the owner. */
struct causes {
	struct rota_cancellation member, owner;
	int codes[2];  /* of their verbs */
	int fail_with; /* what the first member returns */
	int after;     /* what the owner's next verb says after the wait */
};

static int watch_cause(void *value)
{
	struct causes *causes = *(struct causes **)value;

	causes->codes[0] = rota_sleep_until(ROTA_NEVER);
	causes->member = rota_cause();
	return causes->codes[0];
}

static int fail_soon(void *value)
{
	const int code = rota_sleep(10);

	return code ? code : *(int *)value;
}

static int see_causes(void *arg)
{
	struct causes *causes = arg;
	struct rota_group group;
	int error, outcome;

	rota_group_open(&group, NULL);
	error = rota_go_background(&group, watch_cause, causes);
	if (!error)
		error = rota_go(&group, fail_soon, causes->fail_with);
	causes->codes[1] = rota_sleep(20);
	causes->owner = rota_cause();
	outcome = rota_group_wait(&group);
	causes->after = rota_sleep(1);
	return error ? -EPROTO : outcome;
}

static void the_first_error_is_the_cause_that_everybody_sees(void **state)
{
	struct causes causes = { .fail_with = -EXDEV };

	(void)state;
	assert_int_equal(test_run_timed(see_causes, &causes), -EXDEV);
	assert_int_equal(causes.codes[0], -ECANCELED);
	assert_int_equal(causes.codes[1], -ECANCELED);
	assert_int_equal(causes.member.error, -EXDEV);
	assert_int_equal(causes.owner.error, -EXDEV);
	assert_int_equal(causes.after, 0);
}

static void what_only_watches_ends_also_when_all_goes_well(void **state)
{
	struct causes causes = { .fail_with = 0 };

	(void)state;
	assert_int_equal(test_run_timed(see_causes, &causes), 0);
	assert_int_equal(causes.codes[0], -ECANCELED);
	assert_int_equal(causes.codes[1], 0);
	assert_int_equal(causes.member.error, -ECANCELED);
	assert_int_equal(causes.owner.error, 0);
	assert_int_equal(causes.after, 0);
}

/* Three searches; the answers lie in slots of the asker's. */
struct search {
	const char **slot;
	const char *kind;
	int64_t takes_ns;
	struct test_trail *trail;
};

static int look_up(void *value)
{
	const struct search *search = value;
	const int code = rota_sleep(search->takes_ns);

	story_note(search->trail, search->kind, code);
	if (!code)
		*search->slot = search->kind;
	return code;
}

struct answers {
	const char *slots[3];
	struct test_trail trail;
};

static int ask_three(void *arg)
{
	static const char *const kinds[] = { "rivers", "lakes", "towns" };
	struct answers *answers = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 3; i++) {
		struct search search = { &answers->slots[i], kinds[i], 30 - i,
					 &answers->trail };

		if (rota_go(&group, look_up, search))
			return -EPROTO;
		search.kind = "overwritten";
	}
	return rota_group_wait(&group);
}

static void answers_lie_in_the_order_asked_and_come_as_they_come(void **state)
{
	struct answers answers = { .trail = { "" } };

	(void)state;
	assert_int_equal(test_run_timed(ask_three, &answers), 0);
	assert_string_equal(answers.slots[0], "rivers");
	assert_string_equal(answers.slots[1], "lakes");
	assert_string_equal(answers.slots[2], "towns");
	assert_string_equal(answers.trail.text, "towns lakes rivers ");
}

/* Two wait for what never comes, a third does not find its file. */
struct fetch {
	int fd;
	int *code;
};

static int fetch_line(void *value)
{
	const struct fetch *fetch = value;
	char byte;

	return *fetch->code = rota_recv(fetch->fd, &byte, 1, 0);
}

static int fetch_nowhere(void *value)
{
	(void)value;
	return rota_open("/nowhere/to/be/found", O_RDONLY, 0);
}

static int fetch_three(void *arg)
{
	int *codes = arg, pair[2], error, outcome;
	struct rota_group group;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -EPROTO;
	rota_group_open(&group, NULL);
	error = rota_go(&group, fetch_line,
			((struct fetch){ pair[0], &codes[0] }));
	error |= rota_go(&group, fetch_line,
			 ((struct fetch){ pair[1], &codes[1] }));
	error |= rota_sleep(1);
	error |= rota_go(&group, fetch_nowhere, 0);
	outcome = rota_group_wait(&group);
	rota_close(pair[0]);
	rota_close(pair[1]);
	return error ? -EPROTO : outcome;
}

static void one_that_fails_brings_back_those_in_the_kernel(void **state)
{
	int codes[2] = { 0 };

	(void)state;
	assert_int_equal(test_run_timed(fetch_three, codes), -ENOENT);
	assert_int_equal(codes[0], -ECANCELED);
	assert_int_equal(codes[1], -ECANCELED);
}

/* A group in a member of a group. */
struct nest {
	struct test_trail trail;
	bool hand_on; /* the member returns what its group came to */
	int inner;    /* what that was */
};

static int be_nest(void *value)
{
	struct nest *nest = *(struct nest **)value;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, act,
			((struct actor){ &nest->trail, "a", 5, -EIO, 0 }));
	error |= rota_go(&group, act,
			 ((struct actor){ &nest->trail, "b", 9, 0, 0 }));
	nest->inner = rota_group_wait(&group);
	return nest->hand_on ? nest->inner : error;
}

static int nest_two(void *arg)
{
	struct nest *nest = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, be_nest, nest);
	error |= rota_go(&group, act,
			 ((struct actor){ &nest->trail, "c", 7, 0, 0 }));
	return rota_group_wait(&group) | error;
}

static void an_error_stays_in_its_group_until_it_is_handed_on(void **state)
{
	struct nest kept = { .hand_on = false };
	struct nest handed = { .hand_on = true };

	(void)state;
	assert_int_equal(test_run_timed(nest_two, &kept), 0);
	assert_int_equal(kept.inner, -EIO);
	assert_string_equal(kept.trail.text, "a b! c ");
	assert_int_equal(test_run_timed(nest_two, &handed), -EIO);
	assert_string_equal(handed.trail.text, "a b! c! ");
}

/* Differs by design: what was accepted runs, also when the first one failed
 * before the others could start. */
static int fail_before_others_start(void *arg)
{
	struct test_trail *trail = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, act,
			((struct actor){ trail, "a", 0, -EIO, 0 }));
	error |= rota_go(&group, act, ((struct actor){ trail, "b", 0, 0, 0 }));
	error |= rota_go(&group, act, ((struct actor){ trail, "c", 0, 0, 0 }));
	rota_group_cancel(&group, (struct rota_cancellation){ -EDOM, NULL });
	return error ? -EPROTO : rota_group_wait(&group);
}

static void everybody_accepted_runs_and_is_told_at_its_first_verb(void **state)
{
	struct test_trail trail = { "" };

	(void)state;
	assert_int_equal(test_run_timed(fail_before_others_start, &trail),
			 -EDOM);
	assert_string_equal(trail.text, "a! b! c! ");
}

/* What a member does that no group could make good. */
static int crash(void *value)
{
	(void)value;
	rota_task_set_name("the careless one");
	abort();
}

static int leave_deadline(void *value)
{
	struct rota_deadline deadline;

	(void)value;
	rota_task_set_name("the careless one");
	rota_deadline_begin(&deadline, ROTA_NEVER);
	return -EIO;
}

static int keep_going_with(void *arg)
{
	rota_task_fn *const *fn = arg;
	struct rota_group group;

	rota_group_open(&group, &(struct rota_group_options){
					.mode = ROTA_GROUP_KEEP_GOING });
	if (rota_go(&group, *fn, 0))
		return 1;
	rota_group_wait(&group);
	return 2;
}

static int run_careless(void *arg)
{
	return rota_run(NULL, keep_going_with, arg);
}

static void a_crash_of_a_member_is_no_error_of_its_group(void **state)
{
	rota_task_fn *const fns[] = { crash, leave_deadline };
	struct test_child child;

	(void)state;
	for (int i = 0; i < 2; i++) {
		rota_task_fn *fn = fns[i];

		test_child_run(&child, run_careless, &fn);
		assert_int_equal(child.signal, SIGABRT);
		if (fn == leave_deadline)
			assert_non_null(
				strstr(child.errors, "the careless one"));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			of_each_list_of_results_the_first_error_is_kept),
		cmocka_unit_test(
			a_group_that_is_opened_again_has_forgotten_everything),
		cmocka_unit_test(
			the_first_error_is_the_cause_that_everybody_sees),
		cmocka_unit_test(
			what_only_watches_ends_also_when_all_goes_well),
		cmocka_unit_test(
			answers_lie_in_the_order_asked_and_come_as_they_come),
		cmocka_unit_test(
			one_that_fails_brings_back_those_in_the_kernel),
		cmocka_unit_test(
			an_error_stays_in_its_group_until_it_is_handed_on),
		cmocka_unit_test(
			everybody_accepted_runs_and_is_told_at_its_first_verb),
		cmocka_unit_test(a_crash_of_a_member_is_no_error_of_its_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
