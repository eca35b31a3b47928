/* SPDX-License-Identifier: MIT */
/*
 * Random programs of tasks, groups, deadlines, cancels, sleeps and receives,
 * each beside a model: a tree of scopes that says after every step what code
 * and cause a task sees, and at every join what the group comes to.
 *
 * Time is the test's: it moves only when nothing else can happen, so the model
 * knows which deadlines have come. Every program ends, because the group
 * around it has a deadline.
 *
 * SEED replays a run.
 */
#include "rota/rota.h"
#include "support/kernel.h"
#include "support/random.h"
#include "support/run.h"
#include "task/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define START_NS ROTA_SECOND
#define ROUNDS 30000
#define ROUNDS_A_RUN 500
#define PROGRAM_NS 2000
#define TASKS_A_PROGRAM 80
#define DEPTH_MAX 4
#define SCOPES_MAX 1024

/* What is known of a scope. */
struct scope {
	struct scope *parent;
	struct rota_group *group; /* NULL: it is a deadline */
	int64_t deadline_ns;      /* INT64_MAX: none, or it has come */
	uint64_t order;           /* in which they were opened */
	int code;
	bool was[2]; /* its code was -ECANCELED, -ETIME */
	int cause;
	bool expired;
	/* Groups: */
	enum rota_group_mode mode;
	unsigned limit; /* 0: none */
	unsigned accepted, ended;
	int first_error;
};

struct world {
	struct test_kernel kernel;
	struct test_random random;
	struct scope *open[SCOPES_MAX];
	unsigned open_count;
	uint64_t order;
	unsigned tasks;     /* of this program so far */
	int pairs[3][2];    /* connected sockets; the last one is closed at
			       times */
	unsigned closed;    /* how often */
	uint64_t sent, got; /* bytes, but those of the last pair */
	unsigned rounds, round;
	const char *broken; /* the first law that did not hold */
	int seen, wanted;   /* its values */
};

/* Who acts: a task in a scope. */
struct actor {
	struct world *world;
	struct scope *here;  /* the innermost */
	struct scope *group; /* whose member it is; NULL: the first task */
	int depth;
};

static void expect(struct world *world, const char *law, int seen, int wanted)
{
	if (seen == wanted || world->broken)
		return;
	world->broken = law;
	world->seen = seen;
	world->wanted = wanted;
}

static unsigned dice(struct world *world, unsigned end)
{
	return (unsigned)test_random_below(&world->random, end);
}

static void set_code(struct scope *scope, int code)
{
	scope->code = code;
	scope->was[code == -ETIME] |= code != 0;
}

static bool had_code(const struct scope *scope, int code)
{
	return (code == -ECANCELED && scope->was[0]) ||
	       (code == -ETIME && scope->was[1]);
}

static bool is_inside(const struct scope *scope, const struct scope *top)
{
	while (scope && scope != top)
		scope = scope->parent;
	return scope == top;
}

static void model_cancel(struct world *world, struct scope *top, int code,
			 int cause)
{
	if (top->code)
		return;
	for (unsigned i = 0; i < world->open_count; i++) {
		struct scope *scope = world->open[i];

		if (!is_inside(scope, top))
			continue;
		if (!scope->code)
			scope->cause = cause;
		set_code(scope, code);
	}
}

/* Lets the deadlines come that are due: the earliest first, and of one time
 * the one that was opened first. */
static void model_time(struct world *world)
{
	for (;;) {
		struct scope *due = NULL;

		for (unsigned i = 0; i < world->open_count; i++) {
			struct scope *scope = world->open[i];

			if (scope->deadline_ns <= world->kernel.clock_ns &&
			    (!due || scope->deadline_ns < due->deadline_ns ||
			     (scope->deadline_ns == due->deadline_ns &&
			      scope->order < due->order)))
				due = scope;
		}
		if (!due)
			return;
		due->deadline_ns = INT64_MAX;
		due->expired = !due->code;
		model_cancel(world, due, -ETIME, -ETIME);
	}
}

static void model_open(struct world *world, struct scope *scope,
		       struct scope *parent, int64_t deadline_ns)
{
	ri_check(world->open_count < SCOPES_MAX, "too many scopes");
	scope->parent = parent;
	scope->deadline_ns = deadline_ns;
	scope->order = world->order++;
	if (parent) {
		set_code(scope, parent->code);
		scope->cause = parent->cause;
	}
	world->open[world->open_count++] = scope;
	model_time(world);
}

static void model_close(struct world *world, struct scope *scope)
{
	unsigned i = 0;

	while (world->open[i] != scope)
		i++;
	world->open[i] = world->open[--world->open_count];
}

static int model_outcome(const struct scope *group)
{
	if (group->first_error)
		return group->first_error;
	if (group->expired)
		return -ETIME;
	return group->code ? group->cause : 0;
}

static void model_end(struct world *world, struct scope *group, int result)
{
	group->ended++;
	if (result >= 0 || had_code(group, result))
		return;
	if (!group->first_error)
		group->first_error = result;
	if (group->mode == ROTA_GROUP_FIRST_ERROR)
		model_cancel(world, group, -ECANCELED, result);
}

/* What holds whenever a task looks. */
static void look(struct actor *actor)
{
	struct world *world = actor->world;

	model_time(world);
	expect(world, "the code", rota_cancelled(), actor->here->code);
	expect(world, "the cause", rota_cause().error, actor->here->cause);
}

/* A verb has returned: before it was called the code was `before`. */
static void check_verb(struct actor *actor, int before, int result)
{
	look(actor);
	if (before)
		expect(actor->world, "a cancelled task's verb", result, before);
	else if (result < 0)
		expect(actor->world, "a verb that was interrupted",
		       had_code(actor->here, result), true);
}

static void act_yield(struct actor *actor)
{
	const int before = actor->here->code;

	check_verb(actor, before, rota_yield());
}

static void act_sleep(struct actor *actor)
{
	const int before = actor->here->code;

	check_verb(actor, before,
		   rota_sleep((int64_t)dice(actor->world, 60) - 10));
}

static void act_recv(struct actor *actor)
{
	struct world *world = actor->world;
	const int before = actor->here->code;
	char byte;
	int n = rota_recv(world->pairs[dice(world, 2)][0], &byte, 1, 0);

	check_verb(actor, before, n);
	if (n > 0)
		world->got += (unsigned)n;
}

static void act_recv_closable(struct actor *actor)
{
	struct world *world = actor->world;
	const int before = actor->here->code;
	const unsigned closed = world->closed;
	char byte;
	int n = rota_recv(world->pairs[2][0], &byte, 1, 0);

	if (n == -EBADF && !before) {
		expect(world, "a close", world->closed != closed, true);
		n = 0;
	}
	check_verb(actor, before, n);
}

static void act_send(struct actor *actor)
{
	struct world *world = actor->world;
	const int before = actor->here->code;
	int n = rota_send(world->pairs[dice(world, 2)][1], "x", 1, 0);

	check_verb(actor, before, n);
	if (n > 0)
		world->sent += (unsigned)n;
}

/* Puts a new pair in the place of the last one, and closes that. */
static void act_close(struct actor *actor)
{
	struct world *world = actor->world;
	const int old[] = { world->pairs[2][0], world->pairs[2][1] };

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, world->pairs[2]))
		ri_check(false, "no descriptors for the test");
	world->closed++;
	expect(world, "a close in any task", rota_close(old[0]), 0);
	expect(world, "a close in any task", rota_close(old[1]), 0);
	look(actor);
}

static void act_cancel(struct actor *actor)
{
	static const int causes[] = { 0, -EPIPE, -EIO, -ETIME, -EXDEV };
	struct world *world = actor->world;
	struct scope *scope = world->open[dice(world, world->open_count)];
	const int cause = causes[dice(world, 5)];

	if (!scope->group)
		return;
	rota_group_cancel(scope->group,
			  (struct rota_cancellation){ cause, NULL });
	model_cancel(world, scope, -ECANCELED, cause ? cause : -ECANCELED);
	look(actor);
}

static int act(void *value);

static void act_spawn(struct actor *actor, struct scope *group)
{
	struct world *world = actor->world;
	const int before = actor->here->code ? actor->here->code : group->code;
	const struct actor child = { world, group, group, actor->depth + 1 };
	int result;

	if (world->tasks == TASKS_A_PROGRAM)
		return;
	world->tasks++;
	result = rota_go(group->group, act, child);
	look(actor);
	if (!result) {
		group->accepted++;
		expect(world, "nobody is accepted after a cancel",
		       actor->here->code | group->code, 0);
		if (group->limit)
			expect(world, "the limit",
			       group->accepted - group->ended <= group->limit,
			       true);
	} else if (before) {
		expect(world, "a refusal", result, before);
	} else if (result == -EDEADLK) {
		expect(world, "only members wait for themselves",
		       group->limit && actor->group == group, true);
	} else {
		expect(world, "a wait for a slot that ended",
		       had_code(actor->here, result) || had_code(group, result),
		       true);
	}
}

static void act_steps(struct actor *actor, unsigned steps);

static int64_t some_deadline(struct world *world)
{
	if (dice(world, 3))
		return INT64_MAX;
	return world->kernel.clock_ns + dice(world, 100) - 5;
}

static void act_deadline(struct actor *actor)
{
	struct world *world = actor->world;
	struct actor inside = *actor;
	struct rota_deadline deadline;
	struct scope scope = { 0 };
	const int64_t deadline_ns = some_deadline(world);

	rota_deadline_begin(&deadline, deadline_ns);
	model_open(world, &scope, actor->here, deadline_ns);
	inside.here = &scope;
	look(&inside);
	act_steps(&inside, dice(world, 4));
	model_time(world);
	expect(world, "whether the deadline came", rota_deadline_end(&deadline),
	       scope.expired);
	model_close(world, &scope);
	look(actor);
}

static void act_group(struct actor *actor)
{
	struct world *world = actor->world;
	struct actor inside = *actor;
	struct rota_group group;
	struct scope scope = { .group = &group };
	int64_t deadline_ns = some_deadline(world);
	int outcome;

	scope.mode = dice(world, 3) ? ROTA_GROUP_FIRST_ERROR
				    : ROTA_GROUP_KEEP_GOING;
	scope.limit = dice(world, 4);
	rota_group_open(&group, &(struct rota_group_options){
					.limit = scope.limit,
					.mode = scope.mode,
					.deadline_ns = deadline_ns });
	model_open(world, &scope, actor->here, deadline_ns);
	inside.here = &scope;
	look(&inside);
	for (unsigned i = dice(world, 5); i; i--) {
		act_spawn(&inside, &scope);
		act_steps(&inside, dice(world, 2));
	}
	outcome = rota_group_wait(&group);
	model_time(world);
	expect(world, "wait joins all", (int)scope.ended, (int)scope.accepted);
	expect(world, "what the group comes to", outcome,
	       model_outcome(&scope));
	model_close(world, &scope);
	look(actor);
}

static void act_once(struct actor *actor)
{
	struct world *world = actor->world;

	switch (dice(world, 12)) {
	case 0:
	case 1:
		act_yield(actor);
		break;
	case 2:
		act_sleep(actor);
		break;
	case 3:
		act_recv(actor);
		break;
	case 4:
		act_recv_closable(actor);
		break;
	case 5:
	case 6:
		act_send(actor);
		break;
	case 7:
		if (!dice(world, 4))
			act_close(actor);
		break;
	case 8:
		if (!dice(world, 4))
			act_cancel(actor);
		break;
	case 9:
		if (actor->group && actor->depth < DEPTH_MAX)
			act_spawn(actor, actor->group);
		break;
	case 10:
		act_deadline(actor);
		break;
	default:
		if (actor->depth < DEPTH_MAX)
			act_group(actor);
	}
}

static void act_steps(struct actor *actor, unsigned steps)
{
	/* Groups and deadlines nest within one task too. */
	actor->depth++;
	while (steps-- && actor->depth < 2 * DEPTH_MAX)
		act_once(actor);
	actor->depth--;
}

static int some_result(struct actor *actor)
{
	struct world *world = actor->world;

	switch (dice(world, 6)) {
	case 0:
		return -1 - (int)dice(world, 20);
	case 1:
		return dice(world, 2) ? -ECANCELED : -ETIME;
	case 2:
		return (int)dice(world, 100);
	default:
		return actor->here->code;
	}
}

static int act(void *value)
{
	struct actor actor = *(struct actor *)value;
	int result;

	look(&actor);
	act_steps(&actor, dice(actor.world, 8));
	model_time(actor.world);
	result = some_result(&actor);
	model_end(actor.world, actor.group, result);
	return result;
}

/* What went in and did not come out is still there. */
static void check_bytes(struct world *world)
{
	char byte;

	for (int i = 0; i < 2; i++)
		while (recv(world->pairs[i][0], &byte, 1, MSG_DONTWAIT) == 1)
			world->got++;
	expect(world, "bytes lost", (int)world->got, (int)world->sent);
}

static void check_loop(struct world *world)
{
	const struct ri_tasks *tasks = ri_tasks_here();

	expect(world, "operations in flight", (int)tasks->loop.in_flight, 0);
	expect(world, "tasks parked", (int)tasks->parked, 0);
	expect(world, "tasks alive", (int)tasks->loop.live, 1);
	expect(world, "timers", ri_wheel_empty(&tasks->loop.wheel), true);
}

static void run_program(struct world *world)
{
	struct rota_group group;
	struct scope scope = { .group = &group, .mode = ROTA_GROUP_KEEP_GOING };
	struct actor actor = { world, &scope, NULL, 0 };
	const int64_t end_ns = world->kernel.clock_ns + PROGRAM_NS;
	int outcome;

	world->tasks = 0;
	rota_group_open(&group,
			&(struct rota_group_options){ .mode = scope.mode,
						      .deadline_ns = end_ns });
	model_open(world, &scope, NULL, end_ns);
	for (unsigned i = 1 + dice(world, 6); i; i--)
		act_spawn(&actor, &scope);
	act_steps(&actor, dice(world, 4));
	outcome = rota_group_wait(&group);
	model_time(world);
	expect(world, "wait joins all", (int)scope.ended, (int)scope.accepted);
	expect(world, "what it comes to", outcome, model_outcome(&scope));
	model_close(world, &scope);
	check_bytes(world);
	check_loop(world);
}

static int run_programs(void *arg)
{
	struct world *world = arg;

	for (unsigned i = 0;
	     i < ROUNDS_A_RUN && world->round < world->rounds && !world->broken;
	     i++) {
		run_program(world);
		world->round++;
	}
	return 0;
}

static void open_pairs(struct world *world)
{
	for (int i = 0; i < 3; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0,
					    world->pairs[i]),
				 0);
	world->sent = 0;
	world->got = 0;
}

static void close_pairs(struct world *world)
{
	for (int i = 0; i < 3; i++) {
		close(world->pairs[i][0]);
		close(world->pairs[i][1]);
	}
}

static void random_programs_do_what_the_model_says(void **state)
{
	static struct world world;
	bool shuffled = false;

	(void)state;
	test_random_init(&world.random);
	world.rounds = test_rounds(ROUNDS);
	while (world.round < world.rounds && !world.broken) {
		test_kernel_init(&world.kernel);
		test_kernel_clock(&world.kernel, START_NS);
		if (shuffled)
			test_kernel_shuffle(&world.kernel,
					    test_random_next(&world.random));
		shuffled = !shuffled;
		open_pairs(&world);
		assert_int_equal(test_run_with(NULL, &world.kernel.table,
					       run_programs, &world),
				 0);
		close_pairs(&world);
		assert_int_equal(test_kernel_left(&world.kernel), 0);
	}
	if (world.broken)
		print_error("round %u: %s: %d, not %d\n", world.round,
			    world.broken, world.seen, world.wanted);
	assert_null(world.broken);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_programs_do_what_the_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
