/* SPDX-License-Identifier: MIT */
/*
 * Random programs of tasks that wait for slots of any group, their own, one
 * further out or a stranger's, and join their own, beside a model that goes
 * through all of them again and again to find out who can ever go on:
 *
 *   - a wait is refused with -EDEADLK only if with it nobody could who has a
 *     slot of that group;
 *   - there is never a wait that nobody can ever end.
 *
 * SEED replays a run.
 */
#include "support/puppet.h"
#include "support/random.h"
#include "support/timed.h"
#include "task/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ROUNDS 20000
#define STEPS 40

struct world {
	struct test_show show;
	struct rota_group others; /* of those who are outside */
	struct test_random random;
	unsigned refused;   /* waits, over all rounds */
	const char *broken; /* the first law that did not hold */
};

static unsigned dice(struct world *world, unsigned end)
{
	return (unsigned)test_random_below(&world->random, end);
}

/* What the model says of each puppet. */
struct model {
	struct world *world;
	bool goes_on[TEST_PUPPETS_MAX];
	bool before; /* those that were refused are taken as waiting */
};

static bool is_alive(const struct test_puppet *puppet)
{
	return puppet->state != TEST_ENDED;
}

/* Can a member of the group, at least one or each of them? */
static bool members_go_on(const struct model *model,
			  const struct rota_group *group, bool each)
{
	const struct test_show *show = &model->world->show;

	for (unsigned i = 0; i < show->count; i++) {
		const struct test_puppet *puppet = &show->puppets[i];

		if (puppet->of == group && !puppet->background &&
		    is_alive(puppet) && model->goes_on[i] != each)
			return !each;
	}
	return each;
}

static bool can_go_on(const struct model *model,
		      const struct test_puppet *puppet)
{
	const bool refused = model->before && puppet->code == -EDEADLK;

	if (refused || puppet->state == TEST_WAITS)
		return members_go_on(model, puppet->target, false);
	if (puppet->state == TEST_JOINS)
		return members_go_on(model, &puppet->own[puppet->depth - 1],
				     true);
	return true;
}

/* Who can go on, or could before waits were refused? */
static struct model solve(struct world *world, bool before)
{
	struct model model = { .world = world, .before = before };
	bool more;

	do {
		more = false;
		for (unsigned i = 0; i < world->show.count; i++) {
			const bool goes_on =
				can_go_on(&model, &world->show.puppets[i]);

			more |= goes_on && !model.goes_on[i];
			model.goes_on[i] |= goes_on;
		}
	} while (more);
	return model;
}

static void check(struct world *world)
{
	const struct model now = solve(world, false);
	const struct model before = solve(world, true);

	for (unsigned i = 0; i < world->show.count; i++) {
		struct test_puppet *puppet = &world->show.puppets[i];

		if (puppet->state == TEST_WAITS && !now.goes_on[i])
			world->broken = "a wait can never end";
		if (puppet->code != -EDEADLK)
			continue;
		world->refused++;
		puppet->code = 0;
		if (before.goes_on[i])
			world->broken = "a wait was refused that could end";
	}
}

/* An open group: the show's, that of the others, or a puppet's. */
static struct rota_group *any_group(struct world *world)
{
	struct test_puppet *puppet =
		&world->show.puppets[dice(world, world->show.count + 1)];
	const unsigned kind = dice(world, 6);

	if (kind == 0)
		return &world->others;
	if (kind < 3 || puppet == &world->show.puppets[world->show.count] ||
	    !is_alive(puppet) || !puppet->depth)
		return &world->show.group;
	return &puppet->own[dice(world, puppet->depth)];
}

static void add_any(struct world *world)
{
	struct rota_group *group = any_group(world);

	if (world->show.count + 8 > TEST_PUPPETS_MAX || group->scope.code)
		return;
	if (dice(world, 5) == 0)
		test_puppet_add_background(&world->show, group);
	else if (group->live < group->limit)
		test_puppet_add(&world->show, group);
}

/* Cancels a puppet's group, at times without letting those inside be told. */
static bool cancel_any(struct world *world)
{
	struct rota_group *group = any_group(world);

	if (group == &world->others || group == &world->show.group)
		return false;
	rota_group_cancel(group, (struct rota_cancellation){ 0, NULL });
	return dice(world, 2);
}

static void tell_to_open(struct world *world, struct test_puppet *puppet)
{
	puppet->limit = dice(world, 3);
	test_puppet_tell(puppet, TEST_OPEN);
}

static void tell_to_go(struct world *world, struct test_puppet *puppet)
{
	puppet->target = any_group(world);
	if (puppet->target->scope.owner->scope->code) /* about to close it */
		puppet->target = &world->show.group;
	test_puppet_tell(puppet, TEST_GO);
}

static void tell_any(struct world *world)
{
	struct test_puppet *puppet =
		&world->show.puppets[dice(world, world->show.count)];
	const unsigned kind = dice(world, 10);

	if (puppet->state != TEST_LISTENS || !puppet->task->wait)
		return;
	if (kind == 0)
		test_puppet_tell(puppet, TEST_END);
	else if (kind < 3 && puppet->depth < TEST_PUPPET_DEPTH)
		tell_to_open(world, puppet);
	else if (kind < 6 && puppet->depth)
		test_puppet_tell(puppet, TEST_JOIN);
	else if (world->show.count < TEST_PUPPETS_MAX)
		tell_to_go(world, puppet);
}

static void step(struct world *world)
{
	const unsigned kind = dice(world, 8);

	if (kind < 3)
		add_any(world);
	else if (world->show.count && kind > 3)
		tell_any(world);
	else if (world->show.count && cancel_any(world))
		tell_any(world);
	test_show_settle();
	check(world);
}

static int one_round(struct world *world)
{
	rota_group_open(&world->others, NULL);
	test_show_open(&world->show, 1 + dice(world, 3));
	for (int i = 0; i < STEPS && !world->broken; i++)
		step(world);
	test_show_close(&world->show);
	rota_group_cancel(&world->others,
			  (struct rota_cancellation){ 0, NULL });
	(void)rota_group_wait(&world->others);
	return world->broken ? -EPROTO : 0;
}

static int all_rounds(void *arg)
{
	int error = 0;

	for (unsigned i = 0; i < test_rounds(ROUNDS) && !error; i++)
		error = one_round(arg);
	return error;
}

static void a_wait_is_refused_if_and_only_if_it_could_never_end(void **state)
{
	struct world world = { 0 };

	(void)state;
	test_random_init(&world.random);
	if (test_run_timed(all_rounds, &world))
		fail_msg("%s", world.broken);
	printf("%u waits were refused\n", world.refused);
	assert_true(world.refused > 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_wait_is_refused_if_and_only_if_it_could_never_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
