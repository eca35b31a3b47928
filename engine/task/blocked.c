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

/* Those found, in order: each is looked at in turn, and adds to the end. */
struct search {
	unsigned number;
	struct ri_blocked *first;
	struct ri_blocked **end;
};

static void add(struct search *search, struct ri_blocked *blocked)
{
	if (blocked->search == search->number)
		return;
	blocked->search = search->number;
	blocked->free = false;
	blocked->next = NULL;
	*search->end = blocked;
	search->end = &blocked->next;
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
	const struct rota_link *link = group->members.next;
	const bool joining = joins(blocked);

	if (joining ? !group->waiting : group->waiting < group->live)
		return true;
	for (; link != &group->members; link = link->next) {
		const struct rota_task *member =
			ri_container(link, struct rota_task, member);

		if (has_slot(member) && is_free(search, member) != joining)
			return !joining;
	}
	return joining;
}

/* Does a holder of the slots that it waits for join? Then it closes the circle
 * there, and those who wait for it may go on without it. */
static bool waits_for_a_join(const struct ri_blocked *blocked)
{
	const struct rota_link *head = &blocked->group->members;
	const struct rota_link *link = head->next;

	for (; link != head; link = link->next) {
		const struct ri_blocked *holder = blocked_of(
			ri_container(link, struct rota_task, member));

		if (holder && joins(holder) && !holder->free)
			return true;
	}
	return false;
}

/* Of those that are stuck, who is to be told. */
static struct ri_blocked *choose(const struct search *search)
{
	struct ri_blocked *each, *chosen = NULL;

	for (each = search->first; each; each = each->next) {
		if (each->free || joins(each))
			continue;
		if (waits_for_a_join(each))
			return each;
		if (!chosen)
			chosen = each;
	}
	return chosen;
}

struct ri_blocked *ri_blocked_find_stuck(struct ri_tasks *tasks,
					 struct ri_blocked *blocked)
{
	struct search search = { ++tasks->searches, NULL, &search.first };
	struct ri_blocked *each;
	bool more;

	add(&search, blocked);
	do {
		more = false;
		for (each = search.first; each && !blocked->free;
		     each = each->next) {
			if (each->free)
				continue;
			each->free = will_go_on(&search, each);
			more |= each->free;
		}
	} while (more && !blocked->free);
	if (blocked->free)
		return NULL;
	return choose(&search);
}
