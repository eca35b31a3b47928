/* SPDX-License-Identifier: MIT */
/*
 * Waits for each other: a task stands in a line until somebody serves it, on
 * this loop or on another one.
 *
 *	          stand            serve (takes its place off the line)
 *	running ---------> in line ------------------------------------> served
 *	                     |  \__ interrupt (takes its own place off) _/
 *
 * Lines are looked at and changed under their guard only. Who takes a place
 * off, and nobody else, ends the wait: so either it was served, or it left,
 * never both and never neither. A waiter that was served stays where it is
 * until its loop has heard, so what brings the news lives in its frame.
 *
 * Of a select each arm has a place, and the first one that is claimed is it
 * (sync/select.c): a place whose select has another one is dropped by whoever
 * comes across it.
 *
 * Some who were served come by the guard once more: a select leaves all its
 * lines when it goes on, and one that is cancelled before it has heard, on
 * another loop, looks whether it still stands there. So what a line is of has
 * to live until the last wait has returned (rota/sync.h); its guard counts who
 * is away, and what ends too early is found. To have them not come by is no way
 * out: a cancel that begins before a waiter is served always could.
 *
 * Nobody is woken under a guard: a loop that sleeps is woken by the kernel.
 */
#ifndef RI_SYNC_WAITER_H
#define RI_SYNC_WAITER_H

#include "rota/task.h"
#include "sync/guard.h"
#include "task/park.h"

struct rota_waiter {
	struct ri_wait wait;     /* what its task is parked on */
	struct rota_place place; /* where it stands; a select: its arms */
	struct rota_task *task;  /* who waits */
	struct ri_tasks *tasks;  /* on this loop */
	/* Those behind may have their turn, as it has left early; or NULL. */
	void (*left)(struct rota_waiter *waiter);
	/* A select's: it was served. NULL: it is none. */
	void (*tell)(struct rota_waiter *waiter);
	struct rota_place *won; /* ... and this was claimed; atomic */
	struct rota_mail mail;  /* tells its loop that it was served */
	int result;             /* ... with this */
};

static inline void ri_line_init(struct rota_line *line)
{
	ri_list_init(&line->head);
	line->count = 0;
}

/* Under the guard, as all about lines. */
static inline bool ri_line_empty(const struct rota_line *line)
{
	return ri_list_empty(&line->head);
}

static inline void ri_line_append(struct rota_line *line,
				  struct rota_place *place)
{
	ri_list_append(&line->head, &place->link);
	line->count++;
}

static inline void ri_line_remove(struct rota_line *line,
				  struct rota_place *place)
{
	ri_list_remove(&place->link);
	line->count--;
}

/* It is served, if it is still to be. */
static inline bool ri_place_claim(struct rota_place *place)
{
	struct rota_place *none = NULL;

	if (__builtin_expect(!place->waiter->tell, 1))
		return true;
	/* acquire and release: what the select wrote about its arms before is
	 * seen by who serves one of them, and the other way round */
	return __atomic_compare_exchange_n(&place->waiter->won, &none, place,
					   false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

/* The first one that is to be served; it stays where it is. NULL: nobody. */
static inline struct rota_waiter *ri_line_first(const struct rota_line *line)
{
	struct rota_node *node = line->head.next;

	if (node == &line->head)
		return NULL;
	return ri_container(node, struct rota_place, link)->waiter;
}

/* Takes the first one off. A select comes by once more, as it leaves all its
 * lines. NULL: nobody. */
static inline struct rota_place *ri_line_drop(struct rota_line *line)
{
	struct rota_node *node = ri_list_take(&line->head);
	struct rota_place *place;

	if (!node)
		return NULL;
	line->count--;
	place = ri_container(node, struct rota_place, link);
	if (__builtin_expect(place->waiter->tell != NULL, 0))
		ri_guard_count_away(place->guard, 1);
	return place;
}

/* Is there anybody who is still to be served? Drops those that are not. */
static inline bool ri_line_is_live(struct rota_line *line)
{
	struct rota_waiter *first;

	while ((first = ri_line_first(line))) {
		/* relaxed: who claims it is not waited for */
		if (!first->tell ||
		    !__atomic_load_n(&first->won, __ATOMIC_RELAXED))
			return true;
		ri_line_drop(line);
	}
	return false;
}

/* Takes the first one off, which is the caller's to serve: NULL: nobody. */
static inline struct rota_place *ri_line_take(struct rota_line *line)
{
	struct rota_place *place;

	while ((place = ri_line_drop(line)))
		if (ri_place_claim(place))
			break;
	return place;
}

/* Who always finds what it would wait for never suspends, as long as another
 * loop keeps up with it: after so many times it gives way to the others here, to
 * timers and to mail. */
#define RI_AT_ONCE_MAX 1024u

/* The running task had it without a wait, from what any loop may use. Suspends
 * now and then: some 30 us of work are worth a turn of the loop. */
static inline void ri_breathe(struct ri_tasks *tasks)
{
	if (__builtin_expect(++tasks->at_once % RI_AT_ONCE_MAX == 0, 0))
		rota_yield(); /* a cancel is told by the verb that follows */
}

/* Aborts, naming the first one, if somebody stands there: what the line is of
 * is about to end. Under the guard. */
void ri_line_check_empty(const struct rota_line *line, const char *verb);

/* Serves one on another loop, or a select. */
void ri_waiter_tell(struct rota_waiter *waiter);

/* Ends the wait of one that was taken off its line, with this result. Outside
 * of the guard; the waiter is not to be touched afterwards. */
static inline __attribute__((always_inline)) void
ri_waiter_serve(struct rota_waiter *waiter, int result)
{
	waiter->result = result;
	if (__builtin_expect(
		    &waiter->tasks->loop == ri_loop_here && !waiter->tell, 1))
		ri_wake(waiter->tasks, waiter->task, result);
	else
		ri_waiter_tell(waiter);
}

/* Ends the wait of one whose task is cancelled, unless it was served. */
void ri_waiter_interrupt(struct ri_tasks *tasks, struct rota_task *task);

/* The running task's, about to stand in a line of this guard. In place, and
 * no more than what is read: it is made for each wait. */
static inline __attribute__((always_inline)) void
ri_waiter_init(struct rota_waiter *waiter, struct ri_tasks *tasks,
	       struct rota_task *self, const char *verb)
{
	waiter->wait.what = verb;
	waiter->wait.interrupt = ri_waiter_interrupt;
	waiter->place.waiter = waiter;
	waiter->task = self;
	waiter->tasks = tasks;
	waiter->left = NULL;
	waiter->tell = NULL;
}

/* A verb that may wait for what this guard is of begins: 0, or the code of the
 * running task, which is cancelled. Outside of the guard. */
static inline __attribute__((always_inline)) int
ri_waiter_begin(struct rota_task **self, const struct rota_guard *guard,
		const char *verb)
{
	*self = ri_task_self(verb);
	ri_task_check_scope(*self);
	if (__builtin_expect((*self)->scope->code != 0, 0))
		return (*self)->scope->code;
	ri_guard_listen(guard);
	return 0;
}

/* Who ends the wait may be outside: the loop counts that, around a park. 0, or
 * why it could not hear of it (ri_guard_listen came before). */
static inline int ri_waiter_listen(struct ri_tasks *tasks)
{
	struct ri_loop *loop = &tasks->loop;

	if (__builtin_expect(loop->listening, 1)) {
		loop->outside++;
		return 0;
	}
	ri_check(loop->deaf, "loop %u was not asked to listen", loop->index);
	return loop->deaf;
}

/* Stands in a line and waits; the guard is entered, and left. The verb has
 * begun by ri_waiter_begin. Returns the result that it was served with, or the
 * task's code, or what ri_waiter_listen returned. "Among": in a ring of places
 * under another head, which the object serves itself and may move from head to
 * head; the line only counts them. */
static inline __attribute__((always_inline)) int
ri_waiter_stand_among(struct rota_waiter *waiter, struct rota_guard *guard,
		      struct rota_line *line, struct rota_node *head)
{
	const bool shared = ri_guard_is_shared(guard);
	struct ri_tasks *tasks = waiter->tasks;
	int result;

	if (__builtin_expect(shared, 0) && (result = ri_waiter_listen(tasks))) {
		ri_guard_leave(guard);
		return result;
	}
	waiter->place.guard = guard;
	waiter->place.line = line;
	ri_list_append(head, &waiter->place.link);
	line->count++;
	ri_guard_leave(guard);
	result = ri_park_checked(tasks, waiter->task, &waiter->wait);
	tasks->loop.outside -= shared;
	return result;
}

static inline __attribute__((always_inline)) int
ri_waiter_stand(struct rota_waiter *waiter, struct rota_guard *guard,
		struct rota_line *line)
{
	return ri_waiter_stand_among(waiter, guard, line, &line->head);
}

#endif
