/* SPDX-License-Identifier: MIT */
/*
 * An operation in the kernel, and the verb that waits for it.
 *
 *	int rota_recv(int fd, void *buffer, size_t bytes, int flags)
 *	{
 *		struct io_uring_sqe *entry;
 *		const int error = ri_verb_begin(&entry, __func__, bytes);
 *
 *		if (error)
 *			return error;
 *		io_uring_prep_recv(entry, fd, buffer, bytes, flags);
 *		return ri_verb_await(entry, __func__, fd);
 *	}
 *
 * The last line is a jump: a parked task has no frame of the verb itself.
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

#include <errno.h>
#include <limits.h>
#include <stdbool.h>

/* user_data: what the low bits say it is. */
enum ri_tag {
	RI_TAG_OPERATION = 0,
	RI_TAG_CANCEL = 1,
	RI_TAG_WOKEN = RI_LOOP_WOKEN, /* loop/mail.c */
	RI_TAG_SHOT = RI_LOOP_SOURCE, /* task/shot.h */
	RI_TAG_SHOT_CANCEL,
};

#define RI_TAG_MASK 63u
#define RI_GENERATION_SHIFT 48

static inline uint64_t ri_name(const void *record, uint16_t generation,
			       enum ri_tag tag)
{
	return (uint64_t)generation << RI_GENERATION_SHIFT |
	       (uint64_t)(uintptr_t)record | tag;
}

/* What io-wq lets slip out when its worker is interrupted: ERESTARTSYS. */
#define RI_KERNEL_RESTART 512

/* Is this what an operation says that was stopped? */
static inline bool ri_result_is_stop(int result)
{
	return result == -ECANCELED || result == -EINTR ||
	       result == -RI_KERNEL_RESTART;
}

/* Takes an entry of the ring for a verb with a length. Without 0 the verb
 * returns what this returns: -EINVAL for a length over INT_MAX, the task's
 * code if it is cancelled, -EAGAIN if the kernel takes no entries. */
static inline __attribute__((always_inline)) int
ri_verb_begin(struct io_uring_sqe **entry, const char *verb, size_t bytes)
{
	struct rota_task *self = ri_task_self(verb);

	ri_task_check_scope(self);
	if (__builtin_expect(bytes > INT_MAX, 0))
		return -EINVAL;
	if (__builtin_expect(self->scope->code != 0, 0))
		return self->scope->code;
	*entry = ri_ring_entry(&ri_tasks_here()->loop.ring);
	return __builtin_expect(*entry != NULL, 1) ? 0 : -EAGAIN;
}

/* Submits the entry that was filled in and waits for its last completion. `fd`
 * is the descriptor it is about, -1 if none. */
int ri_verb_await(struct io_uring_sqe *entry, const char *verb, int fd);

/* The same in a wait of the caller's, without an interrupt of its own, so that
 * others find what is around it: who asks for the operation to end, by
 * ri_operation_interrupt, ends the wait when it has. */
int ri_wait_await(struct io_uring_sqe *entry, struct ri_wait *wait, int fd);

/* The same for a verb that releases something: it is not refused in a
 * cancelled task, and not cancelled. Waits until the kernel takes an entry. */
struct io_uring_sqe *ri_release_begin(const char *verb);
int ri_release_await(struct io_uring_sqe *entry, const char *verb, int fd);

/* Asks for the task's operation, which is in flight, to be cancelled. */
void ri_operation_interrupt(struct ri_tasks *tasks, struct rota_task *task);

/* Was the descriptor of the task's last operation closed before the task went
 * on? */
static inline bool ri_operation_closed(const struct rota_task *task)
{
	return (task->fiber.flags & RI_TASK_CLOSED) == RI_TASK_CLOSED;
}

/* Between two operations of one verb: 0, or, if the descriptor of the one that
 * was awaited last is closed, the task's code or -EBADF: the number may be
 * somebody else's by now. */
static inline int ri_verb_again(const char *verb)
{
	const struct rota_task *self = ri_task_self(verb);

	if (__builtin_expect(!ri_operation_closed(self), 1))
		return 0;
	return self->scope->code ? self->scope->code : -EBADF;
}

/* Where a verb that is about two descriptors is listed under one of them, from
 * begin to end, whichever its operations are about. In its frame. */
struct ri_second {
	struct rota_chain sharing; /* as in struct rota_task */
	struct rota_task *task;    /* who runs the verb */
	int fd;                    /* the descriptor; < 0: unlisted */
};

void ri_second_begin(struct ri_second *second, const char *verb, int fd);
void ri_second_end(struct ri_second *second);

/* Lists what is about a descriptor (>= 0) under it. */
void ri_descriptor_list(struct ri_tasks *tasks, int fd,
			struct rota_chain *sharing);

/* How many zero-copy sends in a row were copied all the same: of this
 * descriptor, and of all whose numbers share its place. */
static inline uint8_t *ri_operation_copied(struct ri_tasks *tasks, int fd)
{
	return &tasks->copied[(unsigned)fd % RI_DESCRIPTOR_BUCKETS];
}

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
