/* SPDX-License-Identifier: MIT */
/*
 * Random games at a channel of one loop, beside a model that knows what must
 * become of every item (support/ledger.h).
 *
 *	SEED=7 ROTA_ROUND=12 build/release/bin/test-sync-channel_random
 *
 * plays one of them again.
 */
#include "support/game.h"
#include "support/rounds.h"
#include "support/timed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* 10^6 moves or so. */
#define ROUNDS 25000
#define MOVES 60

struct play {
	struct game game;
	struct rounds rounds;
};

/* What happens often, and what ends it seldom: each game has its own taste. */
static void write_moves(struct referee *referee, char *moves, unsigned *count)
{
	unsigned weights[GAME_LETTERS], all = 0;

	for (unsigned i = 0; i < GAME_LETTERS; i++)
		all += weights[i] = 1 + referee_dice(referee, 8);
	/* Both ends are closed once, so the less the longer it goes on. */
	all -= weights[GAME_LETTERS - 1] + weights[GAME_LETTERS - 2];
	*count = 20 + referee_dice(referee, MOVES - 20);
	for (unsigned i = 0; i < *count; i++) {
		unsigned dice = referee_dice(referee, all), letter = 0;

		while (dice >= weights[letter])
			dice -= weights[letter++];
		moves[i] = GAME_MOVES[letter];
	}
	if (referee_dice(referee, 2))
		moves[referee_dice(referee, *count)] = 'x';
	if (referee_dice(referee, 2))
		moves[referee_dice(referee, *count)] = 'y';
	moves[*count] = '\0';
}

static int play_some(void *arg)
{
	struct play *play = arg;
	struct referee *referee = &play->game.hands.referee;
	struct rounds *rounds = &play->rounds;

	for (; rounds->round < rounds->end; rounds->round++) {
		char moves[MOVES + 1];
		unsigned count;

		test_random_seed(&referee->random, rounds_seed(rounds));
		write_moves(referee, moves, &count);
		play->game.hands.options.item_bytes =
			8 * (1 + referee_dice(referee, HANDS_WORDS));
		play->game.hands.shared = referee_dice(referee, 3) == 0;
		if (!game_play(&play->game, referee_dice(referee, 5), moves))
			return -EPROTO;
	}
	return 0;
}

static void report(const void *context)
{
	const struct play *play = context;

	rounds_print_law(&play->game.hands.referee);
	fprintf(stderr, "%s at capacity %zu\n", play->game.moves,
		play->game.ledger.capacity);
	rounds_print(&play->rounds);
}

static void a_channel_does_what_the_model_says(void **state)
{
	struct play *play = calloc(1, sizeof(*play));
	struct test_random seeds;

	(void)state;
	assert_non_null(play);
	test_random_init(&seeds);
	assert_true(rounds_begin(&play->rounds, "game", seeds.state, ROUNDS));
	rounds_on_abort(report, play);
	if (test_run_timed(play_some, play)) {
		report(play);
		fail();
	}
	rounds_on_abort(NULL, NULL);
	free(play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_channel_does_what_the_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
