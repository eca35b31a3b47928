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
		STORM_COMPLETE,      STORM_COMPLETE,     STORM_COMPLETE,
		STORM_COMPLETE,      STORM_CANCEL,       STORM_CANCEL,
		STORM_CANCEL,        STORM_CANCEL_OUTER, STORM_CANCEL_OUTER,
		STORM_FAIL,          STORM_DRAIN,        STORM_DRAIN,
		STORM_DRAIN_OUTER,   STORM_DEADLINE,     STORM_DEADLINE,
		STORM_LAST_DEADLINE, STORM_CLOSE,        STORM_CLOSE,
		STORM_CLOSE,
	};

	return ANY_OF(storm, events);
}

static uint8_t any_gap(struct storm *storm)
{
	static const uint8_t gaps[] = {
		STORM_AT_ONCE,     STORM_AT_ONCE, STORM_AT_ONCE,
		STORM_AT_ONCE,     STORM_YIELD,   STORM_YIELD,
		STORM_TURN,        STORM_TURN,    STORM_TWO_TURNS,
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

/* What the kernel and others may do that nobody asked for. Refusals make time
 * pass, which is not for graces. */
static void add_trouble(struct storm *storm, struct storm_script *script,
			bool timed)
{
	if (!dice(storm, 24))
		add(script, STORM_SPOIL, 0, STORM_AT_ONCE);
	if (!dice(storm, 12) && !timed)
		add(script, dice(storm, 2) ? STORM_REFUSE : STORM_ALLOW, 0,
		    any_gap(storm));
	if (!dice(storm, 16))
		add(script, STORM_CANCEL_ALL, 0, any_gap(storm));
	if (!dice(storm, 16))
		add(script, STORM_BYSTAND, 0, any_gap(storm));
}

/* So many half seconds from the start. */
static int64_t at_half(const struct storm *storm, int halves)
{
	return halves < 0 ? ROTA_NEVER
			  : storm->start_ns + halves * ROTA_SECOND / 2;
}

static struct nest_inner any_inner(struct storm *storm)
{
	static const uint8_t kinds[] = { MODEL_DEADLINE, MODEL_DEADLINE,
					 MODEL_SHIELD, MODEL_IDLE,
					 MODEL_CALLBACK };
	static const int halves[] = { 0, 1, 2, 2, 2, 2, 2, 3, 4, -1 };
	const int64_t graces_ns[] = { INT64_MIN, 0, ROTA_SECOND / 2,
				      ROTA_SECOND, ROTA_NEVER };
	const enum model_kind kind = (enum model_kind)ANY_OF(storm, kinds);

	return (struct nest_inner){
		kind, kind == MODEL_SHIELD
			      ? ANY_OF(storm, graces_ns)
			      : at_half(storm, ANY_OF(storm, halves))
	};
}

/* True: a grace is in it. */
static bool write_shape(struct storm *storm, struct lane_shape *shape)
{
	static const int outer[] = { 0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 4, -1 };
	static const int group[] = { 0, 1, 2, 2, 3, -1, -1, -1, -1, -1, -1 };
	static const uint8_t counts[] = { 0, 0, 1, 1, 1, 1, 2, 3 };
	bool timed = false;

	shape->outer_deadline_ns = at_half(storm, ANY_OF(storm, outer));
	shape->group_deadline_ns = at_half(storm, ANY_OF(storm, group));
	shape->inner_count = ANY_OF(storm, counts);
	for (unsigned i = 0; i < shape->inner_count; i++) {
		shape->inner[i] = any_inner(storm);
		timed |= shape->inner[i].kind == MODEL_SHIELD;
	}
	shape->lingers = !dice(storm, 8);
	return timed;
}

static bool write_shapes(struct storm *storm, struct storm_script *script)
{
	struct nest_inner *inner = script->shapes[STORM_TWIN].inner;
	bool timed = false;

	for (unsigned i = 0; i < script->lanes; i++)
		timed |= write_shape(storm, &script->shapes[i]);
	/* In a shield that never ends nothing would end the twin. */
	for (unsigned i = 0; i < NEST_MAX; i++)
		if (inner[i].kind == MODEL_SHIELD)
			inner[i].kind = MODEL_IDLE;
	return timed;
}

void storm_write_any(struct storm *storm, struct storm_script *script)
{
	static const uint8_t holds[] = { 0, 0, 1, 1, 2, 3, 4, 5, 7, 7 };
	static const uint8_t lanes[] = { 1, 1, 1, 1, 1, 2, 2, 3, STORM_LANES };
	static const int interruptions[] = { -ECANCELED, -ECANCELED, -EINTR,
					     -512 };
	const int64_t graces_ns[] = { INT64_MIN, 0, ROTA_SECOND / 2,
				      3 * ROTA_SECOND, ROTA_NEVER };
	bool timed;

	script->lanes = ANY_OF(storm, lanes);
	timed = write_shapes(storm, script);
	script->hold = ANY_OF(storm, holds);
	script->shuffled = !script->hold && dice(storm, 2);
	script->answers_first = dice(storm, 2);
	script->fed = dice(storm, 2);
	script->interruption = ANY_OF(storm, interruptions);
	script->grace_ns = ANY_OF(storm, graces_ns);
	add_start(storm, script);
	for (unsigned i = dice(storm, 3 + 2 * script->lanes); i; i--) {
		add_trouble(storm, script, timed);
		add(script, any_event(storm),
		    (uint8_t)dice(storm, script->lanes), any_gap(storm));
		add_deliveries(storm, script);
	}
}
