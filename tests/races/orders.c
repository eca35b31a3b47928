/* SPDX-License-Identifier: MIT */
/*
 * Each verb with every order of two events around it: what completes it, a
 * cancel of its group or the one around, its deadline, a close, a drain; at
 * once or a turn later; before it has started, with its entry filled in, or in
 * the kernel; what the kernel says of it and of its cancel delivered at once,
 * after the first event or after the second.
 *
 * These are all of them, not a sample (but where ROTA_ROUNDS_DIVISOR leaves
 * out some). With ROTA_ROUNDS beyond that, those of three events follow.
 */
#include "support/storm.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define EVENTS_MAX 3

/* Coprime to all that is counted here: every so manyth, and none twice. */
#define STRIDE 1009

static const uint8_t events[] = {
	STORM_ALLOW,    STORM_COMPLETE, STORM_CANCEL, STORM_CANCEL_OUTER,
	STORM_DEADLINE, STORM_CLOSE,    STORM_DRAIN,
};
static const uint8_t gaps[] = { STORM_AT_ONCE, STORM_TURN };

#define EVENTS ((unsigned)(sizeof(events) / sizeof(events[0])))
#define GAPS ((unsigned)(sizeof(gaps) / sizeof(gaps[0])))
#define STARTS 3

/* Of so many events. */
static unsigned count_orders(unsigned count)
{
	unsigned orders = STARTS * (count + 1) * (count + 1);

	for (unsigned i = 0; i < count; i++)
		orders *= EVENTS * GAPS;
	return orders;
}

/* The next digit of a number, which loses it. */
static unsigned digit(unsigned *number, unsigned base)
{
	const unsigned found = *number % base;

	*number /= base;
	return found;
}

static void add(struct storm_script *script, uint8_t event, uint8_t gap)
{
	script->steps[script->count++] = (struct storm_step){ event, 0, gap };
}

static void add_start(struct storm_script *script, unsigned start)
{
	/* The owners of its groups start first, then the victim. */
	for (unsigned i = 0; start == 1 && i < 4; i++)
		add(script, STORM_ALLOW, STORM_YIELD);
	if (start == 2)
		add(script, STORM_ALLOW, STORM_TURN);
}

static void write_order(struct storm_script *script, unsigned count,
			unsigned number)
{
	const unsigned operation = digit(&number, count + 1),
		       answer = digit(&number, count + 1);

	if (operation)
		script->hold |= STORM_HOLD_OPERATIONS;
	if (answer)
		script->hold |= STORM_HOLD_ANSWERS;
	add_start(script, digit(&number, STARTS));
	for (unsigned i = 1; i <= count; i++) {
		const uint8_t gap = gaps[digit(&number, GAPS)];

		add(script, events[digit(&number, EVENTS)], gap);
		if (i == operation)
			add(script, STORM_DELIVER_OPERATIONS, STORM_AT_ONCE);
		if (i == answer)
			add(script, STORM_DELIVER_ANSWERS, STORM_AT_ONCE);
	}
}

static void write_orders(struct storm *storm, struct storm_script *script)
{
	struct lane_shape *shape = &script->shapes[0];
	const unsigned two = count_orders(2);
	const unsigned count = storm->rounds.round < two ? 2 : EVENTS_MAX;
	const uint64_t round = storm->rounds.round < two
				       ? storm->rounds.round
				       : storm->rounds.round - two;
	const uint64_t number = round * STRIDE + storm->rounds.seed;

	shape->outer_deadline_ns = storm->start_ns + 2 * ROTA_SECOND;
	shape->group_deadline_ns = ROTA_NEVER;
	shape->inner[0] = (struct nest_inner){ MODEL_IDLE, 0 };
	shape->inner[1] = (struct nest_inner){ MODEL_DEADLINE,
					       storm->start_ns + ROTA_SECOND };
	shape->inner_count = 2;
	script->grace_ns = ROTA_SECOND / 2;
	script->fed = true;
	script->interruption = -ECANCELED;
	write_order(script, count, (unsigned)(number % count_orders(count)));
}

static void every_verb_survives_all_orders_of_two_events(void **state)
{
	(void)state;
	storm_play(&(struct storm_play){ .write = write_orders,
					 .rounds = count_orders(2),
					 .quick = true });
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_verb_survives_all_orders_of_two_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
