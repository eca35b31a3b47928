/* SPDX-License-Identifier: MIT */
#include "support/storm_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const event_names[STORM_EVENTS] = {
	[STORM_COMPLETE] = "complete",
	[STORM_CANCEL] = "cancel",
	[STORM_CANCEL_OUTER] = "cancel the outer group",
	[STORM_FAIL] = "fail beside it",
	[STORM_DRAIN] = "drain",
	[STORM_DRAIN_OUTER] = "drain the outer group",
	[STORM_DEADLINE] = "the next deadline",
	[STORM_LAST_DEADLINE] = "the last deadline",
	[STORM_CLOSE] = "close",
	[STORM_DELIVER] = "deliver one",
	[STORM_DELIVER_OPERATIONS] = "deliver operations",
	[STORM_DELIVER_ANSWERS] = "deliver answers",
	[STORM_CANCEL_ALL] = "cancel all",
	[STORM_BYSTAND] = "bystanders",
	[STORM_SPOIL] = "spoil a cancel",
	[STORM_REFUSE] = "refuse entries",
	[STORM_ALLOW] = "allow entries",
};

static const char *const gap_names[STORM_GAPS] = {
	[STORM_AT_ONCE] = "at once",
	[STORM_YIELD] = "after a yield",
	[STORM_TURN] = "after a turn",
	[STORM_TWO_TURNS] = "after two turns",
	[STORM_THREE_TURNS] = "after three turns",
};

static void print_step(const struct storm *storm, unsigned index)
{
	const struct storm_step *step = &storm->script.steps[index];

	fprintf(stderr, "    %s %s", gap_names[step->gap],
		event_names[step->event]);
	if (step->event < STORM_VICTIM_EVENTS && storm->script.lanes > 1)
		fprintf(stderr, " of %s (%u)",
			storm->lanes[step->lane].victim.class->name,
			step->lane);
	fprintf(stderr, "%s\n", index == storm->steps_done ? "  <-" : "");
}

static void print_script(const struct storm *storm)
{
	const struct storm_script *script = &storm->script;

	fprintf(stderr, "  held back:%s%s%s%s%s\n",
		script->hold & STORM_HOLD_OPERATIONS ? " operations" : "",
		script->hold & STORM_HOLD_ANSWERS ? " answers" : "",
		script->hold & STORM_HOLD_OTHERS ? " others" : "",
		script->shuffled ? " all at random" : "",
		script->answers_first ? ", answers first" : "");
	fprintf(stderr, "  stopped is %d, the grace of drains %" PRId64 " ms\n",
		script->interruption, script->grace_ns / 1000000);
	for (unsigned i = 0; i < script->count; i++)
		print_step(storm, i);
}

/* A point in time, as the script sees it. */
static void print_time(const struct storm *storm, const char *what,
		       int64_t time_ns)
{
	if (time_ns == ROTA_NEVER)
		fprintf(stderr, " %s never", what);
	else
		fprintf(stderr, " %s %" PRId64 " ms", what,
			(time_ns - storm->start_ns) / 1000000);
}

static void print_shape(const struct storm *storm,
			const struct lane_shape *shape)
{
	static const char *const names[] = { [MODEL_SHIELD] = "shield",
					     [MODEL_IDLE] = "idle",
					     [MODEL_CALLBACK] = "callback" };

	print_time(storm, "outer deadline", shape->outer_deadline_ns);
	print_time(storm, "group's deadline", shape->group_deadline_ns);
	for (unsigned i = 0; i < shape->inner_count; i++) {
		const struct nest_inner *inner = &shape->inner[i];

		if (inner->kind == MODEL_DEADLINE)
			print_time(storm, "deadline", inner->time_ns);
		else
			fprintf(stderr, " %s", names[inner->kind]);
		if (inner->kind == MODEL_SHIELD)
			fprintf(stderr, " %" PRId64 " ms",
				inner->time_ns / 1000000);
	}
	fprintf(stderr, "%s\n", shape->lingers ? " lingers" : "");
}

static void print_lane(const struct storm *storm, unsigned index)
{
	const struct lane *lane = &storm->lanes[index];
	const struct verdict *verdict = &lane->verdict;

	fprintf(stderr, "  %u %s: ", index, lane->victim.class->name);
	if (lane->victim.returned)
		fprintf(stderr, "returned %d", lane->victim.result);
	else
		fprintf(stderr, "has not returned");
	if (verdict->said)
		fprintf(stderr, ", the kernel said %d (the last of %u)",
			verdict->last, verdict->said);
	fprintf(stderr, ", its code was %d and is %d\n    in", verdict->before,
		verdict->code);
	print_shape(storm, &storm->script.shapes[index]);
}

void storm_report(const void *context)
{
	const struct storm *storm = context;

	rounds_print_law(&storm->referee);
	print_script(storm);
	for (unsigned i = 0; i < storm->script.lanes; i++)
		print_lane(storm, i);
	rounds_print(&storm->rounds);
}

void storm_hang(struct storm *storm, struct lane *lane)
{
	storm->referee.broken = NULL;
	storm->referee.whose = lane ? lane->victim.class->name : "the director";
	referee_expect(&storm->referee, "whether it ends", false, true);
	rounds_hang();
}
