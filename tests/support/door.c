/* SPDX-License-Identifier: MIT */
#include "support/door.h"

#include "rota/rota.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void door_make(struct door *door)
{
	if (pipe(door->ends))
		abort();
	atomic_init(&door->came, 0);
	atomic_init(&door->passed, 0);
}

void door_remove(struct door *door)
{
	close(door->ends[0]);
	close(door->ends[1]);
}

void door_let(struct door *door, unsigned count)
{
	while (count--)
		if (write(door->ends[1], "x", 1) != 1)
			abort();
}

void door_await(struct door *door, unsigned count)
{
	const struct timespec moment = { .tv_nsec = 100000 };

	while (atomic_load(&door->came) < count)
		nanosleep(&moment, NULL);
}

static int passed(struct door *door, int n)
{
	atomic_fetch_add(&door->passed, n == 1);
	return n;
}

int door_pass(void *value)
{
	struct door *door = *(struct door **)value;
	char byte;

	atomic_fetch_add(&door->came, 1);
	return passed(door, rota_read(door->ends[0], &byte, 1));
}

int door_block(void *value)
{
	struct door *door = *(struct door **)value;
	char byte;

	atomic_fetch_add(&door->came, 1);
	return passed(door, (int)read(door->ends[0], &byte, 1));
}
