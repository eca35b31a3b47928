/* SPDX-License-Identifier: MIT */
/*
 * Tickers, for others than their own verb to wait for.
 */
#ifndef RI_TASK_TICKER_H
#define RI_TASK_TICKER_H

#include "rota/ticker.h"

/* Takes all ticks up to now off the schedule as one, which is due. Returns how
 * many they are more than that. */
uint64_t ri_ticker_take(struct rota_ticker *ticker, int64_t now_ns);

#endif
