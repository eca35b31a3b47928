/* SPDX-License-Identifier: MIT */
/*
 * Random programs of groups over loops: each actor opens groups, spawns into
 * its own and those around it, here, there and wherever, fails, cancels,
 * drains, is late and gives up asking, as its dice say. Whatever the loops make
 * of it, what each group came to is judged when it has been waited for
 * (swarm_judge.c).
 */
#ifndef TEST_SUPPORT_SWARM_H
#define TEST_SUPPORT_SWARM_H

#include "support/random.h"
#include "support/run.h"

#include <stdatomic.h>

#define SWARM_LOOPS 3u
#define SWARM_MEMBERS 300u
#define SWARM_GROUPS 48u
#define SWARM_DEPTH 4u

/* What members return, and causes of cancels: whose they are can be told. */
#define SWARM_FAILURE(index) (-10000 - (int)(index))
#define SWARM_CAUSE(index) (-20000 - (int)(index))

struct swarm;

/* A group, by its owner; kept until the program has ended. */
struct swarm_group {
	struct rota_group group;
	struct swarm *swarm;
	struct swarm_group *outer; /* around it; NULL: none */
	unsigned index;            /* among all groups */
	unsigned home;             /* its loop */
	unsigned limit;            /* 0: none */
	enum rota_group_mode mode;
	bool timed;            /* it has a deadline */
	bool doomed;           /* somebody will end it */
	atomic_bool backed;    /* it has had background members */
	atomic_bool drained;   /* somebody has called for that */
	atomic_bool cancelled; /* ... or for a cancel */
	atomic_bool over;      /* it has been waited for */
	atomic_uint running;   /* members with a slot, between their ends */
	struct rota_failures failures;
	struct rota_failure list[SWARM_MEMBERS];
};

/* A member, accepted or not. */
struct swarm_member {
	/* Others look for theirs. */
	_Atomic(struct swarm_group *) group;
	uint64_t seed;         /* of its dice */
	void *inherited;       /* it has to inherit this */
	unsigned index;        /* among all members */
	unsigned loop;         /* it has to be on; SWARM_LOOPS: any */
	bool background;       /* it has no slot */
	bool kills;            /* all it does is to cancel its group */
	int answer;            /* of its spawn */
	int result;            /* what it returned */
	atomic_uint ran;       /* how often */
	atomic_uint ended;     /* ... to its end */
	atomic_uint discarded; /* how often its result was */
};

struct swarm {
	struct swarm_member members[SWARM_MEMBERS];
	struct swarm_group groups[SWARM_GROUPS];
	atomic_uint member_count, group_count;
	_Atomic(const char *) broken; /* the first law that did not hold */
	int64_t seen, wanted;         /* its values */
};

/* Notes a law that does not hold; the first is kept. Any loop. */
void swarm_expect(struct swarm *swarm, const char *law, int64_t seen,
		  int64_t wanted);

/* Runs one program, in a task. */
void swarm_run(struct swarm *swarm, uint64_t seed);

/* A group has been waited for, with this result: by its owner. */
void swarm_judge(struct swarm_group *group, int result);

/* After a program: nothing is left on any loop. By the only task. */
void swarm_check_books(struct swarm *swarm);

#endif
