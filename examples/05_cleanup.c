/* SPDX-License-Identifier: MIT */
/*
 * Clean-up that talks: a transfer is cut off half-way and asks its ledger to
 * roll back. In a cancelled task that needs a shield: what is called in it
 * goes through, for at most the grace. The first ledger answers; the second
 * one hangs, and the grace bounds that.
 *
 * The wrong way: call the clean-up as it is. In a cancelled task every verb
 * returns at once, so ROLLBACK is never sent, and the ledger keeps its locks
 * until it finds out by itself. Or shield it without a bound (ROTA_NEVER): one
 * ledger that hangs, and the shutdown hangs with it.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <string.h>

#define DEBIT 'd'
#define ROLLBACK 'r'

struct ledger {
	int ends[2]; /* its own, and the other one's */
	bool hangs;  /* answers nothing */
	bool locked; /* by a transfer */
	int undone;  /* what the clean-up came to */
};

/* A DEBIT waits for a lock that somebody else has: it is never answered. */
static int keep_ledger(void *value)
{
	struct ledger *ledger = *(struct ledger **)value;
	char word;

	while (rota_recv(ledger->ends[0], &word, 1, 0) > 0) {
		ledger->locked = word == DEBIT || ledger->hangs;
		if (!ledger->locked &&
		    rota_send_all(ledger->ends[0], &word, 1, NULL))
			break;
	}
	return 0; /* who asked knows it */
}

static int ask(int fd, char word)
{
	const int error = rota_send_all(fd, &word, 1, NULL);

	return error ? error : rota_recv_full(fd, &word, 1, NULL);
}

/* Need not know who may cut it off, nor why. */
static int transfer(struct ledger *ledger)
{
	struct rota_shield shield;
	const int error = ask(ledger->ends[1], DEBIT);

	if (error) {
		rota_shield_begin(&shield, 200 * ROTA_MILLISECOND);
		ledger->undone = ask(ledger->ends[1], ROLLBACK);
		rota_shield_end(&shield);
		printf("cut off, undone: %s\n", strerror(-ledger->undone));
	}
	return error;
}

/* One transfer that is given 30 ms. */
static int try_with(struct ledger *ledger)
{
	struct rota_deadline patience;
	struct rota_group peer;
	int error;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ledger->ends) < 0)
		return -errno;
	rota_group_open(&peer, NULL);
	error = rota_go(&peer, keep_ledger, ledger);
	rota_deadline_begin(&patience, rota_after_ns(30 * ROTA_MILLISECOND));
	if (!error)
		error = transfer(ledger);
	rota_deadline_end(&patience);
	rota_close(ledger->ends[1]);
	rota_group_wait(&peer);
	rota_close(ledger->ends[0]);
	return error;
}

static int run(void *arg)
{
	struct ledger sound = { .hangs = false }, hung = { .hangs = true };

	(void)arg;
	if (try_with(&sound) != -ETIME || sound.undone || sound.locked)
		return -EPROTO;
	return try_with(&hung) == -ETIME && hung.undone == -ETIME ? 0 : -EPROTO;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
