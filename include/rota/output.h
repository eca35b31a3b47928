/* SPDX-License-Identifier: MIT */
/*
 * An output stands between those who write to a connection and a peer that may
 * read slowly: a fixed memory, and a task that sends out of it.
 *
 *	struct rota_output output;
 *	char memory[16384];
 *
 *	error = rota_output_open(&output, fd, &(struct rota_output_options){
 *		.group = &group, .memory = memory, .bytes = sizeof(memory),
 *		.write_ns = 30 * ROTA_SECOND });
 *	error = rota_output_write(&output, text, bytes);     (as often as needed)
 *	error = rota_output_close(&output);
 *
 * A write is over when its bytes are in the memory, all of them; while there is
 * no room it waits. So a slow reader costs its writers time, and one task and
 * this memory, never more. What is written by several tasks is sent as whole
 * messages, in the order in which they came: a message is what one call writes.
 * Many small ones go out in one send.
 *
 * The first error ends it: what the kernel said when it was sent, or -ETIMEDOUT
 * if the kernel took no byte for write_ns. All who wait are told, and all later
 * calls; what is left is not sent.
 *
 *	rota_output_write      waits for room
 *	rota_output_try_write  returns -EAGAIN instead
 *	rota_output_flush      waits until what was written is sent
 *
 * Sent means taken by the kernel, not read by the peer. (Of a TCP socket the
 * kernel takes more only when a third of its buffer is free: with a large one
 * (SO_SNDBUF) write_ns has to be long.) A peer that has shut down its own side
 * and does not read costs a thread of the kernel, as rota_send says: write_ns
 * bounds that too.
 */
#ifndef ROTA_OUTPUT_H
#define ROTA_OUTPUT_H

#include "rota/clock.h"
#include "rota/scope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct rota_group;
struct ri_loop;

/* What an output is made of: all but `write_ns` is needed. */
struct rota_output_options {
	struct rota_group *group; /* whose member the sending task is */
	void *memory;             /* for what is not sent yet; stays until it
	                             is closed */
	size_t bytes;             /* of it */
	int64_t write_ns;         /* how long the kernel may take nothing
	                             of what is there; 0: any time */
};

/* In the frame of who opens it, or wherever lives until it is closed; its
 * fields are private. */
struct rota_output {
	struct rota_scope scope;   /* so that one left open is found */
	struct rota_node writers;  /* tasks that wait for room, in order */
	struct rota_node flushers; /* tasks that wait for bytes to be sent, the
	                              first of them first */
	struct ri_loop *loop;      /* whose it is, while it is open */
	struct rota_task *sender;  /* who sends, once it has started */
	struct rota_task *closer;  /* who waits in rota_output_close, or NULL */
	unsigned char *memory;     /* a ring of bytes */
	size_t bytes;              /* of it */
	size_t first;              /* where what is not sent begins */
	size_t pending;            /* how much that is */
	uint64_t sent;             /* bytes, since it was opened */
	int64_t write_ns;          /* as in its options */
	int fd;                    /* the socket */
	int error;                 /* what ended it; 0: nothing */
	bool idle;                 /* the sender waits for bytes */
	bool ended;                /* the sender does nothing any more */
	bool closed;               /* nothing more is written */
	bool dropped;              /* what is left is not to be sent */
};

/* Opens an output on a connected stream socket, best left blocking: 0. -EINVAL:
 * no group, no memory, a negative write_ns. -EAGAIN, -ENOMEM, -ECANCELED,
 * -ETIME, -ESHUTDOWN as rota_go_background, for the task that sends: then
 * nothing is open. Nobody else may send to the socket meanwhile.
 *
 * That task is a background member of the group: it takes no slot of the limit
 * and never holds up those who have one. It fails with what ended the output,
 * which in a group that ends with the first failure ends the connection's other
 * tasks too: give it the connection's group, or one that keeps going. Cancels
 * do not reach it: what was written can be sent in a shield (shield.h), and it
 * is rota_output_close that ends it. The group can be waited for after that,
 * not before.
 *
 * Never suspends, tasks only. The function that calls it calls
 * rota_output_close too: one that returns without it aborts the program, naming
 * this line. Outputs may be closed in any order. */
int rota_output_open_at(struct rota_output *output, int fd,
			const struct rota_output_options *options,
			const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_output_open(output, fd, ...)                                      \
	__extension__({                                                        \
		static const struct rota_site rota_site_ =                     \
			ROTA_SITE_("output", sizeof(struct rota_output *));    \
		rota_output_open_at((output), (fd), __VA_ARGS__, &rota_site_); \
	})

/* Writes one message of any length, which is copied: 0 when all of it is in the
 * memory. Otherwise nothing of it is, and none of it will be sent:
 *
 *	-ECANCELED, -ETIME, -ESHUTDOWN  the caller is cancelled, late or idle
 *	-EPIPE                          it is being closed; or the peer's doing
 *	-ETIMEDOUT, -ECONNRESET, ...    what ended it
 *	-ECONNABORTED                   a message was cut short (below)
 *
 * May suspend: waits while it does not fit, first come, first served. A cancel
 * ends the wait. A message longer than the whole memory goes there in parts,
 * and is cut short if its writer is cancelled in between. The peer could not
 * tell where the next one begins: so that ends the output, with -ECONNABORTED
 * for all others, after what was written before it and that much of it is sent.
 *
 * Any task of the loop, from when it was opened until it is closed. */
int rota_output_write(struct rota_output *output, const void *data,
		      size_t bytes) __attribute__((warn_unused_result));

/* The same without waiting: -EAGAIN if it does not fit now, or others wait;
 * -EMSGSIZE if it never could. Never suspends. */
int rota_output_try_write(struct rota_output *output, const void *data,
			  size_t bytes) __attribute__((warn_unused_result));

/* Waits until all that was written before is sent: 0, or what ended the output.
 * Suspends unless it is sent already; a cancel ends the wait, and has no other
 * effect. Any task of the loop. */
int rota_output_flush(struct rota_output *output)
	__attribute__((warn_unused_result));

/* How many bytes are in the memory, not sent. After rota_output_close: how many
 * were dropped. Never suspends. */
size_t rota_output_pending(const struct rota_output *output);

/* Closes it: nothing more is written (-EPIPE), those who wait for room are
 * served still, and when all is sent, or the output has ended, the memory and
 * the output are the caller's again. Returns 0, or what ended the output. The
 * descriptor stays open.
 *
 * A release verb: never refused. Suspends until the sending task has let go of
 * the memory. In a cancelled task, or when a cancel comes, that is at once:
 * what the kernel has not taken is dropped, and those who wait get -EPIPE. Then
 * it returns the task's code (0 if nothing was left), and rota_output_pending
 * tells how much was dropped. The task that opened it only. */
int rota_output_close(struct rota_output *output);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
