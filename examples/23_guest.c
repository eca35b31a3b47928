/* SPDX-License-Identifier: MIT */
/*
 * A program that has an event loop already, poll(2) here, takes rota in as a
 * guest: the loop waits for the guest's descriptor beside its own, and until
 * the guest's deadline at the longest, then steps it. What it says to the
 * guest are jobs, and a job that has ended is seen after a step.
 *
 * The wrong ways: rota_run in a callback of the loop, which then stands still;
 * a thread for it and a lock around everything that both touch; or stepping it
 * all the time, which keeps a processor busy with nothing.
 */
#include <rota/rota.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_NS (4 * ROTA_MILLISECOND)
#define TICKS 5

/* A job: straight-line code, as in any other engine. Returns what it heard. */
static int hear(void *value)
{
	const int fd = *(int *)value;
	int n, heard = 0;
	char text[32];

	while ((n = rota_recv(fd, text, sizeof(text), 0)) > 0)
		printf("heard %d: %.*s\n", ++heard, n, text);
	if (!n) /* the loop is silent by now, but for this deadline */
		n = rota_sleep(TICK_NS);
	return n ? n : heard;
}

/* What the program did before there was a guest. */
struct loop {
	int timer;
	int ends[2]; /* says something into the first at each tick */
	int ticks;   /* so far */
};

/* After the last one it is silent. */
static void tick(struct loop *loop)
{
	uint64_t times;

	if (read(loop->timer, &times, sizeof(times)) > 0 &&
	    write(loop->ends[0], "tick", strlen("tick")) > 0 &&
	    ++loop->ticks == TICKS) {
		timerfd_settime(loop->timer, 0, &(struct itimerspec){ 0 },
				NULL);
		shutdown(loop->ends[0], SHUT_WR);
	}
}

/* The loop, with four lines more: until the job has ended. */
static int turn(struct loop *loop, struct rota_job *job)
{
	struct rota_engine *guest = job->engine;
	struct pollfd fds[] = { { loop->timer, POLLIN, 0 },
				{ rota_engine_fd(guest), POLLIN, 0 } };
	int left = 1;

	while (left > 0 && !rota_job_ended(job)) {
		const int64_t ns =
			rota_engine_deadline_ns(guest) - rota_now_ns();
		const struct timespec wait = { ns / ROTA_SECOND,
					       ns % ROTA_SECOND };

		ppoll(fds, 2, ns > 0 ? &wait : &(struct timespec){ 0 }, NULL);
		left = rota_engine_step(guest);
		if (fds[0].revents)
			tick(loop);
	}
	return rota_job_wait(job);
}

int main(void)
{
	const struct itimerspec every = { .it_value.tv_nsec = TICK_NS,
					  .it_interval.tv_nsec = TICK_NS };
	struct loop loop = { .timer = timerfd_create(CLOCK_MONOTONIC, 0) };
	struct rota_job job = { 0 };
	int heard;

	if (timerfd_settime(loop.timer, 0, &every, NULL) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, loop.ends) ||
	    rota_engine_create(&job.engine, NULL))
		return 1;
	heard = rota_submit(&job, hear, loop.ends[1]);
	if (!heard)
		heard = turn(&loop, &job);
	close(loop.timer);
	close(loop.ends[0]);
	close(loop.ends[1]);
	return rota_engine_destroy(job.engine) || heard != TICKS;
}
