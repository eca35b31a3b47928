/* SPDX-License-Identifier: MIT */
#include "support/arena.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static unsigned dice(struct arena *arena, unsigned end)
{
	return referee_dice(&arena->referee, end);
}

/* One of a list in which the likely ones come often. */
static char pick(struct arena *arena, const char *list)
{
	return list[dice(arena, (unsigned)strlen(list))];
}

/* So many half seconds from the start; -1: never. */
static int64_t any_time(struct arena *arena)
{
	static const int8_t halves[] = { 0, 1, 1, 2, 2, 2, 3, 4, -1 };
	const int found = halves[dice(arena, sizeof(halves))];

	return found < 0 ? ROTA_NEVER
			 : arena->start_ns + found * ROTA_SECOND / 2;
}

static int64_t any_grace(struct arena *arena)
{
	const int64_t graces_ns[] = { INT64_MIN, 0, ROTA_SECOND / 2,
				      ROTA_SECOND, ROTA_NEVER };

	return graces_ns[dice(arena, 5)];
}

static struct nest_inner any_inner(struct arena *arena)
{
	switch (pick(arena, arena->class->inner)) {
	case 'x':
		return (struct nest_inner){ MODEL_SHIELD, any_grace(arena) };
	case 'i':
		return (struct nest_inner){ MODEL_IDLE, 0 };
	case 'c':
		return (struct nest_inner){ MODEL_CALLBACK, 0 };
	default:
		return (struct nest_inner){ MODEL_DEADLINE, any_time(arena) };
	}
}

static void write_fighter(struct arena *arena, unsigned index)
{
	static const uint8_t counts[] = { 0, 0, 1, 1, 2, 3 };
	const struct arena_class *class = arena->class;
	struct fighter *fighter = &arena->fighters[index];

	memset(fighter, 0, sizeof(*fighter));
	fighter->arena = arena;
	fighter->place = pick(arena, class->places);
	fighter->wait = pick(arena, class->waits);
	fighter->then = pick(arena, class->thens);
	fighter->result = pick(arena, class->results);
	fighter->spite = pick(arena, class->spites);
	fighter->heedless = !dice(arena, 3);
	fighter->inner_count = counts[dice(arena, sizeof(counts))];
	fighter->until_ns = any_time(arena);
	fighter->descriptor = -1;
	/* All sleeps are over when the director lets all go. */
	if (fighter->until_ns == ROTA_NEVER)
		fighter->until_ns = arena->start_ns + 10 * ROTA_SECOND;
	for (unsigned i = 0; i < fighter->inner_count; i++)
		fighter->inner[i] = any_inner(arena);
	snprintf(fighter->name, sizeof(fighter->name), "%u %c", index,
		 fighter->place);
}

static void write_group(struct arena *arena)
{
	const char mode = pick(arena, arena->class->modes);
	const unsigned limit = arena->class->limit;

	memset(&arena->options, 0, sizeof(arena->options));
	arena->failures = (struct rota_failures){ arena->failure_list,
						  ARENA_FAILURES, 0 };
	arena->options.failures = &arena->failures;
	arena->options.mode = mode == 'e'   ? ROTA_GROUP_FIRST_ERROR
			      : mode == 'k' ? ROTA_GROUP_KEEP_GOING
					    : ROTA_GROUP_FIRST_SUCCESS;
	arena->options.limit = limit ? 1 + dice(arena, limit) : 0;
	arena->options.deadline_ns = dice(arena, 3) ? ROTA_NEVER
						    : any_time(arena);
}

static struct arena_step any_step(struct arena *arena)
{
	static const uint8_t yields[] = { 0, 0, 0, 0, 0, 1, 1, 2 };
	static const uint8_t turns[] = { 0, 0, 0, 0, 1, 1, 2 };

	return (struct arena_step){
		.event = pick(arena, arena->class->events),
		.fighter = (uint8_t)dice(arena, arena->count + 1),
		.yields = yields[dice(arena, sizeof(yields))],
		.turns = turns[dice(arena, sizeof(turns))],
	};
}

void arena_write(struct arena *arena)
{
	struct arena_script *script = &arena->script;

	memset(script, 0, sizeof(*script));
	write_group(arena);
	arena->count = 1 + dice(arena, ARENA_FIGHTERS);
	for (unsigned i = 0; i < arena->count; i++)
		write_fighter(arena, i);
	script->holds = dice(arena, 2);
	script->shuffles = !script->holds && dice(arena, 2);
	script->fed = dice(arena, 2);
	script->grace_ns = any_grace(arena);
	script->outer_deadline_ns = dice(arena, 4) ? ROTA_NEVER
						   : any_time(arena);
	script->count = dice(arena, ARENA_STEPS);
	for (unsigned i = 0; i < script->count; i++)
		script->steps[i] = any_step(arena);
}
