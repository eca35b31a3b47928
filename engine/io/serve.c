/* SPDX-License-Identifier: MIT */
/*
 * Members without a stack. One that serves a stream is a task like any other;
 * when nothing has landed it returns from its function, parked: its stack goes
 * to the next task (task/tasks.c: run), and whoever wakes it finds a fiber that
 * has not started, so its function is called again, on a stack that is warm.
 *
 *	accepted -> runs -> asleep -> runs -> asleep -> ... -> ended
 *
 * All that outlives a sleep is in the record's value. The stream's scope is the
 * member's innermost one from its acceptance on, and an idle section while it
 * sleeps: so cancels, drains and time-outs find it as they find every task.
 * The stack stays reserved: to wake it cannot fail.
 *
 * To sleep and wake touches nothing of its neighbours: no list is left or
 * joined, and the timer of the idle time stays where it is while it is moved
 * later and later.
 */
#include "io/stream.h"
#include "rota/clock.h"
#include "task/group.h"
#include "task/scope.h"

#include <errno.h>
#include <stdio.h>

/* The value of the member. */
struct served {
	struct rota_stream *stream;  /* NULL: closed */
	struct rota_service service; /* who serves it */
	struct ri_wait wait;         /* its sleep; `what` is NULL: awake */
};

static_assert(sizeof(struct served) == ROTA_SERVED_BYTES_, "the value");

static struct served *served_of(struct rota_task *task)
{
	return (struct served *)(void *)task->value;
}

void ri_served_closed(struct rota_task *self)
{
	served_of(self)->stream = NULL;
}

static void interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	served_of(task)->stream->shot->waiter = NULL;
	ri_wake(tasks, task, task->scope->code);
}

static struct rota_stream *stream_of(struct rota_timer *timer)
{
	struct rota_scope *scope =
		ri_container(timer, struct rota_scope, timer);

	return ri_container(scope, struct rota_stream, scope);
}

static void begin_idle_time(struct ri_tasks *tasks, struct rota_stream *stream);

/* Has its peer sent something, for which there was no buffer? */
static bool is_hungry(const struct ri_tasks *tasks, const struct ri_shot *shot)
{
	const struct ri_kernel *kernel = tasks->loop.kernel;

	return shot->flags & RI_SHOT_HUNGRY &&
	       kernel->unread(kernel, shot->fd) > 0;
}

static void idle_over(struct rota_timer *timer)
{
	const struct rota_cancellation cause = { -ETIME, NULL };
	struct rota_stream *stream = stream_of(timer);
	struct ri_tasks *tasks = ri_tasks_here();

	/* Awake: it is armed again when the member falls asleep. */
	if (stream->scope.kind != RI_SCOPE_IDLE || stream->scope.code)
		return;
	if (is_hungry(tasks, stream->shot))
		begin_idle_time(tasks, stream);
	else
		ri_scope_cancel(tasks, &stream->scope, -ETIME, cause);
}

/* The idle time has begun again since the timer was put on the wheel. It may be
 * over too, but other timers may come before it: the wheel knows. */
static void idle_due(struct rota_timer *timer)
{
	const struct rota_stream *stream = stream_of(timer);

	if (stream->scope.kind != RI_SCOPE_IDLE)
		return;
	timer->deadline_ns = stream->due_ns;
	timer->fire = idle_over;
	if (!ri_loop_arm(&ri_tasks_here()->loop, timer))
		idle_over(timer);
}

static void begin_idle_time(struct ri_tasks *tasks, struct rota_stream *stream)
{
	struct rota_timer *timer = &stream->scope.timer;

	stream->due_ns = rota_after_ns(stream->idle_ns);
	if (ri_timer_armed(timer)) {
		timer->fire = idle_due;
		return;
	}
	timer->deadline_ns = stream->due_ns;
	timer->fire = idle_over;
	ri_loop_arm(&tasks->loop, timer);
}

/* It is idle no more. True: its idleness came to something, and to nothing
 * around it that each verb tells by itself. */
static bool stop_idling(struct rota_scope *scope)
{
	scope->kind = RI_SCOPE_STREAM;
	return scope->code && !scope->parent->code;
}

/* That is over, and so is what it came to. */
static void forget_code(struct rota_scope *scope)
{
	scope->code = 0;
	scope->codes &= RI_CODE_SHUTDOWN;
	scope->cause = (struct rota_cancellation){ 0, NULL };
}

/* What only its sleep came to is told once. If something has landed meanwhile
 * it did not stay idle, and nothing is told: a loop with much to do must not
 * close the busy ones. */
static void end_sleep(const struct ri_tasks *tasks, struct rota_stream *stream)
{
	struct rota_scope *scope = &stream->scope;

	if (!stop_idling(scope))
		return;
	if (!ri_shot_ready(tasks, stream->shot)) {
		stream->told = scope->code;
		stream->drained |= scope->code == -ESHUTDOWN;
	}
	forget_code(scope);
}

/* False: it is told first that its group drains. */
static bool start_idling(struct rota_stream *stream)
{
	if (stream->scope.codes & RI_CODE_SHUTDOWN && !stream->drained) {
		stream->drained = true;
		stream->told = -ESHUTDOWN;
		return false;
	}
	stream->scope.kind = RI_SCOPE_IDLE;
	return true;
}

/* False: the sleep is over before it has begun, and what it came to is told. */
static bool begin_sleep(struct ri_tasks *tasks, struct rota_stream *stream)
{
	if (!start_idling(stream))
		return false;
	if (stream->idle_ns > 0)
		begin_idle_time(tasks, stream);
	return true;
}

bool ri_served_rest(struct rota_stream *stream)
{
	const struct rota_scope *scope = &stream->scope;

	return stream->served && scope->owner->scope == scope &&
	       start_idling(stream);
}

void ri_served_go_on(struct rota_stream *stream, int code)
{
	struct rota_scope *scope = &stream->scope;

	if (!stop_idling(scope))
		return;
	stream->drained |= code == -ESHUTDOWN;
	forget_code(scope);
}

static rota_task_fn serve;

/* The task is parked when its function has returned. */
static bool fall_asleep(struct ri_tasks *tasks, struct rota_task *self,
			struct served *served)
{
	struct rota_stream *stream = served->stream;

	ri_stream_take_back(tasks, stream);
	if (!begin_sleep(tasks, stream))
		return false;
	served->wait = (struct ri_wait){ .what = "rota_stream_serve",
					 .interrupt = interrupt,
					 .since_ns = tasks->loop.now_ns };
	stream->shot->waiter = self;
	ri_task_doze(tasks, self, serve, &served->wait);
	return true;
}

__attribute__((cold, noreturn)) static void
broke(const struct rota_task *self, const struct rota_stream *stream,
      const char *promise)
{
	const struct rota_site *site = stream->scope.site;

	ri_abort(site->file, site->line,
		 "task %s (spawned at %s:%d) has returned from serving the "
		 "stream opened here %s",
		 ri_task_name(self), self->site->file, self->site->line,
		 promise);
}

static void check_returned(const struct rota_task *self,
			   const struct rota_stream *stream, int result)
{
	char promise[64];

	if (result) {
		snprintf(promise, sizeof(promise), "with %d, and left it open",
			 result);
		broke(self, stream, promise);
	}
	if (stream->ended)
		broke(self, stream,
		      stream->scope.code
			      ? "when it was cancelled, and left it open"
			      : "at its end, and left it open");
	if (!stream->read)
		broke(self, stream, "without having looked at it");
}

/* Calls who serves, once. True: it goes on. */
static bool call(struct rota_task *self, struct served *served, int *result)
{
	struct rota_stream *stream = served->stream;

	stream->read = false;
	stream->ended = false;
	*result = served->service.fn(stream, served->service.arg);
	if (!served->stream)
		return false;
	if (__builtin_expect(self->scope != &stream->scope, 0))
		ri_scope_left_open(self, "has returned from serving");
	check_returned(self, stream, *result);
	return true;
}

static bool is_due(const struct ri_tasks *tasks, const struct rota_task *self,
		   const struct rota_stream *stream)
{
	return stream->offset < stream->length || stream->told ||
	       self->scope->code || ri_shot_ready(tasks, stream->shot);
}

/* There is more at once: not before the others have had their turn. In a
 * cancelled task they have to wait: it has what landed, and no more lands. */
static void give_way(struct ri_tasks *tasks, struct rota_task *self)
{
	ri_loop_ready(&tasks->loop, &self->fiber);
	ri_task_leave(tasks, self);
}

static int serve(void *value)
{
	struct served *served = value;
	struct rota_task *self = ri_task_self("rota_stream_serve");
	struct ri_tasks *tasks = ri_tasks_here();
	int result;

	if (served->wait.what) {
		served->wait.what = NULL;
		end_sleep(tasks, served->stream);
	}
	while (is_due(tasks, self, served->stream) ||
	       !fall_asleep(tasks, self, served)) {
		if (!call(self, served, &result))
			return result;
		if (!self->scope->code && is_due(tasks, self, served->stream))
			give_way(tasks, self);
	}
	return 0;
}

/* Makes the stream the new member's, which has not started. */
static void hand_over(struct ri_tasks *tasks, struct rota_group *group,
		      struct rota_stream *stream)
{
	struct rota_task *member =
		ri_container(group->members.prev, struct rota_task, member);

	if (stream->served)
		served_of(stream->scope.owner)->stream = NULL;
	ri_scope_remove(tasks, &stream->scope);
	ri_scope_open(&stream->scope, RI_SCOPE_STREAM, member,
		      stream->scope.site);
	ri_shot_own(tasks, stream->shot, member);
	stream->told = 0;
	stream->drained = false;
	stream->served = true;
}

int rota_stream_serve_at(struct rota_group *group, struct rota_stream *stream,
			 struct rota_service service,
			 const struct rota_site *site)
{
	const struct served served = { stream, service, { NULL, NULL, 0 } };
	int error;

	(void)rota_stream_ready(stream); /* open, and the caller's */
	/* What rota_stream_recv has left over is for who serves. */
	if (stream->offset == stream->length)
		ri_stream_take_back(ri_tasks_here(), stream);
	error = rota_group_spawn(group, serve, &served, site);
	if (!error)
		hand_over(ri_tasks_here(), group, stream);
	return error;
}
