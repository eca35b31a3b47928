/* SPDX-License-Identifier: MIT */
#include "support/swarm.h"

#include <errno.h>
#include <string.h>

/* Who acts. */
struct actor {
	struct swarm *swarm;
	struct swarm_group *here; /* the innermost group around it */
	struct swarm_group *own;  /* ... or that it is a member of */
	struct test_random dice;
	unsigned depth;
	bool doomed; /* something will end its sleep */
};

static unsigned dice(struct actor *actor, unsigned end)
{
	return (unsigned)test_random_below(&actor->dice, end);
}

void swarm_expect(struct swarm *swarm, const char *law, int64_t seen,
		  int64_t wanted)
{
	const char *none = NULL;

	if (seen == wanted)
		return;
	if (atomic_compare_exchange_strong(&swarm->broken, &none, law)) {
		swarm->seen = seen;
		swarm->wanted = wanted;
	}
}

static bool is_code(int result)
{
	return result == -ECANCELED || result == -ETIME || result == -ESHUTDOWN;
}

/* What verbs return: 0 or a code; once told, always told. */
static void check_verb(struct actor *actor, int before, int result)
{
	swarm_expect(actor->swarm, "a verb", result == 0 || is_code(result),
		     true);
	if (before)
		swarm_expect(actor->swarm, "a cancelled task's verb fails",
			     result != 0, true);
	if (before || result)
		swarm_expect(actor->swarm, "the code of who was told",
			     rota_cancelled() != 0, true);
}

static void rest(struct actor *actor)
{
	const int before = rota_cancelled();

	check_verb(actor, before,
		   dice(actor, 2) ? rota_yield()
				  : rota_sleep((int64_t)dice(actor, 100000)));
}

/* Until something ends it, if that is sure. */
static void linger(struct actor *actor)
{
	const int before = rota_cancelled();

	if (!actor->doomed) {
		rest(actor);
		return;
	}
	check_verb(actor, before, rota_sleep_until(ROTA_NEVER));
	swarm_expect(actor->swarm, "an endless sleep ends by a cancel",
		     rota_cancelled() != 0, true);
}

static int act(void *value);

static struct swarm_member *new_member(struct actor *actor,
				       struct swarm_group *group)
{
	struct swarm *swarm = actor->swarm;
	const unsigned index = atomic_fetch_add(&swarm->member_count, 1);
	struct swarm_member *member;

	if (index >= SWARM_MEMBERS)
		return NULL;
	member = &swarm->members[index];
	atomic_store(&member->group, group);
	member->index = index;
	member->seed = test_random_next(&actor->dice);
	member->inherited = member;
	member->loop = SWARM_LOOPS;
	return member;
}

/* May the actor wait for a slot of it? Circles over loops are not found. */
static bool may_wait(const struct actor *actor, const struct swarm_group *group)
{
	return !group->limit || (group == actor->here && group != actor->own);
}

static int go_on(struct swarm_group *group, struct swarm_member *member,
		 unsigned loop)
{
	member->loop = loop;
	return rota_go_on(&group->group, loop, act, member);
}

/* Some give up, at whatever point the question is. */
static int go_in_time(struct actor *actor, struct swarm_group *group,
		      struct swarm_member *member)
{
	struct rota_deadline deadline;
	int answer;

	rota_deadline_begin(&deadline,
			    rota_after_ns((int64_t)dice(actor, 60000)));
	if (dice(actor, 3))
		answer = go_on(group, member, dice(actor, SWARM_LOOPS));
	else
		answer = rota_go_spread(&group->group, act, member);
	rota_deadline_end(&deadline);
	return answer;
}

static int go(struct actor *actor, struct swarm_group *group,
	      struct swarm_member *member)
{
	const unsigned way = dice(actor, 8);

	if (way == 0 && group->home == rota_loop()) {
		member->background = true;
		atomic_store(&group->backed, true);
		return rota_go_background(&group->group, act, member);
	}
	if (way == 1) {
		member->loop = rota_loop();
		return rota_try_go(&group->group, act, member);
	}
	if (way == 2 || !may_wait(actor, group))
		return go_in_time(actor, group, member);
	if (way == 3)
		return rota_go_spread(&group->group, act, member);
	if (way == 4)
		return rota_go_on(&group->group, ROTA_LOOP_LEAST, act, member);
	if (way == 5)
		return go_on(group, member, rota_loop());
	return go_on(group, member, dice(actor, SWARM_LOOPS));
}

static void spawn_into(struct actor *actor, struct swarm_group *group)
{
	struct swarm_member *member = new_member(actor, group);
	void *before = rota_task_inherited();

	if (!member)
		return;
	rota_task_set_inherited(member);
	member->answer = go(actor, group, member);
	rota_task_set_inherited(before);
	if (member->answer == -EAGAIN || member->answer == -EDEADLK)
		swarm_expect(actor->swarm, "a spawn without limit",
			     group->limit != 0, true);
	else
		swarm_expect(actor->swarm, "a spawn",
			     member->answer == 0 || is_code(member->answer),
			     true);
}

/* One of the groups around the actor. */
static struct swarm_group *around(struct actor *actor)
{
	struct swarm_group *group = actor->here;

	while (group->outer && dice(actor, 3) == 0)
		group = group->outer;
	return group;
}

static void cancel(struct swarm_group *group)
{
	atomic_store(&group->cancelled, true);
	rota_group_cancel(&group->group,
			  (struct rota_cancellation){ SWARM_CAUSE(group->index),
						      NULL });
}

static void drain(struct actor *actor, struct swarm_group *group)
{
	static const int64_t graces[] = { ROTA_NEVER, 0, 50000, 500000 };

	if (group->home != rota_loop())
		return;
	atomic_store(&group->drained, true);
	rota_group_drain(&group->group, graces[dice(actor, 4)]);
}

static void be_idle(struct actor *actor)
{
	struct rota_idle idle;
	const int before = rota_cancelled();
	int result;

	rota_idle_begin(&idle);
	result = rota_sleep((int64_t)dice(actor, 50000));
	swarm_expect(actor->swarm, "an idle sleep",
		     result == 0 || is_code(result), true);
	if (before)
		swarm_expect(actor->swarm, "a cancelled idle sleep",
			     result != 0, true);
	rota_idle_end(&idle);
}

static void be_late(struct actor *actor)
{
	struct rota_deadline deadline;
	const bool doomed = actor->doomed;

	rota_deadline_begin(&deadline,
			    rota_after_ns((int64_t)dice(actor, 100000)));
	actor->doomed = true;
	linger(actor);
	actor->doomed = doomed;
	rota_deadline_end(&deadline);
}

/* What is cancelled around it leaves it alone. */
static void be_shielded(struct actor *actor)
{
	struct rota_shield shield;
	int result;

	rota_shield_begin(&shield, ROTA_NEVER);
	result = rota_sleep((int64_t)dice(actor, 30000));
	swarm_expect(actor->swarm, "a shielded sleep", result, 0);
	rota_shield_end(&shield);
}

static void called(void *arg)
{
	struct actor *actor = arg;

	rota_group_cancel(&actor->here->group,
			  (struct rota_cancellation){
				  SWARM_CAUSE(actor->here->index), NULL });
}

/* A cancel that calls for another one, of what is cancelled then. */
static void be_called(struct actor *actor)
{
	struct rota_callback callback;

	rota_callback_begin(&callback, called, actor);
	rest(actor);
	rota_callback_end(&callback);
}

static void ask_a_loop(struct actor *actor)
{
	struct rota_loop_stats stats;
	const int before = rota_cancelled();
	const int result = rota_loop_inspect(dice(actor, SWARM_LOOPS), &stats);

	swarm_expect(actor->swarm, "stats", result, before);
}

static void nest(struct actor *actor);

static void step(struct actor *actor)
{
	switch (dice(actor, 24)) {
	case 0:
	case 1:
	case 2:
		rest(actor);
		return;
	case 3:
	case 4:
		linger(actor);
		return;
	case 5:
		be_idle(actor);
		return;
	case 6:
		be_late(actor);
		return;
	case 7:
		be_shielded(actor);
		return;
	case 8:
		be_called(actor);
		return;
	case 9:
		ask_a_loop(actor);
		return;
	case 10:
		if (dice(actor, 4) == 0)
			cancel(around(actor));
		return;
	case 11:
		if (dice(actor, 4) == 0)
			drain(actor, around(actor));
		return;
	case 12:
	case 13:
	case 14:
	case 15:
		nest(actor);
		return;
	default:
		spawn_into(actor, around(actor));
		return;
	}
}

static void throw_away(int result, void *value)
{
	struct swarm_member *member = *(struct swarm_member **)value;
	struct swarm *swarm = atomic_load(&member->group)->swarm;

	atomic_fetch_add(&member->discarded, 1);
	swarm_expect(swarm, "what is discarded", result, member->result);
	swarm_expect(swarm, "who discards is cancelled", rota_cancelled() != 0,
		     true);
}

static struct swarm_group *new_group(struct actor *actor)
{
	struct swarm *swarm = actor->swarm;
	const unsigned index = atomic_fetch_add(&swarm->group_count, 1);
	struct swarm_group *group;

	if (index >= SWARM_GROUPS)
		return NULL;
	group = &swarm->groups[index];
	group->swarm = swarm;
	group->outer = actor->here;
	group->index = index;
	group->home = rota_loop();
	group->limit = dice(actor, 2) ? 1 + dice(actor, 5) : 0;
	group->mode = (enum rota_group_mode)dice(actor, 3);
	group->doomed = actor->doomed;
	group->failures.list = group->list;
	group->failures.max = SWARM_MEMBERS;
	return group;
}

/* Sees to it that it ends, on some loop, whatever its members do. */
static void doom(struct actor *actor, struct swarm_group *group)
{
	struct swarm_member *member = new_member(actor, group);
	void *before = rota_task_inherited();

	if (!member) {
		cancel(group);
		return;
	}
	member->kills = true;
	rota_task_set_inherited(member);
	member->answer = go_on(group, member, dice(actor, SWARM_LOOPS));
	rota_task_set_inherited(before);
	if (member->answer < 0)
		cancel(group);
}

static void open_group(struct actor *actor, struct swarm_group *group)
{
	struct rota_group_options options = {
		.limit = group->limit,
		.mode = group->mode,
		.failures = &group->failures,
		.discard = throw_away,
	};
	const unsigned fate = dice(actor, 4);

	if (fate == 0) {
		group->timed = group->doomed = true;
		options.deadline_ns =
			rota_after_ns((int64_t)dice(actor, 1000000));
	}
	group->doomed |= fate == 1;
	rota_group_open(&group->group, &options);
	if (fate == 1)
		doom(actor, group);
}

/* Opens a group, has members in it, and waits for it. */
static void nest(struct actor *actor)
{
	struct swarm_group *group = NULL;
	struct actor owner = *actor;

	if (actor->depth < SWARM_DEPTH)
		group = new_group(actor);
	if (!group)
		return;
	open_group(&owner, group);
	owner.here = group;
	owner.depth++;
	owner.doomed = group->doomed;
	for (unsigned left = 1 + dice(&owner, 8); left; left--)
		if (dice(&owner, 4))
			spawn_into(&owner, group);
		else
			step(&owner);
	actor->dice = owner.dice;
	swarm_judge(group, rota_group_wait(&group->group));
}

static void check_start(struct swarm_member *member)
{
	struct swarm_group *group = atomic_load(&member->group);
	struct swarm *swarm = group->swarm;

	swarm_expect(swarm, "how often a member runs",
		     atomic_fetch_add(&member->ran, 1), 0);
	swarm_expect(swarm, "a member runs after its group's end",
		     atomic_load(&group->over), false);
	if (member->loop < SWARM_LOOPS)
		swarm_expect(swarm, "the loop of a member", rota_loop(),
			     member->loop);
	swarm_expect(swarm, "what a member inherits",
		     rota_task_inherited() == member, true);
	if (!member->background && group->limit)
		swarm_expect(swarm, "more members than the limit",
			     atomic_fetch_add(&group->running, 1) >=
				     group->limit,
			     false);
}

static int choose_result(struct actor *actor, struct swarm_member *member)
{
	const int code = rota_cancelled();

	if (code && dice(actor, 2))
		return code;
	if (dice(actor, 6) == 0)
		return SWARM_FAILURE(member->index);
	return (int)member->index;
}

static void live(struct actor *actor, const struct swarm_member *member)
{
	if (member->kills) {
		rest(actor);
		cancel(actor->own);
		return;
	}
	for (unsigned left = dice(actor, 5); left; left--)
		step(actor);
}

static unsigned depth_of(const struct swarm_group *group)
{
	unsigned depth = 0;

	for (; group; group = group->outer)
		depth++;
	return depth;
}

static int act(void *value)
{
	struct swarm_member *member = *(struct swarm_member **)value;
	struct swarm_group *group = atomic_load(&member->group);
	struct actor actor = {
		.swarm = group->swarm,
		.here = group,
		.own = group,
		.dice = { member->seed },
		.depth = depth_of(group),
		.doomed = group->doomed,
	};

	check_start(member);
	live(&actor, member);
	member->result = choose_result(&actor, member);
	if (!member->background && group->limit)
		atomic_fetch_sub(&group->running, 1);
	atomic_fetch_add(&member->ended, 1);
	return member->result;
}

static void clear(struct swarm *swarm)
{
	const unsigned members = atomic_load(&swarm->member_count);
	const unsigned groups = atomic_load(&swarm->group_count);

	memset(swarm->members, 0,
	       sizeof(swarm->members[0]) *
		       (members < SWARM_MEMBERS ? members : SWARM_MEMBERS));
	memset(swarm->groups, 0,
	       sizeof(swarm->groups[0]) *
		       (groups < SWARM_GROUPS ? groups : SWARM_GROUPS));
	atomic_store(&swarm->member_count, 0);
	atomic_store(&swarm->group_count, 0);
}

void swarm_run(struct swarm *swarm, uint64_t seed)
{
	struct actor actor = { .swarm = swarm, .dice = { seed } };

	clear(swarm);
	nest(&actor);
}
