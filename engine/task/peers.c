/* SPDX-License-Identifier: MIT */
/*
 * The loops of an engine, as its tasks see them.
 */
#include "rota/loop.h"

#include "task/errand.h"
#include "task/peers.h"

#include <errno.h>

unsigned rota_loops(void)
{
	return ri_tasks_caller(__func__)->peers->count;
}

unsigned rota_loop(void)
{
	return ri_tasks_caller(__func__)->loop.index;
}

/* Two loops with as many tasks, give or take these and a sixteenth, are equally
 * loaded: a server's own few tasks on one of them must not send all of its
 * short connections to another. */
#define EQUAL 4u

/* Tasks that are there, and those that are on their way because it had the
 * fewest. */
static unsigned load_of(const struct ri_loop *here, const struct ri_loop *loop)
{
	const unsigned live =
		loop == here ? loop->live
			     : __atomic_load_n(&loop->load, __ATOMIC_RELAXED);

	return live + __atomic_load_n(&loop->coming, __ATOMIC_RELAXED);
}

unsigned ri_peers_least(struct ri_peers *peers, const struct ri_loop *here)
{
	/* relaxed: it only makes equal ones take turns */
	unsigned index = __atomic_fetch_add(&peers->turn, 1, __ATOMIC_RELAXED);
	unsigned least = UINT32_MAX;

	for (unsigned i = 0; i < peers->count; i++) {
		const unsigned load = load_of(here, &peers->each[i]->loop);

		if (load < least)
			least = load;
	}
	least += EQUAL + least / 16;
	/* One of them may have become busier meanwhile. */
	for (unsigned i = 0; i < peers->count; i++, index++)
		if (load_of(here, &peers->each[index % peers->count]->loop) <=
		    least)
			break;
	return index % peers->count;
}

unsigned rota_loop_least(void)
{
	struct ri_tasks *here = ri_tasks_caller(__func__);

	return ri_peers_least(here->peers, &here->loop);
}

/* In the frame of who asks. */
struct question {
	struct ri_errand errand;       /* to that loop */
	struct rota_loop_stats *stats; /* the answer */
};

static void fill(struct ri_tasks *there, struct ri_errand *errand)
{
	const struct ri_loop *loop = &there->loop;

	*ri_container(errand, struct question, errand)->stats =
		(struct rota_loop_stats){
			.tasks = there->next_id,
			.arrived = there->arrived,
			.mail = loop->mail,
			.sleeps = loop->sleeps,
			.enters = loop->ring.enters,
			.entries = loop->ring.submitted,
			.live = loop->live,
		};
}

int rota_loop_inspect(unsigned loop, struct rota_loop_stats *stats)
{
	const struct rota_task *self = ri_task_self(__func__);
	const struct ri_peers *peers = ri_tasks_here()->peers;
	struct question question = { .errand.act = fill, .stats = stats };

	ri_task_check_scope(self);
	if (loop >= peers->count)
		return -EINVAL;
	if (self->scope->code)
		return self->scope->code;
	ri_errand_run(&question.errand, peers->each[loop], __func__);
	return 0;
}

static void message_arrived(void *place, struct rota_mail *mail)
{
	struct rota_message *message =
		ri_container(mail, struct rota_message, mail);

	(void)place;
	message->fn(message);
}

void rota_message_send(unsigned loop, struct rota_message *message)
{
	const struct ri_peers *peers = ri_tasks_caller(__func__)->peers;

	ri_check(loop < peers->count, "loop %u of %u", loop, peers->count);
	message->mail.deliver = message_arrived;
	ri_loop_post(&peers->each[loop]->loop, &message->mail);
}
