/* SPDX-License-Identifier: MIT */
/*
 * A pool is a group of workers over a channel. Each worker has an end of the
 * channel, so that who submits is told when none is left, and what is in it is
 * thrown away by the last one. The channel is rota's own memory, and who waits
 * to submit holds an end of it too: it may come to know that it was served, or
 * be cancelled, when the pool is closed already.
 *
 * A circle: a worker that waits to submit to its own pool, or has to join a task
 * that does, takes no item before that wait is over. If this is so of each
 * worker, no wait ever is. Only a task that begins to wait can close it, and
 * only one inside of the pool; so only then the line is looked through.
 */
#include "rota/pool.h"

#include "sync/crew.h"
#include "task/remote.h"

#include <errno.h>
#include <stdlib.h>

static_assert(sizeof(struct rota_pool) <= 384, "six cache lines");

struct ri_pool_worker {
	struct rota_pool *pool;           /* whose it is */
	struct rota_receiver receiver;    /* its end of the queue */
	unsigned search;                  /* the last one that came by it */
	alignas(16) unsigned char item[]; /* what it works on */
};

static struct ri_pool_worker *worker_at(const struct rota_pool *pool,
					unsigned index)
{
	char *first = (char *)pool->workers;

	return (void *)(first + index * pool->worker_bytes);
}

static int work_on(struct ri_pool_worker *worker)
{
	const struct rota_pool *pool = worker->pool;

	if (!rota_cancelled())
		return pool->fn(worker->item, pool->arg);
	ri_channel_discard(worker->receiver.channel, worker->item);
	return rota_cancelled();
}

static int work(void *value)
{
	struct ri_pool_worker *worker = *(struct ri_pool_worker **)value;
	unsigned round = 0;
	int result;

	while ((result = rota_channel_receive(&worker->receiver,
					      worker->item)) > 0) {
		result = work_on(worker);
		if (result < 0)
			break;
		ri_crew_breathe(&round);
	}
	if (result < 0)
		ri_crew_failed(&worker->pool->group, result);
	rota_receiver_close(&worker->receiver);
	return result;
}

/* What can be meant, and how much memory the workers take. */
static int check(const struct rota_pool_options *options, size_t *bytes)
{
	const struct rota_channel_options queue = {
		.item_bytes = options->item_bytes,
		.capacity = options->capacity,
	};

	if (!options->workers || !options->fn || !rota_channel_bytes(&queue) ||
	    (options->spread && options->local) ||
	    __builtin_mul_overflow(sizeof(struct ri_pool_worker) +
					   ri_crew_round_up(options->item_bytes),
				   options->workers, bytes) ||
	    *bytes > SIZE_MAX / 2)
		return -EINVAL;
	return 0;
}

static int open_queue(struct rota_pool *pool,
		      const struct rota_pool_options *options,
		      struct rota_receiver *receiver,
		      const struct rota_site *site)
{
	const struct rota_channel_options queue = {
		.item_bytes = options->item_bytes,
		.capacity = options->capacity,
		.discard = options->discard,
		.context = options->arg,
		.name = options->name,
		.local = options->local,
	};

	return rota_channel_open_at(&queue, &pool->sender, receiver, site);
}

/* Each accepted one has an end of the queue of its own. */
static int start(struct rota_pool *pool,
		 const struct rota_pool_options *options,
		 const struct rota_receiver *receiver)
{
	const struct rota_site *site = pool->group.scope.site;
	int error = 0;

	for (unsigned i = 0; i < options->workers && !error; i++) {
		struct ri_pool_worker *worker = worker_at(pool, i);

		worker->pool = pool;
		worker->receiver = rota_receiver_share(receiver);
		worker->search = 0;
		error = rota_group_spawn_on(
			&pool->group, ri_crew_start(work, i, options->spread),
			&worker, site);
		if (error)
			rota_receiver_close(&worker->receiver);
	}
	return error;
}

static void open_group(struct rota_pool *pool,
		       const struct rota_pool_options *options,
		       const struct rota_site *site)
{
	const struct rota_group_options group = {
		.name = options->name,
		.deadline_ns = options->deadline_ns,
		.stack_bytes = options->stack_bytes,
	};

	rota_group_open_at(&pool->group, &group, site);
}

int rota_pool_open_at(struct rota_pool *pool,
		      const struct rota_pool_options *options,
		      const struct rota_site *site)
{
	struct rota_task *self = ri_task_self("rota_pool_open");
	struct rota_receiver receiver;
	size_t bytes;
	int error = check(options, &bytes);

	if (!error)
		error = self->scope->code;
	if (error)
		return error;
	pool->workers = malloc(bytes);
	if (!pool->workers)
		return -ENOMEM;
	error = open_queue(pool, options, &receiver, site);
	if (error) {
		free(pool->workers);
		return error;
	}
	pool->worker_bytes = bytes / options->workers;
	pool->fn = options->fn;
	pool->arg = options->arg;
	pool->searches = 0;
	pool->closed = false;
	open_group(pool, options, site);
	error = start(pool, options, &receiver);
	rota_receiver_close(&receiver);
	if (error)
		(void)rota_pool_close(pool);
	return error;
}

static struct rota_channel *queue_of(const struct rota_pool *pool,
				     const char *verb)
{
	ri_check(pool->group.scope.state == RI_SCOPE_OPEN,
		 "%s: the pool is not open", verb);
	return pool->sender.channel;
}

/* The worker that the task is, or that has to join it; NULL: it is outside. */
static struct ri_pool_worker *worker_around(const struct rota_pool *pool,
					    struct rota_task *task)
{
	while (task) {
		struct rota_group *group = task->group;

		if (group == &pool->group ||
		    (group->proxy &&
		     ri_proxy_of(group)->remote->group == &pool->group))
			return *(struct ri_pool_worker **)(void *)task->value;
		task = group->scope.owner;
	}
	return NULL;
}

/* In the frame of who waits to submit. */
struct submitting {
	struct rota_waiter waiter;
	struct ri_pool_worker *around; /* it is inside of; NULL: of none */
};

/* Under the guard: of each worker somebody would wait in line, if this one
 * did. */
static bool closes_circle(struct rota_pool *pool,
			  const struct rota_channel *queue,
			  struct ri_pool_worker *around)
{
	const struct rota_node *link = queue->sending.head.next;
	const unsigned search = ++pool->searches;
	unsigned found = 1;

	around->search = search;
	for (; link != &queue->sending.head; link = link->next) {
		const struct rota_place *place =
			ri_container(link, struct rota_place, link);
		struct ri_pool_worker *worker =
			ri_container(place->waiter, struct submitting, waiter)
				->around;

		if (!worker || worker->search == search)
			continue;
		worker->search = search;
		found++;
	}
	return found == queue->receivers;
}

/* With the guard entered, which it leaves. */
static int stand(struct rota_channel *queue, struct rota_task *self,
		 struct ri_pool_worker *around, const void *item)
{
	struct submitting submitting;
	struct rota_sender held = { queue };
	int result;

	queue->senders++;
	queue->holds++;
	ri_waiter_init(&submitting.waiter, ri_tasks_here(), self,
		       "rota_pool_submit");
	submitting.waiter.place.item = (void *)(uintptr_t)item;
	submitting.around = around;
	result = ri_waiter_stand(&submitting.waiter, &queue->guard,
				 &queue->sending);
	rota_sender_close(&held);
	return result;
}

/* It was full a moment ago. */
static __attribute__((noinline)) int submit_or_wait(struct rota_pool *pool,
						    struct rota_channel *queue,
						    struct rota_task *self,
						    const void *item)
{
	struct ri_pool_worker *around = worker_around(pool, self);
	struct rota_waiter *served = NULL;
	int result = -EPIPE;

	ri_guard_listen(&queue->guard);
	ri_guard_enter(&queue->guard, "rota_pool_submit");
	if (!pool->closed)
		result = ri_channel_put(queue, item, &served);
	if (result == -EAGAIN && around && closes_circle(pool, queue, around))
		result = -EDEADLK;
	if (result == -EAGAIN)
		return stand(queue, self, around, item);
	ri_guard_leave(&queue->guard);
	if (served)
		ri_waiter_serve(served, RI_CHANNEL_RECEIVED);
	return result;
}

static inline int try_submit(struct rota_pool *pool, struct rota_channel *queue,
			     const void *item)
{
	struct rota_waiter *served = NULL;
	int result = -EPIPE;

	ri_guard_enter(&queue->guard, "rota_pool_submit");
	if (!pool->closed)
		result = ri_channel_put(queue, item, &served);
	ri_guard_leave(&queue->guard);
	if (served)
		ri_waiter_serve(served, RI_CHANNEL_RECEIVED);
	return result;
}

int rota_pool_submit(struct rota_pool *pool, const void *item)
{
	struct rota_task *self = ri_task_self("rota_pool_submit");
	struct rota_channel *queue = queue_of(pool, "rota_pool_submit");
	int result;

	ri_task_check_scope(self);
	if (__builtin_expect(self->scope->code != 0, 0))
		return self->scope->code;
	result = try_submit(pool, queue, item);
	if (result == -EAGAIN)
		return submit_or_wait(pool, queue, self, item);
	return result;
}

int rota_pool_try_submit(struct rota_pool *pool, const void *item)
{
	struct rota_task *self = ri_task_self(__func__);

	if (self->scope->code)
		return self->scope->code;
	return try_submit(pool, queue_of(pool, __func__), item);
}

void rota_pool_cancel(struct rota_pool *pool, struct rota_cancellation cause)
{
	rota_group_cancel(&pool->group, cause);
}

struct rota_channel_state rota_pool_inspect(struct rota_pool *pool)
{
	const struct rota_sender sender = { queue_of(pool, __func__) };

	return rota_sender_inspect(&sender);
}

int rota_pool_close(struct rota_pool *pool)
{
	struct rota_channel *queue = queue_of(pool, __func__);
	struct rota_sender last = { queue };
	int result;

	ri_guard_enter(&queue->guard, __func__);
	ri_check(!pool->closed, "%s: it is being closed already", __func__);
	pool->closed = true;
	ri_guard_leave(&queue->guard);
	rota_sender_close(&last);
	result = rota_group_wait(&pool->group);
	free(pool->workers);
	return result;
}
