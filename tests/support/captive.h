/* SPDX-License-Identifier: MIT */
/*
 * Captives: a task in each verb that waits, for what never comes. Only the end
 * of a scope around it frees one, so a whole row of them shows whether that
 * reaches every verb.
 *
 *	captives_set_up(&row, loops);
 *	...captive_main as a task for each row.list[i], on loop row.list[i].loop
 *	...captives_look as a task on each loop: returns when all there wait
 *	...the end of a scope around them, and their join
 *	captives_check(&row, -ECANCELED);
 *	captives_tear_down(&row);
 *
 * Look-ups of names are part of it: the engine runs on captive_kernel().
 */
#ifndef TEST_SUPPORT_CAPTIVE_H
#define TEST_SUPPORT_CAPTIVE_H

#include "base/kernel.h"
#include "support/valve.h"
#include "task/task.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CAPTIVES_MAX 80

/* Threads for calls that block, so that one of those calls has to wait. */
#define CAPTIVE_THREADS 4

struct captive;

struct captive_class {
	const char *name;
	const char *what; /* what its task waits in, as dumps tell; NULL: it
	                     waits for nothing, it yields for ever */
	/* Opens what it needs, on the test's own stack. 0, -errno; -ENOSYS if
	 * the kernel does not have it: then it is left out. May be NULL. */
	int (*set_up)(struct captive *captive);
	/* The verb, in a task. */
	int (*call)(struct captive *captive);
};

struct captive {
	const struct captive_class *class;
	unsigned loop;                    /* where it is to run */
	unsigned loops;                   /* how many there are */
	bool idle;                        /* it is to be idle meanwhile */
	int fd, peer;                     /* two ends of something, or -1 */
	int out, sink;                    /* two more */
	int child;                        /* a process; 0: none */
	char path[48];                    /* of a file; "": none */
	uint32_t word;                    /* that nobody changes */
	struct test_valve valve;          /* what a thread waits for */
	_Atomic(struct rota_task *) task; /* who waits */
	atomic_bool called;               /* a call of its own has begun */
	atomic_bool returned;             /* the task has */
	bool sleeps; /* it is idle by itself: it may hear of a drain first */
	int result;  /* of the verb */
};

/* One of each class that the kernel has. */
struct captives {
	struct captive list[CAPTIVES_MAX];
	unsigned count;
};

/* In files of their own. */
extern const struct captive_class captive_verbs[], captive_tasks[];
extern const unsigned captive_verbs_count, captive_tasks_count;

/* Linux, but for look-ups, which wait for the valve of a captive. */
const struct ri_kernel *captive_kernel(void);

/* A name that is looked up for as long as the captive's valve is closed. */
#define CAPTIVE_NAME_BYTES 32
void captive_name(struct captive *captive, char name[CAPTIVE_NAME_BYTES]);

/* Without what they need the test aborts. */
void captives_set_up(struct captives *row, unsigned loops, bool idle);
void captives_tear_down(struct captives *row);

/* A task; its value is a pointer to the captive. Returns what the verb did. */
int captive_main(void *value);

/* A task; its value is a pointer to the row. Returns 0 when all of this loop
 * wait for what they are to wait for. */
int captives_look(void *value);

/* Asserts that each was freed with this code. */
void captives_check(const struct captives *row, int code);

#endif
