/* SPDX-License-Identifier: MIT */
/*
 * The workers of a stage are one block, which the last one gives back. Each has
 * ends of the two channels of its own: so the last one out closes them, and
 * nobody has to count.
 *
 * A line is spawned from its end to its source. If a stage cannot be, those
 * behind it see the end of what nobody has sent anything to. Only the source
 * could begin before all of it is there, on other loops: it waits for word.
 */
#include "rota/pipeline.h"

#include "rota/event.h"
#include "sync/crew.h"

#include <errno.h>
#include <stdlib.h>

struct crew;

struct ends {
	struct rota_receiver from; /* where items come from, or {NULL} */
	struct rota_sender to;     /* where they go, or {NULL} */
};

/* What a crew does, and between what. */
struct part {
	struct ends ends;  /* of who spawns it, while that does */
	rota_stage_fn *fn; /* the user's */
	void *arg;         /* its third argument */
	unsigned workers;  /* how many */
	bool spread;       /* over all loops */
	bool whole;        /* all of them begin, or none; at the limit none */
};

struct worker {
	struct crew *crew; /* the others */
	struct ends ends;  /* its own */
};

struct crew {
	struct rota_group *group;  /* they are in */
	struct part part;          /* what they do */
	size_t in_bytes;           /* room for an item that comes */
	size_t worker_bytes;       /* of each worker, with its two items */
	struct rota_event spawned; /* they may begin; or not, if ... */
	bool refused;              /* ... there is one that could not be */
	unsigned holds;            /* who still needs the block; atomic */
	alignas(16) unsigned char workers[]; /* one after the other */
};

static struct worker *worker_at(struct crew *crew, unsigned index)
{
	return (void *)(crew->workers + index * crew->worker_bytes);
}

/* Where the items of a worker are; NULL: it has none of these. */
static void *in_of(struct worker *worker)
{
	if (!worker->ends.from.channel)
		return NULL;
	return (char *)worker + ri_crew_round_up(sizeof(*worker));
}

static void *out_of(struct worker *worker)
{
	if (!worker->ends.to.channel)
		return NULL;
	return (char *)worker + ri_crew_round_up(sizeof(*worker)) +
	       worker->crew->in_bytes;
}

static void let_go(struct crew *crew)
{
	/* acquire and release: whoever is last has seen what the others did
	 * with it */
	if (__atomic_sub_fetch(&crew->holds, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	rota_event_fini(&crew->spawned);
	free(crew);
}

static void close_ends(struct ends *ends)
{
	if (ends->from.channel)
		rota_receiver_close(&ends->from);
	if (ends->to.channel)
		rota_sender_close(&ends->to);
}

/* > 0: there is an item; 0: the end. */
static int take(struct worker *worker)
{
	struct rota_channel *from = worker->ends.from.channel;
	int result;

	if (!from)
		return rota_cancelled() ? rota_cancelled() : 1;
	result = rota_channel_receive(&worker->ends.from, in_of(worker));
	if (result <= 0 || !rota_cancelled())
		return result;
	ri_channel_discard(from, in_of(worker));
	return rota_cancelled();
}

/* 0, or it was discarded. */
static int hand_on(struct worker *worker)
{
	int error;

	if (!worker->ends.to.channel)
		return 0;
	error = rota_channel_send(&worker->ends.to, out_of(worker));
	if (error)
		ri_channel_discard(worker->ends.to.channel, out_of(worker));
	return error;
}

/* > 0: there may be more. */
static int step(struct worker *worker)
{
	const struct part *part = &worker->crew->part;
	int result = take(worker);

	if (result <= 0)
		return result;
	result = part->fn(in_of(worker), out_of(worker), part->arg);
	if (result == 0)
		return worker->ends.from.channel != NULL;
	if (result < 0) {
		ri_crew_failed(worker->crew->group, result);
		return result;
	}
	result = hand_on(worker);
	if (result == 0)
		return 1;
	return result == -EPIPE ? 0 : result;
}

/* > 0: it may. */
static int begin(struct crew *crew)
{
	const int error = rota_event_wait(&crew->spawned);

	return error ? error : !crew->refused;
}

static int work(void *value)
{
	struct worker *worker = *(struct worker **)value;
	unsigned round = 0;
	int result = begin(worker->crew);

	while (result > 0 && (result = step(worker)) > 0)
		ri_crew_breathe(&round);
	close_ends(&worker->ends);
	let_go(worker->crew);
	return result;
}

static size_t item_bytes(const struct rota_channel *channel)
{
	return channel ? ri_crew_round_up(channel->item_bytes) : 0;
}

/* With a hold for who makes it. NULL: no memory. */
static struct crew *make_crew(struct rota_group *group, const struct part *part)
{
	const size_t in_bytes = item_bytes(part->ends.from.channel);
	const size_t out_bytes = item_bytes(part->ends.to.channel);
	struct crew *crew;
	size_t bytes;

	if (__builtin_mul_overflow(ri_crew_round_up(sizeof(struct worker)) +
					   in_bytes + out_bytes,
				   part->workers, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(*crew), &bytes))
		return NULL;
	crew = malloc(bytes);
	if (!crew)
		return NULL;
	*crew = (struct crew){
		.group = group,
		.part = *part,
		.in_bytes = in_bytes,
		.worker_bytes = (bytes - sizeof(*crew)) / part->workers,
		.holds = 1,
	};
	rota_event_init(&crew->spawned, NULL);
	if (!part->whole)
		rota_event_set(&crew->spawned);
	return crew;
}

static struct worker *make_worker(struct crew *crew, unsigned index)
{
	const struct ends *ends = &crew->part.ends;
	struct worker *worker = worker_at(crew, index);

	*worker = (struct worker){ .crew = crew };
	if (ends->from.channel)
		worker->ends.from = rota_receiver_share(&ends->from);
	if (ends->to.channel)
		worker->ends.to = rota_sender_share(&ends->to);
	/* relaxed: the caller has a hold of its own meanwhile */
	__atomic_add_fetch(&crew->holds, 1, __ATOMIC_RELAXED);
	return worker;
}

static int start(struct crew *crew, const struct rota_site *site)
{
	const struct part *part = &crew->part;
	int error = 0;

	for (unsigned i = 0; i < part->workers && !error; i++) {
		struct worker *worker = make_worker(crew, i);
		struct rota_start start = ri_crew_start(work, i, part->spread);

		start.tries = part->whole;
		error = rota_group_spawn_on(crew->group, start, &worker, site);
		if (error) {
			close_ends(&worker->ends);
			let_go(crew);
		}
	}
	if (part->whole) {
		crew->refused = error != 0;
		rota_event_set(&crew->spawned);
	}
	return error;
}

/* Closes the ends of the part in any case. */
static int spawn(struct rota_group *group, struct part *part,
		 const struct rota_site *site)
{
	struct crew *crew = make_crew(group, part);
	int error = -ENOMEM;

	if (crew) {
		error = start(crew, site);
		let_go(crew);
	}
	close_ends(&part->ends);
	return error;
}

/* The channel of an end that is its caller's no more. */
static struct rota_channel *take_over(struct rota_channel **end)
{
	struct rota_channel *channel = ri_channel_check(*end, "rota_go_stage");

	*end = NULL;
	return channel;
}

int rota_stage_spawn(struct rota_group *group, const struct rota_stage *stage,
		     const struct rota_site *site)
{
	struct part part = {
		.fn = stage->fn,
		.arg = stage->arg,
		.workers = stage->workers ? stage->workers : 1,
		.spread = stage->spread,
	};

	if (stage->from)
		part.ends.from.channel = take_over(&stage->from->channel);
	if (stage->to)
		part.ends.to.channel = take_over(&stage->to->channel);
	if (part.fn && (stage->from || stage->to))
		return spawn(group, &part, site);
	close_ends(&part.ends);
	return -EINVAL;
}

/* What lies behind a stage. */
static struct rota_channel_options
options_behind(const struct rota_pipeline_stage *stage)
{
	return (struct rota_channel_options){
		.item_bytes = stage->out_bytes,
		.capacity = stage->capacity,
		.discard = stage->discard,
		.context = stage->arg,
	};
}

static bool can_be(const struct rota_pipeline_stage *stages, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct rota_channel_options options =
			options_behind(&stages[i]);

		if (!stages[i].fn)
			return false;
		if (i + 1 < count && !rota_channel_bytes(&options))
			return false;
	}
	const struct rota_pipeline_stage *sink = &stages[count - 1];

	return !sink->out_bytes && !sink->capacity && !sink->discard;
}

/* The channel between a stage and the one before it. */
static int open_before(const struct rota_pipeline_stage *stage,
		       struct rota_sender *to, struct rota_receiver *from,
		       const struct rota_site *site)
{
	struct rota_channel_options options = options_behind(stage - 1);

	options.local = !stage[-1].spread && !stage->spread;
	return rota_channel_open_at(&options, to, from, site);
}

int rota_pipeline_spawn(struct rota_group *group,
			const struct rota_pipeline_stage *stages, size_t count,
			const struct rota_site *site)
{
	struct rota_sender to = { NULL };
	int error = 0;

	if (!stages || count < 2 || !can_be(stages, count))
		return -EINVAL;
	for (size_t i = count; i && !error; i--) {
		const struct rota_pipeline_stage *stage = &stages[i - 1];
		struct part part = {
			.ends.to = to,
			.fn = stage->fn,
			.arg = stage->arg,
			.workers = stage->workers ? stage->workers : 1,
			.spread = stage->spread,
			.whole = true,
		};

		to.channel = NULL;
		if (i > 1)
			error = open_before(stage, &to, &part.ends.from, site);
		if (error)
			close_ends(&part.ends);
		else
			error = spawn(group, &part, site);
	}
	close_ends(&(struct ends){ .to = to });
	return error;
}
