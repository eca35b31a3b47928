// SPDX-License-Identifier: MIT
/* Kernel, processor and limits of this machine, see host.h. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>

#include "host.h"

static struct utsname *system_names(void)
{
	static struct utsname names;

	if (names.release[0] == '\0' && uname(&names) < 0)
		snprintf(names.release, sizeof(names.release), "unknown");
	return &names;
}

const char *host_kernel(void)
{
	return system_names()->release;
}

/* "model name\t: AMD EPYC\n" gives "AMD EPYC"; NULL for any other line. */
static char *model_in_line(char *line)
{
	static const char key[] = "model name";
	char *colon = strchr(line, ':');

	if (strncmp(line, key, sizeof(key) - 1) != 0 || colon == NULL)
		return NULL;
	line[strcspn(line, "\n")] = '\0';
	colon++;
	return colon + strspn(colon, " \t");
}

const char *host_cpu(void)
{
	static char model[128];
	char line[256];

	if (model[0] != '\0')
		return model;
	snprintf(model, sizeof(model), "%.64s", system_names()->machine);

	FILE *file = fopen("/proc/cpuinfo", "re");

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		const char *found = model_in_line(line);

		if (found == NULL)
			continue;
		snprintf(model, sizeof(model), "%.127s", found);
		break;
	}
	if (file != NULL)
		fclose(file);
	return model;
}

uint64_t host_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int host_usable_cpu(unsigned int index)
{
	cpu_set_t usable;

	if (sched_getaffinity(0, sizeof(usable), &usable) < 0)
		return -1;
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &usable) && index-- == 0)
			return (int)cpu;
	return -1;
}

int host_pin(int cpu)
{
	cpu_set_t only;

	CPU_ZERO(&only);
	CPU_SET((size_t)cpu, &only);
	return sched_setaffinity(0, sizeof(only), &only) < 0 ? -errno : 0;
}

uint64_t host_raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024; /* what POSIX shells start with */
	const rlim_t before = limit.rlim_cur;

	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return before;
	return limit.rlim_cur;
}

void host_widen_descriptors(uint64_t needed)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max >= needed)
		return;
	limit.rlim_max = needed;
	setrlimit(RLIMIT_NOFILE, &limit);
}
