/* SPDX-License-Identifier: MIT */
#include "task/operation.h"

#include "task/scope.h"
#include "task/shot.h"

#include <errno.h>

/* The second completion of a zero-copy send says so, after Linux 6.1. */
#define NOTIFICATION_COPIED (1u << 31)

/* How soon a release is tried again that the kernel takes no entry for. */
#define REST_NS ((int64_t)1000000)

/* How soon a cancel that missed is tried again. */
#define RETRY_NS ((int64_t)10000000)

static uint64_t name_of(const struct rota_task *task, enum ri_tag tag)
{
	return ri_name(task, task->fiber.generation, tag);
}

static struct rota_task *queued_of(struct ri_fifo_node *node)
{
	return ri_container(node, struct rota_task, cancel);
}

/* Empties the list of those that missed: they are asked for again with the next
 * batch, where those that are over are passed by. */
static void retry_now(struct ri_tasks *tasks)
{
	struct ri_fifo_node *node;

	while ((node = ri_fifo_take(&tasks->retries))) {
		struct rota_task *task = queued_of(node);

		task->fiber.flags ^= RI_TASK_LISTED; /* retried -> queued */
		ri_fifo_push(&tasks->cancels, node);
	}
	tasks->missed = 0;
	if (ri_list_linked(&tasks->retry.link))
		ri_wheel_remove(&tasks->loop.wheel, &tasks->retry);
}

void ri_operation_interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	const uint8_t flags = task->fiber.flags;

	if (flags & (RI_TASK_RELEASE | RI_TASK_INTERRUPTED))
		return;
	task->fiber.flags |= RI_TASK_INTERRUPTED;
	if (flags & RI_TASK_RETRIED) /* for an operation before this one */
		retry_now(tasks);
	if (flags & RI_TASK_LISTED)
		return;
	task->fiber.flags |= RI_TASK_QUEUED;
	ri_fifo_push(&tasks->cancels, &task->cancel);
}

static struct rota_chain **bucket_of(struct ri_tasks *tasks, int fd)
{
	return &tasks->descriptors[(unsigned)fd % RI_DESCRIPTOR_BUCKETS];
}

void ri_descriptor_list(struct ri_tasks *tasks, int fd,
			struct rota_chain *sharing)
{
	ri_chain_push(bucket_of(tasks, fd), sharing);
}

/* What the verb returns when a cancel was asked for. */
static int decode_interrupted(const struct rota_task *self)
{
	const int result = self->result;

	if (!ri_result_is_stop(result))
		return result;
	if (self->scope->code)
		return self->scope->code;
	return ri_operation_closed(self) ? -EBADF : result;
}

static inline __attribute__((always_inline)) int
await(struct io_uring_sqe *entry, struct ri_wait *wait, int fd, unsigned flags)
{
	struct rota_task *self = ri_task_self(wait->what);
	struct ri_tasks *tasks = ri_tasks_here();

	ri_assert(!(self->fiber.flags & RI_TASK_IN_FLIGHT),
		  "%s has an operation in flight", ri_task_name(self));
	self->fiber.generation++;
	self->fiber.flags = (uint8_t)((self->fiber.flags & RI_TASK_KEPT) |
				      RI_TASK_IN_FLIGHT | flags);
	entry->user_data = name_of(self, RI_TAG_OPERATION);
	self->fd = fd;
	if (fd >= 0)
		ri_chain_push(bucket_of(tasks, fd), &self->sharing);
	tasks->loop.in_flight++;
	ri_park(tasks, self, wait);
	if (self->fd >= 0)
		ri_chain_remove(&self->sharing);
	if (__builtin_expect(self->fiber.flags & RI_TASK_INTERRUPTED, 0))
		return decode_interrupted(self);
	return self->result;
}

int ri_verb_await(struct io_uring_sqe *entry, const char *verb, int fd)
{
	struct ri_wait wait = { .what = verb };

	return await(entry, &wait, fd, 0);
}

int ri_wait_await(struct io_uring_sqe *entry, struct ri_wait *wait, int fd)
{
	return await(entry, wait, fd, 0);
}

struct io_uring_sqe *ri_release_begin(const char *verb)
{
	struct io_uring_sqe *entry;

	ri_task_check_scope(ri_task_self(verb));
	while (!(entry = ri_ring_entry(&ri_tasks_here()->loop.ring)))
		ri_task_rest(verb, REST_NS);
	return entry;
}

int ri_release_await(struct io_uring_sqe *entry, const char *verb, int fd)
{
	struct ri_wait wait = { .what = verb };

	return await(entry, &wait, fd, RI_TASK_RELEASE);
}

void ri_second_begin(struct ri_second *second, const char *verb, int fd)
{
	second->task = ri_task_self(verb);
	second->fd = fd;
	if (fd >= 0)
		ri_chain_push(bucket_of(ri_tasks_here(), fd), &second->sharing);
}

void ri_second_end(struct ri_second *second)
{
	if (second->fd >= 0)
		ri_chain_remove(&second->sharing);
}

/* Who is listed here for this descriptor, NULL if it is for another one. What
 * is in no record is in a frame. */
static struct rota_task *listed(const struct ri_tasks *tasks,
				struct rota_chain *link, int fd)
{
	struct rota_task *task = ri_container(link, struct rota_task, sharing);
	const struct ri_second *second;

	if (ri_tasks_have(tasks, task))
		return task->fd == fd ? task : NULL;
	second = ri_container(link, struct ri_second, sharing);
	return second->fd == fd ? second->task : NULL;
}

static void close_shot(struct ri_tasks *tasks, struct rota_chain *link, int fd)
{
	struct ri_shot *shot = ri_container(link, struct ri_shot, sharing);

	if (shot->fd == fd)
		ri_shot_close_descriptor(tasks, shot);
}

void ri_operations_close(struct ri_tasks *tasks, int fd)
{
	struct rota_chain *link = *bucket_of(tasks, fd);

	if (*ri_operation_copied(tasks, fd))
		*ri_operation_copied(tasks, fd) = 0;
	for (; link; link = link->next) {
		struct rota_task *task;

		if (ri_shots_have(&tasks->shots, link)) {
			close_shot(tasks, link, fd);
			continue;
		}
		task = listed(tasks, link, fd);

		if (!task ||
		    (task->fiber.flags & RI_TASK_CLOSED) == RI_TASK_RELEASE)
			continue;
		if (task->fiber.flags & RI_TASK_IN_FLIGHT)
			ri_operation_interrupt(tasks, task);
		task->fiber.flags |= RI_TASK_CLOSED;
	}
}

/* The task whose operation this names, NULL if that is over. */
static struct rota_task *find(struct ri_tasks *tasks, uint64_t user_data)
{
	struct rota_task *task =
		(struct rota_task *)(uintptr_t)(user_data &
						RI_LOOP_ADDRESS_MASK);

	ri_check(task >= tasks->slab && task < tasks->slab + tasks->made,
		 "a completion for %#llx", (unsigned long long)user_data);
	if (task->fiber.generation != user_data >> RI_GENERATION_SHIFT ||
	    !(task->fiber.flags & RI_TASK_IN_FLIGHT))
		return NULL;
	return task;
}

static void retry_due(struct rota_timer *timer)
{
	retry_now(ri_container(timer, struct ri_tasks, retry));
}

/* What a task is said to wait for when the kernel has told how a zero-copy send
 * went, and has the buffer still. */
static const char lent[] = "a zero-copy send (sent, not acknowledged)";

/* A cancel found nothing to stop, or something that runs. Mostly the operation
 * is about to complete; one that goes on is asked again, unless it has had its
 * result: nothing hastens the rest. */
static __attribute__((noinline)) void
cancel_missed(struct ri_tasks *tasks, const struct io_uring_cqe *cqe)
{
	struct rota_task *task = find(tasks, cqe->user_data);

	if (cqe->res >= 0 || !task || task->fiber.flags & RI_TASK_LISTED ||
	    task->wait->what == lent)
		return;
	if (!ri_list_linked(&tasks->retry.link)) {
		tasks->retry.deadline_ns = ri_loop_now(&tasks->loop) + RETRY_NS;
		tasks->retry.fire = retry_due;
		ri_loop_arm(&tasks->loop, &tasks->retry);
	}
	task->fiber.flags |= RI_TASK_RETRIED;
	tasks->missed++;
	ri_fifo_push(&tasks->retries, &task->cancel);
}

static __attribute__((noinline)) void
complete_other(struct ri_tasks *tasks, const struct io_uring_cqe *cqe)
{
	if (cqe->user_data & RI_LOOP_SOURCE)
		ri_shot_complete(tasks, cqe);
	else if (cqe->user_data & RI_LOOP_WOKEN)
		ri_loop_woken(&tasks->loop, cqe);
	else
		cancel_missed(tasks, cqe);
}

static inline __attribute__((always_inline)) void finish(struct ri_tasks *tasks,
							 struct rota_task *task)
{
	task->fiber.flags &= (uint8_t)~RI_TASK_IN_FLIGHT;
	tasks->loop.in_flight--;
	if (__builtin_expect(task->fiber.flags & RI_TASK_RETRIED, 0) &&
	    --tasks->missed == 0)
		retry_now(tasks);
	ri_wake(tasks, task, task->result);
}

/* The buffer is given back, and was copied all the same, or not. What a
 * descriptor that was closed meanwhile did is not for the next one. */
static void note_copied(struct ri_tasks *tasks, const struct rota_task *task,
			bool was_copied)
{
	uint8_t *copied = ri_operation_copied(tasks, task->fd);

	if (task->result > 0 && task->fd >= 0 && !ri_operation_closed(task) &&
	    *copied < RI_COPIED_MAX)
		*copied = was_copied ? (uint8_t)(*copied + 1) : 0;
}

/* Of a zero-copy send: the first completion has the result, the second ends it.
 */
static __attribute__((noinline)) void
complete_half(struct ri_tasks *tasks, struct rota_task *task,
	      const struct io_uring_cqe *cqe)
{
	if (cqe->flags & IORING_CQE_F_MORE) {
		task->result = cqe->res;
		task->wait->what = lent;
		return;
	}
	note_copied(tasks, task, (unsigned)cqe->res & NOTIFICATION_COPIED);
	finish(tasks, task);
}

void ri_operation_complete(struct ri_loop *loop, const struct io_uring_cqe *cqe)
{
	struct ri_tasks *tasks = ri_tasks_of(loop);
	const unsigned half = IORING_CQE_F_MORE | IORING_CQE_F_NOTIF;
	struct rota_task *task;

	if (__builtin_expect((cqe->user_data & RI_TAG_MASK) != 0, 0)) {
		complete_other(tasks, cqe);
		return;
	}
	task = find(tasks, cqe->user_data);
	ri_check(task != NULL, "a completion of an operation that is over");
	if (__builtin_expect(cqe->flags & half, 0)) {
		complete_half(tasks, task, cqe);
		return;
	}
	task->result = cqe->res;
	finish(tasks, task);
}

/* A task whose operation ended meanwhile stays on the list until here. */
static bool still_wanted(const struct rota_task *task)
{
	const uint8_t both = RI_TASK_IN_FLIGHT | RI_TASK_INTERRUPTED;

	return (task->fiber.flags & both) == both;
}

unsigned ri_operations_cancel(struct ri_tasks *tasks)
{
	unsigned written = 0;

	while (written < RI_CANCEL_SLICE && !ri_fifo_empty(&tasks->cancels)) {
		struct rota_task *task = queued_of(tasks->cancels.head);
		struct io_uring_sqe *entry;

		if (still_wanted(task)) {
			entry = ri_ring_entry(&tasks->loop.ring);
			if (!entry)
				break;
			io_uring_prep_cancel64(
				entry, name_of(task, RI_TAG_OPERATION), 0);
			entry->user_data = name_of(task, RI_TAG_CANCEL);
			/* Only a miss is told. */
			entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
			written++;
		}
		ri_fifo_take(&tasks->cancels);
		task->fiber.flags &= (uint8_t)~RI_TASK_QUEUED;
	}
	return written;
}

void ri_operations_fini(struct ri_tasks *tasks)
{
	retry_now(tasks);
	ri_operations_cancel(tasks);
	ri_check(ri_fifo_empty(&tasks->cancels), "operations are in flight");
}
