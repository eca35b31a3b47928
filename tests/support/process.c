/* SPDX-License-Identifier: MIT */
#include "support/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

unsigned test_process_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	if (!folder)
		abort();
	while (readdir(folder))
		count++;
	closedir(folder);
	/* not ".", "..", and the one of the folder itself */
	return count - 3;
}

/* Reads by hand: a buffered stream would be memory of its own. */
unsigned test_process_mappings(void)
{
	const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	unsigned count = 0;
	char text[4096];
	ssize_t n;

	if (fd < 0)
		abort();
	while ((n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			count += text[i] == '\n';
	close(fd);
	return count;
}

size_t test_process_resident_bytes(void)
{
	const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	char text[128] = "";
	long size = 0, resident = 0;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		abort();
	close(fd);
	if (sscanf(text, "%ld %ld", &size, &resident) != 2)
		abort();
	return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}
