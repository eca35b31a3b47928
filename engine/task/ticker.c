/* SPDX-License-Identifier: MIT */
/*
 * A ticker is a point in time that moves by whole periods. It is on the wheel
 * only while its task waits: when nobody does, nothing fires, and what was
 * missed is told by the clock.
 *
 * The ticks that a wait takes are counted when its task goes on, not when the
 * timer fires: those that come in between would be a second one pending.
 */
#include "task/ticker.h"

#include "rota/task.h"
#include "task/scope.h"

static_assert(sizeof(struct rota_ticker) == 136, "a scope and two words");

/* In the frame of who waits. */
struct tick {
	struct ri_wait wait;
	struct rota_ticker *ticker;
};

static void start(struct rota_ticker *ticker, int64_t period_ns)
{
	ticker->period_ns = period_ns;
	ticker->next_ns = rota_after_ns(period_ns);
}

int rota_ticker_open_at(struct rota_ticker *ticker, int64_t period_ns,
			const struct rota_site *site)
{
	struct rota_task *self = ri_scope_opener("rota_ticker_open");

	if (period_ns <= 0)
		return -EINVAL;
	ri_scope_open(&ticker->scope, RI_SCOPE_TICKER, self, site);
	start(ticker, period_ns);
	return 0;
}

static void tick_interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	struct tick *tick = ri_container(task->wait, struct tick, wait);
	struct rota_timer *timer = &tick->ticker->scope.timer;

	if (ri_timer_armed(timer))
		ri_wheel_remove(&tasks->loop.wheel, timer);
	ri_wake(tasks, task, task->scope->code);
}

static void tick_due(struct rota_timer *timer)
{
	const struct rota_scope *scope =
		ri_container(timer, struct rota_scope, timer);

	ri_wake(ri_tasks_here(), scope->owner, 0);
}

/* After a tick the next one is later than the wheel's time, if that is not
 * brought up to date here: so it is armed also if it is due, and whose task is
 * always late ends the turn each time, and starves nobody. */
static bool arm(struct ri_loop *loop, struct rota_timer *timer)
{
	if (timer->deadline_ns <= loop->now_ns)
		return ri_wheel_add(&loop->wheel, timer);
	return ri_loop_arm_wait(loop, timer);
}

static int await(struct ri_tasks *tasks, struct rota_task *self,
		 struct rota_ticker *ticker)
{
	struct tick tick = {
		.wait = { .what = "rota_ticker_wait",
			  .interrupt = tick_interrupt },
		.ticker = ticker,
	};
	struct rota_timer *timer = &ticker->scope.timer;

	timer->deadline_ns = ticker->next_ns;
	timer->fire = tick_due;
	if (ticker->next_ns != ROTA_NEVER && !arm(&tasks->loop, timer))
		return rota_yield();
	return ri_park(tasks, self, &tick.wait);
}

uint64_t ri_ticker_take(struct rota_ticker *ticker, int64_t now_ns)
{
	const int64_t period_ns = ticker->period_ns;
	const int64_t late_ns = now_ns - ticker->next_ns;
	const int64_t missed = late_ns < period_ns ? 0 : late_ns / period_ns;

	ri_assert(late_ns >= 0, "a tick %lld ns early", -(long long)late_ns);
	/* Up to now it cannot overflow, only then. */
	if (__builtin_add_overflow(ticker->next_ns + missed * period_ns,
				   period_ns, &ticker->next_ns))
		ticker->next_ns = ROTA_NEVER;
	return (uint64_t)missed;
}

int rota_ticker_wait(struct rota_ticker *ticker, uint64_t *missed)
{
	struct rota_task *self =
		ri_scope_holder(&ticker->scope, RI_SCOPE_TICKER, __func__);
	struct ri_tasks *tasks = ri_tasks_here();
	uint64_t count;
	int error = self->scope->code;

	if (!error)
		error = await(tasks, self, ticker);
	if (error)
		return error;
	count = ri_ticker_take(ticker, tasks->loop.now_ns);
	if (missed)
		*missed = count;
	return 0;
}

int rota_ticker_reset(struct rota_ticker *ticker, int64_t period_ns)
{
	ri_scope_holder(&ticker->scope, RI_SCOPE_TICKER, __func__);
	if (period_ns <= 0)
		return -EINVAL;
	start(ticker, period_ns);
	return 0;
}

void rota_ticker_close(struct rota_ticker *ticker)
{
	ri_scope_holder(&ticker->scope, RI_SCOPE_TICKER, __func__);
	ri_scope_remove(ri_tasks_here(), &ticker->scope);
}

int rota_every(int64_t period_ns, int (*fn)(void *arg), void *arg)
{
	struct rota_ticker ticker;
	int result = rota_ticker_open(&ticker, period_ns);

	if (result)
		return result;
	do {
		result = rota_ticker_wait(&ticker, NULL);
		if (!result)
			result = fn(arg);
	} while (!result);
	rota_ticker_close(&ticker);
	return result;
}
