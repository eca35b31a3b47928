/* SPDX-License-Identifier: MIT */
/*
 * A mutex and a rwlock against a small model. Tasks of one loop lock, try and
 * unlock at random, and cancel each other while they wait, hold, or have been
 * served and not gone on yet; after each step the lock must be what the model
 * says: who holds it, how many wait, whose turn it is.
 */
#include "support/random.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ACTORS 9
#define STEPS 800000 /* of all of them together */

struct world;

/* What a lock is to be. */
struct model {
	bool written;           /* somebody has it to write */
	unsigned readers;       /* so many have it to read */
	unsigned queue[ACTORS]; /* who waits, the first one first */
	unsigned count;         /* how many */
};

struct actor {
	struct world *world;
	unsigned index;
	struct rota_group group; /* its scope, which others cancel */
	bool open;               /* ... if it is */
	bool cancelled;
	bool writes;         /* what it waits for, or has */
	bool granted;        /* the model has let it in */
	struct model *model; /* where it waits; NULL: nowhere */
};

struct world {
	struct test_random random;
	struct rota_mutex mutex;
	struct rota_rwlock lock;
	struct model of_mutex, of_lock;
	struct actor actors[ACTORS];
	unsigned steps_left;
	unsigned waited, refused, passed_on, left; /* what happened how often */
	char wrong[128];                           /* the first thing, or "" */
};

static uint64_t below(struct world *world, uint64_t end)
{
	return test_random_below(&world->random, end);
}

static void expect(struct world *world, bool is_so, const char *what)
{
	if (!is_so && !world->wrong[0])
		snprintf(world->wrong, sizeof(world->wrong), "%s, %u left",
			 what, world->steps_left);
}

static bool may_enter(const struct model *model, bool writes)
{
	return !model->written && !model->count && !(writes && model->readers);
}

static void enter(struct model *model, struct actor *actor)
{
	if (actor->writes)
		model->written = true;
	else
		model->readers++;
	actor->granted = true;
}

static void drop(struct model *model, unsigned position)
{
	model->count--;
	memmove(&model->queue[position], &model->queue[position + 1],
		(model->count - position) * sizeof(model->queue[0]));
}

static void let_in(struct world *world, struct model *model)
{
	while (model->count && !model->written) {
		struct actor *first = &world->actors[model->queue[0]];

		if (first->writes && model->readers)
			return;
		drop(model, 0);
		enter(model, first);
	}
}

static void leave(struct actor *actor, struct model *model)
{
	if (actor->writes)
		model->written = false;
	else
		model->readers--;
	actor->granted = false;
	let_in(actor->world, model);
}

static void leave_queue(struct actor *actor)
{
	struct model *model = actor->model;

	for (unsigned i = 0; i < model->count; i++)
		if (model->queue[i] == actor->index)
			drop(model, i--);
	let_in(actor->world, model);
}

static void compare(struct world *world)
{
	const struct rota_mutex *mutex = &world->mutex;
	const struct rota_rwlock *lock = &world->lock;

	expect(world, !!mutex->holder.task == world->of_mutex.written,
	       "the mutex's holder");
	expect(world, mutex->line.count == world->of_mutex.count,
	       "the mutex's line");
	expect(world, !!lock->writer.task == world->of_lock.written,
	       "the lock's writer");
	expect(world, lock->readers == world->of_lock.readers,
	       "the lock's readers");
	expect(world, lock->line.count == world->of_lock.count,
	       "the lock's line");
}

static void cancel(struct actor *actor)
{
	const bool waits = actor->model && !actor->granted;

	if (!actor->open || actor->cancelled)
		return;
	actor->cancelled = true;
	rota_group_cancel(&actor->group, (struct rota_cancellation){ 0, NULL });
	if (waits)
		leave_queue(actor);
	actor->world->left += waits;
	compare(actor->world);
}

static int call_lock(struct actor *actor, const struct model *model)
{
	struct world *world = actor->world;

	if (model == &world->of_mutex)
		return rota_mutex_lock(&world->mutex);
	return actor->writes ? rota_rwlock_write_lock(&world->lock)
			     : rota_rwlock_read_lock(&world->lock);
}

static int call_try(struct actor *actor, const struct model *model)
{
	struct world *world = actor->world;

	if (model == &world->of_mutex)
		return rota_mutex_try_lock(&world->mutex);
	return actor->writes ? rota_rwlock_try_write_lock(&world->lock)
			     : rota_rwlock_try_read_lock(&world->lock);
}

static void unlock(struct actor *actor, struct model *model)
{
	struct world *world = actor->world;

	if (model == &world->of_mutex)
		rota_mutex_unlock(&world->mutex);
	else if (actor->writes)
		rota_rwlock_write_unlock(&world->lock);
	else
		rota_rwlock_read_unlock(&world->lock);
	leave(actor, model);
	compare(world);
}

static bool try(struct actor *actor, struct model *model)
{
	const bool may = may_enter(model, actor->writes);
	const int result = call_try(actor, model);

	expect(actor->world, result == (may ? 0 : -EAGAIN), "what try says");
	if (result == 0)
		enter(model, actor);
	return result == 0;
}

/* True: it has it. */
static bool lock(struct actor *actor, struct model *model)
{
	struct world *world = actor->world;
	const bool refused = actor->cancelled;
	int result;

	if (!refused && may_enter(model, actor->writes)) {
		enter(model, actor);
	} else if (!refused) {
		model->queue[model->count++] = actor->index;
		world->waited++;
	}
	world->refused += refused;
	actor->model = refused ? NULL : model;
	result = call_lock(actor, model);
	actor->model = NULL;
	expect(world, result == (actor->cancelled ? -ECANCELED : 0),
	       "what lock says");
	if (result == 0) {
		expect(world, actor->granted, "whose turn it is");
		return actor->granted;
	}
	if (actor->granted) {
		world->passed_on++;
		leave(actor, model);
	}
	compare(world);
	return false;
}

/* For some turns, in which it may cancel others. */
static void hold(struct actor *actor)
{
	struct world *world = actor->world;

	for (uint64_t turns = below(world, 4); turns; turns--) {
		if (below(world, 3) == 0)
			cancel(&world->actors[below(world, ACTORS)]);
		(void)rota_yield();
	}
}

static void step(struct actor *actor)
{
	struct world *world = actor->world;
	struct model *model = below(world, 2) ? &world->of_mutex
					      : &world->of_lock;
	bool has;

	actor->writes = model == &world->of_mutex || below(world, 3) == 0;
	if (below(world, 50) == 0)
		cancel(actor);
	has = below(world, 5) == 0 ? try(actor, model) : lock(actor, model);
	compare(world);
	if (!has)
		return;
	hold(actor);
	unlock(actor, model);
	if (below(world, 10) == 0)
		cancel(&world->actors[below(world, ACTORS)]);
}

static int act(void *value)
{
	struct actor *actor = *(struct actor **)value;
	struct world *world = actor->world;

	while (world->steps_left && !world->wrong[0]) {
		world->steps_left--;
		rota_group_open(&actor->group, NULL);
		actor->open = true;
		actor->cancelled = false;
		step(actor);
		actor->open = false;
		(void)rota_group_wait(&actor->group);
		if (below(world, 4) == 0)
			(void)rota_yield();
	}
	return 0;
}

static int act_all(void *arg)
{
	struct world *world = arg;
	struct rota_group group;
	int error = 0;

	rota_mutex_init(&world->mutex, NULL);
	rota_rwlock_init(&world->lock, NULL);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < ACTORS && !error; i++) {
		struct actor *actor = &world->actors[i];

		*actor = (struct actor){ .world = world, .index = i };
		error = rota_go(&group, act, actor);
	}
	error |= rota_group_wait(&group);
	if (world->wrong[0])
		return error;
	rota_mutex_fini(&world->mutex);
	rota_rwlock_fini(&world->lock);
	return error;
}

static void locks_are_what_the_model_says_whatever_happens(void **state)
{
	static struct world world;

	(void)state;
	test_random_init(&world.random);
	world.steps_left = test_rounds(STEPS);
	assert_int_equal(test_run(act_all, &world), 0);
	assert_string_equal(world.wrong, "");
	print_message("%u waited, %u left the line, %u passed on, %u refused\n",
		      world.waited, world.left, world.passed_on, world.refused);
	assert_int_not_equal(world.waited, 0);
	assert_int_not_equal(world.left, 0);
	assert_int_not_equal(world.passed_on, 0);
	assert_int_not_equal(world.refused, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			locks_are_what_the_model_says_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
