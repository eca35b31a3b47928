/* SPDX-License-Identifier: MIT */
#include "support/world.h"

#include "base/check.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

void expect(struct world *world, const char *law, int seen, int wanted)
{
	if (seen == wanted || world->broken)
		return;
	world->broken = law;
	world->seen = seen;
	world->wanted = wanted;
}

unsigned dice(struct world *world, unsigned end)
{
	return (unsigned)test_random_below(&world->random, end);
}

/* What holds whenever a task looks. */
void look(struct actor *actor)
{
	struct world *world = actor->world;

	model_time(&world->model);
	expect(world, "the code", rota_cancelled(), actor->here->code);
	expect(world, "the cause", rota_cause().error, actor->here->cause);
}

/* A verb has returned: before it was called the code was `before`. */
static void check_verb(struct actor *actor, int before, int result)
{
	look(actor);
	if (before)
		expect(actor->world, "a cancelled task's verb", result, before);
	else if (result < 0)
		expect(actor->world, "a verb that was interrupted",
		       model_was_told(actor->here, result), true);
}

void act_yield(struct actor *actor)
{
	const int before = actor->here->code;

	check_verb(actor, before, rota_yield());
}

void act_sleep(struct actor *actor)
{
	struct world *world = actor->world;
	const int before = actor->here->code;
	const int error = rota_sleep((int64_t)dice(world, 60) - 10);

	check_verb(actor, before, error);
	if (error && !before)
		expect(world, "a cancelled sleep ends at once",
		       world->kernel.clock_ns == actor->here->over_ns, true);
}

void act_recv(struct actor *actor)
{
	struct world *world = actor->world;
	const int before = actor->here->code;
	char byte;
	int n = rota_recv(world->pairs[dice(world, 2)][0], &byte, 1, 0);

	check_verb(actor, before, n);
	if (n > 0)
		world->got += (unsigned)n;
}

void act_recv_closable(struct actor *actor)
{
	struct world *world = actor->world;
	const int before = actor->here->code;
	const unsigned closed = world->closed;
	char byte;
	int n = rota_recv(world->pairs[2][0], &byte, 1, 0);

	if (n == -EBADF && !before) {
		expect(world, "a close", world->closed != closed, true);
		n = 0;
	}
	check_verb(actor, before, n);
}

void act_send(struct actor *actor)
{
	struct world *world = actor->world;
	const int before = actor->here->code;
	int n = rota_send(world->pairs[dice(world, 2)][1], "x", 1, 0);

	check_verb(actor, before, n);
	if (n > 0)
		world->sent += (unsigned)n;
}

/* Puts a new pair in the place of the last one, and closes that. */
void act_close(struct actor *actor)
{
	struct world *world = actor->world;
	const int old[] = { world->pairs[2][0], world->pairs[2][1] };

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, world->pairs[2]))
		ri_check(false, "no descriptors for the test");
	world->closed++;
	expect(world, "a close in any task", rota_close(old[0]), 0);
	expect(world, "a close in any task", rota_close(old[1]), 0);
	look(actor);
}

/* What went in and did not come out is still there. */
void check_bytes(struct world *world)
{
	char byte;

	for (int i = 0; i < 2; i++)
		while (recv(world->pairs[i][0], &byte, 1, MSG_DONTWAIT) == 1)
			world->got++;
	expect(world, "bytes lost", (int)world->got, (int)world->sent);
}
