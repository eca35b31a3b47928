/* SPDX-License-Identifier: MIT */
/*
 * Work on every processor: primes are counted in pieces, each a member of one
 * group, on whichever loop has nothing else to do. The first failure would
 * cancel them all, and the wait joins them all, as on one loop.
 *
 * The wrong way: to let members on different loops write to the same variable.
 * Tasks of one loop never run at the same time, so what they share is plain
 * data; those of several loops do. Here each piece has a place of its own for
 * its result, and the sum is made after the wait.
 *
 * The other wrong way: to compute for long in a task of the loop that serves
 * connections. They all wait. rota_go_spread takes it elsewhere, and rota_yield
 * now and then lets others in.
 */
#include <rota/rota.h>

#include <stdio.h>

#define PIECES 64u
#define NUMBERS 4096u /* in a piece */

struct piece {
	unsigned from;   /* the first number */
	unsigned primes; /* how many there are */
	unsigned loop;   /* which one did it */
};

static bool is_prime(unsigned number)
{
	for (unsigned divisor = 2; divisor * divisor <= number; divisor++)
		if (number % divisor == 0)
			return false;
	return number > 1;
}

static int count_primes(void *value)
{
	struct piece *piece = *(struct piece **)value;

	for (unsigned i = 0; i < NUMBERS; i++)
		piece->primes += is_prime(piece->from + i);
	piece->loop = rota_loop();
	return 0;
}

static int count_all(void *arg)
{
	struct piece pieces[PIECES] = { 0 };
	unsigned primes = 0, elsewhere = 0;
	struct rota_group group;
	int error = 0, result;

	(void)arg;
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < PIECES && !error; i++) {
		pieces[i].from = i * NUMBERS;
		error = rota_go_spread(&group, count_primes, &pieces[i]);
	}
	result = rota_group_wait(&group);
	for (unsigned i = 0; i < PIECES; i++) {
		primes += pieces[i].primes;
		elsewhere += pieces[i].loop != rota_loop();
	}
	printf("%u primes below %u; %u loops, %u of %u pieces elsewhere\n",
	       primes, PIECES * NUMBERS, rota_loops(), elsewhere, PIECES);
	return error ? error : result ? result : primes != 23000;
}

int main(void)
{
	/* One loop for each processor that this process may use; with 1 it does
	 * the same, alone. */
	const struct rota_config config = { .loops = ROTA_LOOPS_ALL };

	return rota_run(&config, count_all, NULL) != 0;
}
