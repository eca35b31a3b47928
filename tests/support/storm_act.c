/* SPDX-License-Identifier: MIT */
#include "support/storm_act.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>

static struct lane *owner_of(struct storm *storm,
			     const struct test_arrival *arrival)
{
	for (unsigned i = 0; i < storm->script.lanes; i++)
		if (lane_owns(&storm->lanes[i], arrival))
			return &storm->lanes[i];
	return NULL;
}

static bool is_answer(const struct test_arrival *arrival)
{
	return arrival->opcode == IORING_OP_ASYNC_CANCEL;
}

/* Sees every completion that the kernel posts. */
bool storm_watch(void *context, const struct test_arrival *arrival)
{
	struct storm *storm = context;
	struct lane *lane = owner_of(storm, arrival);

	if (lane)
		lane_note(lane, arrival);
	if (is_answer(arrival))
		return storm->hold & STORM_HOLD_ANSWERS;
	return storm->hold & (lane ? STORM_HOLD_OPERATIONS : STORM_HOLD_OTHERS);
}

/* The first that is held of the same operation: the kernel has them in their
 * order. */
static unsigned first_of(struct storm *storm, unsigned index)
{
	const uint64_t name =
		test_kernel_held_at(&storm->kernel, index)->user_data;

	index = 0;
	while (test_kernel_held_at(&storm->kernel, index)->user_data != name)
		index++;
	return index;
}

/* Others of its kind may say in other words that they were stopped. */
static void release(struct storm *storm, unsigned index)
{
	struct test_arrival *held;

	index = first_of(storm, index);
	held = test_kernel_held_at(&storm->kernel, index);
	if (held->res == -ECANCELED && owner_of(storm, held))
		held->res = storm->script.interruption;
	test_kernel_release(&storm->kernel, index);
}

/* Releases all of what is held that are, or are not, answers to cancels. */
static void release_kind(struct storm *storm, bool answers)
{
	for (unsigned i = 0; i < test_kernel_held(&storm->kernel);) {
		if (is_answer(test_kernel_held_at(&storm->kernel, i)) ==
		    answers)
			release(storm, i);
		else
			i++;
	}
}

void storm_release_all(struct storm *storm)
{
	storm->hold = 0;
	storm->kernel.arrivals.shuffled = false;
	release_kind(storm, storm->script.answers_first);
	release_kind(storm, !storm->script.answers_first);
}

static int close_it(void *value)
{
	lane_close(*(struct lane **)value);
	return 0;
}

static void close_lane(struct storm *storm, struct lane *lane)
{
	if (rota_go(&storm->home, close_it, lane))
		referee_expect(&storm->referee, "spawning who closes", 1, 0);
}

void storm_complete(struct lane *lane)
{
	struct victim *victim = &lane->victim;

	if (!victim->class->complete)
		return;
	victim->completions++;
	victim->class->complete(victim);
}

/* Puts the clock to where a deadline of the victim has come. */
void storm_advance(struct storm *storm, const struct lane *lane, bool last)
{
	const int64_t due_ns = lane_deadline(lane, last);

	if (due_ns != ROTA_NEVER && storm->kernel.clock_ns < due_ns)
		storm->kernel.clock_ns = due_ns;
}

static void act_on_lane(struct storm *storm, struct lane *lane,
			enum storm_event event)
{
	switch (event) {
	case STORM_COMPLETE:
		storm_complete(lane);
		break;
	case STORM_CANCEL:
	case STORM_CANCEL_OUTER:
		lane_cancel(lane, event == STORM_CANCEL ? LANE_GROUP
							: LANE_OUTER_GROUP);
		break;
	case STORM_FAIL:
		lane_fail(lane);
		break;
	case STORM_DRAIN:
	case STORM_DRAIN_OUTER:
		lane_drain(lane,
			   event == STORM_DRAIN ? LANE_GROUP : LANE_OUTER_GROUP,
			   storm->script.grace_ns);
		break;
	case STORM_DEADLINE:
	case STORM_LAST_DEADLINE:
		storm_advance(storm, lane, event == STORM_LAST_DEADLINE);
		break;
	default:
		close_lane(storm, lane);
		break;
	}
}

static int wait_forever(void *value)
{
	(void)value;
	return rota_sleep_until(ROTA_NEVER);
}

static int poll_forever(void *value)
{
	return rota_poll(*(int *)value, POLLPRI);
}

/* Somebody whose wait begins and is cancelled before the loop has its turn:
 * with a record that was another's a moment ago. */
static int stand_by(void *value)
{
	struct storm *storm = *(struct storm **)value;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, poll_forever, storm->quiet);
	error |= rota_go(&group, wait_forever, 0);
	rota_yield();
	rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	referee_expect(&storm->referee, "what bystanders came to",
		       rota_group_wait(&group) | error, -ECANCELED);
	return 0;
}

static void bystand(struct storm *storm)
{
	if (rota_go(&storm->home, stand_by, storm))
		referee_expect(&storm->referee, "spawning bystanders", 1, 0);
}

static void cancel_all(struct storm *storm)
{
	if (!storm->all)
		return;
	rota_group_cancel(storm->all, (struct rota_cancellation){ 0 });
	for (unsigned i = 0; i < storm->script.lanes; i++)
		lane_cancelled(&storm->lanes[i]);
}

static void act_on_all(struct storm *storm, enum storm_event event)
{
	switch (event) {
	case STORM_DELIVER:
		if (test_kernel_held(&storm->kernel))
			release(storm,
				referee_dice(&storm->referee,
					     test_kernel_held(&storm->kernel)));
		break;
	case STORM_DELIVER_OPERATIONS:
		storm->hold &= ~(unsigned)STORM_HOLD_OPERATIONS;
		release_kind(storm, false);
		break;
	case STORM_DELIVER_ANSWERS:
		storm->hold &= ~(unsigned)STORM_HOLD_ANSWERS;
		release_kind(storm, true);
		break;
	case STORM_CANCEL_ALL:
		cancel_all(storm);
		break;
	case STORM_BYSTAND:
		bystand(storm);
		break;
	case STORM_SPOIL:
		storm->spoiled++;
		storm->kernel.spoil++;
		break;
	case STORM_REFUSE:
		storm->kernel.submit_error = -EAGAIN;
		break;
	default:
		storm->kernel.submit_error = 0;
		break;
	}
}

void storm_act(struct storm *storm, const struct storm_step *step)
{
	const enum storm_event event = (enum storm_event)step->event;

	if (event < STORM_VICTIM_EVENTS)
		act_on_lane(storm, &storm->lanes[step->lane], event);
	else
		act_on_all(storm, event);
}
