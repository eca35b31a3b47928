/* SPDX-License-Identifier: MIT */
/*
 * A channel: a ring of items between two lines. At most one of these is true:
 *
 *	somebody waits to receive: then there is no item
 *	somebody waits to send: then it is full
 *
 * so whoever comes finds at once whether an item goes from hand to hand, or
 * through the ring. (Places of selects that have gone elsewhere may stand in a
 * line for a moment more; who comes across them drops them.)
 */
#ifndef RI_SYNC_CHANNEL_H
#define RI_SYNC_CHANNEL_H

#include "rota/channel.h"
#include "sync/waiter.h"

enum ri_channel_state {
	RI_CHANNEL_OPEN = 0x7a3e,
	RI_CHANNEL_GONE = 0xe3a7,
};

struct rota_channel {
	struct rota_guard guard; /* of what follows */
	void *quick; /* its loop, if it is one's alone and items are words */
	struct rota_line sending;   /* who waits to send */
	struct rota_line receiving; /* who waits to receive */
	size_t depth;               /* items in the ring */
	size_t first;               /* where the oldest one is */
	size_t capacity;            /* the most there may be */
	size_t item_bytes;          /* of each */
	unsigned senders;           /* open ends */
	unsigned receivers;         /* open ends */
	unsigned holds;             /* both, and who throws items away */
	unsigned state;             /* RI_CHANNEL_OPEN, _GONE */
	void (*discard)(void *item, void *context); /* the user's; or NULL */
	void *context;                              /* its second argument */
	const struct rota_site *site;               /* where it was opened */
	const char *name;         /* given by the user, or NULL */
	bool allocated;           /* by rota */
	alignas(16) char items[]; /* the ring */
};

/* Aborts: the end is closed. */
__attribute__((cold, noreturn)) void ri_channel_closed(const char *verb);

/* The channel of an end that is open. */
static inline struct rota_channel *
ri_channel_check(struct rota_channel *channel, const char *verb)
{
	if (__builtin_expect(!channel || channel->state != RI_CHANNEL_OPEN, 0))
		ri_channel_closed(verb);
	return channel;
}

/* Under the guard: hands an item over, or takes one. Returns what the verb
 * returns, or -EAGAIN. *served is who goes on by it: to be served outside of the
 * guard, with RI_CHANNEL_RECEIVED or _SENT; NULL: nobody. */
int ri_channel_put(struct rota_channel *channel, const void *item,
		   struct rota_waiter **served);
int ri_channel_take(struct rota_channel *channel, void *item,
		    struct rota_waiter **served);

/* Under the guard: would it be done? Who stands in line may still be claimed
 * elsewhere. */
static inline bool ri_channel_can_put(struct rota_channel *channel)
{
	return channel->depth < channel->capacity || !channel->receivers ||
	       ri_line_is_live(&channel->receiving);
}

static inline bool ri_channel_can_take(struct rota_channel *channel)
{
	return channel->depth || !channel->senders ||
	       ri_line_is_live(&channel->sending);
}

/* What who waited returns. */
#define RI_CHANNEL_RECEIVED 1
#define RI_CHANNEL_SENT 0

#endif
