/* SPDX-License-Identifier: MIT */
/*
 * Tasks that do what they are told, one step at a time: for tests of who waits
 * for whom. The first task of the run directs:
 *
 *	test_show_open(&show, 2);            (a group with two slots)
 *	one = test_puppet_add(&show, &show.group);
 *	test_puppet_tell(one, TEST_OPEN);    (a group of its own)
 *	test_show_settle();                  (until nobody can go on)
 *
 * Under a clock of the test's (support/kernel.h): it moves only when nobody can
 * go on.
 */
#ifndef TEST_SUPPORT_PUPPET_H
#define TEST_SUPPORT_PUPPET_H

#include "rota/rota.h"

#include <stdbool.h>

#define TEST_PUPPETS_MAX 64
#define TEST_PUPPET_DEPTH 3

enum test_command {
	TEST_OPEN, /* opens a group of its own, inside those it has */
	TEST_GO,   /* rota_go into its target, of one more puppet */
	TEST_JOIN, /* rota_group_wait for its innermost group */
	TEST_END,  /* joins all its groups and ends */
};

enum test_puppet_state {
	TEST_UNSTARTED,
	TEST_LISTENS, /* for what it is told next */
	TEST_WAITS,   /* for a slot of its target */
	TEST_JOINS,   /* in rota_group_wait */
	TEST_ENDED,
};

struct test_puppet {
	struct test_show *show;
	struct rota_group *of;                    /* whose member it is */
	bool background;                          /* ... a background one */
	struct rota_group own[TEST_PUPPET_DEPTH]; /* the first is outermost */
	unsigned depth;                           /* how many are open */
	unsigned limit;                           /* of the next one */
	struct rota_group *target;                /* at first the show's */
	enum test_puppet_state state;
	enum test_command command; /* the last one */
	int code; /* of its last rota_go; 1 until that returns */
	struct rota_task *task;
};

struct test_show {
	struct rota_group group; /* the one with the limit */
	struct test_puppet puppets[TEST_PUPPETS_MAX];
	unsigned count; /* puppets so far, the ended ones too */
};

/* Opens the show's group, with this limit, in the calling task. */
void test_show_open(struct test_show *show, unsigned limit);

/* Cancels it and waits until everybody has ended. */
void test_show_close(struct test_show *show);

/* Lets everybody go on until nobody can. */
void test_show_settle(void);

/* A new puppet in this group, which has room. */
struct test_puppet *test_puppet_add(struct test_show *show,
				    struct rota_group *group);
struct test_puppet *test_puppet_add_background(struct test_show *show,
					       struct rota_group *group);

/* One that listens does this when its turn comes. */
void test_puppet_tell(struct test_puppet *puppet, enum test_command command);

/* The same, and settles. */
void test_puppet_do(struct test_puppet *puppet, enum test_command command);

#endif
