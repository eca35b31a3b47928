/* SPDX-License-Identifier: MIT */
/*
 * Random programs of tasks and everything that is a scope (groups of all kinds,
 * deadlines, shields, idle sections, callbacks), of cancels, drains, sleeps,
 * sends, receives and closes, each beside the model of support/model.h.
 *
 * Time is the test's: it moves only when nothing else can happen, so the model
 * knows which deadlines have come. Every program ends, because the group
 * around it has a deadline, and no grace of a shield is without end.
 *
 * SEED replays a run.
 */
#include "rota/rota.h"
#include "support/log.h"
#include "support/run.h"
#include "support/world.h"
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
#define FAILURES_MAX 2

static void act_inherit(struct actor *actor)
{
	rota_task_set_inherited(&actor->world->pairs[dice(actor->world, 3)]);
}

static void cancel_any(struct world *world)
{
	static const int causes[] = { 0, -EPIPE, -EIO, -ETIME, -EXDEV };
	struct model *model = &world->model;
	struct model_scope *scope = model->open[dice(world, model->open_count)];
	const int cause = causes[dice(world, 5)];

	if (!scope->group)
		return;
	rota_group_cancel(scope->group,
			  (struct rota_cancellation){ cause, NULL });
	model_cancel(model, scope, -ECANCELED, cause ? cause : -ECANCELED);
}

static void drain_any(struct world *world)
{
	struct model *model = &world->model;
	struct model_scope *scope = model->open[dice(world, model->open_count)];
	const int64_t graces_ns[] = { INT64_MIN, 0, dice(world, 60),
				      ROTA_NEVER };
	const int64_t grace_ns = graces_ns[dice(world, 4)];

	if (!scope->group)
		return;
	rota_group_drain(scope->group, grace_ns);
	model_drain(model, scope, grace_ns);
}

/* Whether a call that waited has a slot by now, or was refused, and has not
 * gone on, only the engine knows. */
static void count_calls(struct model_scope *scope)
{
	const struct rota_node *waiters = &scope->group->waiters;
	const struct rota_node *link = waiters->next;

	scope->spawning = scope->group->live - (scope->accepted - scope->ended);
	for (; link != waiters; link = link->next)
		scope->spawning++;
}

static int act(void *value);

static int spawn_somehow(struct actor *actor, struct model_scope *group,
			 struct actor child)
{
	int result;

	if (!dice(actor->world, 4)) {
		child.background = true;
		result = rota_go_background(group->group, act, child);
		group->background += !result;
		return result;
	}
	model_spawn(group);
	if (dice(actor->world, 3))
		result = rota_go(group->group, act, child);
	else
		result = rota_try_go(group->group, act, child);
	model_time(&actor->world->model);
	count_calls(group);
	group->spawning += result != 0; /* this one */
	model_spawned(&actor->world->model, group, result);
	return result;
}

static bool is_member(const struct model_scope *of,
		      const struct model_scope *group)
{
	while (of && of != group)
		of = of->home;
	return of != NULL;
}

static void act_spawn(struct actor *actor, struct model_scope *group)
{
	struct world *world = actor->world;
	const int before = model_refusal(actor->here, group);
	const struct actor child = {
		world, group, group, rota_task_inherited(), actor->depth + 1,
		false
	};
	int result;

	if (world->tasks == TASKS_A_PROGRAM)
		return;
	world->tasks++;
	result = spawn_somehow(actor, group, child);
	look(actor);
	if (!result) {
		expect(world, "nobody is accepted after a cancel",
		       model_refusal(actor->here, group), 0);
		if (group->limit)
			expect(world, "the limit",
			       group->accepted - group->ended <= group->limit,
			       true);
	} else if (before) {
		expect(world, "a refusal", result, before);
	} else if (result == -EDEADLK) {
		expect(world, "only members wait for themselves",
		       group->limit && is_member(actor->group, group), true);
	} else if (result == -EAGAIN) {
		expect(world, "the limit was reached",
		       group->limit && group->accepted - group->ended +
						       group->spawning >=
					       group->limit,
		       true);
	} else {
		if (result == -ESHUTDOWN && !actor->here->code)
			expect(world, "a drain ends waits at once",
			       world->kernel.clock_ns == group->closed_ns,
			       true);
		expect(world, "a wait for a slot that ended",
		       model_was_told(actor->here, result) ||
			       model_had_code(group, result),
		       true);
	}
}

/* Into a group that it is a member of, or further out. */
static void act_spawn_out(struct actor *actor)
{
	struct model_scope *group = actor->group;

	if (!group || actor->depth >= DEPTH_MAX)
		return;
	while (group->home && !dice(actor->world, 3))
		group = group->home;
	act_spawn(actor, group);
}

static void act_steps(struct actor *actor, unsigned steps);

static int64_t some_deadline(struct world *world)
{
	if (dice(world, 3))
		return INT64_MAX;
	return world->kernel.clock_ns + dice(world, 100) - 5;
}

static void act_inside(struct actor *actor, struct model_scope *scope)
{
	struct actor inside = *actor;

	model_open(&actor->world->model, scope, actor->here);
	inside.here = scope;
	look(&inside);
	act_steps(&inside, dice(actor->world, 4));
	model_time(&actor->world->model);
}

static void act_outside(struct actor *actor, struct model_scope *scope)
{
	model_close(&actor->world->model, scope);
	look(actor);
}

static void act_deadline(struct actor *actor)
{
	struct world *world = actor->world;
	struct model_scope scope = { .kind = MODEL_DEADLINE,
				     .deadline_ns = some_deadline(world) };
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, scope.deadline_ns);
	act_inside(actor, &scope);
	expect(world, "whether the deadline came", rota_deadline_end(&deadline),
	       scope.expired);
	act_outside(actor, &scope);
}

static void act_shield(struct actor *actor)
{
	struct world *world = actor->world;
	struct model_scope scope = { .kind = MODEL_SHIELD,
				     .grace_ns = (int)dice(world, 60) - 5 };
	struct rota_shield shield;

	rota_shield_begin(&shield, scope.grace_ns);
	act_inside(actor, &scope);
	expect(world, "whether the grace ran out", rota_shield_end(&shield),
	       scope.expired);
	act_outside(actor, &scope);
}

static void act_idle(struct actor *actor)
{
	struct world *world = actor->world;
	struct model_scope scope = { .kind = MODEL_IDLE,
				     .deadline_ns = INT64_MAX };
	struct rota_idle idle;

	rota_idle_begin(&idle);
	act_inside(actor, &scope);
	expect(world, "whether a group drains", rota_idle_end(&idle),
	       scope.drains);
	act_outside(actor, &scope);
}

struct note {
	struct world *world;
	unsigned calls;
};

static void note_call(void *arg)
{
	struct note *note = arg;

	note->calls++;
	model_time(&note->world->model);
	if (dice(note->world, 8))
		return;
	if (dice(note->world, 2))
		cancel_any(note->world);
	else
		drain_any(note->world);
}

static void act_callback(struct actor *actor)
{
	struct world *world = actor->world;
	struct model_scope scope = { .kind = MODEL_CALLBACK,
				     .deadline_ns = INT64_MAX };
	struct note note = { .world = world };
	struct rota_callback callback;

	rota_callback_begin(&callback, note_call, &note);
	act_inside(actor, &scope);
	expect(world, "a callback is prevented or called",
	       rota_callback_end(&callback), note.calls == 0);
	expect(world, "a callback is called once", note.calls <= 1, true);
	if (scope.code && world->kernel.clock_ns != scope.over_ns)
		expect(world, "a callback is called soon", (int)note.calls, 1);
	expect(world, "a callback is called on cancel",
	       note.calls && !scope.code, false);
	act_outside(actor, &scope);
}

/* Suspends, and is counted. */
static void discard(int result, void *value)
{
	const struct actor *actor = value;

	expect(actor->world, "a late result", result >= 0, true);
	expect(actor->world, "a close in a discard", rota_close(-1), -EBADF);
	actor->world->discarded++;
}

static void check_failures(struct world *world, const struct model_scope *scope,
			   const struct rota_failures *failures)
{
	expect(world, "failures", (int)failures->count,
	       (int)scope->failure_count);
	for (unsigned i = 0; i < FAILURES_MAX && i < failures->count; i++)
		expect(world, "a failure", failures->list[i].error,
		       scope->failures[i]);
}

/* Joins, beside the model. */
static void join(struct world *world, struct model_scope *scope)
{
	int outcome;

	count_calls(scope);
	model_join(&world->model, scope);
	outcome = rota_group_wait(scope->group);
	model_time(&world->model);
	expect(world, "wait joins all", (int)scope->ended,
	       (int)scope->accepted);
	expect(world, "wait joins the background", (int)scope->background, 0);
	expect(world, "what the group comes to", outcome, model_outcome(scope));
	world->late += scope->discarded;
}

static void act_group(struct actor *actor)
{
	struct world *world = actor->world;
	struct actor inside = *actor;
	struct rota_failure list[FAILURES_MAX];
	struct rota_failures failures = { list, FAILURES_MAX, 0 };
	struct rota_group group;
	struct model_scope scope = { .kind = MODEL_GROUP,
				     .group = &group,
				     .home = actor->group,
				     .mode = dice(world, 3),
				     .limit = dice(world, 4),
				     .deadline_ns = some_deadline(world) };

	if (actor->depth >= DEPTH_MAX)
		return;
	rota_group_open(&group, &(struct rota_group_options){
					.limit = scope.limit,
					.mode = scope.mode,
					.failures = &failures,
					.discard = discard,
					.deadline_ns = scope.deadline_ns });
	model_open(&world->model, &scope, actor->here);
	inside.here = &scope;
	look(&inside);
	for (unsigned i = dice(world, 5); i; i--) {
		act_spawn(&inside, &scope);
		act_steps(&inside, dice(world, 2));
	}
	join(world, &scope);
	check_failures(world, &scope, &failures);
	act_outside(actor, &scope);
}

static void act_rarely(struct actor *actor)
{
	switch (dice(actor->world, 4)) {
	case 0:
		act_close(actor);
		break;
	case 1:
		act_inherit(actor);
		break;
	case 2:
		cancel_any(actor->world);
		break;
	default:
		drain_any(actor->world);
	}
	look(actor);
}

/* What a task does is drawn from these: some more often than others. */
static void (*const acts[])(struct actor *) = {
	act_yield,    act_yield,  act_sleep,         act_sleep,
	act_recv,     act_recv,   act_recv_closable, act_recv_closable,
	act_send,     act_send,   act_send,          act_send,
	act_deadline, act_shield, act_idle,          act_callback,
	act_group,    act_group,  act_spawn_out,     act_spawn_out,
	act_rarely,
};

static void act_once(struct actor *actor)
{
	const unsigned count = sizeof(acts) / sizeof(acts[0]);

	acts[dice(actor->world, count)](actor);
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
		return (const int[]){ -ECANCELED, -ETIME,
				      -ESHUTDOWN }[dice(world, 3)];
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

	expect(actor.world, "what was inherited",
	       rota_task_inherited() == actor.inherited, true);
	look(&actor);
	act_steps(&actor, dice(actor.world, 8));
	model_time(&actor.world->model);
	result = some_result(&actor);
	count_calls(actor.group);
	model_end(&actor.world->model, actor.group, result, actor.background);
	return result;
}

static void check_loop(struct world *world)
{
	const struct ri_tasks *tasks = ri_tasks_here();

	expect(world, "scopes", (int)world->model.open_count, 0);
	expect(world, "who is to be told", ri_list_empty(&tasks->sweeps), true);
	expect(world, "operations in flight", (int)tasks->loop.in_flight, 0);
	expect(world, "tasks parked", (int)tasks->parked, 0);
	expect(world, "tasks alive", (int)tasks->loop.live, 1);
	expect(world, "timers", ri_wheel_empty(&tasks->loop.wheel), true);
}

static void run_program(struct world *world)
{
	struct rota_group group;
	struct model_scope scope = { .kind = MODEL_GROUP,
				     .group = &group,
				     .mode = ROTA_GROUP_KEEP_GOING,
				     .deadline_ns = world->kernel.clock_ns +
						    PROGRAM_NS };
	struct actor actor = { world, &scope, NULL, NULL, 0, false };

	world->tasks = 0;
	rota_group_open(&group, &(struct rota_group_options){
					.mode = scope.mode,
					.deadline_ns = scope.deadline_ns });
	model_open(&world->model, &scope, NULL);
	for (unsigned i = 1 + dice(world, 6); i; i--)
		act_spawn(&actor, &scope);
	act_steps(&actor, dice(world, 4));
	join(world, &scope);
	model_close(&world->model, &scope);
	expect(world, "late results", (int)world->discarded, (int)world->late);
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
	static struct test_log log;
	const struct rota_config config = { .log = test_log_write,
					    .context = &log };
	bool shuffled = false;

	(void)state;
	test_random_init(&world.random);
	world.model.clock_ns = &world.kernel.clock_ns;
	world.rounds = test_rounds(ROUNDS);
	while (world.round < world.rounds && !world.broken) {
		test_kernel_init(&world.kernel);
		test_kernel_clock(&world.kernel, START_NS);
		if (shuffled)
			test_kernel_shuffle(&world.kernel,
					    test_random_next(&world.random));
		shuffled = !shuffled;
		open_pairs(&world);
		assert_int_equal(test_run_with(&config, &world.kernel.table,
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
