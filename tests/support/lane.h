/* SPDX-License-Identifier: MIT */
/*
 * One victim (support/victim.h) in its scopes, beside a model of them: what
 * code a task sees in each, and what each group comes to. When the verb
 * returns, the lane judges what it returned.
 *
 *	outer deadline          LANE_OUTER_DEADLINE
 *	  outer group           LANE_OUTER_GROUP
 *	    group               LANE_GROUP
 *	      deadline          LANE_DEADLINE
 *	        the verb
 *
 * Each of the two groups has a task of its own that owns it. All functions are
 * for tasks of the loop on which the lane is.
 */
#ifndef TEST_SUPPORT_LANE_H
#define TEST_SUPPORT_LANE_H

#include "rota/rota.h"
#include "support/kernel.h"
#include "support/victim.h"

enum lane_layer_name {
	LANE_OUTER_DEADLINE,
	LANE_OUTER_GROUP,
	LANE_GROUP,
	LANE_DEADLINE,
	LANE_LAYERS
};

/* What is known of one scope. */
struct lane_layer {
	bool open;
	int code;            /* what verbs in it return; 0: nothing */
	int cause;           /* what it was cancelled with first */
	bool was[2];         /* its code was -ECANCELED, -ETIME */
	bool expired;        /* its own deadline ended it */
	int64_t deadline_ns; /* ROTA_NEVER: none, or it has come */
	int first_error;     /* of a group */
	int64_t over_ns;     /* as in struct verdict */
};

struct lane {
	struct victim victim;
	struct referee *referee;
	struct test_kernel *kernel; /* what may hold completions, or NULL */
	struct rota_group outer_group, group;
	struct lane_layer layers[LANE_LAYERS];
	const struct rota_task *task; /* the victim's, while it is called */
	bool closing;                 /* its descriptor is being closed */
	struct verdict verdict;
};

/* Readies the lane for a round: deadlines are points in time, or ROTA_NEVER.
 * 0 or -errno of the victim. */
int lane_prepare(struct lane *lane, int64_t outer_deadline_ns,
		 int64_t deadline_ns);

/* Spawns it all into `group`: 0 or -errno. */
int lane_go(struct lane *lane, struct rota_group *group);

/* Cancels one of its groups, if that is open. */
void lane_cancel(struct lane *lane, enum lane_layer_name name);

/* Spawns a member into its inner group that fails, and so cancels it. */
void lane_fail(struct lane *lane);

/* Closes the victim's descriptor. Suspends. */
void lane_close(struct lane *lane);

/* What a task in its innermost scope would be told now. */
int lane_code(struct lane *lane);

/* Is this a completion of the victim's operation? */
bool lane_owns(const struct lane *lane, const struct test_arrival *arrival);

/* The kernel posted one. */
void lane_note(struct lane *lane, const struct test_arrival *arrival);

/* After the round: what the victim left is right. */
void lane_check(struct lane *lane);

#endif
