/* SPDX-License-Identifier: MIT */
/*
 * A small model of scopes, to be stepped beside the real ones: what code and
 * cause a task sees, and what a group comes to. It searches where the engine
 * keeps books, and knows no loops, lists or wheels.
 */
#ifndef TEST_SUPPORT_MODEL_H
#define TEST_SUPPORT_MODEL_H

#include "rota/rota.h"

#define MODEL_SCOPES_MAX 1024
#define MODEL_FAILURES_MAX 4

enum model_kind {
	MODEL_GROUP,
	MODEL_DEADLINE,
	MODEL_SHIELD,
	MODEL_IDLE,
	MODEL_CALLBACK,
};

/* What is known of a scope. */
struct model_scope {
	enum model_kind kind;
	struct model_scope *parent;
	int64_t deadline_ns; /* INT64_MAX: none, or it has come */
	bool by_drain;       /* the deadline is the end of a drain's grace */
	int64_t grace_ns;    /* of a shield */
	uint64_t order;      /* in which deadlines were set */
	int code;
	int cause;
	bool canceled, late, idle_over; /* its code was -ECANCELED, -ETIME,
					   -ESHUTDOWN */
	int64_t over_ns;                /* when its code was first set */
	bool drains;                    /* a group around it, or itself, does */
	bool expired;                   /* its own deadline or grace ended it */
	/* Groups: */
	struct rota_group *group; /* the real one */
	struct model_scope *home; /* the group that its owner is a member of */
	enum rota_group_mode mode;
	unsigned limit;    /* 0: none */
	bool closed;       /* a drain of this very one: nobody is accepted */
	int64_t closed_ns; /* ... since then */
	unsigned accepted, ended;
	unsigned background; /* accepted and not ended */
	unsigned spawning;   /* calls that wait for a slot, or have one and have
				not gone on */
	bool joining;        /* the owner waits */
	bool ending;         /* only background members were left then */
	bool tried, won;     /* somebody could win; did */
	int result;          /* of who won */
	unsigned discarded;  /* late results */
	int first_error;
	int failures[MODEL_FAILURES_MAX];
	unsigned failure_count;
};

struct model {
	const int64_t *clock_ns;
	int64_t now_ns; /* of what happens: deadlines may have come since the
			   model was last asked, each at its own time */
	bool together;  /* ... or rather all when the clock was looked at */
	struct model_scope *open[MODEL_SCOPES_MAX];
	unsigned open_count;
	uint64_t order;
};

/* A scope of this kind opens in `parent` (NULL: in nothing that matters). The
 * rest of *scope is filled in by then, zero where nothing is said. */
void model_open(struct model *model, struct model_scope *scope,
		struct model_scope *parent);
void model_close(struct model *model, struct model_scope *scope);

void model_cancel(struct model *model, struct model_scope *scope, int code,
		  int cause);
void model_drain(struct model *model, struct model_scope *group,
		 int64_t grace_ns);

/* Lets the deadlines come that are due: the earliest first, and of one time
 * the one that was set first. */
void model_time(struct model *model);

/* Was this a code that verbs in the scope return? */
bool model_was_told(const struct model_scope *scope, int code);

/* Is a member of the group that returns this code none that failed? */
bool model_had_code(const struct model_scope *group, int code);

/* Why a spawn from `here` into the group is refused; 0: it is not. */
int model_refusal(const struct model_scope *here,
		  const struct model_scope *group);

/* A call that spawns a member with a slot begins, and has returned. */
void model_spawn(struct model_scope *group);
void model_spawned(struct model *model, struct model_scope *group, int result);

/* A member ends. */
void model_end(struct model *model, struct model_scope *group, int result,
	       bool background);

/* The owner begins to wait. */
void model_join(struct model *model, struct model_scope *group);

/* What the wait returns. */
int model_outcome(const struct model_scope *group);

#endif
