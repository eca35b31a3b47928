/* SPDX-License-Identifier: MIT */
/*
 * Each verb, in rounds whose script the dice write: completed, cancelled,
 * late, closed, with what the kernel says held back (support/storm.h).
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
