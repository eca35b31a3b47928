/* SPDX-License-Identifier: MIT */
#include "support/clean.h"

#include "task/task.h"

#include <fcntl.h>
#include <unistd.h>

/* Descriptors of a test are below this. */
#define DESCRIPTORS 256u

static unsigned count(const struct ri_stack *stack)
{
	unsigned free = 0;

	for (; stack; stack = stack->next)
		free++;
	return free;
}

/* Stacks that are neither free nor in use. */
static unsigned stacks_lost(const struct ri_stack_class *class)
{
	const unsigned free = count(class->free) + count(class->fresh);

	return class->made - free - class->reserved;
}

unsigned clean_descriptors_waited_for(unsigned end)
{
	const struct ri_tasks *tasks = ri_tasks_here();
	unsigned count = 0;

	for (unsigned i = 0; i < end; i++)
		count += tasks->descriptors[i] != NULL;
	return count;
}

int clean_lowest_descriptor(void)
{
	const int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);

	close(fd);
	return fd;
}

/* What tells of hunger may be armed for a while when all have been fed. */
static void forget_famine(struct ri_tasks *tasks)
{
	struct rota_timer *timer = &tasks->shots.famine;

	if (ri_list_empty(&tasks->shots.hungry) && ri_timer_armed(timer))
		ri_wheel_remove(&tasks->loop.wheel, timer);
}

void clean_expect(struct referee *referee)
{
	struct ri_tasks *tasks = ri_tasks_here();
	const struct ri_stack_class *stacks =
		&tasks->loop.stacks.classes[tasks->stack_class];

	forget_famine(tasks);
	referee_expect(referee, "tasks alive", tasks->loop.live, 1);
	referee_expect(referee, "tasks parked", tasks->parked, 0);
	referee_expect(referee, "tasks that wait for a slot", tasks->blocked,
		       0);
	referee_expect(referee, "operations in flight", tasks->loop.in_flight,
		       0);
	referee_expect(referee, "timers", !ri_wheel_empty(&tasks->loop.wheel),
		       false);
	referee_expect(referee, "groups to tell of a cancel",
		       !ri_list_empty(&tasks->sweeps), false);
	referee_expect(referee, "cancels to write",
		       !ri_fifo_empty(&tasks->cancels), false);
	referee_expect(referee, "cancels to write again",
		       !ri_fifo_empty(&tasks->retries), false);
	referee_expect(referee, "cancels that missed", tasks->missed, 0);
	referee_expect(referee, "tasks that wait for a descriptor",
		       !ri_list_empty(&tasks->starved), false);
	referee_expect(referee, "descriptors waited for",
		       clean_descriptors_waited_for(DESCRIPTORS), 0);
	referee_expect(referee, "streams open", tasks->shots.open, 0);
	referee_expect(referee, "streams to look at",
		       !ri_list_empty(&tasks->shots.chores), false);
	referee_expect(referee, "streams that wait for buffers",
		       !ri_list_empty(&tasks->shots.hungry), false);
	referee_expect(referee, "streams whose cancel missed",
		       !ri_list_empty(&tasks->shots.missed), false);
	referee_expect(referee, "buffers of streams that are out",
		       tasks->shots.buffers.ring ? tasks->shots.buffers.out : 0,
		       0);
	referee_expect(referee, "stacks reserved", stacks->reserved, 1);
	referee_expect(referee, "stacks lost", stacks_lost(stacks), 0);
}
