/* SPDX-License-Identifier: MIT */
/*
 * A few threads in every order of their steps.
 *
 * Each thread is a function on a stack of its own; a step is one access to a
 * word that they share. Code under test is not changed for it: it is compiled
 * with support/weave_atomics.h, where the atomic built-ins lead to here. All
 * else that it does between two steps belongs to the first.
 *
 * At each step any thread may be the next. All choices are tried, depth first;
 * a run goes by the choices that are known, then on by the first of each. A
 * state is what the words hold, what stores are under way, and all that each
 * thread has read so far, which decides what it does next. One that was met
 * before (by its hash of 64 bits) is not gone on from again. So it needs
 * threads that do the same each time, and shared memory that is either words
 * or handed over by them.
 *
 * A store to a word may become visible late, to the others: until then it is
 * held by its thread, which sees it itself. How late is the machine's:
 *
 *	WEAVE_STRONG  at once
 *	WEAVE_TSO     after later loads; in order; a read-modify-write, a
 *	              fence and a seq_cst load wait for all of them (x86-64)
 *	WEAVE_WEAK    in any order, but a release after what was before it; and
 *	              a read-modify-write is no fence: what it writes may be
 *	              late too, while nobody else can write that word (what C17
 *	              allows between two words, and aarch64 does with pairs of
 *	              exclusive load and store)
 *
 * Loads are never early: what acquire is for is left to TSan.
 */
#ifndef TEST_SUPPORT_WEAVE_H
#define TEST_SUPPORT_WEAVE_H

#include "stack/fiber.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEAVE_THREADS_MAX 5
#define WEAVE_WORDS_MAX 4
#define WEAVE_HELD_MAX 8
#define WEAVE_STEPS_MAX 400

enum weave_machine {
	WEAVE_STRONG,
	WEAVE_TSO,
	WEAVE_WEAK
};

/* What the next step of a thread has to wait for. */
enum weave_need {
	WEAVE_NOTHING,
	WEAVE_DRAINED,  /* its own stores are visible */
	WEAVE_WRITABLE, /* it can read and write the word in one */
	WEAVE_ZERO,     /* the word is 0 */
	WEAVE_NOT_ZERO,
};

/* A word, or an access to it. */
struct weave_word {
	void *address;
	unsigned bytes; /* 1, 4 or 8 */
	int order;      /* an __ATOMIC_ order, of an access */
	uint64_t value; /* to be written */
};

/* A store that the others do not see yet. */
struct weave_held {
	unsigned word;  /* which */
	bool release;   /* not before what was stored before */
	bool exclusive; /* nobody else writes the word until then */
	uint64_t value;
};

struct weave_thread {
	void (*run)(void *world);
	bool deaf; /* its seq_cst is left out, to see that it is missed */
	/* The rest is the weaver's. */
	struct ri_fiber fiber;
	struct weave_held held[WEAVE_HELD_MAX]; /* the oldest first */
	unsigned held_count;
	enum weave_need need;
	unsigned word;   /* that it needs */
	bool surprised;  /* its wait ended by itself */
	bool ended;      /* `run` has returned */
	uint64_t memory; /* of all that it has read */
	uint64_t base;   /* ... up to the last weave_forget() */
};

struct weave {
	void *world;                     /* what the functions are given */
	void (*begin)(void *world);      /* puts it as it is at the start */
	const char *(*end)(void *world); /* nothing goes on: what is wrong? */
	/* A store of that thread has become visible; may be NULL. */
	void (*changed)(void *world, unsigned thread,
			const struct weave_word *before);
	struct weave_thread threads[WEAVE_THREADS_MAX];
	unsigned thread_count;
	struct weave_word words[WEAVE_WORDS_MAX]; /* that they share */
	unsigned word_count;
	enum weave_machine machine;
	unsigned surprises; /* so many waits may end by themselves */
	/* What was found. */
	const char *wrong; /* in the last run; NULL: nothing */
	unsigned states;   /* different ones */
	unsigned runs;
};

/* Tries every order; the fields up to `surprises` are filled in. False: one of
 * them is wrong, and `wrong` tells how. */
bool weave_all(struct weave *weave);

/* For `begin` and the threads: something is wrong. */
void weave_fail(const char *wrong);

/* No order is tried any more: threads are to end. */
bool weave_over(void);

/* For a thread: what it does next depends on nothing that it has read so far
 * but what this number tells, which no other place in its code does. Fewer
 * states differ then. (So it is in any case with what was read between the last
 * such place and a comparison that failed: that is how retrying ends.) */
void weave_forget(uint64_t but);

/* Is this thread (its index) at a wait for such a word? */
bool weave_waits(unsigned thread, const void *address);

/* Steps: the built-ins. */
uint64_t weave_load(const struct weave_word *access);
void weave_store(const struct weave_word *access);
uint64_t weave_exchange(const struct weave_word *access);
bool weave_compare(const struct weave_word *access, uint64_t *expected);
void weave_fence(int order);

/* Steps of the kernel: counts a wake-up, which all that was before precedes;
 * waits for one and takes all there are. False: it ended by itself. */
void weave_signal(uint32_t *signals);
bool weave_wait(uint32_t *signals);

/* Steps: a lock, which is 0 when it is free. */
void weave_lock(uint32_t *lock);
void weave_unlock(uint32_t *lock);

#endif
