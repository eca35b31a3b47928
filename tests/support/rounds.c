/* SPDX-License-Identifier: MIT */
#include "support/rounds.h"

#include "task/task.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is played, for when the program aborts. */
static const void *current;
static void (*report_current)(const void *);

/* FNV-1a: a class keeps its rounds when others are added. */
static uint64_t hash(const char *text)
{
	uint64_t bits = 0xcbf29ce484222325;

	for (; *text; text++)
		bits = (bits ^ (unsigned char)*text) * 0x100000001b3;
	return bits;
}

uint64_t rounds_seed(const struct rounds *rounds)
{
	struct test_random random = { .state = rounds->seed ^
					       hash(rounds->name) };

	random.state = test_random_next(&random) + rounds->round;
	return test_random_next(&random);
}

/* What a round takes is so little that slow builds can do with more of them
 * than of other tests. */
#define MORE 5

static unsigned count_rounds(unsigned rounds)
{
	const char *text = getenv("ROTA_ROUNDS");
	const unsigned long given = text ? strtoul(text, NULL, 0) : 0;
	const unsigned fewer = test_rounds(rounds);

	if (given > 0 && given < UINT32_MAX)
		return (unsigned)given;
	return fewer < rounds / MORE ? MORE * fewer : rounds;
}

bool rounds_begin(struct rounds *rounds, const char *name, uint64_t seed,
		  unsigned count)
{
	const char *verb = getenv("ROTA_VERB"), *round = getenv("ROTA_ROUND");

	*rounds = (struct rounds){ name, seed, 0, count_rounds(count) };
	if (verb && strcmp(verb, name) != 0)
		return false;
	if (round) {
		rounds->round = (unsigned)strtoul(round, NULL, 0);
		rounds->end = rounds->round + 1;
	}
	return true;
}

void rounds_print_law(const struct referee *referee)
{
	if (referee->broken)
		fprintf(stderr, "%s: %s: %" PRId64 ", not %" PRId64 "\n",
			referee->whose ? referee->whose : "the loop",
			referee->broken, referee->seen, referee->wanted);
}

void rounds_print(const struct rounds *rounds)
{
	fprintf(stderr,
		"To play it again: SEED=%" PRIu64
		" ROTA_VERB=%s ROTA_ROUND=%u %s\n",
		rounds->seed, rounds->name, rounds->round,
		program_invocation_name);
}

static void report_once(void)
{
	const void *context = current;

	current = NULL;
	if (context)
		report_current(context);
}

/* The signal comes again when this returns. */
static void on_crash(int number)
{
	signal(number, SIG_DFL);
	report_once();
}

/* Of the sanitizers, where there is one. */
__attribute__((weak)) void
__sanitizer_set_death_callback(void (*callback)(void));

void rounds_on_abort(void (*report)(const void *), const void *context)
{
	current = context;
	report_current = report;
	signal(SIGABRT, on_crash);
	signal(SIGSEGV, on_crash);
	signal(SIGBUS, on_crash);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(report_once);
}

void rounds_hang(void)
{
	char line[RI_TASK_LINE_BYTES];
	const struct ri_tasks *tasks = ri_tasks_here();

	for (unsigned i = 0; i < tasks->made; i++)
		if (ri_task_describe(tasks, &tasks->slab[i], line))
			fprintf(stderr, "  %s\n", line);
	abort();
}
