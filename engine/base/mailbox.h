/* SPDX-License-Identifier: MIT */
/*
 * A mailbox: any thread posts, one takes. Posting never waits for the taker and
 * needs no memory: the mail is the sender's, until it is delivered.
 *
 * All of it is one word, `top`, which is
 *
 *	NULL        the taker is awake, and has taken everything
 *	ri_asleep   the taker sleeps, or is about to, and there is nothing
 *	a mail      the newest one; each points to the one posted before
 *
 *	           post (wakes)
 *	  asleep -----------------> mail <--.
 *	    ^ \  rouse (wakes)       |  \___| post
 *	    |  `-------.        take |
 *	    | sleep     v            v
 *	    `--------- NULL <--------'   NULL --post--> mail
 *
 * Every step is one atomic exchange or comparison of that word, so the steps
 * have one order that all threads agree on, and no fence is needed:
 *
 *   1. No wake-up is lost. The taker may wait only after it changed NULL to
 *      ri_asleep. Whoever changes it from there, and there is exactly one,
 *      is told so and wakes it. Mail that came before makes sleep() fail.
 *   2. No wake-up is sent twice: the next one needs another sleep() before.
 *   3. What the sender wrote before post() is seen after take(): post()
 *      releases, take() acquires the same word; a post on top of another one
 *      reads and writes it in one step, so the older mail's release goes on
 *      (a release sequence, C17 5.1.2.4).
 *   4. The mail of one sender is taken in the order in which it was posted,
 *      and all of it in one order: that of the changes of the word.
 *   5. Mail that was taken is never looked at again by any post(): a post
 *      compares addresses only, so it may be posted again at once.
 *
 * A queue with a separate flag (store the flag, fence, look at the queue) does
 * the same with two words and a fence on both sides. For what is not mail it is
 * like that: see ri_mailbox_rouse and ri_mailbox_sleep.
 *
 * tests/loop/mail_model.c tries every order of the steps.
 */
#ifndef RI_BASE_MAILBOX_H
#define RI_BASE_MAILBOX_H

#include "rota/link.h"

#include <stdbool.h>
#include <stddef.h>

struct ri_mailbox {
	struct rota_mail *top; /* see above; atomic */
};

/* Never delivered: its address says that the taker sleeps. */
extern struct rota_mail ri_asleep;

static inline void ri_mailbox_init(struct ri_mailbox *box)
{
	box->top = NULL;
}

/* Any thread: posts a chain, the newest first, of which `oldest` is the last.
 * True: the taker has to be woken, by the caller. */
static inline bool ri_mailbox_post_chain(struct ri_mailbox *box,
					 struct rota_mail *newest,
					 struct rota_mail *oldest)
{
	struct rota_mail *top = __atomic_load_n(&box->top, __ATOMIC_RELAXED);

	do {
		oldest->next = top == &ri_asleep ? NULL : top;
		/* pairs with the acquire in ri_mailbox_take */
	} while (!__atomic_compare_exchange_n(&box->top, &top, newest, true,
					      __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
	return top == &ri_asleep;
}

static inline bool ri_mailbox_post(struct ri_mailbox *box,
				   struct rota_mail *mail)
{
	return ri_mailbox_post_chain(box, mail, mail);
}

/* Any thread: wakes the taker without mail. True: it has to be woken, by the
 * caller. For what the taker finds elsewhere: that is put there first, then
 * comes a seq_cst fence, then this. */
static inline bool ri_mailbox_rouse(struct ri_mailbox *box)
{
	struct rota_mail *asleep = &ri_asleep;

	/* relaxed: it carries nothing */
	return __atomic_load_n(&box->top, __ATOMIC_RELAXED) == asleep &&
	       __atomic_compare_exchange_n(&box->top, &asleep, NULL, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* The taker: is there anything? It may be something that comes right now. */
static inline bool ri_mailbox_has(const struct ri_mailbox *box)
{
	return __atomic_load_n(&box->top, __ATOMIC_RELAXED) != NULL;
}

/* The taker: may it sleep? Not if there is mail. For what is elsewhere it has
 * to look once more before it waits, by a seq_cst load: an exchange, of any
 * order, is no fence for a weaker load of another word (C17 7.17.3; on aarch64
 * what it wrote may be seen later than what that load read). */
static inline bool ri_mailbox_sleep(struct ri_mailbox *box)
{
	struct rota_mail *none = NULL;

	/* pairs with the fence before ri_mailbox_rouse */
	return __atomic_compare_exchange_n(&box->top, &none, &ri_asleep, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* The taker: takes everything, the oldest first; NULL: nothing. It is awake
 * from here on. */
struct rota_mail *ri_mailbox_take(struct ri_mailbox *box);

#endif
