// SPDX-License-Identifier: MIT
/* Loads on several threads, see team.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dial.h"
#include "host.h"
#include "interrupt.h"
#include "load_wire.h"
#include "team.h"

/* One load's part in a turn. */
struct team_member {
	struct load *load;
	bool once;                   /* load_once(), not load_turn() */
	struct load_amount amount;   /* its share */
	struct histogram *histogram; /* `own`, or NULL */
	struct histogram own;        /* empty between turns */
	struct load_turn turn;       /* what came of it */
	int result;                  /* ... or that nothing did */
	pthread_t thread;
};

/* The part of a whole that the index-th of so many is dealt. */
static uint64_t share(uint64_t whole, uint32_t index, uint32_t count)
{
	return whole * (index + 1) / count - whole * index / count;
}

static int open_load(struct team *team, const struct load_options *options,
		     uint32_t index, const int *fds)
{
	const uint32_t count = team->count;
	const uint64_t first = (uint64_t)options->connections * index / count;
	struct load_options own = *options;

	own.connections = (uint32_t)share(options->connections, index, count);
	own.rate = share(options->rate, index, count);
	own.first = first;
	team->turns[index].load = &team->loads[index];
	return load_open(&team->loads[index], &own, fds ? fds + first : NULL);
}

/* The descriptors become the loads', or are closed. */
static int open_loads(struct team *team, const struct load_options *options,
		      const int *fds)
{
	int result = 0;

	for (uint32_t index = 0; index < team->count; index++)
		if (open_load(team, options, index, fds) < 0)
			result = -1;
	return result;
}

static int dial_and_open(struct team *team, const struct load_options *options)
{
	int *fds = malloc(options->connections * sizeof(fds[0]));
	int result = fds == NULL ? -ENOMEM
				 : dial_all(&options->address,
					    options->connections, fds);

	if (result == 0) {
		result = open_loads(team, options, fds);
	} else if (!interrupt_pending()) {
		const struct load nobody = { .options = *options };

		load_complain(&nobody, "cannot connect to", strerror(-result));
	}
	free(fds);
	return result;
}

int team_open(struct team *team, const struct load_options *options,
	      uint32_t threads)
{
	int result;

	*team = (struct team){
		.count = threads,
		.loads = calloc(threads, sizeof(team->loads[0])),
		.turns = calloc(threads, sizeof(team->turns[0])),
	};
	for (uint32_t index = 0; team->loads && index < threads; index++)
		team->loads[index].epoll = -1;
	if (team->loads == NULL || team->turns == NULL)
		result = -1;
	else if (options->brief)
		result = open_loads(team, options, NULL);
	else
		result = dial_and_open(team, options);
	if (result < 0)
		team_close(team);
	return result < 0 ? -1 : 0;
}

static void *run_member(void *arg)
{
	struct team_member *member = arg;

	if (member->once)
		member->result = load_once(member->load, &member->turn);
	else
		member->result = load_turn(member->load, &member->amount,
					   member->histogram, &member->turn);
	return NULL;
}

/* All of them at once; -1 if one of them failed. */
static int run_members(struct team *team)
{
	struct team_member *turns = team->turns;
	uint32_t started = 1;
	int result = 0;

	while (started < team->count && result == 0) {
		result = pthread_create(&turns[started].thread, NULL,
					run_member, &turns[started]);
		started += result == 0;
	}
	if (result == 0)
		run_member(&turns[0]);
	else
		load_complain(&team->loads[0], "no thread to load",
			      strerror(result));
	result = result == 0 ? turns[0].result : -1;
	for (uint32_t index = 1; index < started; index++) {
		pthread_join(turns[index].thread, NULL);
		if (turns[index].result < 0)
			result = -1;
	}
	return result;
}

/* What came of all parts; the time is that of all together. */
static void sum_up(struct team *team, struct histogram *histogram,
		   struct load_turn *turn)
{
	*turn = (struct load_turn){ 0 };
	for (uint32_t index = 0; index < team->count; index++) {
		struct team_member *member = &team->turns[index];

		turn->requests += member->turn.requests;
		turn->poured += member->turn.poured;
		if (member->histogram == NULL)
			continue;
		histogram_add(histogram, member->histogram);
		histogram_clear(member->histogram);
	}
}

/* Of one load, directly: its histogram stays in the caches. */
static int run_alone(struct team *team, const struct team_member *part,
		     struct histogram *histogram, struct load_turn *turn)
{
	return part->once ? load_once(&team->loads[0], turn)
			  : load_turn(&team->loads[0], &part->amount, histogram,
				      turn);
}

static int run_part(struct team *team, const struct team_member *whole,
		    struct histogram *histogram, struct load_turn *turn)
{
	const uint32_t count = team->count;
	const uint64_t start_ns = host_now_ns();

	if (count == 1)
		return run_alone(team, whole, histogram, turn);
	for (uint32_t index = 0; index < count; index++) {
		struct team_member *member = &team->turns[index];

		member->once = whole->once;
		member->amount = whole->amount;
		member->amount.requests =
			share(whole->amount.requests, index, count);
		member->histogram = histogram == NULL ? NULL : &member->own;
	}
	if (run_members(team) < 0)
		return -1;
	sum_up(team, histogram, turn);
	turn->elapsed_ns = host_now_ns() - start_ns;
	return 0;
}

int team_turn(struct team *team, const struct load_amount *amount,
	      struct histogram *histogram, struct load_turn *turn)
{
	const struct team_member whole = { .amount = *amount };

	return run_part(team, &whole, histogram, turn);
}

int team_once(struct team *team, struct load_turn *turn)
{
	const struct team_member whole = { .once = true };

	return run_part(team, &whole, NULL, turn);
}

uint64_t team_errors(const struct team *team)
{
	uint64_t errors = 0;

	for (uint32_t index = 0; index < team->count; index++)
		errors += team->loads[index].errors;
	return errors;
}

uint64_t team_late(const struct team *team)
{
	uint64_t late = 0;

	for (uint32_t index = 0; index < team->count; index++)
		late += team->loads[index].schedule.late;
	return late;
}

bool team_is_broken(const struct team *team)
{
	for (uint32_t index = 0; index < team->count; index++)
		if (team->loads[index].alive == 0)
			return true;
	return false;
}

const char *team_error(const struct team *team)
{
	uint32_t index = 0;

	while (index + 1 < team->count && team->loads[index].errors == 0)
		index++;
	return load_error(&team->loads[index]);
}

void team_close(struct team *team)
{
	for (uint32_t index = 0; team->loads && index < team->count; index++)
		load_close(&team->loads[index]);
	free(team->loads);
	free(team->turns);
	*team = (struct team){ 0 };
}
