/* SPDX-License-Identifier: MIT */
/*
 * Rounds of races about one group: fighters end in it, wait for slots of it,
 * spawn into it, win it, while it is cancelled, late, drained and joined, in
 * orders that the dice write (support/rounds.h), most of it in the same turn.
 *
 *	outer deadline
 *	  outer group
 *	    outsiders, who spawn into the group
 *	    the owner of
 *	      the group
 *	        members, background members, and those that were spawned later
 *	          scopes of their own (support/nest.h)
 *
 * What each task is told and what the groups come to is a model's to say
 * (support/model.h). Who gets which slot, who begins and ends how often and
 * what becomes of results is counted here. The director, who is in none of
 * these groups, has the gates, the clock and the completions in its hand.
 */
#ifndef TEST_SUPPORT_ARENA_H
#define TEST_SUPPORT_ARENA_H

#include "support/gate.h"
#include "support/kernel.h"
#include "support/nest.h"
#include "support/rounds.h"

#define ARENA_FIGHTERS 10
#define ARENA_STEPS 24
#define ARENA_FAILURES 4

/* One character each: a class is made of lists of them. */
enum arena_place {
	ARENA_MEMBER = 'm',
	ARENA_BACKGROUND = 'b',
	ARENA_OUTSIDER = 'o',
	ARENA_CHILD = 'c', /* whoever is the next to spawn one spawns it */
};

enum arena_wait {
	ARENA_GATE = 'g',
	ARENA_STUBBORN = 'G', /* at a gate, whatever is cancelled */
	ARENA_SLEEP = 's',
	ARENA_RECV = 'r',
	ARENA_NOTHING = '-',
};

enum arena_then {
	ARENA_END = '.',
	ARENA_GO = 'g',
	ARENA_TRY_GO = 't',
	ARENA_GO_BACKGROUND = 'b',
};

enum arena_result {
	ARENA_SUCCESS = '0',
	ARENA_FAILURE = 'f',
	ARENA_DESCRIPTOR = 'd', /* it opens one and hands it over */
};

enum arena_event {
	ARENA_OPEN = 'o', /* a gate */
	ARENA_FEED = 'r', /* a byte for who receives */
	ARENA_CANCEL = 'c',
	ARENA_CANCEL_OUTER = 'C',
	ARENA_DRAIN = 'd',
	ARENA_DRAIN_OUTER = 'D',
	ARENA_DEADLINE = 't',      /* the clock shows the next one */
	ARENA_LAST_DEADLINE = 'T', /* ... the last */
	ARENA_DELIVER = 'v',       /* completions, from now on */
};

/* What a callback does when it is called. */
enum arena_spite {
	ARENA_COUNTS = '.',
	ARENA_CANCELS = 'c', /* the group */
	ARENA_DRAINS = 'd',  /* the group */
	ARENA_OPENS = 'o',   /* the gate of the next one */
};

struct arena_step {
	char event;      /* enum arena_event */
	uint8_t fighter; /* whose gate */
	uint8_t yields;  /* before it: others that are ready run */
	uint8_t turns;   /* ... and then turns of the loop */
};

struct arena;

/* One task. */
struct fighter {
	struct arena *arena;
	char name[16];
	char place, wait, then, result, spite; /* as above */
	bool heedless; /* its result is the same when it was stopped */
	struct nest_inner inner[NEST_MAX];
	unsigned inner_count;
	int64_t until_ns;         /* how long it sleeps */
	struct model_scope *home; /* of the group whose member it is */
	struct nest nest;
	struct gate gate;
	bool accepted, begun, ended;
	bool background;    /* it has no slot */
	bool going;         /* it is in rota_go */
	int stopped;        /* what its wait came to */
	int descriptor;     /* what it hands over; -1: nothing */
	unsigned discarded; /* how often that was */
};

/* A class of rounds: lists from which the dice take. */
struct arena_class {
	const char *name;
	const char *modes; /* of the group: e(rror), k(eep going), s(uccess) */
	unsigned limit;    /* the highest one; 0: none */
	const char *places, *waits, *thens, *results;
	const char *inner; /* d(eadline), x (shield), i(dle), c(allback) */
	const char *spites;
	const char *events;
};

struct arena_script {
	struct arena_step steps[ARENA_STEPS];
	unsigned count;   /* of steps */
	bool holds;       /* completions, until they are delivered */
	bool shuffles;    /* ... or all arrive at random */
	bool fed;         /* who waits at the end is; else cancelled */
	int64_t grace_ns; /* of drains */
	int64_t outer_deadline_ns;
};

struct arena {
	struct test_kernel kernel;
	struct referee referee;
	struct rounds rounds;
	const struct arena_class *class;
	struct arena_script script;
	struct fighter fighters[ARENA_FIGHTERS];
	unsigned count;   /* of fighters, children too */
	int64_t start_ns; /* the clock when the round begins */
	unsigned steps_done;
	bool holding; /* completions are held back now */
	struct model model;
	struct model_scope outer_deadline, outer_scope, scope;
	struct rota_group outer, group;    /* open if the model's scopes have
					   `group` */
	struct rota_group_options options; /* of the group */
	struct rota_failures failures;
	struct rota_failure failure_list[ARENA_FAILURES];
	struct gate owner_gate;   /* before it joins */
	bool calling;             /* a callback is called, and no timers fire */
	bool over;                /* all have ended */
	unsigned tickets, served; /* those who had to wait for a slot */
	unsigned inside;          /* fighters with slots that have begun */
	unsigned late;            /* descriptors that were to be discarded, */
	unsigned discarding;      /* ... those that are being discarded */
	unsigned discarded;       /* ... those that were */
	unsigned opened, delivered;   /* descriptors handed over; by the wait */
	int pairs[ARENA_FIGHTERS][2]; /* of those who receive */
	uint64_t given, got;          /* bytes, in all rounds */
	int lowest;                   /* the lowest descriptor that is free */
};

/* Plays so many rounds of each class, on the test's own stack. Asserts that
 * all laws held. */
void arena_play(const struct arena_class *classes, unsigned count,
		unsigned rounds);

/* Writes fighters, options and script of a round. */
void arena_write(struct arena *arena);

/* The tasks: rota_task_fn of the owner of all, whose argument is the arena. */
int arena_own_all(void *value);

/* Opens a gate: of a fighter, or of the owner (which is behind them). */
void arena_open_gate(struct arena *arena, unsigned fighter);

/* Cancels or drains the group or the outer one, if that is open. */
void arena_cancel(struct arena *arena, struct model_scope *scope, int cause);
void arena_drain(struct arena *arena, struct model_scope *scope);

/* Books of the engine beside ours, while nobody runs but the director. */
void arena_look(struct arena *arena);

/* After a round: what was counted adds up. */
void arena_check(struct arena *arena);

/* Prints the round. A struct arena. */
void arena_report(const void *arena);

/* The model learns how many have slots but are no members yet, or wait for
 * one; `adjust` of them besides. */
void arena_sync(struct arena *arena, int adjust);

/* The owner was woken, and while it had not run a background member came: that
 * was cancelled when the owner ran, as the model learns here. */
void arena_follow_owner(struct arena *arena);

/* A law about the arena. */
static inline void arena_expect(struct arena *arena, const char *law,
				int64_t seen, int64_t wanted)
{
	referee_expect(&arena->referee, law, seen, wanted);
}

#endif
