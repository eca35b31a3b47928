/* SPDX-License-Identifier: MIT */
/*
 * A helper: a thread that takes one call after the other from the pool's queue
 * (cores/offload.h), and ends when there was none for a while.
 */
#include "cores/offload.h"

#include <errno.h>
#include <time.h>

static _Thread_local bool is_helper;
static _Thread_local bool is_forked; /* in a child, of what it ran */

static void note_fork(void)
{
	is_forked = is_helper;
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, note_fork);
}

void ri_helper_check_not_forked(void)
{
	ri_check(!is_forked, "a call of rota_offload returns " RI_LOOP_FORKED);
}

static struct ri_call *first_of(const struct rota_node *queue)
{
	return queue->next == queue
		       ? NULL
		       : ri_container(queue->next, struct ri_call, link);
}

/* Takes the call whose turn it is off the queue; NULL: there is none. */
static struct ri_call *take(struct ri_offload *pool)
{
	struct ri_call *call = first_of(&pool->calls);
	struct ri_call *lookup = first_of(&pool->lookups);

	if (pool->looking == pool->lookups_max)
		lookup = NULL;
	if (lookup && (!call || lookup->ticket < call->ticket)) {
		pool->lookups_queued--;
		pool->looking++;
		ri_list_remove(&lookup->link);
		return lookup;
	}
	if (!call)
		return NULL;
	pool->calls_queued--;
	ri_list_remove(&call->link);
	return call;
}

static void begin(struct ri_helper *helper, struct ri_call *call)
{
	call->helper = helper;
	helper->call = call;
	helper->loop = call->loop;
	helper->run = call->run;
	helper->looks = call->hand_over != NULL;
	if (helper->looks)
		call->hand_over(call, helper);
}

/* From here on it does not touch the loop. */
static void end(struct ri_helper *helper)
{
	struct ri_offload *pool = helper->pool;

	pool->looking -= helper->looks;
	pool->left -= helper->left;
	helper->looks = false;
	helper->left = false;
	helper->call = NULL;
	helper->loop = NULL;
	if (pool->watchers)
		pthread_cond_broadcast(&pool->quiet);
}

static struct timespec after(int64_t duration_ns)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_sec += duration_ns / 1000000000;
	time.tv_nsec += duration_ns % 1000000000;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

/* Waits for a call. False: the helper is to end. */
static bool next(struct ri_helper *helper)
{
	struct ri_offload *pool = helper->pool;
	struct ri_call *call = take(pool);
	struct timespec until;
	int error = 0;

	if (!call)
		until = after(pool->idle_ns);
	while (!call && !pool->stopping && !error) {
		pool->idle++;
		error = pthread_cond_timedwait(&pool->work, &pool->mutex,
					       &until);
		pool->idle--;
		/* Also when its time is up: it may have been woken, too. */
		call = take(pool);
	}
	if (call)
		begin(helper, call);
	return call != NULL;
}

/* The last that a helper does, under the mutex: leaves it. */
static void leave(struct ri_helper *helper)
{
	struct ri_offload *pool = helper->pool;
	const struct ri_kernel *kernel = pool->options.kernel;
	const struct ri_thread before = pool->last;
	const bool joins = pool->ended;

	ri_list_remove(&helper->link);
	pool->last.id = pthread_self();
	pool->ended = true;
	pool->threads--;
	pthread_cond_broadcast(&pool->quiet);
	pthread_mutex_unlock(&pool->mutex);
	if (joins)
		kernel->thread_join(kernel, &before);
}

/* Who started it may be pinned. Where that is refused it works all the same. */
static void use_all(const struct ri_offload *pool)
{
	const struct ri_cpus *cpus = pool->options.cpus;

	if (cpus && cpus->count)
		ri_cpus_set(cpus, pool->options.kernel);
}

void *ri_helper_main(void *argument)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct ri_offload *pool = argument;
	struct ri_helper helper = { .pool = pool };

	pthread_once(&once, watch_forks);
	is_helper = true;
	ri_abort_hook_set(pool->options.on_abort, pool->options.context);
	use_all(pool);
	pthread_mutex_lock(&pool->mutex);
	ri_list_append(&pool->helpers, &helper.link);
	while (next(&helper)) {
		pthread_mutex_unlock(&pool->mutex);
		helper.run(&helper);
		pthread_mutex_lock(&pool->mutex);
		end(&helper);
	}
	leave(&helper);
	return NULL;
}

struct ri_call *ri_helper_claim(struct ri_helper *helper)
{
	struct ri_call *call;

	pthread_mutex_lock(&helper->pool->mutex);
	call = helper->call;
	if (call)
		call->hand_over = NULL;
	pthread_mutex_unlock(&helper->pool->mutex);
	return call;
}

void ri_helper_answer(struct ri_call *call, int result)
{
	call->result = result;
	ri_loop_post(call->loop, &call->mail);
}
