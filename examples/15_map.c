/* SPDX-License-Identifier: MIT */
/*
 * A map that tasks of two loops read all the time, and one changes now and then.
 * Readers hold the lock together; who writes holds it alone, also while it is
 * suspended half-way. A reader that comes after a writer waits behind it, so
 * readers cannot keep it out, and a wait for the lock ends with a cancel.
 *
 * The wrong way: a lock of threads (pthread_rwlock_t). Who waits for it blocks
 * its loop, with all tasks on it; and if the one that holds it is among those,
 * for ever. Or no lock, as tasks take turns: those of one loop do, and only
 * until one suspends. Where all that use it are on one loop and do not suspend
 * in between, plain data is right, and cheaper.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <string.h>

#define KEYS 8
#define READERS 4
#define ROUNDS 200

struct map {
	struct rota_rwlock lock; /* of all that follows */
	int prices[KEYS];
	int total; /* of all prices */
};

static bool is_whole(const struct map *map)
{
	int total = 0;

	for (int key = 0; key < KEYS; key++)
		total += map->prices[key];
	return total == map->total;
}

static int read_often(void *value)
{
	struct map *map = *(struct map **)value;
	bool whole = true;

	for (int round = 0; round < ROUNDS && whole; round++) {
		const int error = rota_rwlock_read_lock(&map->lock);

		if (error)
			return error;
		whole = is_whole(map);
		rota_rwlock_read_unlock(&map->lock);
		rota_yield();
	}
	return whole ? 0 : -EPROTO; /* it saw half of a change */
}

static int change_often(void *value)
{
	struct map *map = *(struct map **)value;

	for (int round = 0; round < ROUNDS; round++) {
		const int error = rota_rwlock_write_lock(&map->lock);

		if (error)
			return error;
		map->prices[round % KEYS] += round;
		rota_yield(); /* say, the new one is written to a file */
		map->total += round;
		rota_rwlock_write_unlock(&map->lock);
	}
	return 0;
}

static int run(void *arg)
{
	struct map map = { .total = 0 };
	struct rota_group group;
	int error, result;

	(void)arg;
	rota_rwlock_init(&map.lock, NULL);
	rota_group_open(&group, NULL);
	error = rota_go(&group, change_often, &map);
	for (unsigned i = 0; i < READERS && !error; i++)
		error = rota_go_on(&group, i % rota_loops(), read_often, &map);
	result = rota_group_wait(&group);
	rota_rwlock_fini(&map.lock);
	printf("%d changes, and nobody saw half of one: %s\n", ROUNDS,
	       strerror(-result));
	if (error || result)
		return error ? error : result;
	return is_whole(&map) ? 0 : -EPROTO;
}

int main(void)
{
	const struct rota_config config = { .loops = 2 };

	return rota_run(&config, run, NULL) < 0;
}
