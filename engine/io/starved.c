/* SPDX-License-Identifier: MIT */
#include "io/starved.h"

#include "task/park.h"

#include <errno.h>
#include <sys/resource.h>

#define LOOK_AGAIN_NS ((int64_t)10000000)
#define TELL_AGAIN_NS ((int64_t)1000000000)

/* In the frame of who waits. */
struct starved {
	struct ri_wait wait;
	struct rota_timer timer; /* to look again */
	struct rota_node link;   /* among those who wait */
	struct rota_task *task;
	int listener; /* what it will accept from then */
};

static void leave(struct ri_tasks *tasks, struct starved *starved, int result)
{
	ri_list_remove(&starved->link);
	if (ri_list_linked(&starved->timer.link))
		ri_wheel_remove(&tasks->loop.wheel, &starved->timer);
	ri_wake(tasks, starved->task, result);
}

static void interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	leave(tasks, ri_container(task->wait, struct starved, wait),
	      task->scope->code);
}

static void look_again(struct rota_timer *timer)
{
	leave(ri_tasks_here(), ri_container(timer, struct starved, timer), 0);
}

static const struct {
	const char *name;
	int error;
	bool memory; /* it is short of that, not of descriptors */
} shortages[] = {
	{ "EMFILE", -EMFILE, false },
	{ "ENFILE", -ENFILE, false },
	{ "ENOMEM", -ENOMEM, true },
	{ "ENOBUFS", -ENOBUFS, true },
};

/* Which of them it is; their number if none. */
static size_t find(int error)
{
	size_t i = 0;

	while (i < sizeof(shortages) / sizeof(shortages[0]) &&
	       shortages[i].error != error)
		i++;
	return i;
}

bool ri_starved_by(int error)
{
	return find(error) < sizeof(shortages) / sizeof(shortages[0]);
}

static void tell(struct ri_tasks *tasks, int error)
{
	const size_t shortage = find(error);
	const int64_t now_ns = ri_loop_now(&tasks->loop);
	struct rlimit limit = { 0 };

	if (tasks->starved_told_ns &&
	    now_ns - tasks->starved_told_ns < TELL_AGAIN_NS)
		return;
	tasks->starved_told_ns = now_ns;
	if (shortages[shortage].memory) {
		ri_log(&tasks->loop.log,
		       "no memory for a socket (%s): accepting waits for some",
		       shortages[shortage].name);
		return;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	ri_log(&tasks->loop.log,
	       "no descriptor left (%s, RLIMIT_NOFILE is %llu): accepting "
	       "waits until one is closed",
	       shortages[shortage].name, (unsigned long long)limit.rlim_cur);
}

int ri_starved_wait(struct ri_tasks *tasks, int listener, int error)
{
	struct rota_task *self = ri_task_self("rota_accept");
	struct starved starved = {
		.wait = { .what = "a descriptor or memory",
			  .interrupt = interrupt },
		.timer = { .fire = look_again },
		.task = self,
		.listener = listener,
	};

	tell(tasks, error);
	if (self->scope->code)
		return self->scope->code;
	starved.timer.deadline_ns = tasks->loop.now_ns + LOOK_AGAIN_NS;
	ri_loop_arm(&tasks->loop, &starved.timer);
	ri_list_append(&tasks->starved, &starved.link);
	return ri_park(tasks, self, &starved.wait);
}

void ri_starved_close(struct ri_tasks *tasks, int listener)
{
	struct rota_node *link = tasks->starved.next;

	while (link != &tasks->starved) {
		struct starved *starved =
			ri_container(link, struct starved, link);

		link = link->next;
		if (starved->listener == listener)
			leave(tasks, starved, -EBADF);
	}
}

void ri_starved_wake(struct ri_tasks *tasks)
{
	if (__builtin_expect(ri_list_empty(&tasks->starved), 1))
		return;
	leave(tasks, ri_container(tasks->starved.next, struct starved, link),
	      0);
}
