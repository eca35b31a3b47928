/* SPDX-License-Identifier: MIT */
/*
 * Who may come by an object that tasks share: those of one loop, which need no
 * lock, or those of any.
 *
 * It is decided when the object is made: in an engine of one loop, or if the
 * program says so, it belongs to the loop that makes it, and every other
 * thread that comes by is found. Made elsewhere, or outside of an engine, it is
 * anybody's.
 */
#ifndef RI_SYNC_GUARD_H
#define RI_SYNC_GUARD_H

#include "base/lock.h"
#include "rota/link.h"
#include "task/task.h"

void ri_guard_init(struct rota_guard *guard, bool local);

/* Aborts: another thread than the one loop's has come by. */
__attribute__((cold, noreturn)) void
ri_guard_foreign(const struct rota_guard *guard, const char *verb);

/* Aborts: what the guard is of ends too early. */
__attribute__((cold, noreturn)) void
ri_guard_needed(const struct rota_guard *guard, const char *verb);

static inline bool ri_guard_is_shared(const struct rota_guard *guard)
{
	return guard->loop == NULL;
}

/* Before a guard is entered by a task that stays if it has to wait: another
 * loop, or a thread that has none, may end that, so its own loop has to be able
 * to hear of it. Under the guard it is too late to see to that, as it may take
 * a call of the kernel (base/lock.h). That it cannot be is found when the task
 * has to wait indeed. */
static inline void ri_guard_listen(const struct rota_guard *guard)
{
	if (__builtin_expect(ri_guard_is_shared(guard), 0) &&
	    __builtin_expect(!ri_loop_here->listening, 0))
		(void)ri_loop_listen(ri_loop_here);
}

static inline void ri_guard_enter(struct rota_guard *guard, const char *verb)
{
	if (__builtin_expect(ri_guard_is_shared(guard), 0))
		ri_lock_take(&guard->held);
	else if (__builtin_expect(guard->loop != ri_loop_here, 0))
		ri_guard_foreign(guard, verb);
}

static inline void ri_guard_leave(struct rota_guard *guard)
{
	if (__builtin_expect(ri_guard_is_shared(guard), 0))
		ri_lock_give(&guard->held);
}

/* Of those who were served, one more (1) or one less (-1) has still to come by
 * this guard. */
static inline void ri_guard_count_away(struct rota_guard *guard, int change)
{
	/* release: pairs with the acquire in ri_guard_check_back */
	if (ri_guard_is_shared(guard))
		__atomic_fetch_add(&guard->away, (unsigned)change,
				   __ATOMIC_RELEASE);
	else
		guard->away += (unsigned)change;
}

/* What the guard is of is about to end, so nobody may be about to come by. */
static inline void ri_guard_check_back(const struct rota_guard *guard,
				       const char *verb)
{
	if (__builtin_expect(__atomic_load_n(&guard->away, __ATOMIC_ACQUIRE),
			     0))
		ri_guard_needed(guard, verb);
}

#endif
