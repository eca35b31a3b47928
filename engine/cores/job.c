/* SPDX-License-Identifier: MIT */
/*
 * Jobs: from a foreign thread into a group of a loop, and the end back.
 *
 * The state of a job is a word of bits. All but ASKED and AWAY are set on the
 * job's loop:
 *
 *	TAKEN       it was accepted
 *	ASKED       somebody cancels it ...
 *	AWAY        ... and the mail that says so has not arrived
 *	CANCELLED   it has
 *	CLOSED      it has ended as far as the loop is concerned
 *	ENDED       it is the caller's again
 *
 *   1. ENDED is set when CLOSED is and AWAY is not, whichever came last, as the
 *      last thing that anybody does to the job. Afterwards its waiter is woken
 *      by the address of the word alone: nothing at it is looked at.
 *   2. Nobody sets AWAY after CLOSED: both are changes of one word, so either
 *      the mail is waited for, or it is not sent.
 *   3. The engine counts a job until just before ENDED, so the loop lives while
 *      mail of a job is on its way to it, and whoever waited for a job finds
 *      room for the next one.
 */
#include "cores/engine.h"
#include "ring/linux.h"
#include "rota/job.h"
#include "task/group.h"
#include "task/share.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum job_state {
	TAKEN = 1,
	ASKED = 2,
	AWAY = 4,
	CANCELLED = 8,
	CLOSED = 16,
	ENDED = 32,
};

/* Is it a job of the process that this one was forked from? */
static bool is_forked(const struct rota_job *job)
{
	return job->forks != ri_loop_forks;
}

/* Nothing of it is under way. The last act. */
static void give_back(struct ri_tasks *tasks, struct rota_job *job)
{
	const struct ri_kernel *kernel = tasks->loop.kernel;
	uint32_t *state = &job->state;

	ri_jobs_end(ri_worker_of(tasks)->engine);
	/* pairs with the acquire in rota_job_ended */
	__atomic_fetch_or(state, ENDED, __ATOMIC_RELEASE);
	kernel->futex_wake(kernel, state, INT_MAX, false);
}

static void end_job(struct ri_tasks *tasks, struct rota_job *job, int result)
{
	job->scope = NULL;
	job->result = result;
	/* acquire: the cancel may be another thread's */
	if (!(__atomic_fetch_or(&job->state, CLOSED, __ATOMIC_ACQUIRE) & AWAY))
		give_back(tasks, job);
}

static void cancel_arrived(void *place, struct rota_mail *mail)
{
	struct rota_job *job = ri_container(mail, struct rota_job, cancel);
	/* relaxed: the mail carries the rest, and CLOSED is this thread's */
	const uint32_t state = __atomic_add_fetch(&job->state, CANCELLED - AWAY,
						  __ATOMIC_RELAXED);

	if (state & CLOSED)
		give_back(place, job);
	else if (job->scope)
		ri_scope_cancel(place, job->scope, -ECANCELED, job->cause);
}

/* What a cancel of the job ends. */
static void open_scope(struct ri_tasks *tasks, struct rota_job *job,
		       struct rota_scope *scope)
{
	ri_scope_open(scope, RI_SCOPE_DEADLINE, ri_task_of(tasks->loop.current),
		      job->site);
	job->scope = scope;
	if (__atomic_load_n(&job->state, __ATOMIC_RELAXED) & CANCELLED)
		ri_scope_cancel(tasks, scope, -ECANCELED, job->cause);
}

/* What runs as the job's task, with a copy of its value. The job itself came as
 * what the task inherits. */
static int run_job(void *value)
{
	struct ri_tasks *tasks = ri_tasks_here();
	struct rota_task *self = ri_task_of(tasks->loop.current);
	struct rota_job *job = self->inherited;
	struct rota_scope scope;
	int result;

	self->inherited = NULL;
	open_scope(tasks, job, &scope);
	result = job->fn(value);
	if (self->scope != &scope)
		ri_scope_left_open(self, "has ended");
	ri_scope_close(tasks, &scope);
	end_job(tasks, job, result);
	return result;
}

/* Waits for a slot in place of the job: its group is at its limit. */
static int queue_for_slot(void *value)
{
	struct ri_tasks *tasks = ri_tasks_here();
	struct rota_job *job = ri_task_of(tasks->loop.current)->inherited;
	struct rota_group *group = ri_share_find(tasks, job->group);
	struct rota_scope scope;
	int error = -ESRCH;

	open_scope(tasks, job, &scope);
	if (group)
		error = rota_group_spawn(group, run_job, value, job->site);
	job->scope = NULL;
	ri_scope_close(tasks, &scope);
	if (error)
		end_job(tasks, job, error);
	return 0;
}

/* Makes a task of it. 0, or why not. */
static int admit(struct ri_tasks *tasks, struct rota_job *job)
{
	struct rota_group *group = &tasks->root;
	rota_task_fn *fn = run_job;
	int error;

	if (job->group)
		group = ri_share_find(tasks, job->group);
	if (!group)
		return -ESRCH;
	if (group->scope.code)
		return group->scope.code;
	if (!group->limit)
		return -ESHUTDOWN;
	if (group->live >= group->limit) {
		group = &tasks->root;
		fn = queue_for_slot;
	}
	error = ri_task_accept(tasks, group, fn, job->value, job->site, job);
	if (!error)
		group->live++;
	return error;
}

static void job_arrived(void *place, struct rota_mail *mail)
{
	struct rota_job *job = ri_container(mail, struct rota_job, mail);
	const int error = admit(place, job);

	if (error)
		end_job(place, job, error);
}

/* On which loop it is to run; anything beyond the last one: there is none. */
static unsigned choose_loop(const struct rota_job *job)
{
	if (job->group)
		return ri_share_loop(job->group);
	if (job->loop == ROTA_LOOP_LEAST)
		return ri_peers_least(&job->engine->peers, NULL);
	return job->loop;
}

static void check_idle(const struct rota_job *job, const struct rota_site *site)
{
	const uint32_t state = __atomic_load_n(&job->state, __ATOMIC_RELAXED);

	if (state & TAKEN && !(state & ENDED) && !is_forked(job))
		ri_abort(site->file, site->line,
			 "the job is under way, since %s:%d", job->site->file,
			 job->site->line);
}

int rota_job_submit(struct rota_job *job, rota_task_fn *fn, const void *value,
		    const struct rota_site *site)
{
	struct rota_engine *engine = job->engine;
	unsigned loop;
	int error;

	ri_check(site->value_bytes <= ROTA_VALUE_BYTES,
		 "a value of %u bytes, submitted at %s:%d", site->value_bytes,
		 site->file, site->line);
	check_idle(job, site);
	if (ri_engine_forked(engine))
		return -EOWNERDEAD;
	loop = choose_loop(job);
	if (loop >= engine->peers.count)
		return -EINVAL;
	error = ri_jobs_begin(engine);
	if (error)
		return error;
	__atomic_store_n(&job->state, TAKEN, __ATOMIC_RELAXED);
	job->mail.deliver = job_arrived;
	job->place = &engine->peers.each[loop]->loop;
	job->fn = fn;
	job->site = site;
	job->scope = NULL;
	job->forks = ri_loop_forks;
	memcpy(job->value, value, site->value_bytes);
	ri_loop_post_from_outside(job->place, &job->mail);
	return 0;
}

bool rota_job_ended(const struct rota_job *job)
{
	/* pairs with the release in give_back */
	return __atomic_load_n(&job->state, __ATOMIC_ACQUIRE) & ENDED ||
	       is_forked(job);
}

int rota_job_wait(struct rota_job *job)
{
	const struct ri_kernel *kernel = &ri_kernel_linux;

	ri_check(__atomic_load_n(&job->state, __ATOMIC_RELAXED) & TAKEN,
		 "rota_job_wait for a job that was not accepted");
	while (!rota_job_ended(job)) {
		uint32_t state;

		if (ri_loop_here || ri_guest_is_here())
			return -EDEADLK;
		state = __atomic_load_n(&job->state, __ATOMIC_RELAXED);
		if (!(state & ENDED))
			kernel->futex_wait(kernel, &job->state, state,
					   INT64_MAX);
	}
	return __atomic_load_n(&job->state, __ATOMIC_RELAXED) & ENDED
		       ? job->result
		       : -EOWNERDEAD;
}

void rota_job_cancel(struct rota_job *job, struct rota_cancellation cause)
{
	uint32_t state = __atomic_load_n(&job->state, __ATOMIC_RELAXED);

	ri_check(cause.error <= 0, "the cause is %d, and errors are negative",
		 cause.error);
	do {
		if (!(state & TAKEN) || state & (ASKED | CLOSED) ||
		    is_forked(job))
			return;
		/* release: end_job may see it first */
	} while (!__atomic_compare_exchange_n(
		&job->state, &state, state | ASKED | AWAY, true,
		__ATOMIC_RELEASE, __ATOMIC_RELAXED));
	job->cause = cause;
	if (!cause.error)
		job->cause.error = -ECANCELED;
	job->cancel.deliver = cancel_arrived;
	ri_loop_post_from_outside(job->place, &job->cancel);
}
