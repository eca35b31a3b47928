/* SPDX-License-Identifier: MIT */
#include "task/blocked.h"

static bool has_slot(const struct rota_task *task)
{
	return !(task->fiber.flags & RI_TASK_BACKGROUND);
}

static bool joins(const struct ri_blocked *blocked)
{
	return blocked->wait.interrupt == ri_join_interrupt;
}

/* NULL: it does not wait, or not for tasks. */
static struct ri_blocked *blocked_of(const struct rota_task *task)
{
	struct ri_wait *wait = task->wait;

	if (!wait || (wait->interrupt != ri_slot_interrupt &&
		      wait->interrupt != ri_join_interrupt))
		return NULL;
	return ri_container(wait, struct ri_blocked, wait);
}

void ri_blocked_begin(struct ri_tasks *tasks, struct ri_blocked *blocked)
{
	tasks->blocked += !joins(blocked);
	blocked->task->group->waiting += has_slot(blocked->task);
}

void ri_blocked_end(struct ri_tasks *tasks, struct ri_blocked *blocked)
{
	tasks->blocked -= !joins(blocked);
	blocked->task->group->waiting -= has_slot(blocked->task);
}

/* Those found: first the one that is asked about. */
struct search {
	unsigned number;
	struct ri_blocked *last;
	bool more; /* one was found, or was found to be free */
};

/* What the counts tell: a slot is with somebody who does not wait, or no member
 * waits. */
static bool goes_on_clearly(const struct ri_blocked *blocked)
{
	const struct rota_group *group = blocked->group;

	return joins(blocked) ? !group->waiting : group->waiting < group->live;
}

static void add(struct search *search, struct ri_blocked *blocked)
{
	if (blocked->search == search->number)
		return;
	blocked->search = search->number;
	blocked->free = goes_on_clearly(blocked);
	if (blocked->free)
		return;
	blocked->before = search->last;
	search->last = blocked;
	search->more = true;
}

/* Will this member go on, as far as is known? One not known yet is added. */
static bool is_free(struct search *search, const struct rota_task *member)
{
	struct ri_blocked *blocked = blocked_of(member);

	if (!blocked)
		return true;
	/* A wait for a slot ends with its scope; a join does not. */
	if (!joins(blocked) && member->scope->code)
		return true;
	add(search, blocked);
	return blocked->free;
}

/* Does what it waits for come, as far as is known? */
static bool will_go_on(struct search *search, const struct ri_blocked *blocked)
{
	const struct rota_group *group = blocked->group;
	const struct rota_node *link = group->members.next;
	const bool joining = joins(blocked);

	for (; link != &group->members; link = link->next) {
		const struct rota_task *member =
			ri_container(link, struct rota_task, member);

		if (has_slot(member) && is_free(search, member) != joining)
			return !joining;
	}
	return joining;
}

/* Asks each again, those found last first, new ones at once: what one finds
 * out, those that found it can use. */
static void pass(struct search *search)
{
	struct ri_blocked *each = search->last;

	search->more = false;
	while (each) {
		const struct ri_blocked *last = search->last;

		if (!each->free && will_go_on(search, each)) {
			each->free = true;
			search->more = true;
		}
		each = search->last == last ? each->before : search->last;
	}
}

/* Does a holder of the slots that it waits for join? Then it closes the circle
 * there, and those who wait for it may go on without it. */
static bool waits_for_a_join(const struct ri_blocked *blocked)
{
	const struct rota_node *head = &blocked->group->members;
	const struct rota_node *link = head->next;

	for (; link != head; link = link->next) {
		const struct ri_blocked *holder = blocked_of(
			ri_container(link, struct rota_task, member));

		if (holder && joins(holder) && !holder->free)
			return true;
	}
	return false;
}

/* Of those that are stuck, who is to be told: the one that was found first of
 * those that wait for a join, else of all. */
static struct ri_blocked *choose(const struct search *search)
{
	struct ri_blocked *each, *any = NULL, *chosen = NULL;

	for (each = search->last; each; each = each->before) {
		if (each->free || joins(each))
			continue;
		any = each;
		if (waits_for_a_join(each))
			chosen = each;
	}
	return chosen ? chosen : any;
}

struct ri_blocked *ri_blocked_find_stuck(struct ri_tasks *tasks,
					 struct ri_blocked *blocked)
{
	struct search search = { ++tasks->searches, NULL, false };

	/* Others that are found wait for it. */
	blocked->task->wait = &blocked->wait;
	add(&search, blocked);
	while (search.more && !blocked->free)
		pass(&search);
	blocked->task->wait = NULL;
	return blocked->free ? NULL : choose(&search);
}
