/* SPDX-License-Identifier: MIT */
/*
 * Two tasks, two ends of a socket: one asks, the other answers.
 */
#include <rota/rota.h>

#include <stdio.h>

static int answer(void *value)
{
	int fd = *(int *)value;
	int number;
	int error = rota_recv_full(fd, &number, sizeof(number), NULL);

	number *= 2;
	return error ? error : rota_send_all(fd, &number, sizeof(number), NULL);
}

static int ask(int fd, int number)
{
	struct rota_deadline limit;
	int error;

	rota_deadline_begin(&limit, rota_after_ns(10 * ROTA_SECOND));
	error = rota_send_all(fd, &number, sizeof(number), NULL);
	if (!error)
		error = rota_recv_full(fd, &number, sizeof(number), NULL);
	if (rota_deadline_end(&limit))
		return -ETIME;
	return error ? error : number;
}

static int both(void *number)
{
	struct rota_group group;
	int ends[2], result, error;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return -errno;
	rota_group_open(&group, NULL);
	result = rota_go(&group, answer, ends[1]);
	if (!result)
		result = ask(ends[0], *(int *)number);
	error = rota_group_wait(&group);
	rota_close(ends[0]);
	rota_close(ends[1]);
	return error ? error : result;
}

int main(void)
{
	int number = 21;
	int result = rota_run(NULL, both, &number);

	printf("rota_run returned %d\n", result);
	return result != 2 * number;
}
