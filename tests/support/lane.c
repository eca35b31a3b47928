/* SPDX-License-Identifier: MIT */
#include "support/lane.h"

#include "base/list.h"
#include "task/task.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>

/* What a cancelled operation may come back with, as io_uring has it; the last
 * is ERESTARTSYS. */
static bool is_interruption(int result)
{
	return result == -ECANCELED || result == -EINTR || result == -512;
}

/* A buffer that nobody may write to any more. */
#define POISON 0xa5

/* Whatever is broken now and was not before is this victim's. */
static void blame(struct lane *lane)
{
	if (lane->referee->broken && !lane->referee->whose)
		lane->referee->whose = lane->victim.class->name;
}

static void expect(struct lane *lane, const char *law, int64_t seen,
		   int64_t wanted)
{
	referee_expect(lane->referee, law, seen, wanted);
	blame(lane);
}

/* The scope is over, and so is what is open inside. */
static void set_over(struct lane *lane, enum lane_layer_name name, int code,
		     int cause)
{
	struct lane_layer *layers = lane->layers;

	for (int i = name; i < LANE_LAYERS; i++) {
		struct lane_layer *layer = &layers[i];

		if (!layer->open)
			continue;
		if (!layer->code) {
			layer->cause = cause;
			layer->over_ns = layers[name].over_ns;
		}
		layer->code = code;
		layer->was[code == -ETIME] = true;
	}
}

static void expire(struct lane *lane, enum lane_layer_name name)
{
	struct lane_layer *layer = &lane->layers[name];
	const int64_t deadline_ns = layer->deadline_ns;

	layer->deadline_ns = ROTA_NEVER;
	if (layer->code)
		return;
	layer->expired = true;
	layer->over_ns = deadline_ns;
	set_over(lane, name, -ETIME, -ETIME);
}

/* Lets the deadlines come that have fired, the earliest first. */
static void catch_up(struct lane *lane)
{
	for (;;) {
		int due = -1;

		for (int i = 0; i < LANE_LAYERS; i++) {
			const struct lane_layer *layer = &lane->layers[i];

			if (layer->open &&
			    layer->deadline_ns <= lane->referee->fired_ns &&
			    (due < 0 || layer->deadline_ns <
						lane->layers[due].deadline_ns))
				due = i;
		}
		if (due < 0)
			return;
		expire(lane, (enum lane_layer_name)due);
	}
}

static void cancel(struct lane *lane, enum lane_layer_name name, int cause)
{
	struct lane_layer *layer = &lane->layers[name];

	catch_up(lane);
	if (layer->code)
		return;
	layer->over_ns = lane->referee->fired_ns + 1;
	set_over(lane, name, -ECANCELED, cause);
}

/* Opened with the clock at now_ns. */
static void open_layer(struct lane *lane, enum lane_layer_name name,
		       int64_t now_ns)
{
	struct lane_layer *layer = &lane->layers[name];

	catch_up(lane);
	layer->open = true;
	if (name > 0) {
		const struct lane_layer *around = layer - 1;

		layer->code = around->code;
		layer->cause = around->cause;
		layer->over_ns = around->over_ns;
		layer->was[0] = around->code == -ECANCELED;
		layer->was[1] = around->code == -ETIME;
	}
	if (layer->deadline_ns <= now_ns)
		expire(lane, name);
}

static bool had_code(const struct lane_layer *layer, int code)
{
	return (code == -ECANCELED && layer->was[0]) ||
	       (code == -ETIME && layer->was[1]);
}

/* A member of a group is about to end. */
static void leave(struct lane *lane, enum lane_layer_name name, int result)
{
	struct lane_layer *layer = &lane->layers[name];

	catch_up(lane);
	if (result >= 0 || had_code(layer, result))
		return;
	if (!layer->first_error)
		layer->first_error = result;
	cancel(lane, name, result);
}

static int outcome(const struct lane_layer *layer)
{
	if (layer->first_error)
		return layer->first_error;
	if (layer->expired)
		return -ETIME;
	return layer->code ? layer->cause : 0;
}

/* The clock as the engine read it last: by which it judges a new deadline. */
static int64_t engine_now_ns(void)
{
	return ri_tasks_here()->loop.now_ns;
}

int lane_code(struct lane *lane)
{
	int code = 0;

	catch_up(lane);
	for (int i = 0; i < LANE_LAYERS; i++)
		if (lane->layers[i].open)
			code = lane->layers[i].code;
	return code;
}

/* Its completions that have not arrived. */
static unsigned count_held(const struct lane *lane)
{
	unsigned count = 0;

	for (unsigned i = 0; lane->kernel && i < test_kernel_held(lane->kernel);
	     i++)
		count += lane_owns(lane, test_kernel_held_at(lane->kernel, i));
	return count;
}

/* How often the kernel had to be asked. */
static void judge_operations(struct lane *lane)
{
	const unsigned traits = lane->victim.class->traits;
	const unsigned said = lane->verdict.said;

	expect(lane, "operations that are not over", count_held(lane), 0);
	if (traits & VICTIM_LOCAL ||
	    (lane->verdict.before && !(traits & VICTIM_RELEASE)))
		expect(lane, "operations", said, 0);
	else if (traits & VICTIM_MANY)
		expect(lane, "whether there were operations", said > 0, true);
	else
		expect(lane, "operations", said, 1);
}

/* The verb has returned: was that right? */
static void judge(struct lane *lane)
{
	const struct victim *victim = &lane->victim;
	const struct victim_class *class = victim->class;
	struct verdict *verdict = &lane->verdict;
	int expected;

	verdict->code = lane_code(lane);
	verdict->over_ns = lane->layers[LANE_DEADLINE].over_ns;
	expect(lane, "what the task is told", rota_cancelled(), verdict->code);
	expect(lane, "why", rota_cause().error,
	       lane->layers[LANE_DEADLINE].cause);
	if (lane->kernel)
		judge_operations(lane);
	if (verdict->before && !(class->traits & VICTIM_RELEASE)) {
		expect(lane, "a cancelled task's verb", victim->result,
		       verdict->before);
		return;
	}
	if (verdict->said && is_interruption(verdict->last)) {
		expect(lane, "a cancel without a cause",
		       !verdict->code && !lane->closing, false);
		expect(lane, "a cancel of a release",
		       class->traits & VICTIM_RELEASE, 0);
		verdict->last = verdict->code ? verdict->code : -EBADF;
	}
	expected = class->expected ? class->expected(victim, verdict)
				   : victim_expected(victim, verdict);
	blame(lane);
	expect(lane, "what the verb returned", victim->result, expected);
}

static int run_victim(void *value)
{
	struct lane *lane = *(struct lane **)value;
	struct victim *victim = &lane->victim;
	struct rota_deadline deadline;
	const int64_t now_ns = engine_now_ns();
	bool expired;

	rota_deadline_begin(&deadline, lane->layers[LANE_DEADLINE].deadline_ns);
	open_layer(lane, LANE_DEADLINE, now_ns);
	lane->verdict.before = lane_code(lane);
	lane->task = ri_task_of(ri_tasks_here()->loop.current);
	victim->called = true;
	victim->result = victim->class->call(victim);
	victim->returned = true;
	judge(lane);
	lane->task = NULL;
	memset(victim->buffer, POISON, victim->bytes);
	expired = rota_deadline_end(&deadline);
	expect(lane, "whether the deadline came", expired,
	       lane->layers[LANE_DEADLINE].expired);
	lane->layers[LANE_DEADLINE].open = false;
	leave(lane, LANE_GROUP, victim->result);
	return victim->result;
}

static int own_group(void *value)
{
	struct lane *lane = *(struct lane **)value;
	const int64_t now_ns = engine_now_ns();
	int error, result;

	rota_group_open(&lane->group, NULL);
	open_layer(lane, LANE_GROUP, now_ns);
	error = rota_go(&lane->group, run_victim, lane);
	expect(lane, "whether it was spawned", error, lane_code(lane));
	/* It never ran, and needs nothing. */
	if (error)
		lane->victim.returned = true;
	result = rota_group_wait(&lane->group);
	catch_up(lane);
	expect(lane, "what the group comes to", result,
	       outcome(&lane->layers[LANE_GROUP]));
	lane->layers[LANE_GROUP].open = false;
	leave(lane, LANE_OUTER_GROUP, result);
	return result;
}

static int own_outer_group(void *value)
{
	struct lane *lane = *(struct lane **)value;
	struct lane_layer *layers = lane->layers;
	const int64_t now_ns = engine_now_ns();
	struct rota_deadline deadline;
	int error, result;

	rota_deadline_begin(&deadline, layers[LANE_OUTER_DEADLINE].deadline_ns);
	open_layer(lane, LANE_OUTER_DEADLINE, now_ns);
	rota_group_open(&lane->outer_group, NULL);
	open_layer(lane, LANE_OUTER_GROUP, now_ns);
	error = rota_go(&lane->outer_group, own_group, lane);
	expect(lane, "whether its owner was spawned", error, lane_code(lane));
	if (error)
		lane->victim.returned = true;
	result = rota_group_wait(&lane->outer_group);
	catch_up(lane);
	expect(lane, "what the outer group comes to", result,
	       outcome(&layers[LANE_OUTER_GROUP]));
	layers[LANE_OUTER_GROUP].open = false;
	expect(lane, "whether the outer deadline came",
	       rota_deadline_end(&deadline),
	       layers[LANE_OUTER_DEADLINE].expired);
	layers[LANE_OUTER_DEADLINE].open = false;
	return 0;
}

int lane_prepare(struct lane *lane, int64_t outer_deadline_ns,
		 int64_t deadline_ns)
{
	memset(lane->layers, 0, sizeof(lane->layers));
	memset(&lane->verdict, 0, sizeof(lane->verdict));
	for (int i = 0; i < LANE_LAYERS; i++)
		lane->layers[i].deadline_ns = ROTA_NEVER;
	lane->layers[LANE_OUTER_DEADLINE].deadline_ns = outer_deadline_ns;
	lane->layers[LANE_DEADLINE].deadline_ns = deadline_ns;
	lane->task = NULL;
	lane->closing = false;
	return victim_prepare(&lane->victim);
}

int lane_go(struct lane *lane, struct rota_group *group)
{
	return rota_go(group, own_outer_group, lane);
}

void lane_cancel(struct lane *lane, enum lane_layer_name name)
{
	struct rota_group *group = name == LANE_GROUP ? &lane->group
						      : &lane->outer_group;

	if (!lane->layers[name].open)
		return;
	rota_group_cancel(group, (struct rota_cancellation){ 0 });
	cancel(lane, name, -ECANCELED);
}

static int fail(void *value)
{
	leave(*(struct lane **)value, LANE_GROUP, -EIO);
	return -EIO;
}

void lane_fail(struct lane *lane)
{
	int error, code;

	if (!lane->layers[LANE_GROUP].open)
		return;
	catch_up(lane);
	code = lane->layers[LANE_GROUP].code;
	error = rota_go(&lane->group, fail, lane);
	expect(lane, "whether one more was spawned", error, code);
}

void lane_close(struct lane *lane)
{
	const int fd = lane->victim.fd;

	if (fd < 0 || lane->victim.class->traits & VICTIM_OPEN)
		return;
	lane->victim.fd = -1;
	lane->closing = true;
	expect(lane, "a close", rota_close(fd), 0);
}

bool lane_owns(const struct lane *lane, const struct test_arrival *arrival)
{
	return lane->task &&
	       (arrival->user_data & RI_LOOP_ADDRESS_MASK) ==
		       (uint64_t)(uintptr_t)lane->task &&
	       arrival->opcode != IORING_OP_ASYNC_CANCEL;
}

void lane_note(struct lane *lane, const struct test_arrival *arrival)
{
	struct verdict *verdict = &lane->verdict;

	verdict->said++;
	verdict->last = arrival->res;
	if (arrival->res > 0)
		verdict->sum += arrival->res;
}

void lane_check(struct lane *lane)
{
	struct victim *victim = &lane->victim;
	size_t poisoned = 0;

	while (poisoned < victim->bytes && victim->buffer[poisoned] == POISON)
		poisoned++;
	if (victim->called)
		expect(lane, "bytes of the buffer that stay", (int64_t)poisoned,
		       (int64_t)victim->bytes);
	expect(lane, "bytes out of order", victim->torn, false);
	if (victim->class->check)
		victim->class->check(victim);
	blame(lane);
	expect(lane, "bytes out of order that were left", victim->torn, false);
}
