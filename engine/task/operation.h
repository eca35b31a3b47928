/* SPDX-License-Identifier: MIT */
/*
 * An operation in the kernel, and the verb that waits for it.
 *
 *	int rota_recv(int fd, void *buffer, size_t bytes, int flags)
 *	{
 *		struct ri_verb verb;
 *		const int error = ri_verb_begin(&verb, "recv", fd,
 *						bytes);
 *
 *		if (error)
 *			return error;
 *		io_uring_prep_recv(verb.entry, fd, buffer, bytes, flags);
 *		return ri_verb_await(&verb);
 *	}
 *
 * Laws:
 *   1. The task goes on after the last completion of its operation, so the
 *      buffer and the record below may live in its frame.
 *   2. A result that came is returned, whatever was cancelled meanwhile.
 *   3. To the kernel an operation is the address of the task's record, with a
 *      generation and a tag. A task has one operation at a time; the records
 *      of a loop are never given back; the generation moves on with each
 *      operation: so a cancel that comes late finds nothing.
 *
 *	user_data   | generation 16 | address / 64 | tag 6 |
 *
 *   4. A cancel is a mark and a place on a list that lives in the operation:
 *      it needs no memory. Entries are written in the submit step, for what is
 *      still in flight. One that the kernel could not place (an operation on
 *      its way between a worker thread and a poll) is written again later.
 */
#ifndef RI_TASK_OPERATION_H
#define RI_TASK_OPERATION_H

#include "task/park.h"

#include <limits.h>

struct ri_operation {
	struct ri_wait wait;       /* the task's wait */
	struct rota_task *task;    /* who waits */
	struct rota_chain sharing; /* with others on the same bucket */
	struct rota_link cancel;   /* its place among those to cancel */
	int fd;                    /* the descriptor it is about, or < 0 */
	bool interrupted;          /* a cancel was asked for */
	bool closed;               /* ... because the descriptor is closed */
};

struct ri_verb {
	struct io_uring_sqe *entry; /* to be filled in, in the ring itself */
	struct ri_tasks *tasks;     /* the loop's */
	struct rota_task *self;     /* who calls */
	const char *what;           /* the verb's name, for dumps */
	int fd;                     /* the descriptor it is about, or -1 */
	bool release;               /* never refused, never cancelled */
};

/* Takes an entry of the ring for a verb about a descriptor (-1: about none) and
 * a length. Without 0 the verb returns what this returns:
 * -EINVAL for a length over INT_MAX, the task's code if it is cancelled,
 * -EAGAIN if the kernel takes no entries. */
static inline int ri_verb_begin(struct ri_verb *verb, const char *what, int fd,
				size_t bytes)
{
	struct rota_task *self = ri_task_self(what);

	verb->self = self;
	verb->tasks = ri_tasks_here();
	verb->what = what;
	verb->fd = fd;
	verb->release = false;
	if (__builtin_expect(bytes > INT_MAX, 0))
		return -EINVAL;
	if (__builtin_expect(self->scope->code != 0, 0))
		return self->scope->code;
	verb->entry = ri_ring_entry(&verb->tasks->loop.ring);
	return __builtin_expect(verb->entry != NULL, 1) ? 0 : -EAGAIN;
}

/* The same for a verb that releases something: it is not refused in a
 * cancelled task, and not cancelled. */
int ri_verb_begin_release(struct ri_verb *verb, const char *what, int fd);

/* Submits the entry that was filled in and waits for its last completion. */
int ri_verb_await(struct ri_verb *verb);

/* Ends what tasks of this loop wait for on a descriptor, with -EBADF. */
void ri_operations_close(struct ri_tasks *tasks, int fd);

/* A completion of the ring. */
void ri_operation_complete(struct ri_loop *loop,
			   const struct io_uring_cqe *cqe);

/* Writes the cancels that are asked for: as many as one batch takes. */
void ri_operations_cancel(struct ri_tasks *tasks);

#endif
