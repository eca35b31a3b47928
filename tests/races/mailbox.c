/* SPDX-License-Identifier: MIT */
/*
 * A mailbox between threads: many post to one that sleeps on a futex, some put
 * work where it has to look for it, and some only rouse it. It must never sleep
 * for ever, and get everything once, each sender's mail in its order.
 *
 * Under TSan this also shows that what a sender wrote is seen.
 */
#include "base/mailbox.h"

#include "base/list.h"
#include "support/random.h"
#include "support/run.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SENDERS 4u
#define LETTERS 40000u
#define CHAIN_MAX 3u

struct letter {
	struct rota_mail mail;
	struct sender *sender;
	unsigned number;
};

struct sender {
	struct office *office;
	struct letter *letters;
	struct test_random random;
	unsigned due;       /* the number of the letter that has to come next */
	unsigned misplaced; /* letters that were not it */
	pthread_t thread;
};

struct office {
	struct ri_mailbox box;
	uint32_t wakes;     /* to come; the taker sleeps on it; atomic */
	unsigned spread;    /* work that is not mail; atomic */
	unsigned letters;   /* of each sender */
	unsigned delivered; /* of all of them */
	unsigned worked;    /* off `spread` */
	unsigned sleeps;    /* the taker lay down */
	unsigned woken;     /* somebody was told to wake it; atomic */
	bool lost;          /* it slept for the time of a test */
	struct sender senders[SENDERS];
};

static void wake(struct office *office)
{
	__atomic_fetch_add(&office->woken, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&office->wakes, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &office->wakes, FUTEX_WAKE_PRIVATE, 1, NULL);
}

/* False: nobody woke it for the time of a test. */
static bool wait_for_wake(struct office *office)
{
	const struct timespec time = { .tv_sec = (time_t)test_seconds() };

	while (!__atomic_exchange_n(&office->wakes, 0, __ATOMIC_ACQUIRE)) {
		const long error = syscall(SYS_futex, &office->wakes,
					   FUTEX_WAIT_PRIVATE, 0, &time);

		if (error && errno == ETIMEDOUT)
			return false;
	}
	return true;
}

/* Every third is put where any thread may take it, as the spread queue's. */
static void put_spread(struct office *office)
{
	__atomic_fetch_add(&office->spread, 1, __ATOMIC_RELAXED);
	/* pairs with the one in lie_down: put, then look for sleepers */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ri_mailbox_rouse(&office->box))
		wake(office);
}

static void pause_somewhat(struct test_random *random)
{
	const struct timespec pause = { .tv_nsec = 20000 };

	switch (test_random_below(random, 16)) {
	case 0:
		nanosleep(&pause, NULL);
		break;
	case 1:
		sched_yield();
		break;
	default:
		break;
	}
}

/* Posts so many from this one on, as one chain. */
static void post(struct sender *sender, unsigned first, unsigned count)
{
	struct office *office = sender->office;
	struct letter *letters = &sender->letters[first];

	for (unsigned i = 0; i < count; i++) {
		letters[i].sender = sender;
		letters[i].number = first + i;
		letters[i].mail.next = i ? &letters[i - 1].mail : NULL;
	}
	if (ri_mailbox_post_chain(&office->box, &letters[count - 1].mail,
				  &letters[0].mail))
		wake(office);
}

static void *send_all(void *arg)
{
	struct sender *sender = arg;
	struct office *office = sender->office;
	unsigned sent = 0;

	while (sent < office->letters) {
		unsigned count = 1 + (unsigned)test_random_below(
					     &sender->random, CHAIN_MAX);

		if (count > office->letters - sent)
			count = office->letters - sent;
		post(sender, sent, count);
		for (unsigned i = 0; i < count; i++)
			put_spread(office);
		if (ri_mailbox_rouse(&office->box))
			wake(office);
		sent += count;
		pause_somewhat(&sender->random);
	}
	return NULL;
}

static void deliver_all(struct office *office)
{
	struct rota_mail *mail = ri_mailbox_take(&office->box);

	while (mail) {
		const struct letter *letter =
			ri_container(mail, struct letter, mail);
		struct sender *sender = letter->sender;

		sender->misplaced += letter->number != sender->due;
		sender->due = letter->number + 1;
		office->delivered++;
		mail = mail->next;
	}
}

static bool work_off(struct office *office)
{
	const unsigned found =
		__atomic_exchange_n(&office->spread, 0, __ATOMIC_RELAXED);

	office->worked += found;
	return found > 0;
}

/* The order of submit_and_wait and ri_mail_sleep in engine/loop. */
static void lie_down(struct office *office)
{
	bool slept = true;

	if (!ri_mailbox_sleep(&office->box))
		return;
	office->sleeps++;
	/* pairs with the one in put_spread: lie down, then look for work */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&office->spread, __ATOMIC_RELAXED))
		slept = wait_for_wake(office);
	office->lost = !slept;
	if (ri_mailbox_rouse(&office->box))
		__atomic_fetch_add(&office->woken, 1, __ATOMIC_RELAXED);
}

static void take_all(struct office *office)
{
	const unsigned all = SENDERS * office->letters;

	while (!office->lost &&
	       (office->delivered < all || office->worked < all)) {
		if (ri_mailbox_has(&office->box))
			deliver_all(office);
		else if (!work_off(office))
			lie_down(office);
	}
}

static struct office *open_office(void)
{
	struct office *office = calloc(1, sizeof(*office));
	struct test_random random;

	assert_non_null(office);
	test_random_init(&random);
	ri_mailbox_init(&office->box);
	office->letters = test_rounds(LETTERS);
	for (unsigned i = 0; i < SENDERS; i++) {
		struct sender *sender = &office->senders[i];

		sender->office = office;
		sender->letters =
			calloc(office->letters, sizeof(*sender->letters));
		assert_non_null(sender->letters);
		test_random_seed(&sender->random, test_random_next(&random));
	}
	return office;
}

static void close_office(struct office *office)
{
	for (unsigned i = 0; i < SENDERS; i++)
		free(office->senders[i].letters);
	free(office);
}

static void nothing_is_lost_between_threads(void **state)
{
	struct office *office = open_office();

	(void)state;
	for (unsigned i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&office->senders[i].thread,
						NULL, send_all,
						&office->senders[i]),
				 0);
	take_all(office);
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(office->senders[i].thread, NULL);
	assert_false(office->lost);
	assert_int_equal(office->delivered, SENDERS * office->letters);
	assert_int_equal(office->worked, SENDERS * office->letters);
	/* Each time that it lay down, one was told to wake it: it or another */
	assert_int_equal(office->woken, office->sleeps);
	for (unsigned i = 0; i < SENDERS; i++)
		assert_int_equal(office->senders[i].misplaced, 0);
	close_office(office);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_between_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
