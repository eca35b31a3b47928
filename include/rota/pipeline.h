/* SPDX-License-Identifier: MIT */
/*
 * Pipelines: stages, one behind the other, each of which makes another item of
 * each one that comes. Between two of them is a channel (channel.h).
 *
 *	const struct rota_pipeline_stage stages[] = {
 *		{ .fn = read_line, .out_bytes = sizeof(struct line) },
 *		{ .fn = parse, .workers = 4,
 *		  .out_bytes = sizeof(struct record), .capacity = 16 },
 *		{ .fn = store },
 *	};
 *
 *	rota_group_open(&group, NULL);
 *	refused = rota_go_pipeline(&group, stages, 3);
 *	error = rota_group_wait(&group);
 *
 * Several workers of a stage are a fan-out; the stage behind them is the fan-in.
 * When a stage has come to its end, what is behind works off what is left, and
 * ends too. When one fails the group is cancelled, and with it every stage.
 * What nobody will have then is given to the `discard` of the channel that it
 * was in, came from, or was to go to.
 *
 * Where it is no line (several stages that send to one channel, or a stage
 * between channels that are there already) each stage is spawned by itself:
 *
 *	from_disk = rota_sender_share(&to_store);
 *	error = rota_go_stage(&group, &(struct rota_stage){
 *			.to = &from_disk, .fn = read_disk });
 *	error = rota_go_stage(&group, &(struct rota_stage){
 *			.from = &packets, .to = &to_store, .fn = unpack });
 */
#ifndef ROTA_PIPELINE_H
#define ROTA_PIPELINE_H

#include "rota/channel.h"
#include "rota/group.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Makes `out` of `in`: both lie in memory of the worker's own, aligned to 16
 * bytes, until it returns. What `in` owns is its to release or to hand on.
 *
 *	> 0     `out` is sent (in a sink nothing is)
 *	0       nothing is: `in` was all that it was for
 *	-errno  it has failed: nothing is sent, the group is cancelled
 *
 * In a source, which is the first of a line or has no `from`, `in` is NULL, and
 * 0 says that nothing more comes of this worker. In a sink, the last one or one
 * without `to`, `out` is NULL. */
typedef int rota_stage_fn(void *in, void *out, void *arg);

/* A stage of a line. Zero means the default for each field but fn and, unless it
 * is the last one, out_bytes. */
struct rota_pipeline_stage {
	rota_stage_fn *fn; /* what is done with each item */
	unsigned workers;  /* how many do it; 0: one */
	bool spread;       /* they are dealt round to all loops */
	size_t out_bytes;  /* of an `out`, at least 1; of the last stage 0 */
	size_t capacity;   /* items that may lie behind it; of the last one 0 */
	/* Gets each `out` that nobody will have: what it owns is to be
	 * released. Runs on any loop of the two stages; must not suspend. NULL:
	 * it owns nothing; of the last stage NULL. */
	void (*discard)(void *item, void *arg);
	void *arg; /* the last argument of both */
};

/* Opens the channels of a line and spawns its stages into a group, which should
 * be one that the first error ends: all of them, or none. 0: they run. Else no
 * fn was called, nothing is left open, and the group is as it was, but for
 * members that end without having done anything:
 *
 *	-EINVAL             fewer than two stages; one without fn; out_bytes of
 *	                    0, or more than SIZE_MAX / 2 bytes in one channel;
 *	                    out_bytes, capacity or discard of the last one
 *	-ENOMEM             no memory, or none for the stack of a worker
 *	-EAGAIN             a bound of the engine (rota_go_on), or the limit of
 *	                    the group: it does not wait there, where only its
 *	                    own workers might stand
 *	-ECANCELED, -ETIME, -ESHUTDOWN
 *	                    the caller or the group is cancelled, or drains
 *
 * A worker ends as that of a stage does (below), so the code of the group is the
 * first failure of an fn. `stages` may go when this returns.
 *
 * Never suspends but on another loop than the group's (rota_group_try_spawn).
 * Tasks only; allocates once for each stage and each channel. */
int rota_pipeline_spawn(struct rota_group *group,
			const struct rota_pipeline_stage *stages, size_t count,
			const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_go_pipeline(group, ...)                                    \
	__extension__({                                                 \
		static const struct rota_site rota_site_ =              \
			ROTA_SITE_("stage", sizeof(void *));            \
		rota_pipeline_spawn((group), __VA_ARGS__, &rota_site_); \
	})

/* A stage by itself. Zero means the default for each field but fn. */
struct rota_stage {
	struct rota_receiver *from; /* what is worked on; NULL: a source */
	struct rota_sender *to;     /* where it goes; NULL: a sink */
	rota_stage_fn *fn;          /* what is done with each item */
	void *arg;                  /* its third argument */
	unsigned workers;           /* how many do it; 0: one */
	bool spread;                /* they are dealt round to all loops */
};

/* Spawns the workers of a stage into a group, which should be one that the first
 * error ends. Whatever it returns, the stage takes the ends over: *from and *to
 * are closed for the caller; one that was closed before, or never opened,
 * aborts. 0; -EINVAL: no fn, neither `from` nor `to`; -ENOMEM; else as
 * rota_go_on (group.h): then none of the workers is, or those that were spawned
 * do all of it: the group is to be cancelled.
 *
 * A worker ends, with 0, when the last sender to `from` is closed and nothing is
 * left, or when the last receiver of `to` is: a stage that has had enough
 * (`fn` of a sink fails with what its user takes for that, or a receiver of its
 * own is closed) lets those before it come to their end. So the code of a
 * pipeline is the first failure of an `fn`. A source that is a function of its
 * own should return 0 too when its send says -EPIPE.
 *
 * May suspend where rota_go_on does. Tasks only; allocates once. */
int rota_stage_spawn(struct rota_group *group, const struct rota_stage *stage,
		     const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_go_stage(group, ...)                                    \
	__extension__({                                              \
		static const struct rota_site rota_site_ =           \
			ROTA_SITE_("stage", sizeof(void *));         \
		rota_stage_spawn((group), __VA_ARGS__, &rota_site_); \
	})

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
