/* SPDX-License-Identifier: MIT */
/*
 * What a group may have come to, once all is over. Which of the things that
 * happen on several loops at once comes first is nobody's to foretell; what
 * came of it has to be one of them.
 */
#include "support/swarm.h"
#include "task/remote.h"

#include <errno.h>

/* Members of one group. */
struct tally {
	unsigned accepted;  /* with a slot */
	unsigned failures;  /* that count */
	unsigned successes; /* that could win */
};

static unsigned member_count(struct swarm *swarm)
{
	const unsigned count = atomic_load(&swarm->member_count);

	return count < SWARM_MEMBERS ? count : SWARM_MEMBERS;
}

/* Whoever was accepted ran to its end, once; others did not. */
static void check_member(const struct swarm_group *group,
			 struct swarm_member *member, struct tally *tally)
{
	const unsigned times = member->answer == 0;

	swarm_expect(group->swarm, "ends of a member",
		     atomic_load(&member->ended), times);
	swarm_expect(group->swarm, "starts of a member",
		     atomic_load(&member->ran), times);
	if (!times)
		return;
	tally->accepted += !member->background;
	tally->failures += member->result == SWARM_FAILURE(member->index);
	tally->successes += member->result >= 0 && !member->background;
}

static void count(struct swarm_group *group, struct tally *tally)
{
	const unsigned all = member_count(group->swarm);

	for (unsigned i = 0; i < all; i++) {
		struct swarm_member *member = &group->swarm->members[i];

		if (atomic_load(&member->group) == group)
			check_member(group, member, tally);
	}
}

static struct swarm_member *failed_with(struct swarm_group *group, int error)
{
	const int index = SWARM_FAILURE(0) - error;
	struct swarm_member *member;

	if (index < 0 || (unsigned)index >= member_count(group->swarm))
		return NULL;
	member = &group->swarm->members[index];
	return atomic_load(&member->group) == group && member->result == error
		       ? member
		       : NULL;
}

/* Each failure is there, once. */
static void check_failures(struct swarm_group *group, const struct tally *tally)
{
	const struct rota_failures *failures = &group->failures;

	swarm_expect(group->swarm, "the count of failures", failures->count,
		     tally->failures);
	for (unsigned i = 0; i < failures->count; i++) {
		const int error = failures->list[i].error;

		swarm_expect(group->swarm, "a failure of no member",
			     failed_with(group, error) != NULL, true);
		for (unsigned j = 0; j < i; j++)
			swarm_expect(group->swarm, "a failure told twice",
				     failures->list[j].error == error, false);
	}
}

/* One wins, all others that could have are discarded. */
static void check_race(struct swarm_group *group, int result)
{
	const unsigned all = member_count(group->swarm);

	for (unsigned i = 0; i < all; i++) {
		struct swarm_member *member = &group->swarm->members[i];

		if (atomic_load(&member->group) != group || member->answer ||
		    member->background || member->result < 0)
			continue;
		swarm_expect(group->swarm, "how often a success is discarded",
			     atomic_load(&member->discarded),
			     result != member->result);
	}
}

static bool of_member(const struct swarm_group *group, int result)
{
	const int index = SWARM_FAILURE(0) - result;

	return index >= 0 && index < (int)SWARM_MEMBERS &&
	       atomic_load(&group->swarm->members[index].group) == group;
}

/* Could this group have ended so, itself? */
static bool explained_by(struct swarm_group *group, int result)
{
	if (result == -ETIME)
		return group->timed;
	if (result == -ESHUTDOWN)
		return atomic_load(&group->drained);
	if (result == -ECANCELED)
		return group->mode == ROTA_GROUP_FIRST_SUCCESS ||
		       atomic_load(&group->backed);
	return result == SWARM_CAUSE(group->index) || of_member(group, result);
}

static bool explained(struct swarm_group *group, int result)
{
	for (; group; group = group->outer)
		if (explained_by(group, result))
			return true;
	return false;
}

/* Nobody has won or failed. */
static void check_quiet(struct swarm_group *group, int result,
			const struct tally *tally)
{
	const bool race = group->mode == ROTA_GROUP_FIRST_SUCCESS;

	/* What background members and theirs do at the end is no cancel. */
	if (atomic_load(&group->cancelled) && !atomic_load(&group->backed))
		swarm_expect(group->swarm, "what a cancelled group came to",
			     result != 0, true);
	if (race && result == -ECHILD)
		swarm_expect(group->swarm, "a race without members",
			     tally->accepted, 0);
	else if (race || result)
		swarm_expect(group->swarm, "what a group came to",
			     explained(group, result) ? 0 : result, 0);
}

void swarm_judge(struct swarm_group *group, int result)
{
	struct tally tally = { 0 };

	atomic_store(&group->over, true);
	count(group, &tally);
	check_failures(group, &tally);
	swarm_expect(group->swarm, "members left", atomic_load(&group->running),
		     0);
	if (group->mode == ROTA_GROUP_FIRST_SUCCESS && tally.successes) {
		swarm_expect(group->swarm, "a race is won", result >= 0, true);
		check_race(group, result);
	} else if (group->failures.count) {
		swarm_expect(group->swarm, "the first failure", result,
			     group->failures.list[0].error);
	} else {
		check_quiet(group, result, &tally);
	}
}

/* Goes to a loop, looks, and comes back. */
struct inspector {
	struct rota_message message;
	struct swarm *swarm;
	atomic_bool back;
	bool looks; /* or only gives the loop a turn */
};

static unsigned length(const struct rota_mail *mail)
{
	unsigned count = 0;

	for (; mail; mail = mail->next)
		count++;
	return count;
}

static unsigned free_blocks(const struct ri_remotes *remotes)
{
	const struct ri_remote *remote = remotes->free;
	unsigned count = 0;

	for (; remote; remote = remote->next)
		count++;
	return count;
}

static void look_at(struct swarm *swarm, struct ri_tasks *tasks)
{
	const struct ri_parcels *parcels = &tasks->parcels;
	const struct rota_mail *returned =
		__atomic_load_n(&parcels->returned.top, __ATOMIC_ACQUIRE);
	const bool first = tasks->loop.index == 0;

	swarm_expect(swarm, "parcels that are home",
		     length(parcels->free) + length(returned), parcels->made);
	swarm_expect(swarm, "blocks that are free",
		     free_blocks(&tasks->remotes), tasks->remotes.made);
	swarm_expect(swarm, "tasks left", tasks->loop.live, first);
	swarm_expect(swarm, "tasks parked", tasks->parked <= first, true);
	swarm_expect(swarm, "tasks that wait for slots", tasks->blocked, 0);
	swarm_expect(swarm, "sweeps left", ri_list_empty(&tasks->sweeps), true);
	swarm_expect(swarm, "parcels without room",
		     ri_fifo_empty(&tasks->waiting), true);
	swarm_expect(swarm, "a timer for them", ri_timer_armed(&tasks->room),
		     false);
	swarm_expect(swarm, "operations left", tasks->loop.in_flight, 0);
}

static void inspect(struct rota_message *message)
{
	struct inspector *inspector = (struct inspector *)(void *)message;

	if (inspector->looks)
		look_at(inspector->swarm, ri_tasks_here());
	atomic_store(&inspector->back, true);
}

static void send_inspector(struct swarm *swarm, unsigned loop, bool looks)
{
	struct inspector inspector = { .message.fn = inspect,
				       .swarm = swarm,
				       .looks = looks };

	rota_message_send(loop, &inspector.message);
	while (!atomic_load(&inspector.back))
		if (rota_yield() < 0)
			return;
}

/* A look at the mail sends home what was given before, so the first round makes
 * sure that all parcels are. */
void swarm_check_books(struct swarm *swarm)
{
	for (unsigned i = 0; i < 3 * SWARM_LOOPS; i++)
		send_inspector(swarm, i % SWARM_LOOPS, i >= 2 * SWARM_LOOPS);
}
