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

static inline bool ri_guard_is_shared(const struct rota_guard *guard)
{
	return guard->loop == NULL;
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

#endif
