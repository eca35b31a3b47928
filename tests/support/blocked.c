/* SPDX-License-Identifier: MIT */
#include "support/blocked.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

static const int codes[] = {
	[RACE_CANCEL] = -ECANCELED,
	[RACE_DEADLINE] = -ETIME,
	[RACE_CLOSE] = -EBADF,
};

static int complete(struct race *race)
{
	int error = race_settle();

	race->early = race->returned;
	error |= race->verb->complete(race);
	/* Other threads take a while, which has no end of its own here. */
	while (!race->returned)
		error |= race_settle();
	return error;
}

static int interrupt(struct race *race)
{
	int error = race_settle();

	race->early = race->returned;
	error |= race_interrupt(race);
	while (!race->returned)
		error |= race_settle();
	race->remained = true;
	if (race->verb->remains && race->by != RACE_CLOSE) {
		error |= race->verb->complete(race);
		race->remained = race->verb->remains(race);
	}
	return error;
}

void test_blocked(const struct race_verb *verb, int right, bool closes)
{
	const int last = closes ? RACE_CLOSE : RACE_DEADLINE;
	struct race race;

	race_run(&race, verb, RACE_CANCEL, complete);
	assert_false(race.early);
	assert_int_equal(race.result, right);
	for (int by = RACE_CANCEL; by <= last; by++) {
		race_run(&race, verb, (enum race_interruption)by, interrupt);
		assert_false(race.early);
		assert_int_equal(race.result, codes[by]);
		assert_true(race.remained);
	}
}

static int interrupt_when_done(struct race *race)
{
	int error = 0;

	test_kernel_hold(&race->kernel, race_hold_victim, race);
	while (!test_kernel_held(&race->kernel))
		error |= race_settle();
	error |= race_interrupt(race) | race_settle();
	race->early = race->returned;
	test_kernel_release_all(&race->kernel);
	return error | race_settle();
}

void test_told(const struct race_verb *verb, int right)
{
	struct race race;

	for (int by = RACE_CANCEL; by <= RACE_DEADLINE; by++) {
		race_run(&race, verb, (enum race_interruption)by,
			 interrupt_when_done);
		assert_false(race.early);
		assert_int_equal(race.result, right);
	}
}

int race_open_full_pair(struct race *race)
{
	static const char block[4096];
	const int error = race_open_pair(race);

	while (send(race->fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	return error;
}

int race_empty_pair(struct race *race)
{
	char block[4096];
	ssize_t n;

	while ((n = recv(race->peer, block, sizeof(block), MSG_DONTWAIT)) > 0)
		race->held += (unsigned)n;
	return 0;
}

bool race_byte_remains(struct race *race)
{
	char byte;

	return recv(race->fd, &byte, 1, MSG_DONTWAIT) == 1;
}
