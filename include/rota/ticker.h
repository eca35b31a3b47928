/* SPDX-License-Identifier: MIT */
/*
 * A ticker wakes its task at start + period, start + 2 * period and so on,
 * never drifting: how late a tick was handled does not move the next one.
 *
 *	struct rota_ticker ticker;
 *
 *	error = rota_ticker_open(&ticker, ROTA_SECOND);
 *	if (error)
 *		return error;
 *	while (!(error = rota_ticker_wait(&ticker, NULL)))
 *		report();
 *	rota_ticker_close(&ticker);
 *
 * At most one tick is pending: who comes a few periods late gets one at once,
 * with the number of those that were missed, and the next one when it was due
 * anyway. Nothing happens while nobody waits, and a tick costs no memory and
 * no entry of the ring.
 *
 * A ticker is its task's, in its frame, and has to be closed; tickers may be
 * closed in any order.
 */
#ifndef ROTA_TICKER_H
#define ROTA_TICKER_H

#include "rota/clock.h"
#include "rota/scope.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* In the frame of who opens it; its fields are private. */
struct rota_ticker {
	struct rota_scope scope; /* so that one left open is found */
	int64_t period_ns;       /* between two ticks */
	int64_t next_ns;         /* when the next one is due */
};

/* Opens a ticker: its first tick is due one period from now; with a period past
 * the end of time (ROTA_NEVER, say) it never ticks. 0, or -EINVAL for a period
 * of 0 or less: then nothing is open.
 *
 * Never suspends, tasks only; no memory, no system call. The function that
 * calls it calls rota_ticker_close too: one that returns without it aborts the
 * program, naming this line. What is begun later may be ended after the ticker
 * is closed; what was begun before it may not be ended before. */
int rota_ticker_open_at(struct rota_ticker *ticker, int64_t period_ns,
			const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_ticker_open(ticker, period_ns)                              \
	__extension__({                                                  \
		static const struct rota_site rota_site_ =               \
			ROTA_SITE_("ticker", 0);                         \
		rota_ticker_open_at((ticker), (period_ns), &rota_site_); \
	})

/* Waits for the next tick; one that is due already is delivered without a wait,
 * once the other ready tasks had their turn. `missed` (or NULL) gets how many
 * whole periods too late it is: that many ticks were left out. Returns 0; or
 * -ECANCELED, -ETIME or -ESHUTDOWN, at once or when a cancel comes, which ends
 * the wait and writes nothing: a tick that came before it is delivered.
 *
 * Suspends. The task that opened it only: any other one, or a ticker that is
 * not open, aborts the program. */
int rota_ticker_wait(struct rota_ticker *ticker, uint64_t *missed)
	__attribute__((warn_unused_result));

/* Starts again with this period: the next tick is due one period from now, one
 * that is pending is dropped. 0, or -EINVAL as above: then nothing has changed.
 * Never suspends, also in a cancelled task. The task that opened it only. */
int rota_ticker_reset(struct rota_ticker *ticker, int64_t period_ns)
	__attribute__((warn_unused_result));

/* Closes it: it can be opened again. Never suspends, never refused, the task
 * that opened it only. */
void rota_ticker_close(struct rota_ticker *ticker);

/* Calls fn(arg) at each tick of a ticker of its own, until fn returns anything
 * but 0: returns that, or -EINVAL as above, or -ECANCELED, -ETIME or -ESHUTDOWN
 * as rota_ticker_wait does. Ticks that are missed while fn runs are left out.
 *
 * Suspends, tasks only; fn runs in the calling task and may suspend too. */
int rota_every(int64_t period_ns, int (*fn)(void *arg), void *arg)
	__attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
