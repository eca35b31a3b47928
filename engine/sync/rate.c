/* SPDX-License-Identifier: MIT */
/*
 * A token bucket that nobody fills: what it holds follows from the time since
 * it was last (or would have been) empty, and taking tokens moves that point on
 * by whole intervals.
 *
 * Of those who wait only the front one knows its moment, and sleeps until then;
 * the others stand in line behind it. It takes its tokens when it goes on, so
 * one that is cancelled has nothing to give back, and the next one reckons
 * from where the schedule stands.
 *
 * Rejected: to take tokens in advance and sleep until one's own moment. One
 * that is cancelled would have to move everybody behind it.
 */
#include "rota/rate.h"

#include "rota/clock.h"
#include "rota/task.h"
#include "sync/holder.h"
#include "task/scope.h"

#include <errno.h>

static_assert(sizeof(struct rota_rate) == 88, "a line and a schedule");

/* Filling the bucket takes no longer: sums with a point in time stay in range.
 */
#define FILL_NS_MAX (INT64_MAX / 4)

static void enter(struct rota_rate *rate, const char *verb)
{
	ri_sync_check(rate->state, verb, "rate");
	ri_guard_enter(&rate->guard, verb);
}

static int64_t cost_ns(const struct rota_rate *rate, uint64_t count)
{
	return (int64_t)count * rate->interval_ns;
}

/* Under the guard: no more than the bucket holds is there. */
static void overflow(struct rota_rate *rate, int64_t now_ns)
{
	const int64_t full_ns = now_ns - cost_ns(rate, rate->burst);

	if (rate->empty_ns < full_ns)
		rate->empty_ns = full_ns;
}

int rota_rate_init(struct rota_rate *rate,
		   const struct rota_rate_options *options)
{
	const uint64_t burst = options->burst ? options->burst : 1;

	if (options->interval_ns <= 0 ||
	    burst > (uint64_t)(FILL_NS_MAX / options->interval_ns))
		return -EINVAL;
	*rate = (struct rota_rate){
		.interval_ns = options->interval_ns,
		.burst = burst,
		.empty_ns = INT64_MIN,
		.name = options->name,
		.state = RI_SYNC_READY,
	};
	ri_guard_init(&rate->guard, options->local);
	ri_line_init(&rate->line);
	overflow(rate, rota_now_ns());
	return 0;
}

void rota_rate_fini(struct rota_rate *rate)
{
	const struct rota_task *task;

	enter(rate, __func__);
	task = rate->front;
	if (task)
		ri_abort(task->site->file, task->site->line,
			 "task %s, spawned here, waits for the rate %s that "
			 "ends",
			 ri_task_name(task), rate->name ? rate->name : "");
	ri_sync_end(&rate->guard, &rate->state, __func__);
}

/* Under the guard: takes them, if they are there and nobody waits. */
static bool take(struct rota_rate *rate, uint64_t count, int64_t now_ns)
{
	if (rate->front)
		return false;
	overflow(rate, now_ns);
	if (cost_ns(rate, count) > now_ns - rate->empty_ns)
		return false;
	rate->empty_ns += cost_ns(rate, count);
	return true;
}

/* The front one goes on, with so many tokens, or leaves without any: the next
 * one's turn has come. However late it is, it takes them as if it were not. */
static void pass_on(struct rota_rate *rate, uint64_t taken)
{
	const int64_t now_ns = rota_now_ns();
	struct rota_place *next;

	ri_guard_enter(&rate->guard, "rota_rate_wait");
	rate->empty_ns += cost_ns(rate, taken);
	overflow(rate, now_ns);
	next = ri_line_take(&rate->line);
	rate->front = next ? next->waiter->task : NULL;
	ri_guard_leave(&rate->guard);
	if (next)
		ri_waiter_serve(next->waiter, 0);
}

/* The running task is the front one: nobody else changes the schedule. */
static int await_moment(struct rota_rate *rate, struct rota_task *self,
			uint64_t count)
{
	const int64_t moment_ns = rate->empty_ns + cost_ns(rate, count);
	int error = 0;

	if (rota_now_ns() < moment_ns)
		error = rota_sleep_until(moment_ns);
	if (!error)
		error = self->scope->code;
	pass_on(rate, error ? 0 : count);
	return error;
}

/* Called with the guard entered, which it leaves: somebody is before it. */
static int stand(struct rota_rate *rate, struct rota_task *self)
{
	struct rota_waiter waiter;

	ri_waiter_init(&waiter, ri_tasks_here(), self, "rota_rate_wait");
	return ri_waiter_stand(&waiter, &rate->guard, &rate->line);
}

int rota_rate_wait(struct rota_rate *rate, uint64_t count)
{
	struct rota_task *self;
	int error = ri_waiter_begin(&self, &rate->guard, __func__);
	const int64_t now_ns = rota_now_ns();

	if (error)
		return error;
	enter(rate, __func__);
	if (count > rate->burst || take(rate, count, now_ns)) {
		ri_guard_leave(&rate->guard);
		return count > rate->burst ? -EINVAL : 0;
	}
	if (rate->front) {
		error = stand(rate, self);
	} else {
		rate->front = self;
		ri_guard_leave(&rate->guard);
	}
	return error ? error : await_moment(rate, self, count);
}

int rota_rate_try(struct rota_rate *rate, uint64_t count)
{
	const int64_t now_ns = rota_now_ns();
	int result = 0;

	enter(rate, __func__);
	if (count > rate->burst)
		result = -EINVAL;
	else if (!take(rate, count, now_ns))
		result = -EAGAIN;
	ri_guard_leave(&rate->guard);
	return result;
}

struct rota_rate_state rota_rate_inspect(struct rota_rate *rate)
{
	const int64_t now_ns = rota_now_ns();
	struct rota_rate_state state;
	int64_t since_ns;

	enter(rate, __func__);
	if (!rate->front)
		overflow(rate, now_ns);
	since_ns = now_ns - rate->empty_ns;
	state = (struct rota_rate_state){
		.tokens = since_ns < 0
				  ? 0
				  : (uint64_t)(since_ns / rate->interval_ns),
		.waiting = rate->line.count + (rate->front != NULL),
	};
	ri_guard_leave(&rate->guard);
	return state;
}
