/* SPDX-License-Identifier: MIT */
#include "rota/observe.h"

#include "task/task.h"

#include <errno.h>
#include <unistd.h>

static int write_all(int fd, const char *text, size_t bytes)
{
	while (bytes) {
		const ssize_t n = write(fd, text, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		bytes -= (size_t)n;
	}
	return 0;
}

int rota_dump(int fd)
{
	struct ri_tasks *tasks = ri_tasks_here();
	char line[RI_TASK_LINE_BYTES + 1];
	int count = 0;

	ri_check(tasks != NULL, "rota_dump is called outside of a loop");
	ri_loop_now(&tasks->loop);
	for (unsigned i = 0; i < tasks->made; i++) {
		size_t length = ri_task_describe(tasks, &tasks->slab[i], line);
		int error;

		if (!length)
			continue;
		line[length++] = '\n';
		error = write_all(fd, line, length);
		if (error)
			return error;
		count++;
	}
	return count;
}
