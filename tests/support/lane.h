/* SPDX-License-Identifier: MIT */
/*
 * One victim (support/victim.h) in its scopes, beside a model of them
 * (support/model.h). When the verb returns, the lane judges what it returned.
 *
 *	the group of all lanes
 *	  outer deadline
 *	    outer group
 *	      group
 *	        inner scopes: deadline, shield, idle section, callback, in any
 *	        order, as the shape says
 *	          the verb
 *
 * The group of all is its owner's; each of the other two has a task of its own
 * that owns it. All functions are for tasks of the loop on which the lane is.
 */
#ifndef TEST_SUPPORT_LANE_H
#define TEST_SUPPORT_LANE_H

#include "rota/rota.h"
#include "support/kernel.h"
#include "support/nest.h"
#include "support/victim.h"

/* The scopes of one round. Deadlines are points in time, or ROTA_NEVER. */
struct lane_shape {
	int64_t outer_deadline_ns;
	int64_t group_deadline_ns;
	struct nest_inner inner[NEST_MAX]; /* the outermost first */
	unsigned inner_count;
	bool lingers; /* the victim closes something before it ends */
};

enum lane_group {
	LANE_OUTER_GROUP,
	LANE_GROUP,
	LANE_GROUPS
};

struct lane {
	struct victim victim;
	struct referee *referee;
	struct test_kernel *kernel; /* what may hold completions, or NULL */
	struct lane_shape shape;
	struct model model;
	struct rota_group *groups[LANE_GROUPS]; /* NULL: it is not open */
	struct model_scope all, outer_deadline, group_scopes[LANE_GROUPS],
		timer;
	struct nest nest;             /* the victim's own scopes */
	const struct rota_task *task; /* the victim's, while it is called */
	struct verdict verdict;
};

/* Readies the lane for a round. 0 or -errno of the victim. */
int lane_prepare(struct lane *lane, const struct lane_shape *shape);

/* Spawns it into the group of all lanes: 0 or -errno. */
int lane_go(struct lane *lane, struct rota_group *all);

/* The group of all lanes was cancelled. */
void lane_cancelled(struct lane *lane);

/* Cancels one of its groups, if that is open. */
void lane_cancel(struct lane *lane, enum lane_group name);

/* Drains one of its groups, if that is open. */
void lane_drain(struct lane *lane, enum lane_group name, int64_t grace_ns);

/* Spawns a member into its inner group that fails, and so cancels it. */
void lane_fail(struct lane *lane);

/* Closes the victim's descriptor. Suspends. */
void lane_close(struct lane *lane);

/* Timers that were due have fired. */
void lane_fired(struct lane *lane);

/* When the first, or the last, of its deadlines comes that are ahead, if there
 * is one; ROTA_NEVER counts as none. */
int64_t lane_deadline(const struct lane *lane, bool last);

/* What a task in its innermost scope would be told now. */
int lane_code(const struct lane *lane);

/* Is this a completion of the victim's operation? */
bool lane_owns(const struct lane *lane, const struct test_arrival *arrival);

/* The kernel posted one. */
void lane_note(struct lane *lane, const struct test_arrival *arrival);

/* After the round: what the victim left is right. */
void lane_check(struct lane *lane);

#endif
