/* SPDX-License-Identifier: MIT */
/*
 * Who holds what, for broken promises about it: the messages name who holds it,
 * the line where that was taken, and who is in the way.
 */
#ifndef RI_SYNC_HOLDER_H
#define RI_SYNC_HOLDER_H

#include "rota/sync.h"
#include "sync/waiter.h"

/* What an object says in `state`. Not values that memory is likely to have by
 * itself. */
enum ri_sync_state {
	RI_SYNC_READY = 0x51ac,
	RI_SYNC_GONE = 0xca15,
};

/* Aborts: the object is not initialised. */
__attribute__((cold, noreturn)) void
ri_sync_missing(const char *verb, const char *noun, unsigned state);

/* Aborts: it is held (at `holder`), but the running task, or thread, calls
 * this verb. `site`: where, or NULL. */
__attribute__((cold, noreturn)) void
ri_holder_in_the_way(const struct rota_holder *holder, const char *name,
		     const char *verb, const struct rota_site *site);

/* Aborts: nobody holds it, but the verb lets go of it. */
__attribute__((cold, noreturn)) void
ri_holder_missing(const char *noun, const char *name, const char *verb);

static inline void ri_sync_check(unsigned state, const char *verb,
				 const char *noun)
{
	if (__builtin_expect(state != RI_SYNC_READY, 0))
		ri_sync_missing(verb, noun, state);
}

/* The last step of a fini; the guard is entered, and left. */
static inline void ri_sync_end(struct rota_guard *guard, unsigned *state,
			       const char *verb)
{
	ri_guard_check_back(guard, verb);
	*state = RI_SYNC_GONE;
	ri_guard_leave(guard);
}

static inline struct rota_holder ri_holder_at(const struct rota_task *task,
					      const struct rota_site *site)
{
	return (struct rota_holder){
		.task = task,
		.site = site,
		.id = task->fiber.id,
	};
}

/* Is it this task, and not one that had its record before and has ended? */
static inline bool ri_holder_is(const struct rota_holder *holder,
				const struct rota_task *task)
{
	return holder->task == task && holder->id == task->fiber.id;
}

/* Of a waiter that wants to hold: where it called is its place's item. */
static inline struct rota_holder ri_holder_of(const struct rota_place *place)
{
	return ri_holder_at(place->waiter->task, place->item);
}

static inline void ri_waiter_set_site(struct rota_waiter *waiter,
				      const struct rota_site *site)
{
	waiter->place.item = (void *)(uintptr_t)site;
}

#endif
