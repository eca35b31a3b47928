/* SPDX-License-Identifier: MIT */
/*
 * Channels: tasks hand items to each other, by value, first in, first out, on
 * one loop or between loops.
 *
 *	struct rota_sender sender;
 *	struct rota_receiver receiver;
 *	struct job job;
 *
 *	error = rota_channel_open(&(struct rota_channel_options){
 *			.item_bytes = sizeof(job), .capacity = 16 },
 *			&sender, &receiver);
 *	...
 *	error = rota_channel_send(&sender, &job);           in one task
 *	rota_sender_close(&sender);
 *	...
 *	while (rota_channel_receive(&receiver, &job) > 0)   in another one
 *		work_on(&job);
 *	rota_receiver_close(&receiver);
 *
 * With a capacity of 0 a send returns when its item was taken: a rendezvous.
 * With more, that many items may lie in between. There are no channels without
 * a bound.
 *
 * The two ends are of different types, so that only who sends can say that
 * nothing more comes. Ends are counted: each task that sends has a sender of
 * its own (rota_sender_share), and when the last one is closed receivers get
 * what is left, then the end. When the last receiver is closed, senders are
 * told -EPIPE, and what is left is thrown away by `discard`. The channel is
 * gone with its last end. An end may be handed to a task by value; from then on
 * it is that task's to close. Nobody closes an end by which another task waits,
 * not to end that wait either: a cancel does that, or the other side's last end.
 *
 * Who waits is served in the order in which it came. Between loops, who never has
 * to wait gives way to other tasks now and then all the same.
 */
#ifndef ROTA_CHANNEL_H
#define ROTA_CHANNEL_H

#include "rota/scope.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct rota_channel;

/* What sends. The field is private. */
struct rota_sender {
	struct rota_channel *channel; /* NULL: closed */
};

/* What receives. The field is private. */
struct rota_receiver {
	struct rota_channel *channel; /* NULL: closed */
};

/* What a channel is to be. */
struct rota_channel_options {
	size_t item_bytes; /* of an item, at least 1 */
	size_t capacity;   /* items that may lie in it; 0: a rendezvous */
	/* Gets each item that nobody will receive any more, with `context`:
	 * what it owns is to be released. Must not suspend. NULL: items own
	 * nothing. */
	void (*discard)(void *item, void *context);
	void *context; /* its second argument */
	/* Where the channel is to live: rota_channel_bytes() of them, aligned
	 * to 16, until the last end is closed. NULL: allocated once, by malloc
	 * (not by rota_config.allocate: no engine owns a channel). */
	void *memory;
	const char *name; /* for diagnostics; NULL: none */
	bool local;       /* in an engine of several loops: only tasks of this
	                     one use it, which is cheaper; any other aborts */
};

/* How it goes: read at one moment. */
struct rota_channel_state {
	size_t depth;               /* items that lie in it */
	size_t capacity;            /* ... at most */
	unsigned senders;           /* open ends */
	unsigned receivers;         /* open ends */
	unsigned senders_waiting;   /* ... because it is full */
	unsigned receivers_waiting; /* ... because it is empty */
};

/* How much memory a channel takes; 0 for options that cannot be. Any thread. */
size_t rota_channel_bytes(const struct rota_channel_options *options);

/* Opens a channel with one sender and one receiver. 0; -EINVAL: an item of 0
 * bytes, more than SIZE_MAX / 2 altogether, a NULL, memory that is not aligned;
 * -ENOMEM. Then neither end is open. Never suspends. Any thread: what is opened
 * outside of a task may be used on every loop. */
int rota_channel_open_at(const struct rota_channel_options *options,
			 struct rota_sender *sender,
			 struct rota_receiver *receiver,
			 const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_channel_open(...)                                  \
	__extension__({                                         \
		static const struct rota_site rota_site_ =      \
			ROTA_SITE_("channel", 0);               \
		rota_channel_open_at(__VA_ARGS__, &rota_site_); \
	})

/* Sends a copy of the item; waits while the channel is full, at capacity 0
 * until somebody takes it. 0: it was taken, or lies in the channel. -EPIPE: the
 * last receiver is closed; -ECANCELED, -ETIME, -ESHUTDOWN: the task is
 * cancelled, at once or when a cancel comes: then the item was not sent, and is
 * the caller's still.
 *
 * May suspend. Tasks only, of any loop of the engine; an end that is closed
 * aborts. -EMFILE, -ENFILE: a channel that was opened outside of a task, in an
 * engine of one loop that cannot be woken from outside. */
int rota_channel_send(const struct rota_sender *sender, const void *item)
	__attribute__((warn_unused_result));

/* The same without a wait: -EAGAIN if it would be one. Never suspends, not
 * refused in a cancelled task. Tasks and callbacks; any thread, if the channel
 * may be used on every loop. */
int rota_channel_try_send(const struct rota_sender *sender, const void *item)
	__attribute__((warn_unused_result));

/* Receives an item, which is copied to `item`; waits for one. 1: an item. 0:
 * the end: the last sender is closed, and everything has been received.
 * -ECANCELED, -ETIME, -ESHUTDOWN: the task is cancelled, at once or when a
 * cancel comes; then no item was taken. An item that was handed over before the
 * cancel is delivered.
 *
 * Suspends if there is no item; else as rota_channel_send. */
int rota_channel_receive(const struct rota_receiver *receiver, void *item)
	__attribute__((warn_unused_result));

/* The same without a wait: -EAGAIN if it would be one. As
 * rota_channel_try_send. */
int rota_channel_try_receive(const struct rota_receiver *receiver, void *item)
	__attribute__((warn_unused_result));

/* One more end of the same channel: to be closed too. Never suspends, cannot
 * fail. Any thread that may use the one there is. */
struct rota_sender rota_sender_share(const struct rota_sender *sender)
	__attribute__((warn_unused_result));

/* The same of a receiver. */
struct rota_receiver rota_receiver_share(const struct rota_receiver *receiver)
	__attribute__((warn_unused_result));

/* Closes a sender, which cannot be used any more; a second time aborts, and so
 * does the last one while a task waits to send, in a select too: that was its
 * end, and each task has one of its own. The last one ends the channel: who
 * waits to receive goes on with 0. Never suspends, never refused. Any thread
 * that may use it. */
void rota_sender_close(struct rota_sender *sender);

/* Closes a receiver, as rota_sender_close does a sender: the last one aborts
 * while a task waits to receive. It ends the channel: who waits to send goes on
 * with -EPIPE, and items that are left are discarded, in this call. */
void rota_receiver_close(struct rota_receiver *receiver);

/* How full it is and who waits: a channel that is mostly full, with senders
 * that wait, wants more receivers; one that is mostly empty no capacity. Never
 * suspends. Any thread that may use the end. */
struct rota_channel_state rota_sender_inspect(const struct rota_sender *sender);

/* The same by the other end. */
struct rota_channel_state
rota_receiver_inspect(const struct rota_receiver *receiver);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
