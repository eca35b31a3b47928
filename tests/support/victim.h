/* SPDX-License-Identifier: MIT */
/*
 * Everything that waits, as a table: each verb with what completes it, what
 * has to be left when it was stopped, and what it must return.
 *
 * A victim is one of them with its descriptors, which serve one round after
 * the other. `fd` is a duplicate of `keeper`: when it is closed in the middle
 * of a verb, what it was about can still be looked at.
 *
 * Bytes count up, in both directions: one that is lost, doubled or out of
 * order is seen by who gets it.
 */
#ifndef TEST_SUPPORT_VICTIM_H
#define TEST_SUPPORT_VICTIM_H

#include "support/referee.h"

#include <stddef.h>
#include <stdint.h>

#define VICTIM_BYTES 16384
#define VICTIM_CLIENTS 4

struct victim;

enum victim_trait {
	VICTIM_RELEASE = 1, /* never refused, never cancelled */
	VICTIM_SLOW = 2,    /* a thread or the network takes real time for it */
	VICTIM_OPEN = 4,    /* its descriptor is not for others to close */
	VICTIM_LOCAL = 8,   /* it is not in the kernel */
	VICTIM_MANY = 16,   /* it may be several operations */
	VICTIM_TIMED = 32,  /* its deadline_ns ends it */
	VICTIM_STUCK = 64,  /* nothing completes it */
	VICTIM_LENT = 128,  /* the kernel has its memory until the peer has
			       taken all, also when it was told to end */
	VICTIM_STREAM = 256,  /* its operation goes on until it is stopped */
	VICTIM_SLEEPS = 512,  /* it is told of what only its sleep came to */
	VICTIM_STRAYS = 1024, /* closed, it may get to whoever has its number
				 then: rota_splice */
};

/* How a call ended, as far as it can be known from outside. */
struct verdict {
	int before;    /* the task's code when it was called */
	int code;      /* ... and when it returned */
	unsigned said; /* last completions that the kernel posted */
	int64_t sum;   /* of those that were not errors */
	int last;      /* the last one; of one that was stopped: the code */
	bool due;      /* its deadline_ns was past when it was called */
	bool came;     /* it was the first thing to end it */
	bool told;     /* what it returned was its code at some time */
	bool drains;   /* a group around it does */
};

struct victim_class {
	const char *name;
	unsigned traits; /* enum victim_trait */
	/* Opens what all rounds need; 0 or -errno, -ENOSYS if the kernel does
	 * not have it: then it is left out. */
	int (*set_up)(struct victim *victim);
	/* Before each round; 0 or -errno. May be NULL. */
	int (*prepare)(struct victim *victim);
	/* The verb, in a task. Keeps account of what it got. */
	int (*call)(struct victim *victim);
	/* From outside, on any thread (so without dice): gives it what it
	 * waits for, or some of it. NULL: it does not wait for anything. */
	void (*complete)(struct victim *victim);
	/* After each round: nothing was lost. Takes what is left. May be
	 * NULL. */
	void (*check)(struct victim *victim);
	/* What it has to return. NULL: what the kernel said. */
	int (*expected)(const struct victim *victim,
			const struct verdict *verdict);
};

struct victim {
	const struct victim_class *class;
	struct referee *referee;
	int fd;     /* what the verb works on; -1: closed, or none */
	int keeper; /* the same open file, or -1 */
	int peer;   /* the other end, does not block; or -1 */
	int aside;  /* this end again, does not block (pipes); or -1 */
	int out;    /* where it moves bytes to; or -1 */
	int sink;   /* the other end of that; or -1 */
	int clients[VICTIM_CLIENTS];
	unsigned client_count;
	bool socket;           /* fd is one */
	bool called;           /* the verb is, or was */
	bool returned;         /* it has */
	bool closing;          /* its descriptor is being closed */
	struct victim *twin;   /* another one of the same descriptor, or NULL */
	unsigned completions;  /* calls of complete() in this round */
	unsigned fed_turn;     /* when it was last given some, at the end */
	int result;            /* of the verb */
	int first;             /* ... of what it did before, if there is that */
	int flags;             /* an argument of the verb */
	size_t bytes;          /* ... how much it asks for */
	size_t done;           /* how far it came */
	int64_t deadline_ns;   /* a time that it waits for */
	size_t portion;        /* what complete() gives or takes at a time */
	uint64_t given, taken; /* bytes, connections; in all rounds */
	bool torn;             /* bytes were not the next ones */
	const void *record;    /* what names its stream's operations; or NULL */
	uint64_t passed, got;  /* descriptors, in all rounds */
	uint32_t word;         /* of memory, that it waits for */
	size_t junk;           /* bytes before its own in `sink` */
	int child;             /* a process that it waits for; 0: none */
	int thread;            /* the loop's */
	bool told;             /* ... to end */
	char path[48];         /* of a file; "": none */
	unsigned char *buffer; /* VICTIM_BYTES */
};

/* The index-th of all of them, NULL past the last. */
const struct victim_class *victim_class_at(unsigned index);

/* The one with this name, or NULL. */
const struct victim_class *victim_class_named(const char *name);

/* Waits on the descriptor of another victim for what never comes. */
extern const struct victim_class victim_twin;

/* The tables, each in a file of its own (support/victim_*.c). */
extern const struct victim_class victim_streams[], victim_messages[],
	victim_sockets[], victim_files[], victim_names[], victim_foreign[],
	victim_waits[], victim_shots[];
extern const unsigned victim_streams_count, victim_messages_count,
	victim_sockets_count, victim_files_count, victim_names_count,
	victim_foreign_count, victim_waits_count, victim_shots_count;

/* 0 or -errno. Without memory the test aborts. */
int victim_set_up(struct victim *victim, const struct victim_class *class,
		  struct referee *referee);

/* Closes all that set-up opened. */
void victim_tear_down(struct victim *victim);

/* Opens `fd` again if it was closed. 0 or -errno. */
int victim_restore(struct victim *victim);

/* Its descriptor is about to be closed, which tells its twin too. */
void victim_forget(struct victim *victim);

/* Before a round. 0 or -errno. */
int victim_prepare(struct victim *victim);

/* Does the kernel have an operation, and is the engine not told (by this word
 * in ROTA_MASK) to do without? */
bool victim_has_operation(int opcode, const char *masked);

/* What a call must return if the kernel's word is final. */
int victim_expected(const struct victim *victim, const struct verdict *verdict);

/* The same of a verb of several steps, which all together are to come to
 * `bytes` and came to `done`: it can be stopped between them. */
int victim_expected_of_steps(const struct victim *victim,
			     const struct verdict *verdict);

/* For victims: a throw of the dice, from 0 to below `end`. */
static inline unsigned victim_dice(struct victim *victim, unsigned end)
{
	return referee_dice(victim->referee, end);
}

/* The next bytes to be given. */
void victim_fill(const struct victim *victim, unsigned char *bytes,
		 size_t count);

/* These were taken: they must be the next ones. */
void victim_take(struct victim *victim, const unsigned char *bytes,
		 size_t count);

/* Takes what can be read from fd at once. */
void victim_drain(struct victim *victim, int fd);

/* Gives bytes into fd, at most `count` and what fits at once. False if none
 * did. */
bool victim_give(struct victim *victim, int fd, size_t count);

/* A `set_up`: a connected pair of Unix sockets, of this type or streams. */
int victim_set_up_pair(struct victim *victim, int type);
int victim_set_up_stream(struct victim *victim);

/* For those who accept from a Unix listener. */
int victim_set_up_listener(struct victim *victim);
int victim_prepare_accept(struct victim *victim);
void victim_connect(struct victim *victim);
void victim_check_accept(struct victim *victim);

#endif
