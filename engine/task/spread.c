/* SPDX-License-Identifier: MIT */
#include "task/spread.h"

#include "base/check.h"

void ri_spread_init(struct ri_spread *spread)
{
	pthread_mutex_init(&spread->mutex, NULL);
	spread->oldest = NULL;
	spread->end = &spread->oldest;
	spread->count = 0;
}

void ri_spread_fini(struct ri_spread *spread)
{
	ri_check(spread->count == 0, "%u members were never started",
		 spread->count);
	pthread_mutex_destroy(&spread->mutex);
}

void ri_spread_put(struct ri_spread *spread, struct rota_mail *mail)
{
	mail->next = NULL;
	pthread_mutex_lock(&spread->mutex);
	*spread->end = mail;
	spread->end = &mail->next;
	__atomic_store_n(&spread->count, spread->count + 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&spread->mutex);
	/* pairs with the order of ri_mailbox_sleep: see above */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* What a loop takes of what is there: less the less there is, so that they end
 * together. */
static unsigned portion(unsigned count, unsigned loops)
{
	const unsigned some = loops ? count / (4 * loops) + 1 : 1;

	return some < RI_SPREAD_TAKEN_MAX ? some : RI_SPREAD_TAKEN_MAX;
}

struct rota_mail *ri_spread_take(struct ri_spread *spread, unsigned loops)
{
	struct rota_mail *first, *last;
	unsigned taken = 1;

	if (!ri_spread_has(spread))
		return NULL;
	pthread_mutex_lock(&spread->mutex);
	first = last = spread->oldest;
	if (first) {
		const unsigned wanted = portion(spread->count, loops);

		while (taken < wanted && last->next) {
			last = last->next;
			taken++;
		}
		spread->oldest = last->next;
		if (!spread->oldest)
			spread->end = &spread->oldest;
		last->next = NULL;
		__atomic_store_n(&spread->count, spread->count - taken,
				 __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&spread->mutex);
	return first;
}
