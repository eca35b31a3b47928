/* SPDX-License-Identifier: MIT */
#include "support/storm.h"

#include <errno.h>

static unsigned dice(struct storm *storm, unsigned end)
{
	return referee_dice(&storm->referee, end);
}

/* One of a list in which the likely ones come often. */
#define ANY_OF(storm, list) \
	((list)[dice((storm), sizeof(list) / sizeof((list)[0]))])

static uint8_t any_event(struct storm *storm)
{
	static const uint8_t events[] = {
		STORM_COMPLETE,	      STORM_COMPLETE,
		STORM_COMPLETE,	      STORM_COMPLETE,
		STORM_CANCEL,	      STORM_CANCEL,
		STORM_CANCEL,	      STORM_CANCEL_OUTER,
		STORM_CANCEL_OUTER,   STORM_FAIL,
		STORM_DEADLINE,	      STORM_DEADLINE,
		STORM_OUTER_DEADLINE, STORM_CLOSE,
		STORM_CLOSE,	      STORM_CLOSE,
	};

	return ANY_OF(storm, events);
}

static uint8_t any_gap(struct storm *storm)
{
	static const uint8_t gaps[] = {
		STORM_AT_ONCE, STORM_AT_ONCE, STORM_AT_ONCE,
		STORM_AT_ONCE, STORM_YIELD,   STORM_YIELD,
		STORM_TURN,    STORM_TURN,    STORM_TWO_TURNS,
		STORM_THREE_TURNS,
	};

	return ANY_OF(storm, gaps);
}

static void add(struct storm_script *script, uint8_t event, uint8_t lane,
		uint8_t gap)
{
	if (script->count < STORM_STEPS)
		script->steps[script->count++] =
			(struct storm_step){ event, lane, gap };
}

/* From spawned over started to in the kernel. */
static void add_start(struct storm *storm, struct storm_script *script)
{
	const unsigned yields = dice(storm, 8);

	if (yields > 4)
		add(script, STORM_ALLOW, 0, STORM_TURN);
	for (unsigned i = 0; i < yields && yields <= 4; i++)
		add(script, STORM_ALLOW, 0, STORM_YIELD);
}

static void add_deliveries(struct storm *storm, struct storm_script *script)
{
	static const uint8_t deliveries[] = { STORM_DELIVER,
					      STORM_DELIVER_OPERATIONS,
					      STORM_DELIVER_ANSWERS };

	while (script->hold && dice(storm, 2))
		add(script, ANY_OF(storm, deliveries), 0, any_gap(storm));
}

/* What the kernel may do that nobody asked for. */
static void add_trouble(struct storm *storm, struct storm_script *script)
{
	if (!dice(storm, 24))
		add(script, STORM_SPOIL, 0, STORM_AT_ONCE);
	if (!dice(storm, 24))
		add(script, dice(storm, 2) ? STORM_REFUSE : STORM_ALLOW, 0,
		    any_gap(storm));
}

void storm_write_any(struct storm *storm, struct storm_script *script)
{
	static const uint8_t holds[] = { 0, 0, 1, 1, 2, 3, 4, 5, 7, 7 };
	static const uint8_t lanes[] = { 1, 1, 1, 1, 2, 2, 3 };
	static const int halves[] = { 0, 1, 2, 2, 3, 4, 4, 4, 4, 4, 4, 4 };
	static const int interruptions[] = { -ECANCELED, -ECANCELED, -EINTR,
					     -512 };

	script->lanes = ANY_OF(storm, lanes);
	script->hold = ANY_OF(storm, holds);
	script->shuffled = !script->hold && dice(storm, 2);
	script->answers_first = dice(storm, 2);
	script->fed = dice(storm, 2);
	script->interruption = ANY_OF(storm, interruptions);
	script->outer_deadline_ns = ANY_OF(storm, halves) * ROTA_SECOND / 2;
	add_start(storm, script);
	for (unsigned i = dice(storm, 3 + 2 * script->lanes); i; i--) {
		add_trouble(storm, script);
		add(script, any_event(storm),
		    (uint8_t)dice(storm, script->lanes), any_gap(storm));
		add_deliveries(storm, script);
	}
}
