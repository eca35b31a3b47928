/* SPDX-License-Identifier: MIT */
#include "support/lane_judge.h"

#include "task/task.h"

#include <errno.h>
#include <liburing.h>

/* Whatever was broken since by the victim's own checks is this victim's. */
static void blame(struct lane *lane)
{
	if (lane->referee->broken && !lane->referee->whose)
		lane->referee->whose = lane->victim.class->name;
}

void lane_expect(struct lane *lane, const char *law, int64_t seen,
		 int64_t wanted)
{
	referee_expect(lane->referee, law, seen, wanted);
	blame(lane);
}

/* What a cancelled operation may come back with, as io_uring has it; the last
 * is ERESTARTSYS. */
static bool is_interruption(int result)
{
	return result == -ECANCELED || result == -EINTR || result == -512;
}

bool lane_owns(const struct lane *lane, const struct test_arrival *arrival)
{
	const void *named = (const void *)(uintptr_t)(arrival->user_data &
						      RI_LOOP_ADDRESS_MASK);

	return lane->task &&
	       (named == lane->task || named == lane->victim.record) &&
	       arrival->opcode != IORING_OP_ASYNC_CANCEL;
}

void lane_note(struct lane *lane, const struct test_arrival *arrival)
{
	struct verdict *verdict = &lane->verdict;

	if (arrival->flags & IORING_CQE_F_NOTIF)
		return;
	verdict->said++;
	verdict->last = arrival->res;
	if (arrival->res > 0)
		verdict->sum += arrival->res;
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

static bool was_refused(const struct lane *lane)
{
	return lane->verdict.before &&
	       !(lane->victim.class->traits & VICTIM_RELEASE);
}

/* How often the kernel had to be asked. */
static void judge_operations(struct lane *lane)
{
	const unsigned traits = lane->victim.class->traits;
	const unsigned said = lane->verdict.said;

	lane_expect(lane, "operations that are not over", count_held(lane), 0);
	if (traits & VICTIM_LOCAL || was_refused(lane))
		lane_expect(lane, "operations", said, 0);
	else if (traits & VICTIM_STREAM)
		return; /* how often, is the engine's to say */
	else if (traits & VICTIM_MANY)
		lane_expect(lane, "whether there were operations", said > 0,
			    true);
	else
		lane_expect(lane, "operations", said, 1);
}

/* One that was stopped returns why. */
static void judge_interruption(struct lane *lane)
{
	struct verdict *verdict = &lane->verdict;
	const struct victim *victim = &lane->victim;

	if (!verdict->said || !is_interruption(verdict->last) ||
	    victim->class->traits & VICTIM_STREAM)
		return;
	lane_expect(lane, "a cancel without a cause",
		    !verdict->code && !victim->closing, false);
	lane_expect(lane, "a cancel of a release",
		    (victim->class->traits & VICTIM_RELEASE) != 0, false);
	verdict->last = verdict->code ? verdict->code : -EBADF;
}

void lane_judge(struct lane *lane)
{
	const struct victim *victim = &lane->victim;
	struct verdict *verdict = &lane->verdict;
	int expected;

	verdict->code = lane_code(lane);
	/* Members are told by a sweep, after all timers that were due. */
	verdict->due |= lane->nest.here->kind == MODEL_GROUP &&
			victim->deadline_ns <= lane->referee->fired_ns;
	verdict->told = model_was_told(lane->nest.here, victim->result);
	verdict->drains = lane->nest.here->drains;
	lane_expect(lane, "what the task is told", rota_cancelled(),
		    verdict->code);
	lane_expect(lane, "why", rota_cause().error, lane->nest.here->cause);
	if (lane->kernel)
		judge_operations(lane);
	judge_interruption(lane);
	if (was_refused(lane))
		expected = verdict->before;
	else if (victim->class->expected)
		expected = victim->class->expected(victim, verdict);
	else
		expected = victim_expected(victim, verdict);
	blame(lane);
	lane_expect(lane, "what the verb returned", victim->result, expected);
}
