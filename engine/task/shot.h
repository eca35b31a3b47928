/* SPDX-License-Identifier: MIT */
/*
 * Shots: operations of the kernel that complete many times, of which streams
 * are made.
 *
 * To the kernel a shot is the address of its record, with a generation and a
 * tag, as a task is (task/operation.h). Records lie in a slab that is never
 * given back while the loop lives, so a late completion never meets freed
 * memory; and all that a completion needs is in the record, so it touches
 * nothing of its user's but, if that waits, its task.
 *
 * What is to be done about a shot is found by one review, in the submit step:
 *
 *	                    wanted            not wanted
 *	not in flight       begin it          -
 *	in flight           -                 cancel it
 *
 * It is wanted while it is not over, not closing, and has room. Whoever
 * changes one of these asks for a review (ri_shot_review); one that found no
 * buffer is reviewed when there is one again, in the order in which they came.
 *
 *	chores   to be reviewed with the next batch
 *	fed      those of the hungry that began with the last one: who finds no
 *	         buffer now keeps its place
 *	hungry   to be reviewed when there are buffers, by `ticket`
 *	missed   their cancel found nothing: to be reviewed in a while
 */
#ifndef RI_TASK_SHOT_H
#define RI_TASK_SHOT_H

#include "base/list.h"
#include "loop/loop.h"
#include "ring/buffers.h"

#include <assert.h>
#include <stdalign.h>

enum ri_shot_flag {
	RI_SHOT_IN_FLIGHT = 1, /* the kernel's */
	RI_SHOT_STOPPING = 2,  /* ... and a cancel of it is on its way */
	RI_SHOT_OVER = 4,      /* no more is to land: `end` says why */
	RI_SHOT_CLOSING = 8,   /* its user waits for the kernel to let go */
	RI_SHOT_HUNGRY = 16,   /* waits for a buffer */
	RI_SHOT_STARVED = 32,  /* no descriptor or no buffer is left, and its
				  user sees to it */
	RI_SHOT_COPIES = 64,   /* who waits has a buffer of its own */
	RI_SHOT_FREE = 128,    /* nobody's record */
};

struct ri_tasks;
struct ri_shot;
struct rota_task;

/* What an operation does, and with what it finds. */
struct ri_shot_kind {
	/* Fills in its entry but for user_data. */
	void (*prepare)(const struct ri_shot *shot, struct io_uring_sqe *entry);
	/* A completion: keeps the item, or says what its end means. */
	void (*land)(struct ri_tasks *tasks, struct ri_shot *shot,
		     const struct io_uring_cqe *cqe);
	/* Throws away what has landed. The kernel has let go; may suspend. */
	void (*drop)(struct ri_tasks *tasks, struct ri_shot *shot);
	/* May more land? */
	bool (*has_room)(const struct ri_shot *shot);
	/* Would a verb return at once with an item? */
	bool (*has_item)(const struct ri_shot *shot);
	const char *verb; /* for dumps */
};

/* Buffers that landed, one behind the other. */
struct ri_shot_buffers {
	uint16_t first, last; /* by number; RI_BUFFER_NONE: no more */
	uint16_t held;        /* landed, lent and kept ones */
	uint16_t allowed;     /* so many at most */
};

/* Events of a descriptor. */
struct ri_shot_events {
	uint32_t wanted; /* POLLIN, ... */
	uint32_t landed; /* all that came since they were last told */
};

/* Descriptors that were accepted. */
struct ri_shot_queue {
	unsigned head, tail; /* both only grow */
	unsigned allowed;    /* so many at most */
	unsigned room;       /* a power of two: whatever lands, finds some */
	int items[];
};

struct ri_shot {
	alignas(64) struct rota_task *waiter; /* who waits, or sleeps on it;
						 first: see loop.h */
	struct rota_node place;               /* on one of the lists above */
	struct rota_chain sharing;            /* as in struct rota_task */
	union {                               /* what has landed */
		struct ri_shot_buffers buffers;
		struct ri_shot_queue *queue;
		struct ri_shot_events polled;
	};
	int fd;         /* what it is about */
	uint32_t owner; /* whose it is: the number of the task's record */
	union {
		int end;         /* 0: the end, or -errno, once it is over */
		uint32_t ticket; /* until then: its turn among the hungry */
	};
	uint16_t generation; /* it names the operation in flight */
	uint8_t flags;       /* enum ri_shot_flag */
	uint8_t kind;        /* enum ri_shot_kinds */
};

static_assert(sizeof(struct ri_shot) == 64, "one cache line");

enum ri_shot_kinds {
	RI_SHOT_RECEIVE,
	RI_SHOT_ACCEPT,
	RI_SHOT_POLL,
	RI_SHOT_KINDS,
};

/* Those of one loop. */
struct ri_shots {
	struct ri_shot *slab;    /* all records; NULL: none was needed yet */
	struct ri_shot *free;    /* pile of records that were used */
	unsigned made;           /* records of the slab used so far */
	unsigned max;            /* the bound */
	unsigned open;           /* in use */
	unsigned kept;           /* views that users asked to keep */
	uint32_t next_ticket;    /* of the next one that is hungry */
	struct rota_node chores; /* four lists, see above */
	struct rota_node fed;
	struct rota_node hungry;
	struct rota_node missed;
	struct rota_timer retry;  /* when those that missed are reviewed */
	struct rota_timer famine; /* when it is told that some are hungry */
	int64_t hungry_ns;        /* since when some are, and none is fed */
	struct ri_buffers buffers;
	struct ri_buffers_options buffers_options;
	const struct ri_shot_kind *kinds[RI_SHOT_KINDS];
};

/* The bound, by default: as many streams as descriptors a process may have. */
#define RI_SHOTS_MAX_DEFAULT 1048576u

void ri_shots_init(struct ri_shots *shots);

/* All must have been closed. */
void ri_shots_fini(struct ri_tasks *tasks);

/* A new one, listed under its descriptor; it begins with the next batch.
 * -EAGAIN: the bound; -ENOMEM. */
int ri_shot_open(struct ri_tasks *tasks, const struct ri_shot_kind *kind,
		 const struct ri_shot *init, struct ri_shot **out);

/* Waits until the kernel has let go of it. Nothing lands any more: what has is
 * the caller's to throw away, before ri_shot_free. A release. */
void ri_shot_stop(struct ri_tasks *tasks, struct ri_shot *shot,
		  const char *verb);
void ri_shot_free(struct ri_tasks *tasks, struct ri_shot *shot);

/* Looks at it with the next batch. */
void ri_shot_review(struct ri_tasks *tasks, struct ri_shot *shot);

/* There is no buffer for it: its turn comes. One that had its turn and found
 * none left keeps its place. */
void ri_shot_hunger(struct ri_tasks *tasks, struct ri_shot *shot);

/* It waits no more for a buffer, because its user has one of its own. */
void ri_shot_feed(struct ri_shot *shot);

/* It is this task's from here on. */
void ri_shot_own(struct ri_tasks *tasks, struct ri_shot *shot,
		 const struct rota_task *owner);

/* Nothing more is to land behind what has, and once the kernel has let go
 * nothing does: then wakes who waits. */
void ri_shot_over(struct ri_tasks *tasks, struct ri_shot *shot, int end);

/* Something has landed, or happened: wakes who waits. */
void ri_shot_wake(struct ri_tasks *tasks, struct ri_shot *shot);

/* Parks the running task until something lands or happens: 0, or its code if
 * that came first. Not to be called when there is something already. */
int ri_shot_wait(struct ri_tasks *tasks, struct ri_shot *shot);

/* Has landed, or is over? */
bool ri_shot_ready(const struct ri_tasks *tasks, const struct ri_shot *shot);

/* If streams wait for buffers: says so in the log, and names who has them;
 * else who keeps views. */
void ri_shots_tell_hungry(struct ri_tasks *tasks);

/* Names who keeps views. */
void ri_shots_tell_keepers(struct ri_tasks *tasks);

/* Its descriptor is about to be closed. */
void ri_shot_close_descriptor(struct ri_tasks *tasks, struct ri_shot *shot);

/* A completion of a shot, or of a cancel of one. */
void ri_shot_complete(struct ri_tasks *tasks, const struct io_uring_cqe *cqe);

/* The submit step: writes what is to begin and to be cancelled. True: there is
 * more to do. */
bool ri_shots_submit(struct ri_tasks *tasks);

/* Whose place on a list this is. */
static inline struct ri_shot *ri_shot_placed(struct rota_node *link)
{
	return ri_container(link, struct ri_shot, place);
}

/* Is there something to do in the submit step? */
static inline bool ri_shots_idle(const struct ri_shots *shots)
{
	return ri_list_empty(&shots->chores) && ri_list_empty(&shots->fed) &&
	       (ri_list_empty(&shots->hungry) || !shots->buffers.in_ring);
}

/* Does nothing more land? */
static inline bool ri_shot_is_over(const struct ri_shot *shot)
{
	const uint8_t both = RI_SHOT_OVER | RI_SHOT_IN_FLIGHT;

	return (shot->flags & both) == RI_SHOT_OVER;
}

/* Is this a record of a shot? */
static inline bool ri_shots_have(const struct ri_shots *shots,
				 const void *record)
{
	return (uintptr_t)record - (uintptr_t)shots->slab <
	       shots->made * sizeof(struct ri_shot);
}

#endif
