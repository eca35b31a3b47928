/* SPDX-License-Identifier: MIT */
#include "support/arena.h"

#include "support/clean.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

static void check_fighter(struct fighter *fighter)
{
	nest_expect(&fighter->nest, "whether who was accepted began",
		    fighter->begun, fighter->accepted);
	nest_expect(&fighter->nest, "whether who began ended", fighter->ended,
		    fighter->begun);
	nest_expect(&fighter->nest, "discarded more than once",
		    fighter->discarded > 1, false);
	nest_expect(&fighter->nest, "what it handed over and nobody got",
		    fighter->descriptor, -1);
}

/* Takes the bytes that nobody received. */
static uint64_t take_left(struct arena *arena)
{
	uint64_t left = 0;
	char bytes[64];

	for (unsigned i = 0; i < arena->count; i++) {
		const ssize_t n = recv(arena->pairs[i][0], bytes, sizeof(bytes),
				       MSG_DONTWAIT);

		left += n > 0 ? (uint64_t)n : 0;
	}
	return left;
}

static void check_failures(struct arena *arena)
{
	const struct model_scope *scope = &arena->scope;
	const struct rota_failures *failures = &arena->failures;

	if (!scope->accepted && !scope->failure_count)
		return;
	arena_expect(arena, "failures", failures->count, scope->failure_count);
	for (unsigned i = 0; i < failures->count && i < ARENA_FAILURES; i++)
		arena_expect(arena, "a failure", failures->list[i].error,
			     scope->failures[i]);
}

void arena_check(struct arena *arena)
{
	for (unsigned i = 0; i < arena->count; i++)
		check_fighter(&arena->fighters[i]);
	arena_expect(arena, "scopes open", arena->model.open_count, 0);
	arena_expect(arena, "completions held",
		     test_kernel_held(&arena->kernel), 0);
	arena_expect(arena, "results discarded", arena->discarded, arena->late);
	arena_expect(arena, "fighters inside", arena->inside, 0);
	check_failures(arena);
	arena->got += take_left(arena);
	arena_expect(arena, "bytes lost", (int64_t)(arena->given - arena->got),
		     0);
	arena_expect(arena, "the lowest descriptor that is free",
		     clean_lowest_descriptor(), arena->lowest);
}

/* A point in time, or how long. */
static void print_ms(const char *what, int64_t ns)
{
	if (ns == ROTA_NEVER)
		fprintf(stderr, " %s never", what);
	else
		fprintf(stderr, " %s %" PRId64 " ms", what, ns / 1000000);
}

static void print_time(const struct arena *arena, const char *what,
		       int64_t time_ns)
{
	print_ms(what,
		 time_ns == ROTA_NEVER ? time_ns : time_ns - arena->start_ns);
}

static void print_fighter(const struct fighter *fighter)
{
	static const char *const names
		[] = { [MODEL_IDLE] = "idle", [MODEL_CALLBACK] = "callback" };

	fprintf(stderr, "  %s: waits %c, then %c, result %c%s", fighter->name,
		fighter->wait, fighter->then, fighter->result,
		fighter->heedless ? ", heedless" : "");
	if (fighter->wait == ARENA_SLEEP)
		print_time(fighter->arena, "until", fighter->until_ns);
	for (unsigned i = 0; i < fighter->inner_count; i++) {
		const struct nest_inner *inner = &fighter->inner[i];

		if (inner->kind == MODEL_DEADLINE)
			print_time(fighter->arena, "; deadline",
				   inner->time_ns);
		else if (inner->kind == MODEL_SHIELD)
			print_ms("; shield", inner->time_ns);
		else
			fprintf(stderr, "; %s %c", names[inner->kind],
				fighter->spite);
	}
	fprintf(stderr, "%s%s%s%s\n", fighter->accepted ? "; accepted" : "",
		fighter->begun ? ", begun" : "",
		fighter->ended ? ", ended" : "",
		fighter->going ? ", in rota_go" : "");
}

static void print_steps(const struct arena *arena)
{
	const struct arena_script *script = &arena->script;

	fprintf(stderr, "  completions%s%s, at the end all are %s\n",
		script->holds ? " are held" : "",
		script->shuffles ? " come at random" : "",
		script->fed ? "fed" : "cancelled");
	print_ms("  grace", script->grace_ns);
	print_time(arena, "outer deadline", script->outer_deadline_ns);
	fprintf(stderr, "\n  steps (yields, turns, event, fighter):");
	for (unsigned i = 0; i < script->count; i++) {
		const struct arena_step *step = &script->steps[i];

		fprintf(stderr, " %u%u%c%u%s", step->yields, step->turns,
			step->event, step->fighter,
			i == arena->steps_done ? "<-" : "");
	}
	fprintf(stderr, "\n");
}

void arena_report(const void *context)
{
	const struct arena *arena = context;

	rounds_print_law(&arena->referee);
	fprintf(stderr, "  mode %d, limit %u", arena->options.mode,
		arena->options.limit);
	print_time(arena, "deadline", arena->options.deadline_ns);
	fprintf(stderr, "\n");
	for (unsigned i = 0; i < arena->count; i++)
		print_fighter(&arena->fighters[i]);
	print_steps(arena);
	rounds_print(&arena->rounds);
}
