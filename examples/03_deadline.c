/* SPDX-License-Identifier: MIT */
/*
 * A deadline is a scope: whatever blocks between begin and end fails with
 * -ETIME once it has come, also an operation that is in the kernel already.
 * Deadlines nest; the earliest one counts. Here the peer never answers, so the
 * inner one comes, and the task goes on with time left of the outer one.
 *
 * The wrong way: a timeout for each call (SO_RCVTIMEO). A peer that sends a byte
 * now and then stays within each of them, and is never through; and who calls
 * cannot say how long all of it may take.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int ask(int fd, int64_t patience_ns)
{
	struct rota_deadline patience;
	char answer[64];
	int n;

	rota_deadline_begin(&patience, rota_after_ns(patience_ns));
	n = rota_recv(fd, answer, sizeof(answer), 0);
	if (rota_deadline_end(&patience))
		printf("no answer within %lld ms\n",
		       (long long)(patience_ns / ROTA_MILLISECOND));
	return n;
}

static int ask_twice(void *arg)
{
	struct rota_deadline all;
	int pair[2], first, second;

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	rota_deadline_begin(&all, rota_after_ns(60 * ROTA_MILLISECOND));
	first = ask(pair[0], 20 * ROTA_MILLISECOND);
	second = ask(pair[0], 10 * ROTA_SECOND);
	if (rota_deadline_end(&all))
		printf("and no time left at all\n");
	rota_close(pair[0]);
	rota_close(pair[1]);
	return first == -ETIME && second == -ETIME ? 0 : -EPROTO;
}

int main(void)
{
	return rota_run(NULL, ask_twice, NULL) < 0;
}
