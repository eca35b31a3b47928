/* SPDX-License-Identifier: MIT */
/*
 * Rounds of races: in each one a victim (support/lane.h), and at times one or
 * two beside it, are completed, cancelled, late and closed in an order that a
 * script forces, while what the kernel says is held back and delivered by
 * hand. After each round nothing may be left.
 *
 * Which rounds are played, and how one that failed is played again alone, is
 * said in support/rounds.h; a round's name is that of its victim's class.
 *
 * The director is the first task of an engine that plays many rounds. It runs
 * the script, lets the loop make whole turns by sleeping for a nanosecond of a
 * clock that only it moves, and at last sees to it that all come home.
 */
#ifndef TEST_SUPPORT_STORM_H
#define TEST_SUPPORT_STORM_H

#include "support/lane.h"
#include "support/rounds.h"

#define STORM_LANES 4
#define STORM_TWIN 3 /* the lane of whoever shares the first one's descriptor */
#define STORM_STEPS 32

enum storm_event {
	STORM_COMPLETE,
	STORM_CANCEL,
	STORM_CANCEL_OUTER,
	STORM_FAIL, /* a member beside the victim does */
	STORM_DRAIN,
	STORM_DRAIN_OUTER,
	STORM_DEADLINE,      /* the clock shows its next one */
	STORM_LAST_DEADLINE, /* ... its last */
	STORM_CLOSE,         /* by another task */
	STORM_VICTIM_EVENTS, /* those above are about a victim */
	STORM_DELIVER = STORM_VICTIM_EVENTS, /* one completion, any */
	STORM_DELIVER_OPERATIONS,            /* those of victims, from now on */
	STORM_DELIVER_ANSWERS, /* what cancels are told, from now on */
	STORM_CANCEL_ALL,      /* the group of all victims */
	STORM_BYSTAND,         /* somebody waits and is cancelled at once */
	STORM_SPOIL,           /* the next cancel misses */
	STORM_REFUSE,          /* the kernel takes no entries */
	STORM_ALLOW,           /* it does again */
	STORM_EVENTS
};

/* How long it is from one step to the next. */
enum storm_gap {
	STORM_AT_ONCE,
	STORM_YIELD, /* others that are ready run */
	STORM_TURN,  /* a turn of the loop, and so on */
	STORM_TWO_TURNS,
	STORM_THREE_TURNS,
	STORM_GAPS
};

/* Completions that are held back until they are delivered. */
enum storm_hold {
	STORM_HOLD_OPERATIONS = 1, /* of victims */
	STORM_HOLD_ANSWERS = 2,    /* to cancels */
	STORM_HOLD_OTHERS = 4,     /* of those who close */
};

struct storm_step {
	uint8_t event; /* enum storm_event */
	uint8_t lane;  /* which victim */
	uint8_t gap;   /* enum storm_gap, before it */
};

struct storm_script {
	struct storm_step steps[STORM_STEPS];
	unsigned count; /* of steps */
	unsigned lanes; /* victims, 1 to STORM_LANES */
	struct lane_shape shapes[STORM_LANES];
	unsigned hold;      /* enum storm_hold */
	bool shuffled;      /* all else is delivered at random */
	bool answers_first; /* of what is held to the end */
	bool fed;           /* who waits at the end is; else cancelled */
	int interruption;   /* what the kernel says of a cancelled operation */
	int64_t grace_ns;   /* of drains */
};

struct storm;

/* Writes the script of the round whose number is storm->rounds.round. */
typedef void storm_write_fn(struct storm *storm, struct storm_script *script);

struct storm {
	struct test_kernel kernel;
	struct referee referee;
	struct lane lanes[STORM_LANES];
	struct storm_script script;
	storm_write_fn *write;
	struct rounds rounds;   /* of this class */
	int64_t start_ns;       /* the clock when it begins */
	unsigned steps_done;    /* of the script */
	unsigned spoiled;       /* cancels of this round that missed */
	unsigned hold;          /* what is held back now */
	struct rota_group home; /* what the director waits for */
	struct rota_group *all; /* of all lanes; NULL: it is not open */
	int quiet;              /* a descriptor that nothing happens on */
	int lowest;             /* the lowest descriptor that is free */
};

/* What is to be played. */
struct storm_play {
	storm_write_fn *write;
	unsigned rounds; /* of each class; ROTA_ROUNDS says otherwise */
	bool quick;      /* only victims that take no real time */
};

/* Plays rounds with each class of victims, on the test's own stack. Asserts
 * that all laws held. */
void storm_play(const struct storm_play *play);

/* A script by the dice: short, and mostly in the same turn. */
void storm_write_any(struct storm *storm, struct storm_script *script);

#endif
