/* SPDX-License-Identifier: MIT */
#include "task/shot.h"

#include "task/operation.h"
#include "task/park.h"

#include <errno.h>

/* How soon a cancel that missed is written again. */
#define RETRY_NS ((int64_t)10000000)

static const struct ri_shot_kind *kind_of(const struct ri_shots *shots,
					  const struct ri_shot *shot)
{
	return shots->kinds[shot->kind];
}

void ri_shots_init(struct ri_shots *shots)
{
	ri_list_init(&shots->chores);
	ri_list_init(&shots->fed);
	ri_list_init(&shots->hungry);
	ri_list_init(&shots->missed);
	shots->next_ticket = 1;
}

static void check_views(struct ri_tasks *tasks)
{
	const struct ri_buffers *buffers = &tasks->shots.buffers;

	if (!buffers->ring || !buffers->out)
		return;
	ri_shots_tell_keepers(tasks);
	ri_abort(__FILE__, __LINE__, "%u views that were kept are not released",
		 buffers->out);
}

void ri_shots_fini(struct ri_tasks *tasks)
{
	struct ri_shots *shots = &tasks->shots;
	const struct ri_kernel *kernel = tasks->loop.kernel;

	ri_check(shots->open == 0, "%u streams are open", shots->open);
	check_views(tasks);
	if (ri_timer_armed(&shots->famine))
		ri_wheel_remove(&tasks->loop.wheel, &shots->famine);
	ri_buffers_close(&shots->buffers, &tasks->loop.ring);
	if (shots->slab)
		kernel->unmap(kernel, shots->slab,
			      shots->max * sizeof(struct ri_shot));
}

static int map_slab(struct ri_tasks *tasks)
{
	const struct ri_kernel *kernel = tasks->loop.kernel;
	struct ri_shots *shots = &tasks->shots;
	void *start;
	int error;

	error = kernel->map(kernel, shots->max * sizeof(struct ri_shot),
			    &start);
	if (error < 0) {
		ri_log(&tasks->loop.log,
		       "no memory for the records of %u streams: "
		       "config.streams_max asks for fewer, RLIMIT_AS ('ulimit "
		       "-v') may be the limit",
		       shots->max);
		return error;
	}
	shots->slab = start;
	return 0;
}

/* A new record, or NULL at the bound. A free one keeps its generation, and the
 * next free one in `place`. */
static struct ri_shot *take_record(struct ri_shots *shots)
{
	struct ri_shot *shot = shots->free;

	if (shot) {
		shots->free = (struct ri_shot *)(void *)shot->place.next;
		return shot;
	}
	if (shots->made == shots->max)
		return NULL;
	return &shots->slab[shots->made++];
}

int ri_shot_open(struct ri_tasks *tasks, const struct ri_shot_kind *kind,
		 const struct ri_shot *init, struct ri_shot **out)
{
	struct ri_shots *shots = &tasks->shots;
	struct ri_shot *shot;
	uint16_t generation;
	int error;

	if (!shots->slab && (error = map_slab(tasks)))
		return error;
	shot = take_record(shots);
	if (!shot)
		return -EAGAIN;
	shots->kinds[init->kind] = kind;
	shots->open++;
	generation = shot->generation;
	*shot = *init;
	shot->generation = generation;
	ri_shot_own(tasks, shot, ri_task_self("rota_stream_open"));
	ri_descriptor_list(tasks, shot->fd, &shot->sharing);
	ri_shot_review(tasks, shot);
	*out = shot;
	return 0;
}

void ri_shot_free(struct ri_tasks *tasks, struct ri_shot *shot)
{
	ri_assert(!(shot->flags & RI_SHOT_IN_FLIGHT), "it is in flight");
	ri_assert(!ri_list_linked(&shot->place), "it is on a list");
	ri_chain_remove(&shot->sharing);
	shot->flags = RI_SHOT_FREE;
	shot->waiter = NULL;
	shot->place.next = (struct rota_node *)(void *)tasks->shots.free;
	tasks->shots.free = shot;
	tasks->shots.open--;
}

static void unlist(struct ri_shot *shot)
{
	if (ri_list_linked(&shot->place))
		ri_list_remove(&shot->place);
}

void ri_shot_review(struct ri_tasks *tasks, struct ri_shot *shot)
{
	if (!ri_list_linked(&shot->place))
		ri_list_append(&tasks->shots.chores, &shot->place);
}

static void shot_park(struct ri_tasks *tasks, struct ri_shot *shot,
		      struct ri_wait *wait)
{
	struct rota_task *self = ri_task_self(wait->what);

	ri_assert(!shot->waiter, "two tasks wait for a stream");
	shot->waiter = self;
	ri_park(tasks, self, wait);
}

void ri_shot_stop(struct ri_tasks *tasks, struct ri_shot *shot,
		  const char *verb)
{
	struct ri_wait wait = { .what = verb };

	shot->flags |= RI_SHOT_CLOSING;
	shot->flags &= (uint8_t) ~(RI_SHOT_STOPPING | RI_SHOT_HUNGRY);
	unlist(shot);
	if (!(shot->flags & RI_SHOT_IN_FLIGHT))
		return;
	ri_shot_review(tasks, shot);
	shot_park(tasks, shot, &wait);
	unlist(shot);
}

/* In the frame of who waits. */
struct shot_wait {
	struct ri_wait wait;
	struct ri_shot *shot;
};

static void interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	struct shot_wait *wait =
		ri_container(task->wait, struct shot_wait, wait);

	wait->shot->waiter = NULL;
	ri_wake(tasks, task, task->scope->code);
}

int ri_shot_wait(struct ri_tasks *tasks, struct ri_shot *shot)
{
	struct rota_task *self = ri_task_self("a stream's verb");
	struct shot_wait wait = {
		.wait = { .what = kind_of(&tasks->shots, shot)->verb,
			  .interrupt = interrupt },
		.shot = shot,
	};

	if (self->scope->code)
		return self->scope->code;
	shot_park(tasks, shot, &wait.wait);
	return self->result;
}

void ri_shot_own(struct ri_tasks *tasks, struct ri_shot *shot,
		 const struct rota_task *owner)
{
	shot->owner = (uint32_t)(owner - tasks->slab);
}

void ri_shot_wake(struct ri_tasks *tasks, struct ri_shot *shot)
{
	struct rota_task *waiter = shot->waiter;

	if (!waiter || shot->flags & RI_SHOT_CLOSING)
		return;
	shot->waiter = NULL;
	ri_wake(tasks, waiter, 0);
}

void ri_shot_over(struct ri_tasks *tasks, struct ri_shot *shot, int end)
{
	if (!(shot->flags & RI_SHOT_OVER))
		shot->end = end;
	shot->flags &= (uint8_t)~RI_SHOT_STARVED;
	shot->flags |= RI_SHOT_OVER;
	if (ri_shot_is_over(shot))
		ri_shot_wake(tasks, shot);
	else
		ri_shot_review(tasks, shot);
}

bool ri_shot_ready(const struct ri_tasks *tasks, const struct ri_shot *shot)
{
	return ri_shot_is_over(shot) || shot->flags & RI_SHOT_STARVED ||
	       kind_of(&tasks->shots, shot)->has_item(shot);
}

void ri_shot_close_descriptor(struct ri_tasks *tasks, struct ri_shot *shot)
{
	if (shot->flags & RI_SHOT_CLOSING)
		return;
	ri_shot_feed(shot);
	ri_shot_over(tasks, shot, -EBADF);
}

static void retry_due(struct rota_timer *timer)
{
	struct ri_shots *shots = ri_container(timer, struct ri_shots, retry);
	struct rota_node *link;

	while ((link = ri_list_take(&shots->missed))) {
		ri_shot_placed(link)->flags &= (uint8_t)~RI_SHOT_STOPPING;
		ri_list_append(&shots->chores, link);
	}
}

/* A cancel found nothing to stop: mostly its target is about to complete. */
static __attribute__((noinline)) void cancel_missed(struct ri_tasks *tasks,
						    struct ri_shot *shot)
{
	struct ri_shots *shots = &tasks->shots;

	/* A review that was asked for would find it stopping. */
	unlist(shot);
	if (!ri_list_linked(&shots->retry.link)) {
		shots->retry.deadline_ns = ri_loop_now(&tasks->loop) + RETRY_NS;
		shots->retry.fire = retry_due;
		ri_loop_arm(&tasks->loop, &shots->retry);
	}
	ri_list_append(&shots->missed, &shot->place);
}

/* Its operation has ended: it may have been waiting to be cancelled again. */
static void ended(struct ri_tasks *tasks, struct ri_shot *shot)
{
	struct ri_shots *shots = &tasks->shots;
	const uint8_t both = RI_SHOT_IN_FLIGHT | RI_SHOT_STOPPING;

	shot->flags &= (uint8_t)~both;
	tasks->loop.in_flight--;
	unlist(shot);
	if (ri_list_empty(&shots->missed) && ri_list_linked(&shots->retry.link))
		ri_wheel_remove(&tasks->loop.wheel, &shots->retry);
}

void ri_shot_complete(struct ri_tasks *tasks, const struct io_uring_cqe *cqe)
{
	struct ri_shots *shots = &tasks->shots;
	struct ri_shot *shot =
		(struct ri_shot *)(uintptr_t)(cqe->user_data &
					      RI_LOOP_ADDRESS_MASK);
	bool named;

	ri_check(ri_shots_have(shots, shot), "a completion for %#llx",
		 (unsigned long long)cqe->user_data);
	named = shot->flags & RI_SHOT_IN_FLIGHT &&
		shot->generation == cqe->user_data >> RI_GENERATION_SHIFT;
	if ((cqe->user_data & RI_TAG_MASK) == RI_TAG_SHOT_CANCEL) {
		if (named && cqe->res < 0)
			cancel_missed(tasks, shot);
		return;
	}
	ri_check(named, "a completion of a stream that has ended");
	if (!(cqe->flags & IORING_CQE_F_MORE))
		ended(tasks, shot);
	kind_of(shots, shot)->land(tasks, shot, cqe);
	if (shot->flags & RI_SHOT_IN_FLIGHT)
		return;
	if (shot->flags & RI_SHOT_CLOSING) {
		ri_wake(tasks, shot->waiter, 0);
		shot->waiter = NULL;
	} else if (shot->flags & RI_SHOT_OVER) {
		ri_shot_wake(tasks, shot);
	} else if (!(shot->flags & RI_SHOT_HUNGRY)) {
		ri_shot_review(tasks, shot);
	}
}

static uint64_t name_of(const struct ri_shot *shot, enum ri_tag tag)
{
	return ri_name(shot, shot->generation, tag);
}

static bool begin(struct ri_tasks *tasks, struct ri_shot *shot)
{
	struct io_uring_sqe *entry = ri_ring_entry(&tasks->loop.ring);

	if (!entry)
		return false;
	kind_of(&tasks->shots, shot)->prepare(shot, entry);
	shot->generation++;
	shot->flags |= RI_SHOT_IN_FLIGHT;
	entry->user_data = name_of(shot, RI_TAG_SHOT);
	tasks->loop.in_flight++;
	return true;
}

static bool cancel(struct ri_tasks *tasks, struct ri_shot *shot)
{
	struct io_uring_sqe *entry = ri_ring_entry(&tasks->loop.ring);

	if (!entry)
		return false;
	io_uring_prep_cancel64(entry, name_of(shot, RI_TAG_SHOT), 0);
	entry->user_data = name_of(shot, RI_TAG_SHOT_CANCEL);
	/* Only a miss is told. */
	entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
	shot->flags |= RI_SHOT_STOPPING;
	tasks->loop.expected++;
	return true;
}

static bool is_wanted(const struct ri_shots *shots, const struct ri_shot *shot)
{
	const uint8_t not = RI_SHOT_OVER | RI_SHOT_CLOSING | RI_SHOT_STARVED;

	return !(shot->flags & not ) && kind_of(shots, shot)->has_room(shot);
}

/* True: what there was to do is done. */
static bool review(struct ri_tasks *tasks, struct ri_shot *shot)
{
	const bool wanted = is_wanted(&tasks->shots, shot);

	if (!(shot->flags & RI_SHOT_IN_FLIGHT))
		return wanted ? begin(tasks, shot) : true;
	if (wanted || shot->flags & RI_SHOT_STOPPING)
		return true;
	return cancel(tasks, shot);
}

/* As many of the hungry begin as there are buffers: each may take several, so
 * some come back. */
static bool feed(struct ri_tasks *tasks)
{
	struct ri_shots *shots = &tasks->shots;
	unsigned meals = shots->buffers.in_ring;

	while (meals && !ri_list_empty(&shots->hungry)) {
		struct ri_shot *shot = ri_shot_placed(shots->hungry.next);

		if (!review(tasks, shot))
			return false;
		ri_shot_feed(shot);
		ri_list_append(&shots->fed, &shot->place);
		shots->hungry_ns = tasks->loop.now_ns;
		meals--;
	}
	return true;
}

/* Those that began with the batch before, and were not told that there is no
 * buffer: they have one, or nothing to hear, and have had their turn. */
static void forget_turns(struct ri_shots *shots)
{
	struct rota_node *link;

	while ((link = ri_list_take(&shots->fed))) {
		if (!(ri_shot_placed(link)->flags & RI_SHOT_OVER))
			ri_shot_placed(link)->ticket = 0;
		ri_list_append(&shots->chores, link);
	}
}

bool ri_shots_submit(struct ri_tasks *tasks)
{
	struct ri_shots *shots = &tasks->shots;
	bool more;

	forget_turns(shots);
	if (!feed(tasks))
		return true;
	/* Who began may have nothing to hear, and take none: once that is seen,
	 * the next ones begin. */
	more = shots->buffers.in_ring && !ri_list_empty(&shots->hungry);
	while (!ri_list_empty(&shots->chores)) {
		struct ri_shot *shot = ri_shot_placed(shots->chores.next);

		if (!review(tasks, shot))
			return true;
		ri_list_remove(&shot->place);
	}
	return more;
}
