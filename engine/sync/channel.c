/* SPDX-License-Identifier: MIT */
#include "sync/channel.h"

#include "task/scope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Items are mostly a pointer or two: a call would cost more than the copy. */
static inline void copy(void *to, const void *from, size_t bytes)
{
	if (bytes == 8)
		memcpy(to, from, 8);
	else if (bytes == 16)
		memcpy(to, from, 16);
	else if (bytes == 4)
		memcpy(to, from, 4);
	else
		memcpy(to, from, bytes);
}

static inline char *item_at(struct rota_channel *channel, size_t index)
{
	if (index >= channel->capacity)
		index -= channel->capacity;
	return channel->items + index * channel->item_bytes;
}

static inline void push(struct rota_channel *channel, const void *item)
{
	copy(item_at(channel, channel->first + channel->depth), item,
	     channel->item_bytes);
	channel->depth++;
}

static inline void pop(struct rota_channel *channel, void *item)
{
	copy(item, item_at(channel, channel->first), channel->item_bytes);
	if (++channel->first == channel->capacity)
		channel->first = 0;
	channel->depth--;
}

inline int ri_channel_put(struct rota_channel *channel, const void *item,
			  struct ri_handed *handed)
{
	struct rota_place *place;

	handed->served = NULL;
	if (__builtin_expect(!channel->receivers, 0))
		return -EPIPE;
	place = ri_line_take(&channel->receiving);
	if (place) {
		copy(place->item, item, channel->item_bytes);
		handed->served = place->waiter;
		handed->served_result = 1;
		return 0;
	}
	if (channel->depth == channel->capacity)
		return -EAGAIN;
	push(channel, item);
	return 0;
}

inline int ri_channel_take(struct rota_channel *channel, void *item,
			   struct ri_handed *handed)
{
	struct rota_place *place;
	const bool stored = channel->depth > 0;

	handed->served = NULL;
	if (stored)
		pop(channel, item);
	place = ri_line_take(&channel->sending);
	if (place) {
		if (stored)
			push(channel, place->item);
		else
			copy(item, place->item, channel->item_bytes);
		handed->served = place->waiter;
		handed->served_result = 0;
		return 1;
	}
	if (stored)
		return 1;
	return channel->senders ? -EAGAIN : 0;
}

size_t rota_channel_bytes(const struct rota_channel_options *options)
{
	size_t bytes;

	if (!options || !options->item_bytes ||
	    __builtin_mul_overflow(options->item_bytes, options->capacity,
				   &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(struct rota_channel),
				   &bytes) ||
	    options->item_bytes > SIZE_MAX / 2 || bytes > SIZE_MAX / 2)
		return 0;
	return bytes;
}

int rota_channel_open_at(const struct rota_channel_options *options,
			 struct rota_sender *sender,
			 struct rota_receiver *receiver,
			 const struct rota_site *site)
{
	const size_t bytes = rota_channel_bytes(options);
	struct rota_channel *channel;

	if (!bytes || !sender || !receiver ||
	    (uintptr_t)options->memory % alignof(struct rota_channel))
		return -EINVAL;
	channel = options->memory ? options->memory : malloc(bytes);
	if (!channel)
		return -ENOMEM;
	*channel = (struct rota_channel){
		.capacity = options->capacity,
		.item_bytes = options->item_bytes,
		.senders = 1,
		.receivers = 1,
		.holds = 2,
		.state = RI_CHANNEL_OPEN,
		.discard = options->discard,
		.context = options->context,
		.site = site,
		.name = options->name,
		.allocated = !options->memory,
	};
	ri_guard_init(&channel->guard, options->local);
	ri_line_init(&channel->sending);
	ri_line_init(&channel->receiving);
	sender->channel = channel;
	receiver->channel = channel;
	return 0;
}

void ri_channel_closed(const char *verb)
{
	ri_abort(__FILE__, __LINE__,
		 "%s for an end of a channel that is closed, or was never "
		 "opened (thread %s)",
		 verb, ri_loop_here ? "of a loop" : "without a loop");
}

/* It could not go at once: stands in line. `item` is what goes or comes. */
static int stand(struct rota_channel *channel, struct rota_task *self,
		 const char *verb, struct rota_line *line, void *item)
{
	struct rota_waiter waiter =
		ri_waiter_make(self, verb, &channel->guard, line);

	waiter.place.item = item;
	return ri_waiter_stand(&waiter);
}

int rota_channel_send(const struct rota_sender *sender, const void *item)
{
	struct rota_task *self = ri_task_self("rota_channel_send");
	struct rota_channel *channel =
		ri_channel_of(sender->channel, "rota_channel_send");
	struct ri_handed handed;
	int result;

	ri_task_check_scope(self);
	if (__builtin_expect(self->scope->code != 0, 0))
		return self->scope->code;
	ri_guard_enter(&channel->guard, "rota_channel_send");
	result = ri_channel_put(channel, item, &handed);
	if (result == -EAGAIN)
		return stand(channel, self, "rota_channel_send",
			     &channel->sending, (void *)(uintptr_t)item);
	ri_guard_leave(&channel->guard);
	ri_handed_serve(&handed);
	return result;
}

int rota_channel_try_send(const struct rota_sender *sender, const void *item)
{
	struct rota_channel *channel = ri_channel_of(sender->channel, __func__);
	struct ri_handed handed;
	int result;

	ri_guard_enter(&channel->guard, __func__);
	result = ri_channel_put(channel, item, &handed);
	ri_guard_leave(&channel->guard);
	ri_handed_serve(&handed);
	return result;
}

int rota_channel_receive(const struct rota_receiver *receiver, void *item)
{
	struct rota_task *self = ri_task_self("rota_channel_receive");
	struct rota_channel *channel =
		ri_channel_of(receiver->channel, "rota_channel_receive");
	struct ri_handed handed;
	int result;

	ri_task_check_scope(self);
	if (__builtin_expect(self->scope->code != 0, 0))
		return self->scope->code;
	ri_guard_enter(&channel->guard, "rota_channel_receive");
	result = ri_channel_take(channel, item, &handed);
	if (result == -EAGAIN)
		return stand(channel, self, "rota_channel_receive",
			     &channel->receiving, item);
	ri_guard_leave(&channel->guard);
	ri_handed_serve(&handed);
	return result;
}

int rota_channel_try_receive(const struct rota_receiver *receiver, void *item)
{
	struct rota_channel *channel =
		ri_channel_of(receiver->channel, __func__);
	struct ri_handed handed;
	int result;

	ri_guard_enter(&channel->guard, __func__);
	result = ri_channel_take(channel, item, &handed);
	ri_guard_leave(&channel->guard);
	ri_handed_serve(&handed);
	return result;
}

static void share(struct rota_channel *channel, unsigned *ends,
		  const char *verb)
{
	ri_guard_enter(&channel->guard, verb);
	++*ends;
	channel->holds++;
	ri_guard_leave(&channel->guard);
}

struct rota_sender rota_sender_share(const struct rota_sender *sender)
{
	struct rota_channel *channel = ri_channel_of(sender->channel, __func__);

	share(channel, &channel->senders, __func__);
	return *sender;
}

struct rota_receiver rota_receiver_share(const struct rota_receiver *receiver)
{
	struct rota_channel *channel =
		ri_channel_of(receiver->channel, __func__);

	share(channel, &channel->receivers, __func__);
	return *receiver;
}

/* Its last end, or who threw its items away, lets go. */
static void let_go(struct rota_channel *channel, const char *verb)
{
	const bool allocated = channel->allocated;
	bool last;

	ri_guard_enter(&channel->guard, verb);
	last = --channel->holds == 0;
	if (last)
		channel->state = RI_CHANNEL_GONE;
	ri_guard_leave(&channel->guard);
	if (last && allocated)
		free(channel);
}

void rota_sender_close(struct rota_sender *sender)
{
	struct rota_channel *channel = ri_channel_of(sender->channel, __func__);

	sender->channel = NULL;
	ri_guard_enter(&channel->guard, __func__);
	ri_check(channel->senders > 0, "%s: a copy of it was closed before",
		 __func__);
	if (--channel->senders == 0)
		ri_line_serve_all(&channel->guard, &channel->receiving, 0);
	else
		ri_guard_leave(&channel->guard);
	let_go(channel, __func__);
}

/* Nobody puts anything there any more, and nobody takes it. */
static void throw_away(struct rota_channel *channel)
{
	for (; channel->depth; channel->depth--) {
		if (channel->discard)
			channel->discard(item_at(channel, channel->first),
					 channel->context);
		if (++channel->first == channel->capacity)
			channel->first = 0;
	}
}

void rota_receiver_close(struct rota_receiver *receiver)
{
	struct rota_channel *channel =
		ri_channel_of(receiver->channel, __func__);
	bool last;

	receiver->channel = NULL;
	ri_guard_enter(&channel->guard, __func__);
	ri_check(channel->receivers > 0, "%s: a copy of it was closed before",
		 __func__);
	last = --channel->receivers == 0;
	if (last)
		ri_line_serve_all(&channel->guard, &channel->sending, -EPIPE);
	else
		ri_guard_leave(&channel->guard);
	if (last)
		throw_away(channel);
	let_go(channel, __func__);
}

static struct rota_channel_state inspect(struct rota_channel *channel,
					 const char *verb)
{
	struct rota_channel_state state;

	ri_guard_enter(&channel->guard, verb);
	state = (struct rota_channel_state){
		.depth = channel->depth,
		.capacity = channel->capacity,
		.senders = channel->senders,
		.receivers = channel->receivers,
		.senders_waiting = channel->sending.count,
		.receivers_waiting = channel->receiving.count,
	};
	ri_guard_leave(&channel->guard);
	return state;
}

struct rota_channel_state rota_sender_inspect(const struct rota_sender *sender)
{
	return inspect(ri_channel_of(sender->channel, __func__), __func__);
}

struct rota_channel_state
rota_receiver_inspect(const struct rota_receiver *receiver)
{
	return inspect(ri_channel_of(receiver->channel, __func__), __func__);
}
