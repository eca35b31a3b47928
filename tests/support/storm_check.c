/* SPDX-License-Identifier: MIT */
#include "support/storm_check.h"

#include "task/task.h"

#include <fcntl.h>
#include <unistd.h>

/* Descriptors of a test are below this. */
#define DESCRIPTORS 256u

/* Stacks that are neither free nor in use. */
static unsigned stacks_lost(const struct ri_stack_class *class)
{
	unsigned free = 0;

	for (const struct ri_stack *stack = class->free; stack;
	     stack = stack->next)
		free++;
	return class->made - free - class->reserved;
}

unsigned storm_descriptors_waited_for(unsigned end)
{
	const struct ri_tasks *tasks = ri_tasks_here();
	unsigned count = 0;

	for (unsigned i = 0; i < end; i++)
		count += tasks->descriptors[i] != NULL;
	return count;
}

int storm_lowest_descriptor(void)
{
	const int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);

	close(fd);
	return fd;
}

/* Only the director is left, and has nothing open. */
void storm_check_loop(struct storm *storm)
{
	const struct ri_tasks *tasks = ri_tasks_here();
	const struct ri_stack_class *stacks =
		&tasks->loop.stacks.classes[tasks->stack_class];
	struct referee *referee = &storm->referee;

	referee_expect(referee, "tasks alive", tasks->loop.live, 1);
	referee_expect(referee, "tasks parked", tasks->parked, 0);
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
		       storm_descriptors_waited_for(DESCRIPTORS), 0);
	referee_expect(referee, "stacks reserved", stacks->reserved, 1);
	referee_expect(referee, "stacks lost", stacks_lost(stacks), 0);
	referee_expect(referee, "completions held",
		       test_kernel_held(&storm->kernel), 0);
}

/* Those that were closed are opened again: then as many are open as before. */
void storm_check_descriptors(struct storm *storm)
{
	struct referee *referee = &storm->referee;

	storm->lanes[STORM_TWIN].victim.fd = -1;
	for (unsigned i = 0; i < STORM_LANES; i++)
		referee_expect(referee, "opening what was closed",
			       victim_restore(&storm->lanes[i].victim), 0);
	referee_expect(referee, "the lowest descriptor that is free",
		       storm_lowest_descriptor(), storm->lowest);
}
