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

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum word {
	BEGIN = 'B',
	DEBIT = 'D',
	COMMIT = 'C',
	ROLLBACK = 'R'
};

struct ledger {
	int fd;
	bool hangs;  /* it answers BEGIN and nothing else */
	bool locked; /* by a transaction */
};

/* Says each word again once it is done. DEBIT never is: somebody else has
 * locked that account. */
static int keep_ledger(void *value)
{
	struct ledger *ledger = *(struct ledger **)value;
	char word;
	int n;

	while ((n = rota_recv(ledger->fd, &word, 1, 0)) > 0) {
		if (word == DEBIT || (ledger->hangs && word != BEGIN))
			continue;
		ledger->locked = word == BEGIN;
		n = rota_send_all(ledger->fd, &word, 1, NULL);
		if (n)
			break;
	}
	rota_close(ledger->fd);
	return n;
}

/* An answer to an earlier word may still come in: it is passed over. */
static int ask(int fd, enum word word)
{
	const char request = (char)word;
	char answer;
	int n = rota_send_all(fd, &request, 1, NULL);

	if (n)
		return n;
	do {
		n = rota_recv(fd, &answer, 1, 0);
	} while (n > 0 && answer != request);
	if (n <= 0)
		return n ? n : -ECONNRESET;
	return 0;
}

/* Need not know who may cut it off, nor why. *undone: the clean-up's result. */
static int transfer(int fd, int *undone)
{
	struct rota_shield shield;
	int error = ask(fd, BEGIN);

	if (!error)
		error = ask(fd, DEBIT);
	if (!error)
		error = ask(fd, COMMIT);
	if (error) {
		rota_shield_begin(&shield, 200 * ROTA_MILLISECOND);
		*undone = ask(fd, ROLLBACK);
		rota_shield_end(&shield);
	}
	return error;
}

/* One transfer that is given 30 ms. */
static int try_with(struct ledger *ledger, int *undone)
{
	struct rota_deadline patience;
	struct rota_group peer;
	int pair[2], error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ledger->fd = pair[1];
	rota_group_open(&peer, NULL);
	error = rota_go(&peer, keep_ledger, ledger);
	if (error)
		rota_close(ledger->fd);
	rota_deadline_begin(&patience, rota_after_ns(30 * ROTA_MILLISECOND));
	if (!error)
		error = transfer(pair[0], undone);
	rota_deadline_end(&patience);
	rota_close(pair[0]);
	rota_group_wait(&peer);
	return error;
}

static int run(void *arg)
{
	struct ledger sound = { .hangs = false }, hung = { .hangs = true };
	int undone = 0, given_up = 0;
	const int first = try_with(&sound, &undone);
	const int second = try_with(&hung, &given_up);

	(void)arg;
	printf("a ledger that answers: %s; the clean-up: %s\n",
	       strerror(-first), strerror(-undone));
	printf("a ledger that hangs: %s; the clean-up: %s\n", strerror(-second),
	       strerror(-given_up));
	if (first != -ETIME || undone || sound.locked)
		return -EPROTO;
	return second == -ETIME && given_up == -ETIME ? 0 : -EPROTO;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
