/* SPDX-License-Identifier: MIT */
/*
 * A program that has an event loop already, epoll(7) here, takes rota in as a
 * guest: the loop waits for the guest's descriptor beside its own, and until
 * the guest's deadline at the longest, then steps it. What it says to the
 * guest are jobs, and a job that has ended is seen after a step.
 *
 * The wrong ways: rota_run in a callback of the loop, which then stands still;
 * a thread for it and a lock around everything that both touch; or stepping it
 * all the time, which keeps a processor busy with nothing.
 *
 * The loop has a timer of its own, which ticks; a task of the guest talks to
 * another one over a socket meanwhile, with pauses.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_NS (4 * ROTA_MILLISECOND)
#define WORDS 5

/* Straight-line code, as in any other engine. */
static int listen_to(void *value)
{
	const int fd = *(int *)value;
	char word[32];
	int n;

	while ((n = rota_recv(fd, word, sizeof(word), 0)) > 0)
		printf("heard: %.*s\n", n, word);
	return n;
}

static int talk_to(int fd)
{
	static const char *const words[WORDS] = { "straight", "lines", "in",
						  "someone else's", "loop" };
	int error = 0;

	for (int i = 0; i < WORDS && !error; i++) {
		error = rota_send_all(fd, words[i], strlen(words[i]), NULL);
		if (!error)
			error = rota_sleep(TICK_NS);
	}
	rota_shutdown(fd, SHUT_WR);
	return error;
}

static int converse(void *value)
{
	const int *pair = value;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, listen_to, pair[1]);
	if (!error)
		error = talk_to(pair[0]);
	return error | rota_group_wait(&group);
}

/* The program's own loop, and what it did before there was a guest. */
struct loop {
	int epoll, timer;
	unsigned ticks;
};

static void watch(const struct loop *loop, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data = { .fd = fd } };

	epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void open_loop(struct loop *loop)
{
	const struct itimerspec every = { .it_value.tv_nsec = TICK_NS,
					  .it_interval.tv_nsec = TICK_NS };

	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	timerfd_settime(loop->timer, 0, &every, NULL);
	watch(loop, loop->timer);
}

static void tick(struct loop *loop)
{
	uint64_t times;

	if (read(loop->timer, &times, sizeof(times)) == sizeof(times))
		loop->ticks += (unsigned)times;
}

/* For epoll_wait(2): whole milliseconds, never too few, -1: no end. */
static int milliseconds_until(int64_t deadline_ns)
{
	const int64_t left_ns = deadline_ns - rota_now_ns();

	if (deadline_ns == ROTA_NEVER || left_ns > ROTA_SECOND)
		return deadline_ns == ROTA_NEVER ? -1 : 1000;
	return left_ns > 0 ? (int)((left_ns + 999999) / 1000000) : 0;
}

/* The loop, with three lines more. Until the job has ended. */
static int turn(struct loop *loop, struct rota_engine *guest,
		struct rota_job *job)
{
	struct epoll_event event;
	int left = 1;

	watch(loop, rota_engine_fd(guest));
	while (left > 0 && !rota_job_ended(job)) {
		const int64_t deadline_ns = rota_engine_deadline_ns(guest);

		if (epoll_wait(loop->epoll, &event, 1,
			       milliseconds_until(deadline_ns)) == 1 &&
		    event.data.fd == loop->timer)
			tick(loop);
		left = rota_engine_step(guest);
	}
	return rota_job_wait(job);
}

int main(void)
{
	struct rota_engine *guest;
	struct loop loop = { 0 };
	struct rota_job job;
	struct {
		int ends[2];
	} pair;
	int error = rota_engine_create(&guest, NULL);

	if (error || socketpair(AF_UNIX, SOCK_STREAM, 0, pair.ends))
		return 1;
	open_loop(&loop);
	job = (struct rota_job){ .engine = guest };
	error = rota_submit(&job, converse, pair);
	if (!error)
		error = turn(&loop, guest, &job);
	printf("the loop's own timer went on: %s\n", loop.ticks ? "yes" : "no");
	close(pair.ends[0]);
	close(pair.ends[1]);
	return error | rota_engine_destroy(guest) ? 1 : 0;
}
