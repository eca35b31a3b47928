/* SPDX-License-Identifier: MIT */
#include "base/lock.h"

#include "base/rest.h"

#include <stdbool.h>
#include <time.h>

/* Rests between looks: twice as many each time, up to so many. Somebody who
 * comes back for the lock again and again has it to itself meanwhile, which is
 * quicker for both than to take turns. */
#define RESTS_MAX 64u

/* Looks before it sleeps: a few microseconds. */
#define LOOKS 64u

static bool look(unsigned *lock)
{
	/* relaxed: only tells whether to try */
	return !__atomic_load_n(lock, __ATOMIC_RELAXED) &&
	       /* acquire: pairs with ri_lock_give */
	       !__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE);
}

void ri_lock_wait(unsigned *lock)
{
	const struct timespec moment = { .tv_nsec = 50000 };
	unsigned rests = 1, looks = 0;

	while (!look(lock)) {
		if (++looks > LOOKS) {
			nanosleep(&moment, NULL);
			continue;
		}
		for (unsigned i = 0; i < rests; i++)
			ri_rest();
		if (rests < RESTS_MAX)
			rests *= 2;
	}
}
