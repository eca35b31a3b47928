/* SPDX-License-Identifier: MIT */
#include "base/mailbox.h"

struct rota_mail ri_asleep;

struct rota_mail *ri_mailbox_take(struct ri_mailbox *box)
{
	struct rota_mail *newest, *oldest = NULL;

	/* pairs with the release in ri_mailbox_post_chain */
	newest = __atomic_exchange_n(&box->top, NULL, __ATOMIC_ACQUIRE);
	if (newest == &ri_asleep)
		return NULL;
	while (newest) {
		struct rota_mail *before = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = before;
	}
	return oldest;
}
