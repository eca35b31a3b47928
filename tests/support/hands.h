/* SPDX-License-Identifier: MIT */
/*
 * Hands at a channel: tasks of one loop that each send or receive one item, in
 * scopes of their own, while a script says who comes, who goes and who is
 * cancelled, step by step. The clock is the test's (support/timed.h).
 *
 *	static void script(struct hands *hands)
 *	{
 *		struct hand *first = hands_send(hands, 7);
 *
 *		hands_settle();
 *		HANDS_EXPECT(hands, first->place, 0);
 *	}
 *
 *	hands_play(script, 0);
 */
#ifndef TEST_SUPPORT_HANDS_H
#define TEST_SUPPORT_HANDS_H

#include "rota/rota.h"
#include "support/referee.h"

#include <stdbool.h>
#include <stdint.h>

#define HANDS_MAX 64
#define HANDS_DISCARDED_MAX 64

struct hands;

struct hand {
	struct hands *hands;
	bool sends;                    /* else it receives */
	bool began;                    /* it is past its scopes */
	uint64_t item;                 /* what goes, or has come */
	int64_t deadline_ns;           /* of it; ROTA_NEVER: none */
	struct rota_sender sender;     /* what it uses */
	struct rota_receiver receiver; /* the same */
	struct rota_group group;       /* its own: to be cancelled */
	int result;                    /* of the verb */
	unsigned place; /* it was the nth to return; 0: it has not */
};

struct hands {
	struct referee referee;              /* what was wrong */
	struct rota_channel_options options; /* to be changed before */
	struct rota_sender sender;     /* closed at the end, if it is not */
	struct rota_receiver receiver; /* the same */
	bool own_ends;                 /* each hand has one, which it closes */
	bool shared; /* as if it had been opened outside of a task */
	struct rota_group group; /* of all of them */
	struct hand list[HANDS_MAX];
	unsigned count;                          /* of hands */
	unsigned returned;                       /* how many of them have */
	uint64_t discarded[HANDS_DISCARDED_MAX]; /* items, in order */
	unsigned discards;                       /* how many */
	void (*script)(struct hands *hands);
};

/* Items are 8, 16 or 24 bytes; what comes behind the first 8 follows from
 * them. */
#define HANDS_WORDS 3

#define HANDS_EXPECT(hands, seen, wanted) \
	referee_expect(&(hands)->referee, #seen, (seen), (wanted))

/* Runs the script as a task, with a channel of items of 8 bytes; asserts that
 * all was as expected and that the engine gave everything back. */
void hands_play(void (*script)(struct hands *hands), size_t capacity);

/* The same with what is set in `hands`: options and script. */
void hands_play_with(struct hands *hands);

/* In a task, for what plays many: opens the channel and the group; ends them
 * all. 0 or -errno. */
int hands_open(struct hands *hands);
void hands_close(struct hands *hands);

/* Makes it ready to be opened: options that were not set. */
void hands_prepare(struct hands *hands);

/* In scripts. One more hand, which begins when the script lets it. */
struct hand *hands_send(struct hands *hands, uint64_t item);
struct hand *hands_receive(struct hands *hands);

/* ... with a deadline, after so much time of the test's clock. */
struct hand *hands_send_for(struct hands *hands, uint64_t item, int64_t ns);
struct hand *hands_receive_for(struct hands *hands, int64_t ns);

/* Whoever can go on does, until all wait. */
void hands_settle(void);

/* Cancels one that has begun: it goes on when the script lets it. */
void hands_cancel(struct hand *hand);

/* Without a hand: as the verb; what was received goes to *item. */
int hands_try_send(struct hands *hands, uint64_t item);
int hands_try_receive(struct hands *hands, uint64_t *item);

/* What lies there, and who waits: depth, senders and receivers as three digits
 * (depth below 10). */
unsigned hands_state(const struct hands *hands);

#endif
