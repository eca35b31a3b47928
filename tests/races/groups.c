/* SPDX-License-Identifier: MIT */
/*
 * What can be done with a group, in rounds whose script the dice write: waits
 * for slots, joins, first successes, background members, callbacks, shields,
 * idle sections, drains (support/arena.h).
 *
 *	ROTA_ROUNDS=10000000 build/release/bin/test-races-groups
 *
 * plays 10^7 rounds of each class: 5 minutes for a class, 50 for all.
 */
#include "support/arena.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Of each class. */
#define ROUNDS 12000

/* Events that say how it ends come as often as what makes them races. */
static const struct arena_class classes[] = {
	{ "go", .modes = "kke", .limit = 3, .places = "mmmoocc",
	  .waits = "gggGs-", .thens = "gggg.", .results = "00f",
	  .inner = "ddcxi", .spites = "...co", .events = "oooooooocCdDtT" },
	{ "try_go", .modes = "kkes", .limit = 3, .places = "mmoobcc",
	  .waits = "gggs-", .thens = "tttg.", .results = "000f",
	  .inner = "ddcxi", .spites = ".", .events = "oooooooocCdDtT" },
	{ "wait", .modes = "kke", .limit = 0, .places = "mmmoocc",
	  .waits = "gggGsr-", .thens = "..gtb", .results = "000f",
	  .inner = "ddcxi", .spites = ".", .events = "ooooooorrvcCdDtT" },
	{ "first_success", .modes = "s", .limit = 0, .places = "mmmmoc",
	  .waits = "gggGGsr-", .thens = "....g", .results = "ddddd0f",
	  .inner = "ddxi", .spites = ".", .events = "oooooorrvvcCdDtT" },
	{ "background", .modes = "kkes", .limit = 2, .places = "mbbboc",
	  .waits = "gggGsr-", .thens = "...bg", .results = "0000f",
	  .inner = "ddcxi", .spites = "..co", .events = "oooooorvcCdDtT" },
	{ "callback", .modes = "ke", .limit = 0, .places = "mmmobc",
	  .waits = "gggGs-", .thens = "....g", .results = "000f",
	  .inner = "cccccdx", .spites = "...ccddo", .events = "ooooccCCdDtT" },
	{ "shield", .modes = "ke", .limit = 3, .places = "mmmobc",
	  .waits = "gggGsr", .thens = "....g", .results = "000f",
	  .inner = "xxxxdic", .spites = ".", .events = "oooorvccCCdDttT" },
	{ "idle", .modes = "kes", .limit = 3, .places = "mmmoobc",
	  .waits = "gggsrr", .thens = "....gt", .results = "000f",
	  .inner = "iiiidx", .spites = ".", .events = "oooorvcCdddDDtT" },
	{ "drain", .modes = "kes", .limit = 3, .places = "mmmoobc",
	  .waits = "gggGsr", .thens = "...gtb", .results = "00df",
	  .inner = "dixc", .spites = "..d", .events = "oooorvcdddddDDDttT" },
};

static void every_group_survives_every_interleaving(void **state)
{
	(void)state;
	arena_play(classes, sizeof(classes) / sizeof(classes[0]), ROUNDS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_group_survives_every_interleaving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
