/* SPDX-License-Identifier: MIT */
/*
 * A weighted semaphore. Who waits is in the line, and what is free is not
 * enough for the first one: who comes looks at the line first, so nobody is
 * overtaken.
 *
 * Who gives permits back hands them to those who wait, under the guard: they
 * have them before they know. One that is cancelled in between gives them back
 * itself, when it goes on.
 */
#include "rota/limit.h"

#include "sync/batch.h"
#include "sync/holder.h"
#include "task/scope.h"

#include <errno.h>

static_assert(sizeof(struct rota_limit) == 72 + 32 * ROTA_LIMIT_HOLDERS,
	      "what a fast path touches is in two lines");

/* In the frame of who waits. */
struct asker {
	struct rota_waiter waiter;
	uint64_t count;               /* of permits */
	const struct rota_site *site; /* where it asks */
};

static inline void enter(struct rota_limit *limit, const char *verb)
{
	ri_sync_check(limit->state, verb, "limit");
	ri_guard_enter(&limit->guard, verb);
}

void rota_limit_init(struct rota_limit *limit, uint64_t size,
		     const struct rota_sync_options *options)
{
	*limit = (struct rota_limit){
		.size = size,
		.name = options ? options->name : NULL,
		.state = RI_SYNC_READY,
	};
	ri_guard_init(&limit->guard, options && options->local);
	ri_line_init(&limit->line);
}

__attribute__((cold, noreturn)) static void
still_held(const struct rota_limit *limit)
{
	static const struct rota_site unknown = { __FILE__, "limit", __LINE__,
						  0 };
	const struct rota_site *site = &unknown;
	unsigned task = 0;

	for (unsigned i = 0; i < ROTA_LIMIT_HOLDERS; i++)
		if (limit->holders[i].count) {
			site = limit->holders[i].who.site;
			task = limit->holders[i].who.id;
		}
	ri_abort(site->file, site->line,
		 "%llu of the %llu permits of the limit %s are held when it "
		 "ends: task %u has acquired some here",
		 (unsigned long long)limit->used,
		 (unsigned long long)limit->size,
		 limit->name ? limit->name : "", task);
}

void rota_limit_fini(struct rota_limit *limit)
{
	enter(limit, __func__);
	ri_line_check_empty(&limit->line, __func__);
	if (limit->used)
		still_held(limit);
	ri_sync_end(&limit->guard, &limit->state, __func__);
}

/* Under the guard: they are there, and now are the task's. */
static inline void take(struct rota_limit *limit, const struct rota_task *task,
			uint64_t count, const struct rota_site *site)
{
	struct rota_limit_holder *holder =
		&limit->holders[limit->next++ % ROTA_LIMIT_HOLDERS];

	limit->used += count;
	holder->count = count;
	if (__builtin_expect(task != NULL, 1))
		holder->who = ri_holder_at(task, site);
	else
		holder->who = (struct rota_holder){ .site = site };
}

static inline bool is_of(const struct rota_limit_holder *holder,
			 const struct rota_task *task)
{
	return task ? ri_holder_is(&holder->who, task) : !holder->who.task;
}

/* Of what it took last the first ones. */
static __attribute__((noinline)) void forget_some(struct rota_limit *limit,
						  const struct rota_task *task,
						  uint64_t count)
{
	for (unsigned i = 1; count && i <= ROTA_LIMIT_HOLDERS; i++) {
		struct rota_limit_holder *holder =
			&limit->holders[(limit->next - i) % ROTA_LIMIT_HOLDERS];
		uint64_t less = holder->count < count ? holder->count : count;

		if (!is_of(holder, task))
			continue;
		holder->count -= less;
		count -= less;
	}
}

/* Under the guard: it has so many less. Mostly those that were taken last: then
 * who comes next is written there, and others that hold some stay known. */
static inline void forget(struct rota_limit *limit,
			  const struct rota_task *task, uint64_t count)
{
	struct rota_limit_holder *newest =
		&limit->holders[(limit->next - 1) % ROTA_LIMIT_HOLDERS];

	if (__builtin_expect(newest->count == count && is_of(newest, task),
			     1)) {
		newest->count = 0;
		limit->next--;
	} else {
		forget_some(limit, task, count);
	}
}

static inline bool there_are(const struct rota_limit *limit, uint64_t count)
{
	return count <= limit->size - limit->used &&
	       ri_line_empty(&limit->line);
}

/* Gives to those who wait what they can have now; called with the guard
 * entered, which it leaves. */
static void serve(struct rota_limit *limit)
{
	struct ri_batch batch = { NULL, NULL };
	struct rota_waiter *waiter;

	while ((waiter = ri_line_first(&limit->line))) {
		const struct asker *asker =
			ri_container(waiter, struct asker, waiter);

		if (asker->count > limit->size - limit->used)
			break;
		ri_line_remove(&limit->line, &waiter->place);
		take(limit, waiter->task, asker->count, asker->site);
		ri_batch_add(&batch, &waiter->place);
	}
	ri_guard_leave(&limit->guard);
	ri_batch_serve(&batch, 0);
}

static inline void give_back(struct rota_limit *limit,
			     const struct rota_task *task, uint64_t count)
{
	enter(limit, "rota_limit_release");
	ri_check(count <= limit->used,
		 "rota_limit_release of %llu permits, but only %llu of the "
		 "limit %s are acquired",
		 (unsigned long long)count, (unsigned long long)limit->used,
		 limit->name ? limit->name : "");
	limit->used -= count;
	forget(limit, task, count);
	if (__builtin_expect(!ri_line_empty(&limit->line), 0))
		serve(limit);
	else
		ri_guard_leave(&limit->guard);
}

/* Who runs on this thread, if it is a task. */
static inline const struct rota_task *caller(void)
{
	struct ri_loop *loop = ri_loop_here;

	if (__builtin_expect(!loop || !ri_loop_in_fiber(loop), 0))
		return NULL;
	return ri_task_of(loop->current);
}

void rota_limit_release(struct rota_limit *limit, uint64_t count)
{
	give_back(limit, caller(), count);
}

/* One that was cancelled may have stood before others that have enough. */
static void left(struct rota_waiter *waiter)
{
	struct rota_limit *limit =
		ri_container(waiter->place.guard, struct rota_limit, guard);

	ri_guard_enter(&limit->guard, "rota_limit_acquire");
	serve(limit);
}

static __attribute__((noinline)) int stand(struct rota_limit *limit,
					   struct rota_task *self,
					   uint64_t count,
					   const struct rota_site *site)
{
	struct asker asker;
	int result;

	ri_waiter_init(&asker.waiter, ri_tasks_here(), self,
		       "rota_limit_acquire");
	asker.waiter.left = left;
	asker.count = count;
	asker.site = site;
	result = ri_waiter_stand(&asker.waiter, &limit->guard, &limit->line);
	if (!result && self->scope->code) {
		give_back(limit, self, count);
		result = self->scope->code;
	}
	return result;
}

int rota_limit_acquire_at(struct rota_limit *limit, uint64_t count,
			  const struct rota_site *site)
{
	struct rota_task *self;
	int error = ri_waiter_begin(&self, &limit->guard, "rota_limit_acquire");

	if (__builtin_expect(error, 0))
		return error;
	ri_sync_check(limit->state, "rota_limit_acquire", "limit");
	if (__builtin_expect(count > limit->size, 0))
		return -EINVAL;
	ri_guard_enter(&limit->guard, "rota_limit_acquire");
	if (__builtin_expect(!there_are(limit, count), 0))
		return stand(limit, self, count, site);
	take(limit, self, count, site);
	ri_guard_leave(&limit->guard);
	return 0;
}

int rota_limit_try_acquire_at(struct rota_limit *limit, uint64_t count,
			      const struct rota_site *site)
{
	bool free;

	enter(limit, "rota_limit_try_acquire");
	free = there_are(limit, count);
	if (free)
		take(limit, caller(), count, site);
	ri_guard_leave(&limit->guard);
	if (free)
		return 0;
	return count > limit->size ? -EINVAL : -EAGAIN;
}

struct rota_limit_state rota_limit_inspect(struct rota_limit *limit)
{
	struct rota_limit_state state;

	enter(limit, __func__);
	state = (struct rota_limit_state){
		.size = limit->size,
		.used = limit->used,
		.waiting = limit->line.count,
	};
	ri_guard_leave(&limit->guard);
	return state;
}
