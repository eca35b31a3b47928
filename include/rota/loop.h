/* SPDX-License-Identifier: MIT */
/*
 * The loops of an engine: which there are, how they are loaded, and messages
 * between them, which need no task.
 */
#ifndef ROTA_LOOP_H
#define ROTA_LOOP_H

#include "rota/link.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* In place of a loop's number: the one with the fewest tasks, as far as is
 * known. */
#define ROTA_LOOP_LEAST 0xffffffffu

/* How many loops this engine has; the first is 0. For tasks and callbacks, as
 * all below; none of it suspends unless it says so. */
unsigned rota_loops(void);

/* On which of them this is. */
unsigned rota_loop(void);

/* The one with the fewest tasks. Each loop tells how many it has once a turn,
 * so what others see may be a little old. Of those with about as many (four
 * more, and a sixteenth, count as equal) each has its turn. */
unsigned rota_loop_least(void);

/* What a loop has done since it started. */
struct rota_loop_stats {
	uint64_t tasks;   /* tasks that were started on it */
	uint64_t arrived; /* ... of them from elsewhere */
	uint64_t mail;    /* mail that was delivered */
	uint64_t sleeps;  /* times that it had nothing to do, and waited */
	uint64_t enters;  /* calls of io_uring_enter(2) */
	uint64_t entries; /* operations that the kernel took */
	unsigned live;    /* tasks that are alive now */
};

/* Asks a loop of this engine. -EINVAL: there is no such loop; the code of the
 * task if it is cancelled. Suspends until the loop has answered, if it is
 * another one; a cancel does not end that. Tasks only. */
int rota_loop_inspect(unsigned loop, struct rota_loop_stats *stats)
	__attribute__((warn_unused_result));

/* What is sent to a loop; put it first, or find what it is in by its address.
 * All but `fn` is private. */
struct rota_message {
	struct rota_mail mail;                    /* its place in the mailbox */
	void (*fn)(struct rota_message *message); /* gets it, over there */
};

/* Sends a message to a loop of this engine, its own too: message->fn(message)
 * is called there on the loop's own stack, once, soon: so it must not block,
 * and verbs abort; rota_group_cancel and more messages are allowed. The message
 * is the sender's memory until then, and the function's from then on, which may
 * send it again. Those of one sender arrive in their order. No memory, cannot
 * fail, never suspends. The loop must be one of the engine's (or it aborts),
 * and a task that waits for the message, or is joined by who does, must be
 * alive. */
void rota_message_send(unsigned loop, struct rota_message *message);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
