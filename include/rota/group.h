/* SPDX-License-Identifier: MIT */
/*
 * A group is a scope of tasks: it bounds how many run, cancels them together,
 * keeps the first error, and joins them all. There is no other way to spawn,
 * so no task outlives its group.
 *
 *	struct rota_group group;
 *
 *	rota_group_open(&group, NULL);
 *	rota_go(&group, fetch, url);         (as often as needed)
 *	error = rota_group_wait(&group);     (joins, first error)
 *
 * From open to wait the group is a scope of its owner too: when it is
 * cancelled, the owner's blocking verbs return as well.
 */
#ifndef ROTA_GROUP_H
#define ROTA_GROUP_H

#include "rota/clock.h"
#include "rota/scope.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* What a task runs: gets a pointer to its copy of the value, aligned to 16
 * bytes, which lives as long as the task. Returns >= 0, or -errno: an error of
 * the group, unless it is the code of the group's own cancellation. */
typedef int rota_task_fn(void *value);

/* The largest value that a task is given, in bytes. */
#define ROTA_VALUE_BYTES 48

enum rota_group_mode {
	ROTA_GROUP_FIRST_ERROR = 0, /* the first error cancels the group */
	ROTA_GROUP_KEEP_GOING = 1,  /* errors are kept, nobody is cancelled */
};

struct rota_group_options {
	const char *name; /* for dumps; must outlive the group */
	unsigned limit;   /* members at a time; 0: only the engine's bound */
	enum rota_group_mode mode; /* what the first error does */
	int64_t deadline_ns;       /* a point in time; 0: none */
	size_t stack_bytes;        /* usable, for each member; 0: the engine's
	                        default. TLS libraries want 256 KiB */
};

/* In the frame of who opens it, or wherever lives long enough; its fields are
 * private. */
struct rota_group {
	struct rota_scope scope;  /* what it is */
	struct rota_link members; /* tasks that have not ended */
	struct rota_link waiters; /* tasks that wait for a slot, in order */
	const char *name;         /* for dumps */
	unsigned limit;           /* members at a time */
	unsigned live;            /* members that have not ended */
	unsigned swept;           /* members still to be told of a cancel */
	unsigned held;            /* members that wait for a slot of this */
	int first_error;          /* the first failure of a member, or 0 */
	uint8_t mode;             /* enum rota_group_mode */
	uint8_t stack_class;      /* size of the members' stacks */
	uint8_t joining;          /* the owner is in rota_group_wait */
};

/* Opens a group: options may be NULL. The function that opens it waits for it:
 * one that returns without rota_group_wait aborts the program, naming this
 * line. A stack size over 256 MiB aborts.
 *
 * Cannot fail, never suspends, tasks only. In a scope that is cancelled
 * already the group is cancelled from the start. */
void rota_group_open_at(struct rota_group *group,
			const struct rota_group_options *options,
			const struct rota_site *site);

#define rota_group_open(group, ...)                                    \
	__extension__({                                                \
		static const struct rota_site rota_site_ =             \
			ROTA_SITE_("group", 0);                        \
		rota_group_open_at((group), __VA_ARGS__, &rota_site_); \
	})

/* Spawns a task: `value` (any type of at most ROTA_VALUE_BYTES) is copied, so
 * it may be a loop variable. The task starts when the spawner suspends.
 * Returns 0: accepted, it will run, whatever happens, so it can release what
 * it was given. Otherwise it will not, and the value stays the caller's:
 *
 *	-ECANCELED, -ETIME  the caller or the group is cancelled
 *	-EDEADLK            all members wait for a slot of this very group
 *	-EAGAIN             the engine's bound of tasks is reached
 *	-ENOMEM             no memory for one more stack
 *
 * May suspend: waits while the group is at its limit, first come, first
 * served; cancelling the caller or the group ends the wait. For the owner and
 * for any task of the loop that runs while the group is open. */
int rota_group_spawn(struct rota_group *group, rota_task_fn *fn,
		     const void *value, const struct rota_site *site)
	__attribute__((warn_unused_result));

/* A copy of a value, where an array is the pointer to its first element. */
#ifdef __cplusplus
#define ROTA_COPY_(name, ...) auto name = (__VA_ARGS__)
#define ROTA_ASSERT_ static_assert
#define ROTA_ALIGNOF_ alignof
#else
#define ROTA_COPY_(name, ...) \
	__typeof__((void)0, (__VA_ARGS__)) name = (__VA_ARGS__)
#define ROTA_ASSERT_ _Static_assert
#define ROTA_ALIGNOF_ _Alignof
#endif

#define rota_go(group, fn, ...)                                             \
	__extension__({                                                     \
		ROTA_COPY_(rota_value_, __VA_ARGS__);                       \
		static const struct rota_site rota_site_ =                  \
			ROTA_SITE_(#fn, sizeof(rota_value_));               \
		ROTA_ASSERT_(sizeof(rota_value_) <= ROTA_VALUE_BYTES,       \
			     "the value of a task is too large: "           \
			     "hand over a pointer");                        \
		ROTA_ASSERT_(ROTA_ALIGNOF_(__typeof__(rota_value_)) <= 16,  \
			     "the value of a task is aligned to more than " \
			     "16 bytes: hand over a pointer");              \
		rota_group_spawn((group), (fn), &rota_value_, &rota_site_); \
	})

/* Cancels the group: every verb that its members and its owner are blocked in
 * returns, no more tasks are accepted, groups and deadlines inside are
 * cancelled with it. The first cause is kept; later calls do nothing.
 *
 * Cannot fail, never suspends, does not wait for the members. For the owner
 * and for any task of the loop that runs while the group is open. */
void rota_group_cancel(struct rota_group *group,
		       struct rota_cancellation cause);

/* Waits until every member has ended, and closes the group: it can be opened
 * again. Returns the first failure of a member; else -ETIME if the group's
 * deadline came; else the cause's error if it was cancelled, itself or from
 * outside; else 0. A member that returns the code of its own cancelled scope
 * has not failed.
 *
 * Suspends until the last member is gone, also when cancelled: it always
 * joins. The owner only. */
int rota_group_wait(struct rota_group *group);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
