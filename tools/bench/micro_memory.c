// SPDX-License-Identifier: MIT
/*
 * How much memory holds a task that waits? Many tasks run and then wait in
 * rota_recv, all of them on one stream socket to which nobody sends: so each has
 * a frame of its own, a verb's frame, and an operation in the kernel. Told is
 * by how much the resident memory of the process has grown for each, from
 * the first task's start to when all wait: stacks and records; not the ring,
 * which is there before, nor what the kernel keeps for itself.
 */
#include <errno.h>
#include <rota/rota.h>
#include <stdio.h>
#include <unistd.h>

#include "micro.h"

#define BUFFER_BYTES 64

/* What the process has of the kernel. */
struct footprint {
	uint64_t resident_bytes;
	uint64_t mappings;
};

static int read_resident(uint64_t *bytes)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;
	int fields = 0;

	if (file == NULL)
		return -errno;
	fields = fscanf(file, "%*u %llu", &pages);
	fclose(file);
	*bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return fields == 1 ? 0 : -EIO;
}

static int count_mappings(uint64_t *count)
{
	FILE *file = fopen("/proc/self/maps", "re");
	int byte;

	if (file == NULL)
		return -errno;
	*count = 0;
	while ((byte = getc(file)) != EOF)
		*count += byte == '\n';
	fclose(file);
	return 0;
}

static int take_footprint(struct footprint *footprint)
{
	const int error = count_mappings(&footprint->mappings);

	return error < 0 ? error : read_resident(&footprint->resident_bytes);
}

struct own {
	uint64_t count;     /* of tasks */
	int fd;             /* of the socket that all wait for */
	uint64_t receiving; /* tasks that have begun to */
	uint64_t ended;     /* tasks that were told of the stream's end */
	struct footprint before;
	struct footprint after;
};

static int receive(void *value)
{
	struct own *own = *(struct own **)value;
	char buffer[BUFFER_BYTES];

	own->receiving++;
	const int result = rota_recv(own->fd, buffer, sizeof(buffer), 0);

	own->ended += result == 0;
	return result;
}

static int fill(struct rota_group *group, struct own *own)
{
	int error = take_footprint(&own->before);

	for (uint64_t index = 0; index < own->count && error == 0; index++)
		error = rota_go(group, receive, own);
	while (error == 0 && own->receiving < own->count)
		error = rota_yield();
	if (error == 0)
		error = rota_sleep(ROTA_MILLISECOND);
	return error < 0 ? error : take_footprint(&own->after);
}

static int run_own(void *arg)
{
	struct own *own = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	const int error = fill(&group, own);

	rota_shutdown(own->fd, SHUT_RDWR);
	const int result = rota_group_wait(&group);

	return error < 0 ? error : result;
}

int micro_memory_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct own own = { .count = work->ops };

	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	own.fd = pair[0];
	const int error = rota_run(NULL, run_own, &own);
	const int64_t grown = (int64_t)own.after.resident_bytes -
			      (int64_t)own.before.resident_bytes;

	*sample = (struct micro_sample){
		.value = (double)grown / (double)own.count,
		.checksum = own.ended,
		.mappings = own.after.mappings - own.before.mappings,
	};
	close(pair[0]);
	close(pair[1]);
	return error;
}
