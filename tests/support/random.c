/* SPDX-License-Identifier: MIT */
#include "support/random.h"

#include "rota/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void test_random_init(struct test_random *random)
{
	const char *text = getenv("SEED");
	const uint64_t seed = text ? strtoull(text, NULL, 0)
				   : (uint64_t)rota_now_ns();

	printf("SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	test_random_seed(random, seed);
}

void test_random_seed(struct test_random *random, uint64_t seed)
{
	random->state = seed;
}

uint64_t test_random_next(struct test_random *random)
{
	uint64_t bits = random->state += 0x9e3779b97f4a7c15;

	bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
	bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
	return bits ^ bits >> 31;
}

uint64_t test_random_below(struct test_random *random, uint64_t end)
{
	return test_random_next(random) % end;
}

unsigned test_rounds(unsigned rounds)
{
	const char *text = getenv("ROTA_ROUNDS_DIVISOR");
	const int divisor = text ? atoi(text) : 1;
	const unsigned fewer = divisor > 1 ? rounds / (unsigned)divisor
					   : rounds;

	return fewer ? fewer : 1;
}
