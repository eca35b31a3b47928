/* SPDX-License-Identifier: MIT */
/*
 * A task on its way to another loop: accepted by its group, not started. It
 * travels as mail, or waits in the spread queue, and is copied into a record
 * where it arrives. Then the parcel goes home, to the loop that sent it, whose
 * pile it came from: so sending allocates nothing, and has a bound.
 */
#ifndef RI_TASK_PARCEL_H
#define RI_TASK_PARCEL_H

#include "task/task.h"

struct ri_parcel {
	struct rota_mail mail;        /* its way there, and home */
	struct rota_group *group;     /* whose member it is: the group itself,
					 on its own loop */
	rota_task_fn *fn;             /* what it runs */
	const struct rota_site *site; /* where it was spawned */
	void *inherited;              /* from who spawned it */
	struct ri_tasks *home;        /* whose it is */
	struct ri_fifo_node room;     /* among those that wait for room */
	bool counted;                 /* in `coming` of the loop it goes to */
	alignas(16) unsigned char value[ROTA_VALUE_BYTES]; /* fn's argument */
};

static_assert(sizeof(struct ri_parcel) <= 128, "two cache lines");

/* Maps room for as many as there may be tasks. 0 or -errno. */
int ri_parcels_init(struct ri_tasks *tasks);

/* All of them must be home. */
void ri_parcels_fini(struct ri_tasks *tasks);

/* A free one of this loop's, NULL at the bound. */
struct ri_parcel *ri_parcel_take(struct ri_tasks *tasks);

/* Fills in what the running task hands over; `fn` is in it already. */
void ri_parcel_fill(struct ri_parcel *parcel, const struct rota_task *self,
		    const void *value, const struct rota_site *site);

/* Sends one home; it is seen there after ri_parcels_flush at the latest. */
void ri_parcel_give(struct ri_tasks *tasks, struct ri_parcel *parcel);

/* Sends home what was given and not sent yet. */
void ri_parcels_flush(struct ri_tasks *tasks);

#endif
