/* SPDX-License-Identifier: MIT */
#include "support/arena.h"

#include "support/clean.h"
#include "support/log.h"
#include "support/process.h"
#include "support/run.h"
#include "task/task.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Between the starts of two rounds, by the clock. */
#define ROUND_NS (100 * ROTA_SECOND)
/* After this, no deadline of a round is ahead. */
#define LATE_NS (50 * ROTA_SECOND)
/* Rounds of one engine. */
#define ROUNDS_A_RUN 2000
/* With the director, and with owners. */
#define MANY_TASKS 64
#define FEW_TASKS 9
/* Turns in which who has been told to end must have ended. */
#define PROMPT_TURNS 8
/* ... and all have, when they are given what they wait for. */
#define TURNS_MAX 200

static int64_t (*forward_now)(const struct ri_kernel *table);

/* When the loop itself has read the clock, what is due fires before any task
 * runs. */
static int64_t watch_now(const struct ri_kernel *table)
{
	struct arena *arena = ri_container(table, struct arena, kernel.table);
	const int64_t now_ns = forward_now(table);

	if (!ri_loop_here || ri_loop_in_fiber(ri_loop_here) || arena->calling)
		return now_ns;
	arena->referee.fired_ns = now_ns;
	if (!arena->model.open_count)
		return now_ns;
	arena_follow_owner(arena);
	model_time(&arena->model);
	for (unsigned i = 0; i < arena->count; i++)
		nest_fired(&arena->fighters[i].nest);
	return now_ns;
}

static bool hold(void *context, const struct test_arrival *arrival)
{
	const struct arena *arena = context;

	(void)arrival;
	return arena->holding;
}

void arena_open_gate(struct arena *arena, unsigned fighter)
{
	gate_open(fighter < arena->count ? &arena->fighters[fighter].gate
					 : &arena->owner_gate);
}

void arena_cancel(struct arena *arena, struct model_scope *scope, int cause)
{
	if (!scope->group)
		return;
	rota_group_cancel(scope->group, (struct rota_cancellation){ cause, 0 });
	nest_cancel(&arena->model, &arena->referee, scope, cause);
}

void arena_drain(struct arena *arena, struct model_scope *scope)
{
	const int64_t grace_ns = arena->script.grace_ns;

	if (!scope->group)
		return;
	rota_group_drain(scope->group, grace_ns);
	nest_drained(&arena->model, &arena->referee, scope, grace_ns);
}

/* By a callback. */
static void be_spiteful(struct nest *nest)
{
	struct fighter *fighter = ri_container(nest, struct fighter, nest);
	struct arena *arena = fighter->arena;

	arena->calling = true;
	switch (fighter->spite) {
	case ARENA_CANCELS:
		arena_cancel(arena, &arena->scope, -EXDEV);
		break;
	case ARENA_DRAINS:
		arena_drain(arena, &arena->scope);
		break;
	case ARENA_OPENS:
		arena_open_gate(arena,
				(unsigned)(fighter - arena->fighters) + 1);
		break;
	default:
		break;
	}
	arena->calling = false;
}

static void feed(struct arena *arena, unsigned fighter)
{
	if (fighter < arena->count &&
	    write(arena->pairs[fighter][1], "x", 1) == 1)
		arena->given++;
}

static void deliver(struct arena *arena)
{
	arena->holding = false;
	arena->kernel.arrivals.shuffled = false;
	test_kernel_release_all(&arena->kernel);
}

/* To the first, or the last, deadline that is ahead. */
static void advance(struct arena *arena, bool last)
{
	int64_t found_ns = ROTA_NEVER;

	for (unsigned i = 0; i < arena->model.open_count; i++) {
		const int64_t deadline_ns = arena->model.open[i]->deadline_ns;

		if (deadline_ns != ROTA_NEVER &&
		    (found_ns == ROTA_NEVER ||
		     last == (deadline_ns > found_ns)))
			found_ns = deadline_ns;
	}
	for (unsigned i = 0; i < arena->count; i++) {
		const struct fighter *fighter = &arena->fighters[i];

		if (fighter->wait == ARENA_SLEEP && !last &&
		    fighter->until_ns > arena->kernel.clock_ns &&
		    fighter->until_ns < found_ns)
			found_ns = fighter->until_ns;
	}
	if (found_ns != ROTA_NEVER && arena->kernel.clock_ns < found_ns)
		arena->kernel.clock_ns = found_ns;
}

static void act(struct arena *arena, const struct arena_step *step)
{
	switch (step->event) {
	case ARENA_OPEN:
		arena_open_gate(arena, step->fighter);
		break;
	case ARENA_FEED:
		feed(arena, step->fighter);
		break;
	case ARENA_CANCEL:
		arena_cancel(arena, &arena->scope, -EPIPE);
		break;
	case ARENA_CANCEL_OUTER:
		arena_cancel(arena, &arena->outer_scope, -ENOLINK);
		break;
	case ARENA_DRAIN:
		arena_drain(arena, &arena->scope);
		break;
	case ARENA_DRAIN_OUTER:
		arena_drain(arena, &arena->outer_scope);
		break;
	case ARENA_DELIVER:
		deliver(arena);
		break;
	default:
		advance(arena, step->event == ARENA_LAST_DEADLINE);
		break;
	}
	arena_look(arena);
}

static void pass_turn(struct arena *arena)
{
	arena->referee.turn++;
	arena_expect(arena, "the director's sleep", rota_sleep(1), 0);
	arena_look(arena);
}

static void play_script(struct arena *arena)
{
	const struct arena_script *script = &arena->script;

	arena->holding = script->holds;
	arena->kernel.arrivals.shuffled = script->shuffles;
	for (arena->steps_done = 0; arena->steps_done < script->count;
	     arena->steps_done++) {
		const struct arena_step *step =
			&script->steps[arena->steps_done];

		for (unsigned i = 0; i < step->yields; i++)
			rota_yield();
		for (unsigned i = 0; i < step->turns; i++)
			pass_turn(arena);
		act(arena, step);
	}
}

static __attribute__((noreturn)) void hang(struct arena *arena,
					   const char *whose)
{
	if (arena->referee.broken)
		arena_report(arena);
	arena->referee.broken = NULL;
	arena->referee.whose = whose;
	arena_expect(arena, "whether it ends", false, true);
	rounds_hang();
}

/* Who has been told to end does, unless it is stubborn. */
static void expect_promptness(struct arena *arena)
{
	bool told[ARENA_FIGHTERS];

	for (unsigned i = 0; i < arena->count; i++) {
		const struct fighter *fighter = &arena->fighters[i];

		told[i] = fighter->begun && fighter->nest.here->code;
	}
	for (unsigned i = 0; i < PROMPT_TURNS; i++)
		pass_turn(arena);
	for (unsigned i = 0; i < arena->count; i++) {
		const struct fighter *fighter = &arena->fighters[i];

		if (told[i] && !fighter->ended &&
		    fighter->wait != ARENA_STUBBORN)
			hang(arena, fighter->name);
	}
}

static void give_all(struct arena *arena)
{
	for (unsigned i = 0; i <= arena->count; i++) {
		arena_open_gate(arena, i);
		feed(arena, i);
	}
	if (arena->kernel.clock_ns < arena->start_ns + LATE_NS)
		arena->kernel.clock_ns = arena->start_ns + LATE_NS;
}

/* Brings all of them home. */
static void settle(struct arena *arena)
{
	deliver(arena);
	if (!arena->script.fed) {
		arena_cancel(arena, &arena->outer_scope, -ENOLINK);
		expect_promptness(arena);
	}
	for (unsigned turn = 0; !arena->over; turn++) {
		if (turn > TURNS_MAX)
			hang(arena, NULL);
		if (turn < 2)
			give_all(arena);
		pass_turn(arena);
	}
}

static void prepare_scopes(struct arena *arena)
{
	arena->outer_deadline =
		(struct model_scope){ .kind = MODEL_DEADLINE,
				      .deadline_ns =
					      arena->script.outer_deadline_ns };
	arena->outer_scope =
		(struct model_scope){ .kind = MODEL_GROUP,
				      .mode = ROTA_GROUP_KEEP_GOING,
				      .deadline_ns = ROTA_NEVER };
	arena->scope = (struct model_scope){
		.kind = MODEL_GROUP,
		.mode = arena->options.mode,
		.deadline_ns = arena->options.deadline_ns,
	};
	arena->model.open_count = 0;
	arena->model.order = 0;
	arena->model.together = true;
	arena->model.clock_ns = &arena->referee.fired_ns;
	for (unsigned i = 0; i < arena->count; i++) {
		struct fighter *fighter = &arena->fighters[i];

		fighter->nest = (struct nest){ .model = &arena->model,
					       .referee = &arena->referee,
					       .name = fighter->name,
					       .called = be_spiteful };
		nest_prepare(&fighter->nest, fighter->inner,
			     fighter->inner_count);
	}
}

static void prepare_round(struct arena *arena)
{
	test_random_seed(&arena->referee.random, rounds_seed(&arena->rounds));
	arena->referee.turn = 1;
	arena->start_ns = (arena->rounds.round + 1) * (int64_t)ROUND_NS;
	arena_write(arena);
	arena->kernel.clock_ns = arena->start_ns;
	test_random_seed(&arena->kernel.arrivals.random,
			 test_random_next(&arena->referee.random));
	prepare_scopes(arena);
	arena->owner_gate = (struct gate){ .open = false };
	arena->over = false;
	arena->tickets = arena->served = arena->inside = 0;
	arena->late = arena->discarding = arena->discarded = 0;
	arena->opened = arena->delivered = 0;
}

static void play_round(struct arena *arena)
{
	struct rota_group home;

	prepare_round(arena);
	rota_group_open(&home, NULL);
	arena_expect(arena, "spawning the owner of all",
		     rota_go(&home, arena_own_all, arena), 0);
	play_script(arena);
	settle(arena);
	arena_expect(arena, "what all came to", rota_group_wait(&home), 0);
	pass_turn(arena);
	clean_expect(&arena->referee);
	arena_check(arena);
}

/* The director. */
static int direct(void *arg)
{
	struct arena *arena = arg;
	struct rounds *rounds = &arena->rounds;
	const unsigned end = rounds->end - rounds->round > ROUNDS_A_RUN
				     ? rounds->round + ROUNDS_A_RUN
				     : rounds->end;

	arena->lowest = clean_lowest_descriptor();
	while (rounds->round < end) {
		play_round(arena);
		if (arena->referee.broken)
			return 0;
		rounds->round++;
	}
	return 0;
}

/* In every other engine some of them are one too many. */
static unsigned tasks_max(const struct rounds *rounds)
{
	return rounds->round / ROUNDS_A_RUN % 2 ? FEW_TASKS : MANY_TASKS;
}

static void run_engine(struct arena *arena)
{
	const struct rota_config config = { .tasks_max =
						    tasks_max(&arena->rounds),
					    .log = test_log_nothing };
	const unsigned descriptors = test_process_descriptors();
	struct referee *referee = &arena->referee;

	test_kernel_init(&arena->kernel);
	test_kernel_clock(&arena->kernel,
			  arena->rounds.round * (int64_t)ROUND_NS +
				  ROTA_SECOND);
	test_kernel_hold(&arena->kernel, hold, arena);
	forward_now = arena->kernel.table.now_ns;
	arena->kernel.table.now_ns = watch_now;
	referee->clock_ns = &arena->kernel.clock_ns;
	assert_int_equal(
		test_run_with(&config, &arena->kernel.table, direct, arena), 0);
	if (referee->broken)
		return;
	referee_expect(referee, "rings and mappings left",
		       test_kernel_left(&arena->kernel), 0);
	referee_expect(referee, "descriptors left", test_process_descriptors(),
		       descriptors);
}

static void play_class(struct arena *arena)
{
	for (unsigned i = 0; i < ARENA_FIGHTERS; i++)
		assert_int_equal(socketpair(AF_UNIX,
					    SOCK_STREAM | SOCK_CLOEXEC |
						    SOCK_NONBLOCK,
					    0, arena->pairs[i]),
				 0);
	while (arena->rounds.round < arena->rounds.end &&
	       !arena->referee.broken)
		run_engine(arena);
	if (arena->referee.broken)
		arena_report(arena);
	for (unsigned i = 0; i < ARENA_FIGHTERS; i++) {
		close(arena->pairs[i][0]);
		close(arena->pairs[i][1]);
	}
	assert_null(arena->referee.broken);
}

void arena_play(const struct arena_class *classes, unsigned count,
		unsigned rounds)
{
	static struct arena arena;
	struct test_random seeds;

	test_random_init(&seeds);
	for (unsigned i = 0; i < count; i++) {
		memset(&arena, 0, sizeof(arena));
		arena.class = &classes[i];
		if (!rounds_begin(&arena.rounds, classes[i].name, seeds.state,
				  rounds))
			continue;
		rounds_on_abort(arena_report, &arena);
		play_class(&arena);
	}
}
