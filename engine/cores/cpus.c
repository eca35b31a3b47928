/* SPDX-License-Identifier: MIT */
#include "cores/cpus.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BITS (8 * sizeof(long))

/* The longest path of a group that is looked at. */
#define PATH_BYTES 1024
/* What is read of a file at most. */
#define TEXT_BYTES 4096

int ri_cpus_get(struct ri_cpus *cpus, const struct ri_kernel *kernel)
{
	int error;

	memset(cpus, 0, sizeof(*cpus));
	error = kernel->affinity_get(kernel, cpus->mask, sizeof(cpus->mask));
	if (error < 0)
		return error;
	for (unsigned i = 0; i < RI_CPUS_MAX / BITS; i++)
		cpus->count += (unsigned)__builtin_popcountl(cpus->mask[i]);
	return 0;
}

int ri_cpus_set(const struct ri_cpus *cpus, const struct ri_kernel *kernel)
{
	return kernel->affinity_set(kernel, cpus->mask, sizeof(cpus->mask));
}

int ri_cpus_pin(const struct ri_cpus *cpus, const struct ri_kernel *kernel,
		unsigned index)
{
	unsigned long one[RI_CPUS_MAX / BITS] = { 0 };
	unsigned left = index % cpus->count;

	for (unsigned i = 0; i < RI_CPUS_MAX; i++)
		if (cpus->mask[i / BITS] >> i % BITS & 1 && left-- == 0) {
			one[i / BITS] = 1ul << i % BITS;
			break;
		}
	return kernel->affinity_set(kernel, one, sizeof(one));
}

/* As many processors as this much time in each period is, rounded up. */
static unsigned of_quota(long long quota, long long period)
{
	long long count;

	if (quota <= 0 || period <= 0)
		return UINT_MAX;
	count = (quota - 1) / period + 1;
	return count < UINT_MAX ? (unsigned)count : UINT_MAX;
}

/* cpu.max, version 2: "max 100000" or "150000 100000" */
static unsigned read_max(const struct ri_kernel *kernel, const char *group)
{
	char path[PATH_BYTES + 32], text[TEXT_BYTES];
	long long quota, period;

	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", group);
	if (kernel->read_text(kernel, path, text, sizeof(text)) < 0 ||
	    sscanf(text, "%lld %lld", &quota, &period) != 2)
		return UINT_MAX;
	return of_quota(quota, period);
}

/* cpu.cfs_quota_us and its period, version 1: -1 is none */
static unsigned read_cfs(const struct ri_kernel *kernel, const char *group)
{
	static const char *const names[] = { "quota", "period" };
	long long values[2] = { 0, 0 };

	for (int i = 0; i < 2; i++) {
		char path[PATH_BYTES + 64], text[TEXT_BYTES];

		snprintf(path, sizeof(path),
			 "/sys/fs/cgroup/cpu%s/cpu.cfs_%s_us", group, names[i]);
		if (kernel->read_text(kernel, path, text, sizeof(text)) < 0)
			return UINT_MAX;
		values[i] = atoll(text);
	}
	return of_quota(values[0], values[1]);
}

/* The least of a group and all around it. In a container the path may be the
 * host's, and nothing be there: then the root counts. */
static unsigned least_of(const struct ri_kernel *kernel, const char *path,
			 unsigned (*read)(const struct ri_kernel *,
					  const char *))
{
	char group[PATH_BYTES];
	unsigned least = UINT_MAX;
	char *slash;

	snprintf(group, sizeof(group), "%s", path);
	for (;;) {
		const unsigned here = read(kernel, group);

		if (here < least)
			least = here;
		slash = strrchr(group, '/');
		if (!slash)
			return least;
		*slash = '\0';
	}
}

/* Is the processor's among these controllers: "cpu,cpuacct"? */
static bool has_cpu(char *controllers)
{
	const char *name;

	while ((name = strsep(&controllers, ",")))
		if (strcmp(name, "cpu") == 0)
			return true;
	return false;
}

/* A line of /proc/self/cgroup: "0::/path", "4:cpu,cpuacct:/path" */
static unsigned of_line(const struct ri_kernel *kernel, char *line)
{
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!path)
		return UINT_MAX;
	*path++ = '\0';
	controllers++;
	if (!*controllers)
		return least_of(kernel, path, read_max);
	return has_cpu(controllers) ? least_of(kernel, path, read_cfs)
				    : UINT_MAX;
}

unsigned ri_cpus_usable(const struct ri_cpus *cpus,
			const struct ri_kernel *kernel)
{
	unsigned usable = cpus->count;
	char text[TEXT_BYTES];
	char *line, *rest = text;

	if (kernel->read_text(kernel, "/proc/self/cgroup", text, sizeof(text)) <
	    0)
		text[0] = '\0';
	while ((line = strsep(&rest, "\n"))) {
		const unsigned allowed = of_line(kernel, line);

		if (allowed < usable)
			usable = allowed;
	}
	return usable ? usable : 1;
}
