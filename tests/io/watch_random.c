/* SPDX-License-Identifier: MIT */
/*
 * A set of descriptors beside a model of a few words, through random additions,
 * changes, removals, closes, bytes that come and bytes that are read.
 */
#include "rota/rota.h"
#include "support/pair.h"
#include "support/random.h"
#include "support/run.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PAIRS 12
#define STEPS 20000

struct one {
	int pair[2];
	unsigned wanted; /* what it is watched for; 0: it is not */
	unsigned filled; /* bytes to be read */
};

struct game {
	struct test_random random;
	struct rota_watch watch;
	struct one ones[PAIRS];
	unsigned steps; /* made, until something was wrong */
	const char *wrong;
};

/* What the model says is ready. */
static unsigned expected(const struct one *one)
{
	const unsigned ready = POLLOUT | (one->filled ? POLLIN : 0u);

	return one->wanted & ready;
}

static void set(struct game *game, struct one *one)
{
	static const unsigned choices[] = { 0, POLLIN, POLLOUT,
					    POLLIN | POLLOUT, POLLPRI };

	one->wanted = choices[test_random_below(&game->random, 5)];
	if (rota_watch_set(&game->watch, one->pair[0], one->wanted, one))
		game->wrong = "a set failed";
}

static void renew(struct game *game, struct one *one)
{
	if (test_pair_close(one->pair) || test_pair_open(one->pair))
		game->wrong = "no pair is to be had";
	one->wanted = one->filled = 0;
}

static void fill_or_empty(struct game *game, struct one *one)
{
	char bytes[64];

	if (one->filled)
		one->filled -= (unsigned)read(one->pair[0], bytes, 64);
	else
		one->filled = (unsigned)write(one->pair[1], "xy", 2);
	if (one->filled > 2)
		game->wrong = "a pair is full or closed";
}

static unsigned count_ready(const struct game *game)
{
	unsigned count = 0;

	for (int i = 0; i < PAIRS; i++)
		count += expected(&game->ones[i]) != 0;
	return count;
}

/* With room for all, all are told; with less, some, each once. By a look, or by
 * a wait whose time is past, or which has something to wait for. */
static void look(struct game *game)
{
	const unsigned room =
		1 + (unsigned)test_random_below(&game->random, PAIRS);
	const unsigned count = count_ready(game);
	const uint64_t how = test_random_below(&game->random, count ? 3 : 2);
	struct rota_ready ready[PAIRS];
	bool told[PAIRS] = { false };
	int taken;

	if (how == 0)
		taken = rota_watch_take(&game->watch, ready, room);
	else
		taken = rota_watch_wait(&game->watch, how == 1 ? 0 : ROTA_NEVER,
					ready, room);
	if (taken < 0 || (unsigned)taken != (count < room ? count : room))
		game->wrong = "not so many are ready";
	for (int i = 0; i < taken; i++) {
		const struct one *one = ready[i].data;

		if (told[one - game->ones])
			game->wrong = "one was told twice";
		told[one - game->ones] = true;
		if (ready[i].events != expected(one))
			game->wrong = "other events";
	}
}

static void step(struct game *game)
{
	struct one *one = &game->ones[test_random_below(&game->random, PAIRS)];

	switch (test_random_below(&game->random, 8)) {
	case 0:
	case 1:
	case 2:
		set(game, one);
		break;
	case 3:
	case 4:
		fill_or_empty(game, one);
		break;
	case 5:
		renew(game, one);
		break;
	default:
		look(game);
		break;
	}
}

static int play(void *arg)
{
	struct game *game = arg;
	const unsigned steps = test_rounds(STEPS);
	int error = rota_watch_open(&game->watch);

	for (int i = 0; i < PAIRS && !error; i++)
		error = test_pair_open(game->ones[i].pair);
	while (!error && !game->wrong && game->steps < steps) {
		game->steps++;
		step(game);
	}
	for (int i = 0; i < PAIRS; i++)
		error |= test_pair_close(game->ones[i].pair);
	rota_watch_close(&game->watch);
	return error;
}

static void it_tells_what_a_model_tells(void **state)
{
	struct game game = { .wrong = NULL };

	(void)state;
	test_random_init(&game.random);
	assert_int_equal(test_run(play, &game), 0);
	if (game.wrong)
		fail_msg("step %u: %s", game.steps, game.wrong);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_tells_what_a_model_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
