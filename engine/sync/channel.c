/* SPDX-License-Identifier: MIT */
#include "sync/channel.h"

#include "sync/batch.h"
#include "task/scope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Most channels are used on one loop, and most items are a pointer or a number.
 * For those there is a way of their own through all of this, in which nothing is
 * locked and the size is known: a copy that is a call costs as much as all the
 * rest. */
#define INLINE inline __attribute__((always_inline))
#define WORD_BYTES sizeof(uint64_t)

static INLINE char *item_at(struct rota_channel *channel, size_t index,
			    size_t bytes)
{
	if (index >= channel->capacity)
		index -= channel->capacity;
	return channel->items + index * bytes;
}

static INLINE void push(struct rota_channel *channel, const void *item,
			size_t bytes)
{
	memcpy(item_at(channel, channel->first + channel->depth, bytes), item,
	       bytes);
	channel->depth++;
}

static INLINE void pop(struct rota_channel *channel, void *item, size_t bytes)
{
	memcpy(item, item_at(channel, channel->first, bytes), bytes);
	if (++channel->first == channel->capacity)
		channel->first = 0;
	channel->depth--;
}

static INLINE int put(struct rota_channel *channel, const void *item,
		      size_t bytes, struct rota_waiter **served)
{
	struct rota_place *place;

	*served = NULL;
	if (__builtin_expect(!channel->receivers, 0))
		return -EPIPE;
	place = ri_line_take(&channel->receiving);
	if (place) {
		memcpy(place->item, item, bytes);
		*served = place->waiter;
		return 0;
	}
	if (channel->depth == channel->capacity)
		return -EAGAIN;
	push(channel, item, bytes);
	return 0;
}

static INLINE int take(struct rota_channel *channel, void *item, size_t bytes,
		       struct rota_waiter **served)
{
	const bool stored = channel->depth > 0;
	struct rota_place *place;

	if (stored)
		pop(channel, item, bytes);
	*served = NULL;
	place = ri_line_take(&channel->sending);
	if (!place) {
		if (stored)
			return 1;
		return channel->senders ? -EAGAIN : 0;
	}
	if (stored)
		push(channel, place->item, bytes);
	else
		memcpy(item, place->item, bytes);
	*served = place->waiter;
	return 1;
}

int ri_channel_put(struct rota_channel *channel, const void *item,
		   struct rota_waiter **served)
{
	return put(channel, item, channel->item_bytes, served);
}

int ri_channel_take(struct rota_channel *channel, void *item,
		    struct rota_waiter **served)
{
	return take(channel, item, channel->item_bytes, served);
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

	if (sender)
		sender->channel = NULL;
	if (receiver)
		receiver->channel = NULL;
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
	if (options->item_bytes == WORD_BYTES)
		channel->quick = channel->guard.loop;
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

static const char sends[] = "rota_channel_send";
static const char receives[] = "rota_channel_receive";
static const char tries_to_send[] = "rota_channel_try_send";
static const char tries_to_receive[] = "rota_channel_try_receive";

/* It could not go at once: stands in line. `item` is what goes or comes. On the
 * quick way there is no guard to leave, and nobody outside. */
static __attribute__((noinline)) int stand_here(struct rota_channel *channel,
						struct rota_task *self,
						struct rota_line *line,
						void *item)
{
	struct ri_tasks *tasks = ri_tasks_here();
	struct rota_waiter waiter;

	ri_waiter_init(&waiter, tasks, self,
		       line == &channel->sending ? sends : receives);
	waiter.place.item = item;
	waiter.place.guard = &channel->guard;
	waiter.place.line = line;
	ri_line_append(line, &waiter.place);
	return ri_park_checked(tasks, self, &waiter.wait);
}

/* ... and in any other case. */
static __attribute__((noinline)) int stand(struct rota_channel *channel,
					   struct rota_task *self,
					   struct rota_line *line, void *item)
{
	struct rota_waiter waiter;

	ri_waiter_init(&waiter, ri_tasks_here(), self,
		       line == &channel->sending ? sends : receives);
	waiter.place.item = item;
	return ri_waiter_stand(&waiter, &channel->guard, line);
}

static INLINE void serve(struct rota_waiter *waiter, int result, bool quick)
{
	if (!waiter)
		return;
	if (quick && __builtin_expect(!waiter->tell, 1))
		ri_wake(waiter->tasks, waiter->task, result);
	else
		ri_waiter_serve(waiter, result);
}

/* Without a task it does not wait. */
static INLINE void enter(struct rota_channel *channel,
			 const struct rota_task *self, const char *verb)
{
	if (self)
		ri_guard_listen(&channel->guard);
	ri_guard_enter(&channel->guard, verb);
}

static INLINE int send_item(struct rota_channel *channel,
			    struct rota_task *self, const void *item,
			    bool quick)
{
	struct rota_waiter *served;
	int result;

	if (!quick)
		enter(channel, self, self ? sends : tries_to_send);
	result = put(channel, item, quick ? WORD_BYTES : channel->item_bytes,
		     &served);
	if (result == -EAGAIN && self)
		return (quick ? stand_here : stand)(channel, self,
						    &channel->sending,
						    (void *)(uintptr_t)item);
	if (!quick)
		ri_guard_leave(&channel->guard);
	serve(served, RI_CHANNEL_RECEIVED, quick);
	return result;
}

static __attribute__((noinline)) int
send_any(struct rota_channel *channel, struct rota_task *self, const void *item)
{
	int result;

	ri_channel_check(channel, self ? sends : tries_to_send);
	result = send_item(channel, self, item, false);
	if (self && ri_guard_is_shared(&channel->guard))
		ri_breathe(ri_tasks_here());
	return result;
}

int rota_channel_send(const struct rota_sender *sender, const void *item)
{
	struct rota_task *self = ri_task_self(sends);
	struct rota_channel *channel = sender->channel;

	ri_task_check_scope(self);
	if (__builtin_expect(self->scope->code != 0, 0))
		return self->scope->code;
	if (channel && channel->quick == ri_loop_here)
		return send_item(channel, self, item, true);
	return send_any(channel, self, item);
}

int rota_channel_try_send(const struct rota_sender *sender, const void *item)
{
	return send_any(sender->channel, NULL, item);
}

static INLINE int receive_item(struct rota_channel *channel,
			       struct rota_task *self, void *item, bool quick)
{
	struct rota_waiter *served;
	int result;

	if (!quick)
		enter(channel, self, self ? receives : tries_to_receive);
	result = take(channel, item, quick ? WORD_BYTES : channel->item_bytes,
		      &served);
	if (result == -EAGAIN && self)
		return (quick ? stand_here : stand)(channel, self,
						    &channel->receiving, item);
	if (!quick)
		ri_guard_leave(&channel->guard);
	serve(served, RI_CHANNEL_SENT, quick);
	return result;
}

static __attribute__((noinline)) int
receive_any(struct rota_channel *channel, struct rota_task *self, void *item)
{
	int result;

	ri_channel_check(channel, self ? receives : tries_to_receive);
	result = receive_item(channel, self, item, false);
	if (self && ri_guard_is_shared(&channel->guard))
		ri_breathe(ri_tasks_here());
	return result;
}

int rota_channel_receive(const struct rota_receiver *receiver, void *item)
{
	struct rota_task *self = ri_task_self(receives);
	struct rota_channel *channel = receiver->channel;

	ri_task_check_scope(self);
	if (__builtin_expect(self->scope->code != 0, 0))
		return self->scope->code;
	if (channel && channel->quick == ri_loop_here)
		return receive_item(channel, self, item, true);
	return receive_any(channel, self, item);
}

int rota_channel_try_receive(const struct rota_receiver *receiver, void *item)
{
	return receive_any(receiver->channel, NULL, item);
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
	struct rota_channel *channel =
		ri_channel_check(sender->channel, __func__);

	share(channel, &channel->senders, __func__);
	return *sender;
}

struct rota_receiver rota_receiver_share(const struct rota_receiver *receiver)
{
	struct rota_channel *channel =
		ri_channel_check(receiver->channel, __func__);

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
	if (last) {
		ri_guard_check_back(&channel->guard, verb);
		channel->state = RI_CHANNEL_GONE;
		channel->quick = NULL;
	}
	ri_guard_leave(&channel->guard);
	if (last && allocated)
		free(channel);
}

void rota_sender_close(struct rota_sender *sender)
{
	struct rota_channel *channel =
		ri_channel_check(sender->channel, __func__);

	sender->channel = NULL;
	ri_guard_enter(&channel->guard, __func__);
	ri_check(channel->senders > 0, "%s: a copy of it was closed before",
		 __func__);
	if (--channel->senders == 0) {
		/* by which end, if not by this one? */
		ri_line_check_empty(&channel->sending, __func__);
		ri_line_serve_all(&channel->guard, &channel->receiving, 0);
	} else {
		ri_guard_leave(&channel->guard);
	}
	let_go(channel, __func__);
}

/* Items that lie there no more, as far as others can see: nobody puts anything
 * there again, and nobody takes it. */
static void throw_away(struct rota_channel *channel, size_t count)
{
	for (; count; count--) {
		if (channel->discard)
			channel->discard(item_at(channel, channel->first,
						 channel->item_bytes),
					 channel->context);
		if (++channel->first == channel->capacity)
			channel->first = 0;
	}
}

void rota_receiver_close(struct rota_receiver *receiver)
{
	struct rota_channel *channel =
		ri_channel_check(receiver->channel, __func__);
	size_t left = 0;

	receiver->channel = NULL;
	ri_guard_enter(&channel->guard, __func__);
	ri_check(channel->receivers > 0, "%s: a copy of it was closed before",
		 __func__);
	if (--channel->receivers == 0) {
		ri_line_check_empty(&channel->receiving, __func__);
		left = channel->depth;
		channel->depth = 0;
		ri_line_serve_all(&channel->guard, &channel->sending, -EPIPE);
	} else {
		ri_guard_leave(&channel->guard);
	}
	throw_away(channel, left);
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
	return inspect(ri_channel_check(sender->channel, __func__), __func__);
}

struct rota_channel_state
rota_receiver_inspect(const struct rota_receiver *receiver)
{
	return inspect(ri_channel_check(receiver->channel, __func__), __func__);
}
