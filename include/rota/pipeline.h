/* SPDX-License-Identifier: MIT */
/*
 * A stage of a pipeline: tasks of a group that take items from one channel,
 * make another item of each, and send that to the next channel.
 *
 *	struct rota_sender to_parse, to_store;
 *	struct rota_receiver lines, records;
 *
 *	rota_channel_open(..., &to_parse, &lines);
 *	rota_channel_open(..., &to_store, &records);
 *	rota_group_open(&group, NULL);
 *	rota_go_stage(&group, &(struct rota_stage){
 *			.to = &to_parse, .fn = read_line });
 *	rota_go_stage(&group, &(struct rota_stage){
 *			.from = &lines, .to = &to_store, .workers = 4,
 *			.fn = parse });
 *	rota_go_stage(&group, &(struct rota_stage){
 *			.from = &records, .fn = store });
 *	error = rota_group_wait(&group);
 *
 * Several workers of a stage are a fan-out; several stages that send to one
 * channel, each with an end of its own (rota_sender_share), a fan-in. When a
 * stage has come to its end it closes its ends: what is behind works off what
 * is left, and ends too. When one fails the group is cancelled, and with it
 * every stage. What nobody will have then is given to the `discard` of the
 * channel that it was in, came from, or was to go to.
 */
#ifndef ROTA_PIPELINE_H
#define ROTA_PIPELINE_H

#include "rota/channel.h"
#include "rota/group.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Makes `out` of `in`: both lie in memory of the worker's own, aligned to 16
 * bytes, until it returns. What `in` owns is its to release or to hand on.
 *
 *	> 0     `out` is sent (if the stage has a `to`)
 *	0       nothing is: `in` was all that it was for
 *	-errno  it has failed: nothing is sent, the group is cancelled
 *
 * In a stage without `from`, the source, `in` is NULL, and 0 says that nothing
 * more comes of this worker. In one without `to`, the sink, `out` is NULL. */
typedef int rota_stage_fn(void *in, void *out, void *arg);

/* Zero means the default for each field but fn. */
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
