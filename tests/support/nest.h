/* SPDX-License-Identifier: MIT */
/*
 * A task's own scopes, one in the other, beside a model of them
 * (support/model.h): deadline, shield, idle section, callback in any order.
 * What their ends return is checked.
 *
 * The clock is the test's (support/kernel.h), and the engine sees it later than
 * the test does: the model follows the engine.
 */
#ifndef TEST_SUPPORT_NEST_H
#define TEST_SUPPORT_NEST_H

#include "support/model.h"
#include "support/referee.h"

#define NEST_MAX 3

struct nest_inner {
	enum model_kind kind; /* all but MODEL_GROUP */
	int64_t time_ns;      /* the deadline, or the shield's grace */
};

/* What is known of a callback. */
struct nest_callback {
	struct nest *nest;
	unsigned calls;
	unsigned over_turn; /* when its scope was seen to be over; 0: not */
};

struct nest {
	struct model *model;
	struct referee *referee;
	const char *name;               /* whose it is, to be blamed */
	const struct nest_inner *inner; /* the outermost first */
	unsigned count;                 /* of them */
	struct model_scope scopes[NEST_MAX];
	struct nest_callback callbacks[NEST_MAX];
	struct model_scope *here; /* the innermost; NULL: the task has not
				     begun */
	void (*fn)(void *arg);    /* called inside */
	void *arg;
	void (*called)(struct nest *nest); /* by a callback; or NULL */
};

/* For a round: name, model and referee are filled in. */
void nest_prepare(struct nest *nest, const struct nest_inner *inner,
		  unsigned count);

/* Opens them in `around`, calls fn(arg) inside, closes them. By the task. */
void nest_run(struct nest *nest, struct model_scope *around,
	      void (*fn)(void *arg), void *arg);

/* Timers that were due have fired: the model has been told. */
void nest_fired(struct nest *nest);

/* A law about this task. */
void nest_expect(const struct nest *nest, const char *law, int64_t seen,
		 int64_t wanted);

/* What the clock shows. */
int64_t nest_now_ns(const struct referee *referee);

/* What is done now happens at the time that the clock shows. */
void nest_look(struct model *model, const struct referee *referee);

/* A scope of the model opens, as the engine does it now. */
void nest_open(struct model *model, const struct referee *referee,
	       struct model_scope *scope, struct model_scope *parent);

/* One was cancelled, by rota_group_cancel with this cause. */
void nest_cancel(struct model *model, const struct referee *referee,
		 struct model_scope *scope, int cause);

/* The group of this scope was drained. */
void nest_drained(struct model *model, const struct referee *referee,
		  struct model_scope *scope, int64_t grace_ns);

#endif
