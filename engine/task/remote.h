/* SPDX-License-Identifier: MIT */
/*
 * Members of a group on other loops.
 *
 * Where a group has members elsewhere, each of those loops has a proxy of it:
 * a group without an owner, which its members there are in, so that all that a
 * loop does with members is the same. What belongs to the group as a whole
 * (slots, first error, deadline, cancel, join) stays with the group itself, on
 * its own loop. The two talk by mail:
 *
 *	the group's loop                      the loop of a proxy
 *	  parcel   one more member ------->     accepts it
 *	  order    cancelled, drains ----->     does the same to the proxy
 *	           (sent again when it    <---  order comes back
 *	           is back, if there is more)
 *	           gives slots back       <---  report: so many have ended
 *	           judges, in the order   <---  verdict: one failed, or may have
 *	           in which they come -------->  won; it ends when this is back
 *
 *   1. No mail of these is allocated: parcels have a pile, order and report are
 *      in the proxy, a verdict is in the frame of the member that ends.
 *   2. Proxies are made by the group's loop, opened by theirs. All of a group
 *      are one block, taken when the first member goes elsewhere, given back
 *      when the group is closed. Nobody touches them then: a report is the last
 *      act of a member, and orders are waited for by the join.
 *   3. A member holds its slot until its report has arrived.
 */
#ifndef RI_TASK_REMOTE_H
#define RI_TASK_REMOTE_H

#include "task/parcel.h"
#include "task/peers.h"
#include "task/scope.h"

/* How many groups of a loop have members elsewhere, at a time: what is reserved
 * for them is touched as they come. */
#define RI_REMOTES_MAX 16384u
/* ... with so many loops that their blocks take more than this, fewer. */
#define RI_REMOTES_BYTES ((size_t)256 << 20)

/* What a proxy is told: what the scope of the group has come to. */
struct ri_order {
	struct rota_mail mail;    /* there and back */
	struct ri_remote *remote; /* whose proxy is told */
	int code;                 /* of the group's scope, 0: none */
	bool drain;               /* the group drains */
	bool tell;                /* name who is left, before the cancel */
	struct rota_cancellation cause; /* of the group's scope */
};

struct ri_proxy {
	/* That loop's: */
	struct rota_group group;  /* of the members there */
	struct ri_remote *remote; /* whose it is */
	unsigned generation;      /* of `remote` when it was opened */
	/* The group's loop's: */
	alignas(64) struct ri_order order; /* there while it is away */
	bool order_away;                   /* it is on its way, or there */
	bool order_again;                  /* there is more to tell */
	bool tell_again;                   /* ... who is left, too */
	unsigned used; /* the generation in which it was sent a member */
	/* Both loops': */
	alignas(64) struct rota_mail report; /* members have ended */
	unsigned ended; /* how many, not reported so far; atomic. Whoever makes
			   it more than 0 sends the report */
};

/* The proxies of one group. */
struct ri_remote {
	struct ri_remote *next;   /* the one below on the pile of free ones */
	struct ri_tasks *tasks;   /* the group's loop */
	struct rota_group *group; /* the group */
	unsigned generation;      /* how often the block was taken: proxies with
				     another one are not open */
	unsigned away; /* members that are elsewhere, or may yet start there */
	unsigned orders; /* those that are on their way */
	bool everywhere; /* all proxies are `used`: some members were spread */
	struct ri_proxy proxies[]; /* by loop */
};

/* Maps room for blocks. 0 or -errno. */
int ri_remotes_init(struct ri_tasks *tasks);

/* All groups must be closed. */
void ri_remotes_fini(struct ri_tasks *tasks);

/* The group is closed. */
void ri_remote_close(struct ri_tasks *tasks, struct rota_group *group);

/* A member that has its slot, which goes to another loop, or wherever there is
 * nothing else to do. 0, -EAGAIN at the bound: the slot is the caller's to
 * give back. */
int ri_remote_send(struct ri_tasks *tasks, struct rota_group *group,
		   const struct ri_parcel *what, unsigned loop);
int ri_remote_spread(struct ri_tasks *tasks, struct rota_group *group,
		     const struct ri_parcel *what);

/* A parcel has arrived here: it becomes a task, now or when there is room. */
void ri_parcel_arrived(void *place, struct rota_mail *mail);

/* Takes parcels that wait for room or, without any and idle, those that any
 * loop may take. True: there were some. */
bool ri_remote_look(struct ri_tasks *tasks, bool idle);

/* The scope of the group is over, or its code has changed, or it drains: its
 * proxies are told. */
void ri_remote_order(struct ri_tasks *tasks, struct rota_group *group,
		     bool tell);

/* The proxy of a group on this loop, open; NULL: there is none yet. */
struct rota_group *ri_remote_proxy(struct ri_tasks *tasks,
				   struct rota_group *group);

/* A member of a proxy that failed, or may have won, is about to end: asks the
 * group's loop. Suspends until it has answered. */
void ri_remote_judge(struct ri_tasks *tasks, struct rota_task *task,
		     int result);

/* A member of a proxy has ended. */
void ri_remote_ended(struct rota_group *proxy);

/* Is this a group of another loop of this engine? */
static inline bool ri_remote_is(const struct ri_tasks *tasks,
				const struct rota_group *group)
{
	return tasks->peers && group->loop != &tasks->loop &&
	       group->scope.state == RI_SCOPE_OPEN &&
	       ri_peers_have(tasks->peers, group->loop);
}

/* Cancels a group of another loop. */
void ri_remote_cancel(struct ri_tasks *tasks, struct rota_group *group,
		      struct rota_cancellation cause);

/* Has another loop cancelled the group? By a mail in the group itself. */
enum ri_remote_asked {
	RI_ASKED_NO = 0,
	RI_ASKED_AWAY = 1, /* the mail is on its way, or about to be sent */
	RI_ASKED_HERE = 2, /* it has arrived */
};

/* Is mail of the group still on its way? It cannot be closed before. Not even
 * if all members have ended: a report that was sent before a cancel tells also
 * of who ended after it. */
static inline bool ri_remote_busy(const struct rota_group *group)
{
	/* relaxed: who asked was a member, or inside of one, and its report
	 * carries it */
	return (group->remote && group->remote->orders) ||
	       __atomic_load_n(&group->asked, __ATOMIC_RELAXED) ==
		       RI_ASKED_AWAY;
}

static inline struct ri_proxy *ri_proxy_of(struct rota_group *group)
{
	return ri_container(group, struct ri_proxy, group);
}

#endif
