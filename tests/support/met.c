/* SPDX-License-Identifier: MIT */
#include "support/met.h"

#include "base/check.h"

#include <stdlib.h>

#define ROOM_FIRST ((size_t)1 << 16)

/* Where a hash is, or belongs. */
static uint64_t *place(const struct test_met *met, uint64_t hash)
{
	size_t i = (size_t)hash & (met->room - 1);

	while (met->hashes[i] && met->hashes[i] != hash)
		i = (i + 1) & (met->room - 1);
	return &met->hashes[i];
}

static void make_room(struct test_met *met, size_t room)
{
	const struct test_met old = *met;

	met->hashes = calloc(room, sizeof(*met->hashes));
	ri_check(met->hashes, "no memory");
	met->room = room;
	for (size_t i = 0; i < old.room; i++)
		if (old.hashes[i])
			*place(met, old.hashes[i]) = old.hashes[i];
	free(old.hashes);
}

void test_met_init(struct test_met *met)
{
	*met = (struct test_met){ 0 };
	make_room(met, ROOM_FIRST);
}

void test_met_fini(struct test_met *met)
{
	free(met->hashes);
}

bool test_met_add(struct test_met *met, uint64_t hash)
{
	uint64_t *found = place(met, hash);

	if (*found)
		return false;
	*found = hash;
	if (++met->count * 2 > met->room)
		make_room(met, met->room * 2);
	return true;
}
