/* SPDX-License-Identifier: MIT */
/*
 * Each verb, in rounds whose script the dice write: completed, cancelled,
 * late, closed, with what the kernel says held back (support/storm.h).
 *
 * 10^7 rounds of each class, which the suite has no time for:
 *
 *	ROTA_ROUNDS=10000000 build/release/bin/test-races-verbs
 *
 * takes ten hours of one core of 2026: of a class 12 to 40 us a round, which is
 * 2 to 7 minutes, where only memory is touched, and up to 500 us where files
 * change, other threads work or processes end. ROTA_VERB=recv plays one class
 * alone, and several of them can be played at once.
 */
#include "support/storm.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* With each class of victims: more than 10^5 in all. */
#define ROUNDS 2000

static void every_verb_survives_every_interleaving(void **state)
{
	(void)state;
	storm_play(&(struct storm_play){ .write = storm_write_any,
					 .rounds = ROUNDS });
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_verb_survives_every_interleaving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
