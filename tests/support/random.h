/* SPDX-License-Identifier: MIT */
/*
 * Random tests that can be replayed: the seed is printed, and the environment
 * variable SEED gives it back.
 */
#ifndef TEST_SUPPORT_RANDOM_H
#define TEST_SUPPORT_RANDOM_H

#include <stdint.h>

struct test_random {
	uint64_t state;
};

/* Seeds from SEED, or from the clock; prints which. */
void test_random_init(struct test_random *random);

/* Seeds with a number. */
void test_random_seed(struct test_random *random, uint64_t seed);

/* The next 64 bits (splitmix64). */
uint64_t test_random_next(struct test_random *random);

/* A number from 0 to below `end`, which is not 0. */
uint64_t test_random_below(struct test_random *random, uint64_t end);

/* `rounds` divided by ROTA_ROUNDS_DIVISOR, at least 1: slow builds do less. */
unsigned test_rounds(unsigned rounds);

#endif
