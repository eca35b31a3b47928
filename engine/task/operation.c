/* SPDX-License-Identifier: MIT */
#include "task/operation.h"

#include "task/scope.h"

#include <errno.h>

/* user_data: what the low bits say it is. */
enum tag {
	TAG_OPERATION = 0,
	TAG_CANCEL = 1,
};

#define TAG_MASK 63u
#define GENERATION_SHIFT 48

/* What io-wq lets slip out when its worker is interrupted: ERESTARTSYS. */
#define KERNEL_RESTART 512

/* How soon a cancel that missed is tried again. */
#define RETRY_NS ((int64_t)10000000)

static uint64_t name_of(const struct rota_task *task, enum tag tag)
{
	return (uint64_t)task->fiber.generation << GENERATION_SHIFT |
	       (uint64_t)(uintptr_t)task | tag;
}

static struct ri_operation *operation_of(const struct rota_task *task)
{
	return ri_container(task->wait, struct ri_operation, wait);
}

static void interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	struct ri_operation *operation = operation_of(task);

	if (operation->interrupted)
		return;
	operation->interrupted = true;
	ri_list_append(&tasks->cancels, &operation->cancel);
}

static struct rota_chain **bucket_of(struct ri_tasks *tasks, int fd)
{
	return &tasks->descriptors[(unsigned)fd % RI_DESCRIPTOR_BUCKETS];
}

/* What the verb returns. */
static int decode(const struct ri_operation *operation)
{
	const int result = operation->wait.result;
	const int code = operation->task->scope->code;

	if (__builtin_expect(!operation->interrupted, 1))
		return result;
	if (result != -ECANCELED && result != -EINTR &&
	    result != -KERNEL_RESTART)
		return result;
	return code ? code : operation->closed ? -EBADF : result;
}

int ri_verb_begin_release(struct ri_verb *verb, const char *what, int fd)
{
	verb->self = ri_task_self(what);
	verb->tasks = ri_tasks_here();
	verb->what = what;
	verb->fd = fd;
	verb->release = true;
	verb->entry = ri_ring_entry(&verb->tasks->loop.ring);
	return verb->entry ? 0 : -EAGAIN;
}

int ri_verb_await(struct ri_verb *verb)
{
	struct ri_tasks *tasks = verb->tasks;
	struct rota_task *self = verb->self;
	struct ri_operation operation = {
		.wait = { .what = verb->what,
			  .interrupt = verb->release ? NULL : interrupt },
		.task = self,
		.fd = verb->fd,
	};

	ri_assert(!(self->fiber.flags & RI_TASK_IN_FLIGHT),
		  "%s has an operation in flight", ri_task_name(self));
	self->fiber.generation++;
	self->fiber.flags |= RI_TASK_IN_FLIGHT;
	verb->entry->user_data = name_of(self, TAG_OPERATION);
	if (operation.fd >= 0)
		ri_chain_push(bucket_of(tasks, operation.fd),
			      &operation.sharing);
	tasks->loop.in_flight++;
	ri_park(tasks, self, &operation.wait);
	return decode(&operation);
}

void ri_operations_close(struct ri_tasks *tasks, int fd)
{
	struct rota_chain *link = *bucket_of(tasks, fd);

	for (; link; link = link->next) {
		struct ri_operation *operation =
			ri_container(link, struct ri_operation, sharing);

		if (operation->fd != fd || !operation->wait.interrupt)
			continue;
		operation->closed = true;
		interrupt(tasks, operation->task);
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
	if (task->fiber.generation != user_data >> GENERATION_SHIFT ||
	    !(task->fiber.flags & RI_TASK_IN_FLIGHT))
		return NULL;
	return task;
}

static void retry_cancels(struct rota_timer *timer)
{
	struct ri_tasks *tasks = ri_container(timer, struct ri_tasks, retry);
	struct rota_link *link;

	while ((link = ri_list_take(&tasks->retries)))
		ri_list_append(&tasks->cancels, link);
}

/* A cancel found nothing to stop, or something that runs. Mostly the operation
 * is about to complete; one that goes on is asked again. */
static void cancel_missed(struct ri_tasks *tasks, uint64_t user_data)
{
	struct rota_task *task = find(tasks, user_data);
	struct ri_operation *operation;

	if (!task)
		return;
	operation = operation_of(task);
	if (ri_list_linked(&operation->cancel))
		return;
	if (ri_list_empty(&tasks->retries)) {
		tasks->retry.deadline_ns = ri_loop_now(&tasks->loop) + RETRY_NS;
		tasks->retry.fire = retry_cancels;
		ri_loop_arm(&tasks->loop, &tasks->retry);
	}
	ri_list_append(&tasks->retries, &operation->cancel);
}

/* Takes the operation's cancel off its list, if it is on one. */
static void forget_cancel(struct ri_tasks *tasks,
			  struct ri_operation *operation)
{
	if (!ri_list_linked(&operation->cancel))
		return;
	ri_list_remove(&operation->cancel);
	if (ri_list_empty(&tasks->retries) &&
	    ri_list_linked(&tasks->retry.link))
		ri_wheel_remove(&tasks->loop.wheel, &tasks->retry);
}

void ri_operation_complete(struct ri_loop *loop, const struct io_uring_cqe *cqe)
{
	struct ri_tasks *tasks = ri_tasks_of(loop);
	struct ri_operation *operation;
	struct rota_task *task;

	if (__builtin_expect((cqe->user_data & TAG_MASK) == TAG_CANCEL, 0)) {
		if (cqe->res < 0)
			cancel_missed(tasks, cqe->user_data);
		return;
	}
	task = find(tasks, cqe->user_data);
	ri_check(task != NULL, "a completion of an operation that is over");
	operation = operation_of(task);
	/* Of two completions the first has the result, the second ends it. */
	if (!(cqe->flags & IORING_CQE_F_NOTIF))
		operation->wait.result = cqe->res;
	if (cqe->flags & IORING_CQE_F_MORE)
		return;
	task->fiber.flags &= (uint8_t)~RI_TASK_IN_FLIGHT;
	loop->in_flight--;
	if (operation->fd >= 0)
		ri_chain_remove(&operation->sharing);
	if (__builtin_expect(operation->interrupted, 0))
		forget_cancel(tasks, operation);
	ri_wake(tasks, task, operation->wait.result);
}

void ri_operations_cancel(struct ri_tasks *tasks)
{
	unsigned slice = RI_RING_ENTRIES;

	while (slice-- && !ri_list_empty(&tasks->cancels)) {
		struct rota_link *link = tasks->cancels.next;
		struct ri_operation *operation =
			ri_container(link, struct ri_operation, cancel);
		struct io_uring_sqe *entry = ri_ring_entry(&tasks->loop.ring);

		if (!entry)
			return;
		ri_list_remove(link);
		io_uring_prep_cancel64(
			entry, name_of(operation->task, TAG_OPERATION), 0);
		entry->user_data = name_of(operation->task, TAG_CANCEL);
		/* Only a miss is told. */
		entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
	}
}
