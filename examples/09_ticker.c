/* SPDX-License-Identifier: MIT */
/*
 * Periodic work. A ticker is due at start + period, start + 2 * period and so
 * on, however long the work takes: it never drifts. Who comes late by some
 * periods gets one tick at once and is told how many were missed; the next one
 * is back on the schedule. It ends with the scope around it. rota_every is the
 * same for a function.
 *
 * The wrong way:
 *
 *	while (!rota_sleep(PERIOD))
 *		work();
 *
 * The period is then PERIOD and the work and the wake: with 1 ms of both, a
 * clock that ticks each second is 86 seconds slow after a day. Or to keep the
 * next point in time oneself and sleep until it: after a stall of an hour, all
 * that was missed is done at once.
 */
#include <rota/rota.h>

#include <stdio.h>

#define PERIOD (10 * ROTA_MILLISECOND)
#define TICKS 5
#define STALL 3 /* after this tick the work takes long */

/* How many periods it took to see all ticks, or -errno. */
static int64_t watch(struct rota_ticker *ticker)
{
	int64_t periods = 0;

	for (int tick = 1; tick <= TICKS; tick++) {
		uint64_t missed;
		int error = rota_ticker_wait(ticker, &missed);

		if (!error && tick == STALL)
			error = rota_sleep(4 * PERIOD + PERIOD / 2);
		if (error)
			return error;
		periods += 1 + (int64_t)missed;
		printf("tick %d: %llu missed\n", tick,
		       (unsigned long long)missed);
	}
	return periods;
}

static int work(void *value)
{
	const int64_t start_ns = rota_now_ns();
	struct rota_ticker ticker;
	int error = rota_ticker_open(&ticker, PERIOD);
	int64_t periods;

	(void)value;
	if (error)
		return error;
	periods = watch(&ticker);
	rota_ticker_close(&ticker);
	if (periods < 0)
		return (int)periods;
	/* A tick may come late, but not early, and none is uncounted. */
	if (periods < TICKS || rota_now_ns() - start_ns < periods * PERIOD)
		return -EPROTO;
	return 0;
}

static int beat(void *arg)
{
	++*(unsigned *)arg;
	return 0; /* anything else would end it */
}

/* Beats until its group ends. */
static int heart(void *value)
{
	return rota_every(PERIOD, beat, *(unsigned **)value);
}

static int run(void *arg)
{
	struct rota_group group;
	unsigned beats = 0;
	int error, result;

	(void)arg;
	rota_group_open(&group, NULL);
	error = rota_go_background(&group, heart, &beats);
	if (!error)
		error = rota_go(&group, work, 0);
	result = rota_group_wait(&group);
	printf("the heart %s\n", beats ? "has beaten" : "stood still");
	return error ? error : result ? result : beats ? 0 : -EPROTO;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
