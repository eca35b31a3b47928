/* SPDX-License-Identifier: MIT */
/*
 * The world of random programs: what they share, who acts in it, and the acts
 * that are verbs. Each act checks what it sees beside the model.
 */
#ifndef TEST_SUPPORT_WORLD_H
#define TEST_SUPPORT_WORLD_H

#include "support/kernel.h"
#include "support/model.h"
#include "support/random.h"

struct world {
	struct test_kernel kernel;
	struct test_random random;
	struct model model;
	unsigned tasks;     /* of this program so far */
	int pairs[3][2];    /* connected sockets; the last one is closed at
			       times */
	unsigned closed;    /* how often */
	uint64_t sent, got; /* bytes, but those of the last pair */
	unsigned discarded; /* late results that were given to discard, */
	unsigned late;      /* ... and that were to be */
	unsigned rounds, round;
	const char *broken; /* the first law that did not hold */
	int seen, wanted;   /* its values */
};

/* Who acts: a task in a scope. */
struct actor {
	struct world *world;
	struct model_scope *here;  /* the innermost */
	struct model_scope *group; /* whose member it is; NULL: the first task */
	void *inherited;           /* what it should have at its start */
	int depth;
	bool background;
};

/* The first of these that does not hold is kept. */
void expect(struct world *world, const char *law, int seen, int wanted);

/* A number from 0 to below `end`. */
unsigned dice(struct world *world, unsigned end);

/* What holds whenever a task looks. */
void look(struct actor *actor);

/* One verb each. */
void act_yield(struct actor *actor);
void act_sleep(struct actor *actor);
void act_recv(struct actor *actor);
void act_recv_closable(struct actor *actor);
void act_send(struct actor *actor);
void act_close(struct actor *actor);

/* What went in and did not come out is still there. */
void check_bytes(struct world *world);

#endif
