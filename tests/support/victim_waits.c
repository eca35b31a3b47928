/* SPDX-License-Identifier: MIT */
/*
 * Victims that wait for the engine itself: time, a turn, a slot of a group,
 * the members of one.
 */
#include "rota/rota.h"
#include "support/victim.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>

static int call_yield(struct victim *victim)
{
	(void)victim;
	return rota_yield();
}

static int call_nop(struct victim *victim)
{
	struct io_uring_sqe entry;

	(void)victim;
	io_uring_prep_nop(&entry);
	return rota_await(&entry);
}

/* Due before, together with, or after the deadlines of the victim's scopes. */
static int prepare_sleep(struct victim *victim)
{
	const struct referee *referee = victim->referee;

	victim->deadline_ns = referee->clock_ns ? *referee->clock_ns
						: rota_now_ns();
	victim->deadline_ns +=
		referee->clock_ns
			? (int64_t)victim_dice(victim, 5) * ROTA_SECOND / 2
			: (int64_t)victim_dice(victim, 100) * ROTA_MICROSECOND;
	return 0;
}

static int call_sleep(struct victim *victim)
{
	return rota_sleep_until(victim->deadline_ns);
}

/* One tick, due at that time. If that is past there is none to wait for. */
static int call_tick(struct victim *victim)
{
	const int64_t left_ns = victim->deadline_ns - rota_now_ns();
	struct rota_ticker ticker;
	int result;

	if (left_ns <= 0)
		return rota_yield();
	result = rota_ticker_open(&ticker, left_ns);
	if (result)
		return result;
	result = rota_ticker_wait(&ticker, NULL);
	rota_ticker_close(&ticker);
	return result;
}

static void wake_sleeper(struct victim *victim)
{
	int64_t *clock_ns = victim->referee->clock_ns;

	if (clock_ns && *clock_ns < victim->deadline_ns)
		*clock_ns = victim->deadline_ns;
}

/* It ends when its time has come, or else by what was over before. */
static int expected_sleep(const struct victim *victim,
			  const struct verdict *verdict)
{
	if (verdict->before)
		return verdict->before;
	/* It may be a yield then. */
	if (verdict->due && !victim->result)
		return 0;
	if (verdict->came)
		return 0;
	/* Another scope may have ended since it was woken. */
	return verdict->told   ? victim->result
	       : verdict->code ? verdict->code
			       : -EIO;
}

static int call_twin(struct victim *victim)
{
	return rota_poll(victim->fd, POLLPRI);
}

const struct victim_class victim_twin = { "twin", VICTIM_OPEN | VICTIM_STUCK,
					  .call = call_twin };

const struct victim_class victim_waits[] = {
	{ "yield", VICTIM_LOCAL, .call = call_yield },
	{ "sleep", VICTIM_LOCAL | VICTIM_TIMED, .prepare = prepare_sleep,
	  .call = call_sleep, .complete = wake_sleeper,
	  .expected = expected_sleep },
	{ "tick", VICTIM_LOCAL | VICTIM_TIMED, .prepare = prepare_sleep,
	  .call = call_tick, .complete = wake_sleeper,
	  .expected = expected_sleep },
	{ "await_nop", .call = call_nop },
};
const unsigned victim_waits_count =
	sizeof(victim_waits) / sizeof(victim_waits[0]);
