/* SPDX-License-Identifier: MIT */
/*
 * A limit under random operations, against a model of some lines: after each
 * step both say the same of who has what, who waits, and how much is left. All
 * steps are one task's; those that wait are tasks of their own.
 */
#include "rota/rota.h"
#include "support/random.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 100
#define STEPS 10000
#define SLOTS 8

enum slot_state {
	FREE,
	WAITING,
	HELD,
	CANCELLED
};

/* One who asks: what the model says of it, and what it was told. */
struct slot {
	struct rota_group group; /* in which it asks */
	enum slot_state state;   /* by the model */
	uint64_t count;          /* of permits */
	int code;                /* it was told; 1: nothing yet */
};

struct world {
	struct test_random random;
	struct rota_limit limit;
	struct rota_group all; /* the tasks that ask */
	struct slot slots[SLOTS];
	uint64_t size, used;  /* by the model */
	uint64_t loose;       /* permits that the stepper has itself */
	unsigned line[SLOTS]; /* slots that wait, the first one first */
	unsigned waiting;     /* how many */
	unsigned step;        /* now */
	char wrong[128];      /* what was found first */
};

struct asking {
	struct rota_limit *limit;
	struct slot *slot;
};

static int ask(void *value)
{
	const struct asking *asking = value;
	struct slot *slot = asking->slot;

	rota_group_open(&slot->group, NULL);
	slot->code = rota_limit_acquire(asking->limit, slot->count);
	rota_group_wait(&slot->group);
	return 0;
}

static bool model_fits(const struct world *world, uint64_t count)
{
	return !world->waiting && world->used + count <= world->size;
}

static void model_serve(struct world *world)
{
	while (world->waiting) {
		struct slot *slot = &world->slots[world->line[0]];

		if (world->used + slot->count > world->size)
			return;
		world->used += slot->count;
		slot->state = HELD;
		memmove(world->line, world->line + 1,
			--world->waiting * sizeof(world->line[0]));
	}
}

static void model_leave(struct world *world, unsigned index)
{
	unsigned at = 0;

	while (world->line[at] != index)
		at++;
	memmove(world->line + at, world->line + at + 1,
		(--world->waiting - at) * sizeof(world->line[0]));
}

static void expect(struct world *world, bool right, const char *what)
{
	if (!right && !world->wrong[0])
		snprintf(world->wrong, sizeof(world->wrong), "step %u: %s",
			 world->step, what);
}

static void settle(void)
{
	for (int i = 0; i < 4; i++)
		if (rota_yield())
			return;
}

static int code_of(enum slot_state state)
{
	return state == WAITING ? 1 : state == HELD ? 0 : -ECANCELED;
}

/* Everything has come to rest: does the limit say what the model says? */
static void compare(struct world *world)
{
	const struct rota_limit_state state = rota_limit_inspect(&world->limit);

	expect(world, state.used == world->used, "used");
	expect(world, state.waiting == world->waiting, "waiting");
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *slot = &world->slots[i];

		if (slot->state == FREE)
			continue;
		expect(world, slot->code == code_of(slot->state), "a code");
		if (slot->state == CANCELLED)
			slot->state = FREE;
	}
}

static int step_ask(struct world *world, unsigned index)
{
	struct slot *slot = &world->slots[index];

	if (slot->state != FREE)
		return 0;
	slot->code = 1;
	slot->count = test_random_below(&world->random, world->size + 1);
	if (model_fits(world, slot->count)) {
		world->used += slot->count;
		slot->state = HELD;
	} else {
		world->line[world->waiting++] = index;
		slot->state = WAITING;
	}
	return rota_go(&world->all, ask,
		       ((struct asking){ &world->limit, slot }));
}

static void step_try(struct world *world)
{
	const uint64_t count =
		test_random_below(&world->random, world->size + 2);
	const int code = rota_limit_try_acquire(&world->limit, count);

	if (count > world->size) {
		expect(world, code == -EINVAL, "a try for too many");
	} else if (model_fits(world, count)) {
		expect(world, code == 0, "a try");
		world->used += count;
		world->loose += count;
	} else {
		expect(world, code == -EAGAIN, "a try in vain");
	}
}

static void release(struct world *world, uint64_t count)
{
	rota_limit_release(&world->limit, count);
	world->used -= count;
	model_serve(world);
}

static void step_release(struct world *world, unsigned index)
{
	struct slot *slot = &world->slots[index];

	if (slot->state == HELD) {
		slot->state = FREE;
		release(world, slot->count);
	} else if (world->loose) {
		const uint64_t count =
			test_random_below(&world->random, world->loose + 1);

		world->loose -= count;
		release(world, count);
	}
}

/* It has been told nothing yet: it waits, or was served a moment ago. */
static void cancel(struct world *world, unsigned index)
{
	struct slot *slot = &world->slots[index];

	rota_group_cancel(&slot->group, (struct rota_cancellation){ 0, NULL });
	if (slot->state == WAITING)
		model_leave(world, index);
	else
		world->used -= slot->count;
	slot->state = CANCELLED;
}

static void step_cancel(struct world *world, unsigned index)
{
	if (world->slots[index].state != WAITING)
		return;
	cancel(world, index);
	model_serve(world);
}

/* Serves somebody, and cancels it, or one that still waits, before it goes on. */
static void step_snatch(struct world *world, unsigned index)
{
	const bool waited = world->slots[index].state == WAITING;

	step_release(world, (unsigned)test_random_below(&world->random, SLOTS));
	if (!waited)
		return;
	cancel(world, index);
	model_serve(world);
}

static int step(struct world *world)
{
	const unsigned index =
		(unsigned)test_random_below(&world->random, SLOTS);
	int error = 0;

	switch (test_random_below(&world->random, 8)) {
	case 0:
	case 1:
	case 2:
		error = step_ask(world, index);
		break;
	case 3:
		step_try(world);
		break;
	case 4:
	case 5:
		step_release(world, index);
		break;
	case 6:
		step_cancel(world, index);
		break;
	default:
		step_snatch(world, index);
		break;
	}
	settle();
	compare(world);
	return error;
}

static int run_round(void *arg)
{
	struct world *world = arg;
	int error = 0;

	world->size = 1 + test_random_below(&world->random, 10);
	rota_limit_init(&world->limit, world->size, NULL);
	rota_group_open(&world->all, NULL);
	for (world->step = 0; world->step < STEPS && !error; world->step++)
		error = world->wrong[0] ? -EPROTO : step(world);
	for (unsigned i = 0; i < SLOTS; i++)
		step_cancel(world, i);
	error |= rota_group_wait(&world->all);
	if (!error)
		rota_limit_release(&world->limit, world->used);
	if (!error)
		rota_limit_fini(&world->limit);
	return error;
}

static void it_does_what_the_model_does(void **state)
{
	static struct world world;
	int result;
	unsigned rounds = test_rounds(ROUNDS);
	struct test_random random;

	(void)state;
	test_random_init(&random);
	while (rounds--) {
		memset(&world, 0, sizeof(world));
		test_random_seed(&world.random, test_random_next(&random));
		result = test_run(run_round, &world);
		assert_string_equal(world.wrong, "");
		assert_int_equal(result, 0);
		assert_int_equal(world.step, STEPS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_does_what_the_model_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
