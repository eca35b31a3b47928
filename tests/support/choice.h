/* SPDX-License-Identifier: MIT */
/*
 * A small exact model of selects over channels, events, points in time and a
 * descriptor, on one loop. It is told of each move, and knows who goes on by it
 * with what; which of several ready arms a select takes it is told.
 */
#ifndef TEST_SUPPORT_CHOICE_H
#define TEST_SUPPORT_CHOICE_H

#include "rota/select.h"

#include <stdbool.h>
#include <stdint.h>

#define CHOICE_HANDS 6
#define CHOICE_ARMS 5
#define CHOICE_CHANNELS 3
#define CHOICE_EVENTS 2
#define CHOICE_ITEMS 4
#define CHOICE_LINE (CHOICE_HANDS * CHOICE_ARMS)

/* No verb returns it, and no arm has it. */
#define CHOICE_NONE 1000

struct choice_arm {
	enum rota_arm_kind kind; /* what it is about */
	unsigned which;          /* the channel or event */
	int64_t due_ns;          /* the point in time */
	unsigned item;           /* to be sent */
};

/* One that selects. */
struct choice_hand {
	struct choice_arm arms[CHOICE_ARMS];
	unsigned count;      /* of those */
	int64_t deadline_ns; /* of the scope around it */
	bool waits;          /* it has not gone on */
	bool readable;       /* its descriptor is ready */
	int chosen;          /* what it returned */
	int result;          /* of the arm */
	unsigned item;       /* received */
};

/* A place in a line. */
struct choice_place {
	unsigned hand, arm;
};

struct choice_line {
	struct choice_place places[CHOICE_LINE];
	unsigned count;
};

struct choice_channel {
	unsigned items[CHOICE_ITEMS]; /* the oldest one first */
	unsigned depth, capacity;     /* how many there are, and may be */
	bool sends, receives;         /* the ends that are open */
	struct choice_line sending, receiving;
};

struct choice {
	struct choice_channel channels[CHOICE_CHANNELS];
	bool set[CHOICE_EVENTS];
	struct choice_hand hands[CHOICE_HANDS];
};

/* Can this arm of a select that begins now be done? A poll if it is known to
 * be. */
bool choice_is_ready(const struct choice *choice, unsigned hand, unsigned arm,
		     int64_t now_ns);

/* Can one? */
bool choice_any_ready(const struct choice *choice, unsigned hand,
		      int64_t now_ns);

/* A select that begins has done this arm. */
void choice_do(struct choice *choice, unsigned hand, unsigned arm);

/* It has found none, and waits. */
void choice_wait(struct choice *choice, unsigned hand);

/* Its wait is over, by itself. */
void choice_end(struct choice *choice, unsigned hand, int chosen, int result);

/* What these return: -EAGAIN, -EPIPE, 0 or 1. */
int choice_send(struct choice *choice, unsigned channel, unsigned item);
int choice_receive(struct choice *choice, unsigned channel, unsigned *item);

void choice_set(struct choice *choice, unsigned event);
void choice_close_sender(struct choice *choice, unsigned channel);
void choice_close_receiver(struct choice *choice, unsigned channel);

/* Time has come to this point. */
void choice_pass(struct choice *choice, int64_t now_ns);

/* When somebody who waits will be due; INT64_MAX: nobody. */
int64_t choice_next_ns(const struct choice *choice);

/* Does somebody wait for this? */
bool choice_wanted(const struct choice *choice, enum rota_arm_kind kind,
		   unsigned which);

#endif
