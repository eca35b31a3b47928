/* SPDX-License-Identifier: MIT */
#include "support/puppet.h"

#include "base/check.h"
#include "task/park.h"

static void hear_of_cancel(struct ri_tasks *tasks, struct rota_task *task)
{
	ri_wake(tasks, task, task->scope->code);
}

/* 0: there is a command. Else the puppet's code. */
static int hear(struct test_puppet *puppet)
{
	struct ri_wait wait = { .what = "a command",
				.interrupt = hear_of_cancel };

	if (rota_cancelled())
		return rota_cancelled();
	puppet->state = TEST_LISTENS;
	puppet->task = ri_task_self(__func__);
	return ri_park(ri_tasks_here(), puppet->task, &wait);
}

static struct test_puppet *prepare(struct test_show *show,
				   struct rota_group *group)
{
	struct test_puppet *puppet = &show->puppets[show->count++];

	ri_check(show->count <= TEST_PUPPETS_MAX, "too many puppets");
	*puppet = (struct test_puppet){ .show = show,
					.of = group,
					.target = &show->group };
	return puppet;
}

static void join(struct test_puppet *puppet)
{
	puppet->state = TEST_JOINS;
	(void)rota_group_wait(&puppet->own[puppet->depth - 1]);
	puppet->depth--;
}

static int play(void *value);

static void go(struct test_puppet *puppet)
{
	struct test_show *show = puppet->show;
	struct test_puppet *next = prepare(show, puppet->target);

	next->state = TEST_ENDED; /* until it is accepted */
	puppet->code = 1;
	puppet->state = TEST_WAITS;
	puppet->code = rota_go(puppet->target, play, next);
	if (!puppet->code)
		next->state = TEST_UNSTARTED;
}

static void open_own(struct test_puppet *puppet)
{
	const struct rota_group_options options = {
		.limit = puppet->limit,
		.mode = ROTA_GROUP_KEEP_GOING
	};

	rota_group_open(&puppet->own[puppet->depth++], &options);
}

static int play(void *value)
{
	struct test_puppet *puppet = *(struct test_puppet **)value;

	while (!hear(puppet) && puppet->command != TEST_END) {
		if (puppet->command == TEST_OPEN)
			open_own(puppet);
		else if (puppet->command == TEST_JOIN)
			join(puppet);
		else
			go(puppet);
	}
	while (puppet->depth)
		join(puppet);
	puppet->state = TEST_ENDED;
	return 0;
}

void test_show_open(struct test_show *show, unsigned limit)
{
	const struct rota_group_options options = {
		.limit = limit,
		.mode = ROTA_GROUP_KEEP_GOING
	};

	show->count = 0;
	rota_group_open(&show->group, &options);
}

void test_show_close(struct test_show *show)
{
	rota_group_cancel(&show->group, (struct rota_cancellation){ 0, NULL });
	(void)rota_group_wait(&show->group);
}

void test_show_settle(void)
{
	ri_check(!rota_sleep(1), "the director is cancelled");
}

struct test_puppet *test_puppet_add(struct test_show *show,
				    struct rota_group *group)
{
	struct test_puppet *puppet = prepare(show, group);

	const int error = rota_try_go(group, play, puppet);

	ri_check(!error, "a puppet is refused: %d", error);
	return puppet;
}

struct test_puppet *test_puppet_add_background(struct test_show *show,
					       struct rota_group *group)
{
	struct test_puppet *puppet = prepare(show, group);

	const int error = rota_go_background(group, play, puppet);

	ri_check(!error, "a puppet is refused: %d", error);
	puppet->background = true;
	return puppet;
}

void test_puppet_tell(struct test_puppet *puppet, enum test_command command)
{
	ri_check(puppet->state == TEST_LISTENS, "the puppet is busy");
	puppet->command = command;
	ri_wake(ri_tasks_here(), puppet->task, 0);
}

void test_puppet_do(struct test_puppet *puppet, enum test_command command)
{
	test_puppet_tell(puppet, command);
	test_show_settle();
}
