/* SPDX-License-Identifier: MIT */
/*
 * Waits for the first of several things.
 *
 *	struct rota_arm arms[] = {
 *		rota_arm_receive(&jobs, &job),
 *		rota_arm_tick(&ticker),
 *	};
 *
 *	switch (rota_select(arms, 2)) {
 *	case 0: ...        job is there, if arms[0].result is 1
 *	case 1: ...        a tick
 *	default: ...       -ECANCELED: the task is cancelled
 *	}
 *
 * Exactly one arm is done. All others have done nothing: no item was taken, no
 * tick used up. Of several that can be done at once one is chosen by chance
 * (engine.h: seed), so none is starved. Arms may be used again as they are.
 *
 * A read or a write of a descriptor is no arm: two could complete. Poll it
 * here, then read.
 */
#ifndef ROTA_SELECT_H
#define ROTA_SELECT_H

#include "rota/channel.h"
#include "rota/event.h"
#include "rota/ticker.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The most arms of one select. */
#define ROTA_ARMS_MAX 256

/* What an arm waits for. */
enum rota_arm_kind {
	ROTA_ARM_NEVER,    /* is never done: one that is switched off */
	ROTA_ARM_SEND,     /* an item is sent */
	ROTA_ARM_RECEIVE,  /* an item is received, or the end */
	ROTA_ARM_EVENT,    /* an event has happened */
	ROTA_ARM_TICK,     /* a tick of a ticker of this task */
	ROTA_ARM_DEADLINE, /* a point in time */
	ROTA_ARM_POLL,     /* a descriptor is ready */
};

/* Filled in by the functions below. */
struct rota_arm {
	enum rota_arm_kind kind; /* what it waits for */
	int result;              /* of the arm that was done: what its verb
	                            returns; of a poll the events, or -errno */
	uint64_t missed;         /* of a tick: how many were left out */
	/* From here on private. */
	void *object;            /* channel, event or ticker */
	struct rota_arm *next;   /* in the order in which guards are entered */
	int64_t deadline_ns;     /* the point in time */
	int fd;                  /* the descriptor */
	unsigned events;         /* ... and what it is polled for: poll(2) */
	struct rota_place place; /* where it stands */
};

/* An arm that is never done. All that the others are made of: what they point
 * to has to stay where it is. */
static inline struct rota_arm rota_arm_never(void)
{
	struct rota_arm arm = { ROTA_ARM_NEVER,
				0,
				0,
				NULL,
				NULL,
				0,
				-1,
				0,
				{ { NULL, NULL }, NULL, NULL, NULL, NULL } };

	return arm;
}

/* For those below. */
static inline struct rota_arm rota_arm_make_(enum rota_arm_kind kind,
					     void *object, void *item)
{
	struct rota_arm arm = rota_arm_never();

	arm.kind = kind;
	arm.object = object;
	arm.place.item = item;
	return arm;
}

/* As rota_channel_send: result 0 or -EPIPE. */
static inline struct rota_arm rota_arm_send(const struct rota_sender *sender,
					    const void *item)
{
	return rota_arm_make_(ROTA_ARM_SEND, sender->channel,
			      (void *)(uintptr_t)item);
}

/* As rota_channel_receive: result 1, or 0 at the end. */
static inline struct rota_arm
rota_arm_receive(const struct rota_receiver *receiver, void *item)
{
	return rota_arm_make_(ROTA_ARM_RECEIVE, receiver->channel, item);
}

/* As rota_event_wait: result 0. */
static inline struct rota_arm rota_arm_event(struct rota_event *event)
{
	return rota_arm_make_(ROTA_ARM_EVENT, event, NULL);
}

/* As rota_ticker_wait; the ticker has to be the task's own, and open. */
static inline struct rota_arm rota_arm_tick(struct rota_ticker *ticker)
{
	return rota_arm_make_(ROTA_ARM_TICK, ticker, NULL);
}

/* At a point in time (clock.h). That the whole task has a deadline is deadline.h;
 * this is for one of several things to do. */
static inline struct rota_arm rota_arm_deadline(int64_t deadline_ns)
{
	struct rota_arm arm = rota_arm_never();

	arm.kind = ROTA_ARM_DEADLINE;
	arm.deadline_ns = deadline_ns;
	return arm;
}

/* As rota_poll: result is the events, or -errno. */
static inline struct rota_arm rota_arm_poll(int fd, unsigned events)
{
	struct rota_arm arm = rota_arm_never();

	arm.kind = ROTA_ARM_POLL;
	arm.fd = fd;
	arm.events = events;
	return arm;
}

/* Waits until one arm can be done, and does it. Returns its index. Else no arm
 * is done, and it returns: -ECANCELED, -ETIME, -ESHUTDOWN: the task is
 * cancelled, at once or when a cancel comes; what was done before the cancel is
 * told. -EINVAL: more than ROTA_ARMS_MAX, or two polls: a task has one
 * operation in the kernel at a time. -EAGAIN: the kernel takes no entries.
 * -EMFILE, -ENFILE: as rota_channel_send.
 *
 * With no arm, or none that can ever be done, it waits for a cancel. Suspends,
 * unless an arm can be done at once; costs no memory, and nothing while it
 * waits. Tasks only. An end that is closed, or a ticker of another task,
 * aborts. */
int rota_select(struct rota_arm *arms, unsigned count)
	__attribute__((warn_unused_result));

/* The same without a wait: -EAGAIN if no arm can be done at once. Never
 * suspends, not refused in a cancelled task. Tasks only. */
int rota_try_select(struct rota_arm *arms, unsigned count)
	__attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
