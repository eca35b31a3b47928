/* SPDX-License-Identifier: MIT */
/*
 * One operation that completes, is cancelled, is late or has its descriptor
 * closed, in an order that a script forces: its completion can be held back,
 * and so can what the kernel says to the cancel.
 *
 * Each race is one engine of its own. Its first task is the director: it runs
 * the script, has the clock and the completions in its hand, and lets the loop
 * make whole turns by sleeping for a nanosecond. The victim is a member of a
 * group, inside a deadline.
 */
#ifndef TEST_SUPPORT_RACE_H
#define TEST_SUPPORT_RACE_H

#include "rota/rota.h"
#include "support/kernel.h"

#include <stdbool.h>

/* When the clock starts, and when a deadline comes if it is what interrupts. */
#define RACE_START_NS (1000 * ROTA_SECOND)
#define RACE_DEADLINE_NS (1001 * ROTA_SECOND)

struct race;

/* Something that waits. */
struct race_verb {
	const char *name;
	/* Opens what it needs; 0 or -errno. */
	int (*prepare)(struct race *race);
	/* The verb, in a task. */
	int (*call)(struct race *race);
	/* From outside: gives it what it waits for. */
	int (*complete)(struct race *race);
	/* Is what it waited for still there? Takes it. */
	bool (*remains)(struct race *race);
	bool gives_descriptor; /* its result is one */
	int opcode;            /* -1: it is not in the kernel */
	int64_t patience_ns;   /* not 0: it runs on another thread */
};

enum race_interruption {
	RACE_CANCEL,
	RACE_DEADLINE,
	RACE_CLOSE
};

struct race {
	struct test_kernel kernel;
	const struct race_verb *verb;
	enum race_interruption by;
	struct rota_group group; /* the victim's */
	int64_t deadline_ns;     /* of the victim */
	int fd;                  /* what the verb works on */
	int peer;                /* the other end */
	bool returned;           /* the verb has */
	int result;              /* what */
	unsigned misses;         /* cancels that the kernel could not do */
	unsigned cancels;        /* cancels that were submitted */
	unsigned sabotaged;      /* cancels still to be spoiled */
	bool clean;              /* nothing was left in the loop at the end */
	/* For scripts to note what they saw. */
	bool early;     /* it returned while its completion was held back */
	bool remained;  /* what it waited for was still there */
	bool rest_done; /* the first of two operations was right */
	unsigned held;  /* completions held at the turning point */
};

/* read, recv, accept and poll: all that a script can be run with. */
#define RACE_VERBS 4
extern const struct race_verb race_verbs[RACE_VERBS];

/* For verbs of a test's own: a connected pair, a byte for it. */
int race_open_pair(struct race *race);
int race_send_byte(struct race *race);

/* A test_hold_fn each, whose context is the race: nothing, the victim's
 * completions, everything. They count the misses. */
bool race_hold_nothing(void *context, const struct test_arrival *arrival);
bool race_hold_victim(void *context, const struct test_arrival *arrival);
bool race_hold_everything(void *context, const struct test_arrival *arrival);

/* For scripts: some whole turns of the loop. */
int race_settle(void);

/* For scripts: does what `by` says. */
int race_interrupt(struct race *race);

/* Runs a race and asserts that it left nothing behind: operations, timers,
 * tasks, descriptors. Whatever is held when the script ends is released. */
void race_run(struct race *race, const struct race_verb *verb,
	      enum race_interruption by, int (*script)(struct race *race));

/* Runs the script with each verb and each interruption; what follows looks at
 * how each race went. */
#define RACE_EACH(race, script)                                        \
	for (int v_ = 0; v_ < RACE_VERBS; v_++)                        \
		for (int by_ = RACE_CANCEL;                            \
		     by_ <= RACE_CLOSE &&                              \
		     (race_run((race), &race_verbs[v_],                \
			       (enum race_interruption)by_, (script)), \
		      1);                                              \
		     by_++)

#endif
