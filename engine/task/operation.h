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
 *   4. A cancel is a mark and a place on a list, both in the record: it needs
 *      no memory. Entries are written in the submit step, for what is still in
 *      flight then. One that the kernel could not place (an operation on its
 *      way between a worker thread and a poll) is written again later.
 *
 * All that a completion or a cancel needs is in the record, so that neither
 * touches the stack of the task: with thousands of them it is not in the
 * caches.
 */
#ifndef RI_TASK_OPERATION_H
#define RI_TASK_OPERATION_H

#include "task/park.h"

#include <limits.h>

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
	ri_task_check_scope(self);
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

/* Asks for the task's operation, which is in flight, to be cancelled. */
void ri_operation_interrupt(struct ri_tasks *tasks, struct rota_task *task);

/* Ends what tasks of this loop wait for on a descriptor, with -EBADF. */
void ri_operations_close(struct ri_tasks *tasks, int fd);

/* A completion of the ring. */
void ri_operation_complete(struct ri_loop *loop,
			   const struct io_uring_cqe *cqe);

/* Writes the cancels that are asked for, as many as one batch takes. Returns
 * how many. */
unsigned ri_operations_cancel(struct ri_tasks *tasks);

/* Nothing is in flight any more: forgets cancels that came too late. */
void ri_operations_fini(struct ri_tasks *tasks);

#endif
