/* SPDX-License-Identifier: MIT */
#include "cores/offload.h"

#include "cores/signals.h"
#include "loop/mail.h"
#include "rota/offload.h"
#include "task/scope.h"

#include <string.h>

void ri_offload_init(struct ri_offload *pool,
		     const struct ri_offload_options *options)
{
	pthread_condattr_t monotonic;

	memset(pool, 0, sizeof(*pool));
	pool->options = *options;
	if (!pool->options.threads_max)
		pool->options.threads_max = RI_OFFLOAD_THREADS_DEFAULT;
	pool->lookups_max = (pool->options.threads_max + 1) / 2;
	pool->idle_ns = RI_OFFLOAD_IDLE_NS;
	ri_list_init(&pool->calls);
	ri_list_init(&pool->lookups);
	ri_list_init(&pool->helpers);
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->work, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_cond_init(&pool->quiet, NULL);
}

/* Waits until a helper has ended a call, or itself. */
static void wait_for_quiet(struct ri_offload *pool)
{
	pool->watchers++;
	pthread_cond_wait(&pool->quiet, &pool->mutex);
	pool->watchers--;
}

static bool is_touched(const struct ri_offload *pool,
		       const struct ri_loop *loop)
{
	const struct rota_node *link = pool->helpers.next;

	for (; link != &pool->helpers; link = link->next)
		if (ri_container(link, struct ri_helper, link)->loop == loop)
			return true;
	return false;
}

void ri_offload_leave(struct ri_offload *pool, const struct ri_loop *loop)
{
	pthread_mutex_lock(&pool->mutex);
	while (is_touched(pool, loop))
		wait_for_quiet(pool);
	pthread_mutex_unlock(&pool->mutex);
}

/* Why the end takes long. */
static void tell_lookups(const struct ri_offload *pool)
{
	const struct rota_node *link = pool->helpers.next;

	for (; link != &pool->helpers; link = link->next) {
		const struct ri_helper *helper =
			ri_container(link, struct ri_helper, link);

		if (helper->looks)
			ri_log(&pool->options.log,
			       "the engine's end waits for the look-up of %s, "
			       "which was cancelled",
			       helper->host);
	}
}

void ri_offload_fini(struct ri_offload *pool)
{
	const struct ri_kernel *kernel = pool->options.kernel;

	pthread_mutex_lock(&pool->mutex);
	ri_check(!pool->calls_queued, "%u calls wait", pool->calls_queued);
	ri_check(!pool->lookups_queued, "%u names wait", pool->lookups_queued);
	tell_lookups(pool);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->work);
	while (pool->threads)
		wait_for_quiet(pool);
	pthread_mutex_unlock(&pool->mutex);
	if (pool->ended)
		kernel->thread_join(kernel, &pool->last);
	ri_check(!pool->looking, "%u names are looked up", pool->looking);
	ri_check(!pool->left, "%u look-ups were left", pool->left);
	pthread_cond_destroy(&pool->quiet);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->mutex);
}

static void enqueue(struct ri_offload *pool, struct ri_call *call)
{
	call->ticket = pool->next_ticket++;
	if (call->hand_over) {
		ri_list_append(&pool->lookups, &call->link);
		pool->lookups_queued++;
	} else {
		ri_list_append(&pool->calls, &call->link);
		pool->calls_queued++;
	}
}

static void dequeue(struct ri_offload *pool, struct ri_call *call)
{
	ri_list_remove(&call->link);
	if (call->hand_over)
		pool->lookups_queued--;
	else
		pool->calls_queued--;
}

/* How many of those in the queue may run. */
static unsigned runnable(const struct ri_offload *pool)
{
	const unsigned room = pool->lookups_max - pool->looking;

	return pool->calls_queued +
	       (pool->lookups_queued < room ? pool->lookups_queued : room);
}

/* Without a thread, and without a way to get one: why. */
static int start_thread(struct ri_offload *pool)
{
	const struct ri_kernel *kernel = pool->options.kernel;
	struct ri_thread thread = { .main = ri_helper_main, .argument = pool };
	sigset_t before;
	int error;

	ri_signals_block_all(&before);
	error = kernel->thread_start(kernel, &thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pool->threads += !error;
	if (!error)
		pool->refused = false;
	return pool->threads ? 0 : error;
}

static void tell_refused(const struct ri_offload *pool, int error)
{
	ri_log(&pool->options.log,
	       "no thread for blocking calls could be started (%s): "
	       "RLIMIT_NPROC ('ulimit -u') or a container's pids.max may be "
	       "the limit",
	       strerror(-error));
}

/* 0: a helper will take it. */
static int submit(struct ri_offload *pool, struct ri_call *call)
{
	bool told = true, wakes = false;
	int error = 0;

	pthread_mutex_lock(&pool->mutex);
	ri_assert(!pool->stopping, "the engine has ended");
	enqueue(pool, call);
	if (runnable(pool) > pool->idle &&
	    pool->threads < pool->options.threads_max)
		error = start_thread(pool);
	else
		wakes = pool->idle;
	if (error) {
		dequeue(pool, call);
		told = pool->refused;
		pool->refused = true;
	}
	pthread_mutex_unlock(&pool->mutex);
	if (wakes)
		pthread_cond_signal(&pool->work);
	if (!told)
		tell_refused(pool, error);
	return error;
}

/* A scope of its task is over. False: it stays to its end. */
static bool withdraw(struct ri_offload *pool, struct ri_call *call)
{
	bool gone = true;

	pthread_mutex_lock(&pool->mutex);
	if (!call->helper) {
		dequeue(pool, call);
	} else if (call->hand_over) {
		struct ri_helper *helper = call->helper;

		helper->call = NULL;
		helper->loop = NULL;
		helper->left = true;
		pool->left++;
	} else {
		gone = false;
	}
	pthread_mutex_unlock(&pool->mutex);
	return gone;
}

static void go_on(struct ri_tasks *tasks, struct rota_task *task, int result)
{
	tasks->loop.outside--;
	ri_wake(tasks, task, result);
}

static void interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	struct ri_call *call = ri_container(task->wait, struct ri_call, wait);

	if (withdraw(tasks->offload, call))
		go_on(tasks, task, task->scope->code);
}

/* The mail of a call that is done. */
static void deliver(void *place, struct rota_mail *mail)
{
	struct ri_call *call = ri_container(mail, struct ri_call, mail);

	go_on(ri_tasks_of(place), call->task, call->result);
}

int ri_offload_await(struct ri_call *call, const char *verb)
{
	struct rota_task *self = ri_task_self(verb);
	struct ri_tasks *tasks = ri_tasks_here();
	int error;

	ri_task_check_scope(self);
	if (self->scope->code)
		return self->scope->code;
	error = ri_loop_listen(&tasks->loop);
	if (error)
		return error;
	call->mail.deliver = deliver;
	call->wait.what = verb;
	call->wait.interrupt = interrupt;
	call->task = self;
	call->loop = &tasks->loop;
	call->helper = NULL;
	error = submit(tasks->offload, call);
	if (error)
		return error;
	tasks->loop.outside++;
	return ri_park(tasks, self, &call->wait);
}

/* In the frame of rota_offload. */
struct function_call {
	struct ri_call call;  /* what the pool knows of it */
	int (*fn)(void *arg); /* what is to run */
	void *arg;            /* ... with this */
};

static void run_function(struct ri_helper *helper)
{
	struct function_call *own =
		ri_container(helper->call, struct function_call, call);
	const int result = own->fn(own->arg);

	ri_helper_check_not_forked();
	ri_helper_answer(&own->call, result);
}

int rota_offload(int (*fn)(void *arg), void *arg)
{
	struct function_call own = {
		.call = { .run = run_function },
		.fn = fn,
		.arg = arg,
	};

	return ri_offload_await(&own.call, __func__);
}
