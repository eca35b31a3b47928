/* SPDX-License-Identifier: MIT */
/*
 * Fan-out: at most two of five jobs run at a time, the first error cancels the
 * rest, and wait returns that error once all are gone. The value is copied into
 * the task, so the loop's own variable may be handed over as it is. A job that
 * is cancelled returns the code that its verb gave it: that is no failure of its
 * own.
 *
 * The wrong way: to start jobs and count them down (a WaitGroup). The first
 * error is lost, the others go on for nothing, and who is to be cancelled from
 * outside has nobody to tell it.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <string.h>

static int job(void *value)
{
	const int number = *(int *)value;
	int error = rota_sleep(number * 5 * ROTA_MILLISECOND);

	if (error) {
		printf("job %d: stopped\n", number);
		return error;
	}
	if (number == 3) {
		printf("job %d: fails\n", number);
		return -EIO;
	}
	printf("job %d: done\n", number);
	return 0;
}

static int run_jobs(void *arg)
{
	struct rota_group jobs;
	int error, refused = 0;

	(void)arg;
	rota_group_open(&jobs, &(struct rota_group_options){ .limit = 2 });
	for (int number = 1; number <= 5; number++) {
		/* Waits for a slot; refused once the group is cancelled. */
		refused = rota_go(&jobs, job, number);
		if (refused) {
			printf("job %d: not started\n", number);
			break;
		}
	}
	/* A refusal is mostly the echo of a first error, but need not be. */
	error = rota_group_wait(&jobs);
	if (!error)
		error = refused;
	printf("all are gone, the first error: %s\n", strerror(-error));
	return error == -EIO ? 0 : -EPROTO;
}

int main(void)
{
	return rota_run(NULL, run_jobs, NULL) < 0;
}
