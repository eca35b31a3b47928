/* SPDX-License-Identifier: MIT */
#include "support/arena.h"

#include "task/blocked.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Memory that nobody may read any more. */
#define POISON 0xa5

static unsigned count_links(const struct rota_node *head)
{
	unsigned count = 0;

	for (const struct rota_node *link = head->next; link != head;
	     link = link->next)
		count++;
	return count;
}

void arena_sync(struct arena *arena, int adjust)
{
	const struct rota_group *group = &arena->group;
	struct model_scope *scope = &arena->scope;
	const unsigned members = scope->accepted - scope->ended;

	nest_look(&arena->model, &arena->referee);
	if (!scope->group)
		return;
	scope->spawning = group->live - members + count_links(&group->waiters) +
			  (unsigned)adjust;
}

void arena_follow_owner(struct arena *arena)
{
	if (!arena->scope.group || !arena->group.ending || arena->scope.ending)
		return;
	nest_look(&arena->model, &arena->referee);
	model_join(&arena->model, &arena->scope);
}

/* What a task is told is what the model says. */
static void check_code(struct fighter *fighter)
{
	const struct model_scope *here = fighter->nest.here;

	arena_follow_owner(fighter->arena);
	nest_expect(&fighter->nest, "what the task is told", rota_cancelled(),
		    here->code);
	nest_expect(&fighter->nest, "why", rota_cause().error, here->cause);
}

static bool has_slot(const struct fighter *fighter)
{
	return fighter->home == &fighter->arena->scope && !fighter->background;
}

/* Whether all who have slots are in rota_go: then who comes is refused. */
static bool is_circle(const struct arena *arena)
{
	unsigned going = 0;

	for (unsigned i = 0; i < arena->count; i++) {
		const struct fighter *fighter = &arena->fighters[i];

		going += fighter->going && has_slot(fighter);
	}
	return going == arena->options.limit;
}

static bool was_told(const struct arena *arena, const struct model_scope *here,
		     int code)
{
	return model_was_told(here, code) ||
	       model_was_told(&arena->scope, code) ||
	       (code == -ESHUTDOWN && arena->scope.closed);
}

static int fight(void *value);

static int call_go(struct arena *arena, struct fighter *child, char how)
{
	switch (how) {
	case ARENA_TRY_GO:
		return rota_try_go(&arena->group, fight, child);
	case ARENA_GO_BACKGROUND:
		return rota_go_background(&arena->group, fight, child);
	default:
		return rota_go(&arena->group, fight, child);
	}
}

/* One call of rota_go, and what was seen of it. */
struct call {
	struct arena *arena;
	struct fighter *caller; /* NULL: the owner */
	const struct model_scope *here;
	struct fighter *child;
	char how;        /* enum arena_then */
	int before;      /* why it was to be refused at once */
	bool full;       /* there was no slot */
	unsigned ticket; /* of one who has to wait; 0: it has not */
	bool circle;     /* all with slots were in it, the caller too */
	int error;
};

static void expect(const struct call *call, const char *law, int64_t seen,
		   int64_t wanted)
{
	if (call->caller)
		nest_expect(&call->caller->nest, law, seen, wanted);
	else
		arena_expect(call->arena, law, seen, wanted);
}

/* It had to wait for a slot. */
static void judge_wait(const struct call *call)
{
	struct arena *arena = call->arena;

	if (call->error == -EDEADLK) {
		expect(call, "whether there was a circle", is_circle(arena),
		       true);
	} else if (call->error) {
		expect(call, "a wait for a slot that was told to end",
		       was_told(arena, call->here, call->error), true);
	} else {
		expect(call, "a slot for who is cancelled",
		       model_refusal(call->here, &arena->scope), 0);
		expect(call, "whether somebody overtook",
		       call->ticket <= arena->served, false);
		arena->served = call->ticket;
	}
}

/* As many tasks as there may be. */
static bool is_full(void)
{
	const struct ri_tasks *tasks = ri_tasks_here();

	return tasks->loop.live >= tasks->max;
}

static void judge_go(const struct call *call)
{
	int wanted = 0;

	if (call->error == -EAGAIN && !call->before && is_full())
		return;
	if (call->before)
		wanted = call->before;
	else if (call->how == ARENA_TRY_GO && call->full)
		wanted = -EAGAIN;
	else if (call->ticket) {
		judge_wait(call);
		return;
	}
	expect(call, "what rota_go returned", call->error, wanted);
}

static void note_go(const struct call *call)
{
	struct arena *arena = call->arena;
	struct fighter *child = call->child;

	child->background = call->how == ARENA_GO_BACKGROUND;
	child->home = &arena->scope;
	child->accepted |= !call->error;
	if (!child->background) {
		arena_sync(arena, call->error != 0);
		model_spawned(&arena->model, &arena->scope, call->error);
	} else if (!call->error) {
		arena->scope.background++;
	}
}

static void go(struct call *call)
{
	struct arena *arena = call->arena;
	const struct rota_group *group = &arena->group;

	arena_follow_owner(arena);
	call->before = model_refusal(call->here, &arena->scope);
	call->full = group->live >= group->limit;
	expect(call, "a free slot, and who waits for one",
	       !call->full && !ri_list_empty(&group->waiters), false);
	if (call->full && !call->before && call->how == ARENA_GO)
		call->ticket = ++arena->tickets;
	if (call->caller)
		call->caller->going = true;
	call->error = call_go(arena, call->child, call->how);
	judge_go(call);
	if (call->caller)
		call->caller->going = false;
	note_go(call);
}

/* The next one that nobody has spawned. */
static struct fighter *next_child(struct arena *arena)
{
	for (unsigned i = 0; i < arena->count; i++) {
		struct fighter *fighter = &arena->fighters[i];

		if (fighter->place == ARENA_CHILD && !fighter->home)
			return fighter;
	}
	return NULL;
}

static void spawn_one(struct fighter *fighter)
{
	struct arena *arena = fighter->arena;
	struct call call = { .arena = arena,
			     .caller = fighter,
			     .here = fighter->nest.here,
			     .child = next_child(arena),
			     .how = fighter->then };

	if (!arena->scope.group || !call.child)
		return;
	call.child->home = &arena->scope;
	go(&call);
	check_code(fighter);
}

static int receive(struct fighter *fighter)
{
	struct arena *arena = fighter->arena;
	const int fd = arena->pairs[fighter - arena->fighters][0];
	char byte;
	const int n = rota_recv(fd, &byte, 1, 0);

	if (n < 0)
		return n;
	nest_expect(&fighter->nest, "bytes received", n, 1);
	arena->got++;
	return 0;
}

static int wait_for_it(struct fighter *fighter)
{
	switch (fighter->wait) {
	case ARENA_SLEEP:
		return rota_sleep_until(fighter->until_ns);
	case ARENA_RECV:
		return receive(fighter);
	case ARENA_NOTHING:
		return 0;
	default:
		return gate_wait(&fighter->gate,
				 fighter->wait == ARENA_STUBBORN);
	}
}

static void fight_inside(void *arg)
{
	struct fighter *fighter = arg;
	const struct model_scope *here = fighter->nest.here;
	const int before = here->code;

	check_code(fighter);
	fighter->stopped = wait_for_it(fighter);
	if (before && fighter->wait != ARENA_NOTHING &&
	    fighter->wait != ARENA_STUBBORN)
		nest_expect(&fighter->nest, "a wait of who is cancelled",
			    fighter->stopped, before);
	if (fighter->stopped)
		nest_expect(&fighter->nest, "a wait that was told to end",
			    model_was_told(here, fighter->stopped), true);
	check_code(fighter);
	if (fighter->then != ARENA_END)
		spawn_one(fighter);
}

static int result_of(struct fighter *fighter)
{
	if (fighter->stopped && !fighter->heedless)
		return fighter->stopped;
	switch (fighter->result) {
	case ARENA_FAILURE:
		return -EIO;
	case ARENA_DESCRIPTOR:
		/* Nobody takes it from others. */
		if (!has_slot(fighter) ||
		    fighter->arena->scope.mode != ROTA_GROUP_FIRST_SUCCESS)
			return 0;
		fighter->arena->opened++;
		fighter->descriptor = fcntl(0, F_DUPFD_CLOEXEC, 0);
		return fighter->descriptor;
	default:
		return 0;
	}
}

static void begin(struct fighter *fighter)
{
	struct arena *arena = fighter->arena;
	const unsigned limit = arena->options.limit;

	arena_follow_owner(arena);
	nest_expect(&fighter->nest, "whether it began before", fighter->begun,
		    false);
	fighter->begun = true;
	if (!has_slot(fighter))
		return;
	arena->inside++;
	nest_expect(&fighter->nest, "more than there are slots",
		    limit && arena->inside > limit, false);
}

/* The last thing that it does. */
static void end(struct fighter *fighter, int result)
{
	struct arena *arena = fighter->arena;
	const bool late = has_slot(fighter) && result >= 0 &&
			  arena->scope.mode == ROTA_GROUP_FIRST_SUCCESS &&
			  arena->scope.won;

	fighter->ended = true;
	if (has_slot(fighter))
		arena->inside--;
	if (late)
		arena->discarding++;
	arena->late += late;
	if (fighter->home == &arena->scope) {
		arena_follow_owner(arena);
		arena_sync(arena, late);
	}
	nest_look(&arena->model, &arena->referee);
	model_end(&arena->model, fighter->home, result, fighter->background);
}

static int fight(void *value)
{
	struct fighter *fighter = *(struct fighter **)value;
	int result;

	begin(fighter);
	nest_run(&fighter->nest, fighter->home, fight_inside, fighter);
	result = result_of(fighter);
	end(fighter, result);
	return result;
}

/* The last act of who came late. */
static void discard(int result, void *value)
{
	struct fighter *fighter = *(struct fighter **)value;
	struct arena *arena = fighter->arena;

	nest_expect(&fighter->nest, "what is discarded", result,
		    fighter->descriptor >= 0 ? fighter->descriptor : 0);
	fighter->discarded++;
	arena->discarded++;
	if (fighter->descriptor >= 0)
		nest_expect(&fighter->nest, "closing what is discarded",
			    rota_close(result), 0);
	fighter->descriptor = -1;
	arena->discarding--;
	arena_sync(arena, -1);
	if (arena->scope.joining)
		model_join(&arena->model, &arena->scope);
}

/* Spawns those of one kind: 0, or why the last one was not. */
static void spawn_members(struct arena *arena)
{
	for (unsigned i = 0; i < arena->count; i++) {
		struct fighter *fighter = &arena->fighters[i];
		struct call call = { .arena = arena,
				     .here = &arena->scope,
				     .child = fighter,
				     .how = ARENA_GO };

		if (fighter->place == ARENA_BACKGROUND)
			call.how = ARENA_GO_BACKGROUND;
		else if (fighter->place != ARENA_MEMBER)
			continue;
		go(&call);
	}
}

/* The result of a race is somebody's descriptor. */
static void take(struct arena *arena, int result)
{
	for (unsigned i = 0; i < arena->count && result > 0; i++) {
		struct fighter *fighter = &arena->fighters[i];

		if (fighter->descriptor != result)
			continue;
		arena_expect(arena, "closing what was won", rota_close(result),
			     0);
		fighter->descriptor = -1;
		arena->delivered++;
	}
}

static int own_group(void *value)
{
	struct arena *arena = *(struct arena **)value;
	struct model_scope *scope = &arena->scope;
	int result, stopped;

	arena->options.discard = discard;
	rota_group_open(&arena->group, &arena->options);
	nest_open(&arena->model, &arena->referee, scope, &arena->outer_scope);
	scope->group = &arena->group;
	spawn_members(arena);
	stopped = gate_wait(&arena->owner_gate, false);
	arena_expect(arena, "what the owner was told",
		     stopped && !model_was_told(scope, stopped), false);
	arena_sync(arena, 0);
	model_join(&arena->model, scope);
	result = rota_group_wait(&arena->group);
	arena_expect(arena, "what the group came to", result,
		     model_outcome(scope));
	arena_expect(arena, "members that have not ended",
		     scope->accepted - scope->ended, 0);
	arena_expect(arena, "background members that have not ended",
		     scope->background, 0);
	model_close(&arena->model, scope);
	scope->group = NULL;
	memset(&arena->group, POISON, sizeof(arena->group));
	take(arena, result);
	model_end(&arena->model, &arena->outer_scope, 0, false);
	return 0;
}

/* Into the outer group. Was it accepted? */
static bool spawn_outer(struct arena *arena, rota_task_fn *fn, void *pointer)
{
	struct model_scope *scope = &arena->outer_scope;
	int error;

	model_spawn(scope);
	error = rota_go(&arena->outer, fn, pointer);
	if (error != -EAGAIN || !is_full())
		arena_expect(arena, "spawning into the outer group", error,
			     model_refusal(scope, scope));
	model_spawned(&arena->model, scope, error);
	return !error;
}

static void own_outer(struct arena *arena)
{
	struct model_scope *scope = &arena->outer_scope;
	int result;

	rota_group_open(&arena->outer, &(struct rota_group_options){
					       .mode = ROTA_GROUP_KEEP_GOING });
	nest_open(&arena->model, &arena->referee, scope,
		  &arena->outer_deadline);
	scope->group = &arena->outer;
	spawn_outer(arena, own_group, arena);
	for (unsigned i = 0; i < arena->count; i++) {
		struct fighter *fighter = &arena->fighters[i];

		if (fighter->place != ARENA_OUTSIDER)
			continue;
		fighter->home = scope;
		fighter->accepted = spawn_outer(arena, fight, fighter);
	}
	model_join(&arena->model, scope);
	result = rota_group_wait(&arena->outer);
	arena_expect(arena, "what the outer group came to", result,
		     model_outcome(scope));
	model_close(&arena->model, scope);
	scope->group = NULL;
}

int arena_own_all(void *value)
{
	struct arena *arena = *(struct arena **)value;
	struct model_scope *scope = &arena->outer_deadline;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, scope->deadline_ns);
	nest_open(&arena->model, &arena->referee, scope, NULL);
	own_outer(arena);
	arena_expect(arena, "whether the outer deadline came",
		     rota_deadline_end(&deadline), scope->expired);
	model_close(&arena->model, scope);
	arena->over = true;
	return 0;
}

/* Members of the group that wait for a slot of it and have one. */
static unsigned count_waiting(const struct arena *arena,
			      const struct rota_group *of)
{
	const struct rota_node *head = &arena->group.waiters;
	unsigned count = 0;

	for (const struct rota_node *link = head->next; link != head;
	     link = link->next) {
		const struct rota_task *task =
			ri_container(link, struct ri_blocked, link)->task;

		count += task->group == of &&
			 !(task->fiber.flags & RI_TASK_BACKGROUND);
	}
	return count;
}

void arena_look(struct arena *arena)
{
	const struct rota_group *group = &arena->group;
	const struct model_scope *scope = &arena->scope;
	const unsigned members =
		scope->accepted - scope->ended + arena->discarding;
	unsigned waiters;

	if (!scope->group)
		return;
	arena_follow_owner(arena);
	waiters = count_links(&group->waiters);
	arena_expect(arena, "who waits for a slot", ri_tasks_here()->blocked,
		     waiters);
	arena_expect(arena, "a wait for a slot that is free",
		     waiters && (group->live < group->limit ||
				 group->scope.code || !group->limit),
		     false);
	arena_expect(arena, "members", count_links(&group->members),
		     members + scope->background);
	arena_expect(arena, "members in the background", group->background,
		     scope->background);
	arena_expect(arena, "slots in use that nobody has",
		     group->live < members, false);
	arena_expect(arena, "members that wait", group->waiting,
		     count_waiting(arena, group));
	arena_expect(arena, "more slots than there are",
		     arena->options.limit && group->live > arena->options.limit,
		     false);
	arena_expect(arena, "the outer group's members that wait",
		     arena->outer.waiting,
		     count_waiting(arena, &arena->outer) + group->joining);
}
