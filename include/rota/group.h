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
 *
 *	rota_go             waits for a slot at the limit
 *	rota_try_go         returns -EAGAIN instead
 *	rota_go_background  takes no slot, ends with the others
 *	rota_go_on          runs on another loop
 *	rota_go_spread      runs wherever a loop has nothing else to do
 *
 * A group belongs to the loop of the task that opens it. Its members may run on
 * any loop of the engine, and what is said here holds of them all: one limit,
 * one first error, one cancel, one deadline, one join. Loops talk by mail, so
 * what happens on one is known on another a little later; failures count in the
 * order in which the group's own loop hears of them. Tasks inside a group (its
 * members, and theirs) may spawn into it and cancel it on whichever loop they
 * are.
 */
#ifndef ROTA_GROUP_H
#define ROTA_GROUP_H

#include "rota/clock.h"
#include "rota/scope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* What a task runs: gets a pointer to its copy of the value (of a pointer: a
 * pointer to that), aligned to 16 bytes, which lives as long as the task.
 * Returns >= 0, or -errno: a failure, unless it is a code that the group's own
 * tasks were told (-ECANCELED once it is cancelled, -ETIME past its deadline,
 * -ESHUTDOWN while it drains). The -ETIME of a deadline or shield of the
 * task's own is a failure. */
typedef int rota_task_fn(void *value);

/* The largest value that a task is given, in bytes. */
#define ROTA_VALUE_BYTES 48

/* What the result of one member means for the others. */
enum rota_group_mode {
	ROTA_GROUP_FIRST_ERROR = 0,   /* the first failure cancels the group */
	ROTA_GROUP_KEEP_GOING = 1,    /* failures are kept, nobody cancelled */
	ROTA_GROUP_FIRST_SUCCESS = 2, /* the first result >= 0 cancels it, its
	                                 owner's sleep too, and is returned
	                                 by rota_group_wait */
};

/* One member that failed. */
struct rota_failure {
	int error;                    /* what it returned */
	const struct rota_site *site; /* where it was spawned */
};

/* All failures of a group, in order; in memory that outlives it. */
struct rota_failures {
	struct rota_failure *list; /* room for `max` */
	unsigned max;              /* how many are kept: the first ones */
	unsigned count;            /* how many there were: may be more */
};

/* Zero means the default for each field. */
struct rota_group_options {
	const char *name; /* for dumps; must outlive the group */
	unsigned limit;   /* members at a time; 0: only the engine's bound */
	enum rota_group_mode mode; /* what ends it */
	int64_t deadline_ns;       /* a point in time; 0: none */
	size_t stack_bytes;        /* usable, for each member; 0: the engine's
	                        default. TLS libraries want 256 KiB */
	struct rota_failures *failures; /* gets every failure; or NULL */
	/* With ROTA_GROUP_FIRST_SUCCESS: gets each result >= 0 that came after
	 * the first, with its member's value, to release what it stands for
	 * (say, rota_close). Runs as the last act of that member, which is
	 * cancelled: release verbs work. NULL: there is nothing to release. */
	void (*discard)(int result, void *value);
};

struct ri_loop;
struct ri_remote;

/* In the frame of who opens it, or wherever lives long enough; its fields are
 * private. */
struct rota_group {
	struct rota_scope scope;  /* what it is */
	struct rota_node members; /* tasks that have not ended */
	struct rota_node waiters; /* tasks that wait for a slot, in order */
	struct ri_loop *loop;     /* whose it is, while it is open */
	struct ri_remote *remote; /* its members on other loops; NULL: none */
	const char *name;         /* for dumps */
	struct rota_failures *failures;           /* gets every failure */
	void (*discard)(int result, void *value); /* gets late successes */
	unsigned limit;      /* slots; 0: nobody is accepted any more */
	unsigned live;       /* slots in use: members, but for background */
	unsigned background; /* members without a slot */
	unsigned swept;      /* members still to be told of a cancel */
	unsigned asking;     /* members elsewhere that wait for a slot of it */
	unsigned waiting; /* members with a slot that wait for one, or join */
	int odd;          /* < 0: look at whoever ends, not only at errors */
	int first_error;  /* the first failure of a member, or 0 */
	int result;       /* of the first success */
	uint32_t share;   /* its name for foreign threads; 0: it has none */
	uint8_t mode;     /* enum rota_group_mode */
	uint8_t stack_class;     /* size of the members' stacks */
	uint8_t joining;         /* the owner is in rota_group_wait */
	uint8_t ending;          /* all but background members have ended */
	uint8_t won;             /* `result` is one: a member succeeded */
	uint8_t tried;           /* a member that could win has ended */
	uint8_t proxy;           /* it stands for one of another loop */
	uint8_t asked;           /* another loop has cancelled it: how far
	                            that has come; atomic */
	struct rota_mail cancel; /* ... by this mail */
	struct rota_cancellation asked_cause; /* ... because of this */
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

/* Spawns a task: `value` (any type of at most ROTA_VALUE_BYTES, in C++
 * trivially copyable) is copied, so it may be a loop variable. The task starts
 * when the spawner suspends. Returns 0: accepted, it will run, whatever
 * happens, so it can release what it was given. Otherwise it will not, and the
 * value stays the caller's:
 *
 *	-ECANCELED, -ETIME  the caller or the group is cancelled
 *	-ESHUTDOWN          the group drains, or the caller does and is idle
 *	-EDEADLK            all who have a slot of this group wait, for slots or
 *	                    in rota_group_wait, for each other and for the
 *	                    caller: no slot could ever become free, unless a
 *	                    scope ends. Who closes the circle is told, or, if
 *	                    that is a rota_group_wait, one that it waits for
 *	-EAGAIN             the engine's bound of tasks is reached
 *	-ENOMEM             no memory for one more stack
 *
 * May suspend: waits while the group is at its limit, first come, first
 * served; cancelling the caller or the group ends the wait. For the owner and
 * for any task of the loop that runs while the group is open. For tasks inside
 * the group on other loops too: there it suspends until the group's loop has
 * answered, and -EDEADLK is only found if all who have a slot wait so. The task
 * runs on the caller's loop. */
int rota_group_spawn(struct rota_group *group, rota_task_fn *fn,
		     const void *value, const struct rota_site *site)
	__attribute__((warn_unused_result));

/* The same without waiting: -EAGAIN also if the group is at its limit. Never
 * suspends, but on another loop than the group's, until that has answered. */
int rota_group_try_spawn(struct rota_group *group, rota_task_fn *fn,
			 const void *value, const struct rota_site *site)
	__attribute__((warn_unused_result));

/* Spawns a background member: one that the group does not wait for, but
 * cancels once all others have ended and the owner is in rota_group_wait, and
 * then joins. It takes no slot of the limit and never wins as first success;
 * its failures count. Returns as above, never -EDEADLK. Never suspends. On the
 * group's own loop only. */
int rota_group_spawn_background(struct rota_group *group, rota_task_fn *fn,
				const void *value, const struct rota_site *site)
	__attribute__((warn_unused_result));

/* What to run, and where. */
struct rota_start {
	rota_task_fn *fn; /* what */
	unsigned loop;    /* the number of a loop, or ROTA_LOOP_LEAST */
	bool tries;       /* -EAGAIN, if the group is at its limit: no wait */
	bool chosen;      /* private: it was the one with the fewest */
};

/* For rota_go_on: fn on this loop. */
static inline struct rota_start rota_start_on(unsigned loop, rota_task_fn *fn)
{
	struct rota_start start;

	start.fn = fn;
	start.loop = loop;
	start.tries = false;
	start.chosen = false;
	return start;
}

/* The same as rota_group_spawn, on the loop of this number (loop.h), or with
 * ROTA_LOOP_LEAST on the one with the fewest tasks; with `tries` as
 * rota_group_try_spawn. -EINVAL: there is no such loop. -EAGAIN also if 16,384
 * groups of this loop have members elsewhere (fewer in an engine of more than
 * 20 loops: 256 MiB are for that). -EAGAIN, -ENOMEM also from the bounds of that
 * loop, as far as they are known here: should it run out of records or stacks
 * while the task is on its way, the task waits there for one to come free. What
 * tasks inherit (task.h) is handed over: it is the same pointer. */
int rota_group_spawn_on(struct rota_group *group, struct rota_start start,
			const void *value, const struct rota_site *site)
	__attribute__((warn_unused_result));

/* The same, on whichever loop first has nothing else to do, this one too: for
 * work that keeps a processor busy. Until then it is queued for all of them;
 * once started it stays where it is. A loop that is never idle takes some of it
 * now and then: one for some hundred switches. */
int rota_group_spawn_spread(struct rota_group *group, rota_task_fn *fn,
			    const void *value, const struct rota_site *site)
	__attribute__((warn_unused_result));

/* A copy of a value, where an array is the pointer to its first element. */
#ifdef __cplusplus
#define ROTA_COPY_(name, ...)                                              \
	auto name = (__VA_ARGS__);                                         \
	static_assert(__is_trivially_copyable(decltype(name)),             \
		      "the value of a task is copied by bytes: hand over " \
		      "a pointer")
#define ROTA_ASSERT_ static_assert
#define ROTA_ALIGNOF_ alignof
#else
#define ROTA_COPY_(name, ...) \
	__typeof__((void)0, (__VA_ARGS__)) name = (__VA_ARGS__)
#define ROTA_ASSERT_ _Static_assert
#define ROTA_ALIGNOF_ _Alignof
#endif

#define ROTA_SPAWN_(spawn, group, fn, ...) \
	ROTA_SPAWN_NAMED_(spawn, group, fn, #fn, __VA_ARGS__)
#define ROTA_SPAWN_NAMED_(spawn, group, start, name, ...)                   \
	__extension__({                                                     \
		ROTA_COPY_(rota_value_, __VA_ARGS__);                       \
		static const struct rota_site rota_site_ =                  \
			ROTA_SITE_(name, sizeof(rota_value_));              \
		ROTA_ASSERT_(sizeof(rota_value_) <= ROTA_VALUE_BYTES,       \
			     "the value of a task is too large: "           \
			     "hand over a pointer");                        \
		ROTA_ASSERT_(ROTA_ALIGNOF_(__typeof__(rota_value_)) <= 16,  \
			     "the value of a task is aligned to more than " \
			     "16 bytes: hand over a pointer");              \
		spawn((group), (start), &rota_value_, &rota_site_);         \
	})

#define rota_go(group, fn, ...) \
	ROTA_SPAWN_(rota_group_spawn, group, fn, __VA_ARGS__)
#define rota_try_go(group, fn, ...) \
	ROTA_SPAWN_(rota_group_try_spawn, group, fn, __VA_ARGS__)
#define rota_go_background(group, fn, ...) \
	ROTA_SPAWN_(rota_group_spawn_background, group, fn, __VA_ARGS__)
#define rota_go_spread(group, fn, ...) \
	ROTA_SPAWN_(rota_group_spawn_spread, group, fn, __VA_ARGS__)
#define rota_go_on(group, loop, fn, ...)                                       \
	ROTA_SPAWN_NAMED_(rota_group_spawn_on, group, rota_start_on(loop, fn), \
			  #fn, __VA_ARGS__)

/* Cancels the group: every verb that its members and its owner are blocked in
 * returns, no more tasks are accepted, groups and deadlines inside are
 * cancelled with it, up to shields (shield.h). The first cause is kept; later
 * calls do nothing.
 *
 * Cannot fail, never suspends, does not wait for the members. For the owner,
 * any task of the loop that runs while the group is open, and callbacks; on
 * other loops for tasks inside the group. Members on the caller's loop are told
 * this cause, even if another one comes first to the group's own. */
void rota_group_cancel(struct rota_group *group,
		       struct rota_cancellation cause);

/* Stops the group in two steps: no more tasks are accepted; what is idle
 * inside (idle.h) ends at once with -ESHUTDOWN, also the owner and groups of
 * members; everybody else goes on, for at most grace_ns. Then the group is
 * cancelled, with -ESHUTDOWN as the cause, after a line in the log for each of
 * the first 16 tasks that are left (background members do not count). A grace
 * of 0 or less ends at once, ROTA_NEVER never does. A later call can shorten
 * the grace, not lengthen it; a group that is cancelled stays so.
 *
 * Cannot fail, never suspends, does not wait: rota_group_wait does, and
 * returns 0 if all ended in time without failing (a race that nobody won:
 * -ESHUTDOWN). For whom rota_group_cancel is, on the group's own loop. */
void rota_group_drain(struct rota_group *group, int64_t grace_ns);

/* Waits until every member has ended, and closes the group: it can be opened
 * again. Returns the first failure of a member; else -ETIME if the group's
 * deadline came; else the cause's error if it was cancelled, itself or from
 * outside; else 0. With ROTA_GROUP_FIRST_SUCCESS: the first result >= 0, or as
 * above if there is none, but never 0: -ESHUTDOWN if all ended because it
 * drains, -ECHILD if there never was a member (background ones do not count).
 *
 * Suspends until the last member is gone, also when cancelled: it always
 * joins. The owner only. */
int rota_group_wait(struct rota_group *group);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
