/* SPDX-License-Identifier: MIT */
/*
 * One line for all. Whoever comes is let in at once only if nobody waits:
 *
 *	somebody waits: then the first in line may not be let in yet
 *
 * Whatever may change that lets in as many as may: an unlock, and a waiter that
 * is cancelled and leaves. Who is let in holds the lock before it goes on.
 *
 * Only the last readers are recorded: what is not known is never blamed.
 */
#include "rota/rwlock.h"

#include "rota/task.h"
#include "sync/batch.h"
#include "sync/holder.h"
#include "task/scope.h"

static_assert(sizeof(struct rota_rwlock) == 184, "23 words");

/* In the frame of who waits. */
struct asker {
	struct rota_waiter waiter;
	bool writes; /* it waits to write */
};

static inline struct asker *asker_of(struct rota_waiter *waiter)
{
	return ri_container(waiter, struct asker, waiter);
}

void rota_rwlock_init(struct rota_rwlock *lock,
		      const struct rota_sync_options *options)
{
	*lock = (struct rota_rwlock){
		.state = RI_SYNC_READY,
		.name = options ? options->name : NULL,
	};
	ri_guard_init(&lock->guard, options && options->local);
	ri_line_init(&lock->line);
}

/* Who reads: one who is known, or NULL. */
static const struct rota_holder *some_reader(const struct rota_rwlock *lock)
{
	for (unsigned i = 0; i < ROTA_RWLOCK_KNOWN; i++)
		if (lock->known[i].task)
			return &lock->known[i];
	return NULL;
}

void rota_rwlock_fini(struct rota_rwlock *lock)
{
	const struct rota_holder *reader;

	ri_sync_check(lock->state, __func__, "rwlock");
	ri_guard_enter(&lock->guard, __func__);
	reader = some_reader(lock);
	if (lock->writer.task || reader)
		ri_holder_in_the_way(reader ? reader : &lock->writer,
				     lock->name, __func__, NULL);
	ri_check(!lock->readers, "%s for a rwlock that %u tasks read", __func__,
		 lock->readers);
	ri_sync_end(&lock->guard, &lock->state, __func__);
}

static struct rota_holder *find_known(struct rota_rwlock *lock,
				      const struct rota_task *task)
{
	for (unsigned i = 0; i < ROTA_RWLOCK_KNOWN; i++)
		if (ri_holder_is(&lock->known[i], task))
			return &lock->known[i];
	return NULL;
}

static struct rota_holder *find_unused(struct rota_rwlock *lock)
{
	for (unsigned i = 0; i < ROTA_RWLOCK_KNOWN; i++)
		if (!lock->known[i].task)
			return &lock->known[i];
	return NULL;
}

/* It reads from here on: known until there are too many. */
static void add_reader(struct rota_rwlock *lock, struct rota_holder holder)
{
	struct rota_holder *place = find_unused(lock);

	lock->readers++;
	if (place) {
		lock->known_count++;
	} else {
		place = &lock->known[lock->oldest];
		lock->oldest = (lock->oldest + 1) % ROTA_RWLOCK_KNOWN;
	}
	*place = holder;
}

/* Under the guard, as all that follows: takes those off the line who may go in
 * now, as many as may. */
static struct ri_batch let_in(struct rota_rwlock *lock)
{
	struct ri_batch batch = { NULL, NULL };
	struct rota_waiter *first;

	while (!lock->writer.task && (first = ri_line_first(&lock->line))) {
		struct rota_place *place = &first->place;
		const bool writes = asker_of(first)->writes;

		if (writes && lock->readers)
			break;
		ri_line_remove(&lock->line, place);
		if (writes)
			lock->writer = ri_holder_of(place);
		else
			add_reader(lock, ri_holder_of(place));
		ri_batch_add(&batch, place);
	}
	return batch;
}

/* Leaves the guard and serves who may go in now. */
static void leave(struct rota_rwlock *lock)
{
	const struct ri_batch batch = let_in(lock);

	ri_guard_leave(&lock->guard);
	ri_batch_serve(&batch, 0);
}

/* Who was in front is gone: those behind may have their turn. */
static void left(struct rota_waiter *waiter)
{
	struct rota_rwlock *lock =
		ri_container(waiter->place.guard, struct rota_rwlock, guard);

	ri_guard_enter(&lock->guard, waiter->wait.what);
	leave(lock);
}

/* It holds the lock already: it would wait for itself, if not today. */
static void check_not_held(struct rota_rwlock *lock,
			   const struct rota_task *self, const char *verb,
			   const struct rota_site *site)
{
	const struct rota_holder *reader = find_known(lock, self);

	if (__builtin_expect(reader || ri_holder_is(&lock->writer, self), 0))
		ri_holder_in_the_way(reader ? reader : &lock->writer,
				     lock->name, verb, site);
}

static inline void enter(struct rota_rwlock *lock, const char *verb)
{
	ri_sync_check(lock->state, verb, "rwlock");
	ri_guard_enter(&lock->guard, verb);
}

/* Waits in line; the guard is entered, and left. What was given to a task that
 * is cancelled meanwhile is given back. */
static __attribute__((noinline)) int stand(struct rota_rwlock *lock,
					   const char *verb, bool writes,
					   const struct rota_site *site)
{
	struct rota_task *self = ri_task_self(verb);
	struct asker asker = { .writes = writes };
	int result;

	ri_waiter_init(&asker.waiter, ri_tasks_here(), self, verb);
	ri_waiter_set_site(&asker.waiter, site);
	asker.waiter.left = left;
	result = ri_waiter_stand(&asker.waiter, &lock->guard, &lock->line);
	if (result || !self->scope->code)
		return result;
	if (writes)
		rota_rwlock_write_unlock(lock);
	else
		rota_rwlock_read_unlock(lock);
	return self->scope->code;
}

static inline bool may_read(const struct rota_rwlock *lock)
{
	return !lock->writer.task && ri_line_empty(&lock->line);
}

static inline bool may_write(const struct rota_rwlock *lock)
{
	return !lock->writer.task && !lock->readers;
}

int rota_rwlock_read_lock_at(struct rota_rwlock *lock,
			     const struct rota_site *site)
{
	static const char verb[] = "rota_rwlock_read_lock";
	struct rota_task *self;
	int error = ri_waiter_begin(&self, &lock->guard, verb);

	if (__builtin_expect(error, 0))
		return error;
	enter(lock, verb);
	check_not_held(lock, self, verb, site);
	if (!may_read(lock))
		return stand(lock, verb, false, site);
	add_reader(lock, ri_holder_at(self, site));
	ri_guard_leave(&lock->guard);
	return 0;
}

int rota_rwlock_write_lock_at(struct rota_rwlock *lock,
			      const struct rota_site *site)
{
	static const char verb[] = "rota_rwlock_write_lock";
	struct rota_task *self;
	int error = ri_waiter_begin(&self, &lock->guard, verb);

	if (__builtin_expect(error, 0))
		return error;
	enter(lock, verb);
	check_not_held(lock, self, verb, site);
	if (!may_write(lock))
		return stand(lock, verb, true, site);
	lock->writer = ri_holder_at(self, site);
	ri_guard_leave(&lock->guard);
	return 0;
}

int rota_rwlock_try_read_lock_at(struct rota_rwlock *lock,
				 const struct rota_site *site)
{
	struct rota_task *self = ri_task_self("rota_rwlock_try_read_lock");
	bool may;

	enter(lock, "rota_rwlock_try_read_lock");
	may = may_read(lock);
	if (may) {
		check_not_held(lock, self, "rota_rwlock_try_read_lock", site);
		add_reader(lock, ri_holder_at(self, site));
	}
	ri_guard_leave(&lock->guard);
	return may ? 0 : -EAGAIN;
}

int rota_rwlock_try_write_lock_at(struct rota_rwlock *lock,
				  const struct rota_site *site)
{
	struct rota_task *self = ri_task_self("rota_rwlock_try_write_lock");
	bool may;

	enter(lock, "rota_rwlock_try_write_lock");
	may = may_write(lock);
	if (may)
		lock->writer = ri_holder_at(self, site);
	ri_guard_leave(&lock->guard);
	return may ? 0 : -EAGAIN;
}

/* Whoever reads is known, and it is not this one. */
static __attribute__((cold, noreturn)) void
not_held(const struct rota_rwlock *lock, const char *verb)
{
	const struct rota_holder *reader = some_reader(lock);

	if (lock->writer.task || reader)
		ri_holder_in_the_way(reader ? reader : &lock->writer,
				     lock->name, verb, NULL);
	ri_holder_missing("rwlock", lock->name, verb);
}

void rota_rwlock_read_unlock(struct rota_rwlock *lock)
{
	const struct rota_task *self = ri_task_self("rota_rwlock_read_unlock");
	struct rota_holder *known;

	enter(lock, "rota_rwlock_read_unlock");
	known = find_known(lock, self);
	if (known) {
		known->task = NULL;
		lock->known_count--;
	} else if (lock->known_count == lock->readers) {
		not_held(lock, "rota_rwlock_read_unlock");
	}
	lock->readers--;
	leave(lock);
}

void rota_rwlock_write_unlock(struct rota_rwlock *lock)
{
	const struct rota_task *self = ri_task_self("rota_rwlock_write_unlock");

	enter(lock, "rota_rwlock_write_unlock");
	if (!ri_holder_is(&lock->writer, self))
		not_held(lock, "rota_rwlock_write_unlock");
	lock->writer.task = NULL;
	leave(lock);
}
