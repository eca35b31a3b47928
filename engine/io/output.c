/* SPDX-License-Identifier: MIT */
/*
 * Outputs: a ring of bytes, those who write to it, and one task that sends.
 *
 *	writers -> [ pending ... ] -> sender -> kernel
 *
 * 1. What is pending is sent where it lies, in at most two pieces: while the
 *    kernel has them, bytes are added behind them only.
 * 2. Somebody waits for room only if the first of the line has not got enough
 *    of it: so nobody waits when nothing is pending, and an idle sender has
 *    nobody to serve.
 * 3. It is the sender who copies for those who wait, right when room comes to
 *    be; a writer goes on when its message is there, and so cannot be overtaken.
 * 4. A message that fits the memory is there whole or not at all. Only a longer
 *    one can be cut: that ends the output behind it.
 * 5. The sender lives in a shield without end. Who closes ends it, and must:
 *    that is why `scope` is one.
 */
#include "rota/output.h"

#include "rota/deadline.h"
#include "rota/group.h"
#include "rota/shield.h"
#include "rota/socket.h"
#include "rota/task.h"
#include "task/operation.h"
#include "task/scope.h"

#include <errno.h>
#include <string.h>

/* How soon it is tried again what the kernel had no room for. */
#define REST_NS ROTA_MILLISECOND

static_assert(sizeof(struct rota_output) <= 256, "four cache lines");

/* In the frame of who waits for room, or for bytes to be sent. */
struct waiter {
	struct ri_wait wait;
	struct rota_node link; /* among the writers or the flushers */
	struct rota_task *task;
	struct rota_output *output;
	const unsigned char *data; /* of a writer: what is left of it */
	size_t left;               /* ... how much */
	bool begun;                /* ... some is in the memory */
	uint64_t until;            /* of a flusher: when so many are sent */
};

static struct waiter *first_of(const struct rota_node *list)
{
	return ri_list_empty(list)
		       ? NULL
		       : ri_container(list->next, struct waiter, link);
}

static void leave(struct ri_tasks *tasks, struct waiter *waiter, int result)
{
	ri_list_remove(&waiter->link);
	ri_wake(tasks, waiter->task, result);
}

static void refuse_all(struct ri_tasks *tasks, struct rota_node *list,
		       int error)
{
	struct waiter *waiter;

	while ((waiter = first_of(list)))
		leave(tasks, waiter, error);
}

/* The running task; the output must be open, on this loop. */
static struct rota_task *user_of(const struct rota_output *output,
				 const char *function)
{
	struct rota_task *self = ri_task_self(function);

	ri_task_check_scope(self);
	ri_check(output->loop == ri_loop_here,
		 "%s in task %s for an output that is not open, or not here",
		 function, ri_task_name(self));
	return self;
}

static size_t room_of(const struct rota_output *output)
{
	return output->bytes - output->pending;
}

static void wake_sender(struct ri_tasks *tasks, struct rota_output *output)
{
	if (!output->idle)
		return;
	output->idle = false;
	ri_wake(tasks, output->sender, 0);
}

/* Adds bytes for which there is room. */
static void put(struct rota_output *output, const void *data, size_t bytes)
{
	size_t end = output->first + output->pending, straight;

	if (end >= output->bytes)
		end -= output->bytes;
	straight = output->bytes - end;
	if (straight > bytes)
		straight = bytes;
	memcpy(output->memory + end, data, straight);
	memcpy(output->memory, (const char *)data + straight, bytes - straight);
	output->pending += bytes;
}

/* Gives room to those who wait for it, in their order. */
static void serve_writers(struct ri_tasks *tasks, struct rota_output *output)
{
	struct waiter *writer;

	while ((writer = first_of(&output->writers))) {
		size_t some = writer->left;

		if (some > room_of(output)) {
			if (!writer->begun && some <= output->bytes)
				return;
			some = room_of(output);
		}
		if (!some)
			return;
		put(output, writer->data, some);
		writer->begun = true;
		writer->data += some;
		writer->left -= some;
		if (writer->left)
			return;
		leave(tasks, writer, 0);
	}
}

static void tell_flushers(struct ri_tasks *tasks, struct rota_output *output)
{
	struct waiter *flusher;

	while ((flusher = first_of(&output->flushers)) &&
	       flusher->until <= output->sent)
		leave(tasks, flusher, 0);
}

/* The kernel has taken some. */
static void taken(struct ri_tasks *tasks, struct rota_output *output,
		  size_t bytes)
{
	output->sent += bytes;
	output->pending -= bytes;
	output->first += bytes;
	if (output->first >= output->bytes)
		output->first -= output->bytes;
	if (!output->pending)
		output->first = 0;
	serve_writers(tasks, output);
	tell_flushers(tasks, output);
}

/* Sends what is pending, or some of it: how much, or -errno. */
static int send_pending(const struct rota_output *output)
{
	const size_t straight = output->bytes - output->first;
	unsigned char *start = output->memory + output->first;
	const struct iovec pieces[] = { { start, straight },
					{ output->memory,
					  output->pending - straight } };

	if (output->pending <= straight)
		return rota_send(output->fd, start,
				 output->pending > INT_MAX ? INT_MAX
							   : output->pending,
				 0);
	return rota_sendv(output->fd, pieces, 2, 0);
}

/* The kernel may take no entries for a while, or the socket not block. */
static int send_stubbornly(const struct rota_output *output)
{
	int sent = send_pending(output);

	while (sent == -EAGAIN && !output->dropped) {
		sent = rota_sleep(REST_NS);
		if (!sent)
			sent = send_pending(output);
	}
	return sent;
}

static int send_in_time(const struct rota_output *output)
{
	struct rota_deadline deadline;
	int sent;

	if (!output->write_ns)
		return send_stubbornly(output);
	rota_deadline_begin(&deadline, rota_after_ns(output->write_ns));
	sent = send_stubbornly(output);
	return rota_deadline_end(&deadline) && sent == -ETIME ? -ETIMEDOUT
							      : sent;
}

/* Waits until there is something to be sent. False: there never will be. */
static bool wait_for_bytes(struct rota_output *output)
{
	struct ri_wait wait = { .what = "an output, for bytes to be sent" };

	while (!output->dropped) {
		if (output->pending)
			return true;
		if (output->closed)
			return false;
		output->idle = true;
		ri_park(ri_tasks_here(), output->sender, &wait);
	}
	return false;
}

/* The last that the sender does with the output. */
static void end(struct rota_output *output, int error)
{
	struct ri_tasks *tasks = ri_tasks_here();

	output->ended = true;
	if (error && !output->error)
		output->error = error;
	refuse_all(tasks, &output->writers, output->error);
	refuse_all(tasks, &output->flushers,
		   output->error ? output->error : -EPIPE);
	if (output->closer)
		ri_wake(tasks, output->closer, 0);
}

static int send_all(void *value)
{
	struct rota_output *output = *(struct rota_output **)value;
	struct rota_shield shield;
	int error = 0;

	output->sender = ri_task_self(__func__);
	rota_shield_begin(&shield, ROTA_NEVER);
	while (!error && wait_for_bytes(output)) {
		const int sent = send_in_time(output);

		if (sent > 0)
			taken(ri_tasks_here(), output, (size_t)sent);
		else if (!output->dropped)
			error = sent ? sent : -EIO;
	}
	rota_shield_end(&shield);
	end(output, error);
	return error;
}

/* All but the scope. */
static void init(struct rota_output *output, int fd,
		 const struct rota_output_options *options)
{
	ri_list_init(&output->writers);
	ri_list_init(&output->flushers);
	output->loop = ri_loop_here;
	output->sender = NULL;
	output->closer = NULL;
	output->memory = options->memory;
	output->bytes = options->bytes;
	output->first = 0;
	output->pending = 0;
	output->sent = 0;
	output->write_ns = options->write_ns;
	output->fd = fd;
	output->error = 0;
	output->idle = false;
	output->ended = false;
	output->closed = false;
	output->dropped = false;
}

/* It is open no more. */
static void forget(struct rota_output *output)
{
	output->loop = NULL;
	ri_scope_remove(ri_tasks_here(), &output->scope);
}

int rota_output_open_at(struct rota_output *output, int fd,
			const struct rota_output_options *options,
			const struct rota_site *site)
{
	struct rota_task *self = ri_scope_opener("rota_output_open");
	int error;

	if (!options->group || !options->memory || !options->bytes ||
	    options->write_ns < 0)
		return -EINVAL;
	ri_scope_open(&output->scope, RI_SCOPE_OUTPUT, self, site);
	init(output, fd, options);
	error = rota_group_spawn_background(options->group, send_all, &output,
					    site);
	if (error)
		forget(output);
	return error;
}

/* Why nothing can be written, now or ever; 0: it can. */
static int refusal_of(const struct rota_task *self,
		      const struct rota_output *output)
{
	if (self->scope->code)
		return self->scope->code;
	if (output->error)
		return output->error;
	return output->closed ? -EPIPE : 0;
}

/* A message is there in part, and the rest will not come. */
static void cut(struct ri_tasks *tasks, struct rota_output *output)
{
	output->error = -ECONNABORTED;
	refuse_all(tasks, &output->writers, output->error);
}

static void write_interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	struct waiter *writer = ri_container(task->wait, struct waiter, wait);

	leave(tasks, writer, task->scope->code);
	if (writer->begun)
		cut(tasks, writer->output);
	else
		serve_writers(tasks, writer->output);
}

static int write_later(struct rota_task *self, struct rota_output *output,
		       const void *data, size_t bytes)
{
	struct ri_tasks *tasks = ri_tasks_here();
	struct waiter writer = {
		.wait = { .what = "rota_output_write",
			  .interrupt = write_interrupt },
		.task = self,
		.output = output,
		.data = data,
		.left = bytes,
	};

	ri_list_append(&output->writers, &writer.link);
	/* It does not fit, so this cannot be all of it: a long one begins. */
	if (first_of(&output->writers) == &writer)
		serve_writers(tasks, output);
	wake_sender(tasks, output);
	return ri_park(tasks, self, &writer.wait);
}

int rota_output_write(struct rota_output *output, const void *data,
		      size_t bytes)
{
	struct rota_task *self = user_of(output, __func__);
	const int error = refusal_of(self, output);

	if (error || !bytes)
		return error;
	if (bytes > room_of(output) || !ri_list_empty(&output->writers))
		return write_later(self, output, data, bytes);
	put(output, data, bytes);
	wake_sender(ri_tasks_here(), output);
	return 0;
}

int rota_output_try_write(struct rota_output *output, const void *data,
			  size_t bytes)
{
	struct rota_task *self = user_of(output, __func__);
	const int error = refusal_of(self, output);

	if (error || !bytes)
		return error;
	if (bytes > output->bytes)
		return -EMSGSIZE;
	if (bytes > room_of(output) || !ri_list_empty(&output->writers))
		return -EAGAIN;
	put(output, data, bytes);
	wake_sender(ri_tasks_here(), output);
	return 0;
}

static void flush_interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	leave(tasks, ri_container(task->wait, struct waiter, wait),
	      task->scope->code);
}

int rota_output_flush(struct rota_output *output)
{
	struct rota_task *self = user_of(output, __func__);
	struct waiter flusher = {
		.wait = { .what = "rota_output_flush",
			  .interrupt = flush_interrupt },
		.task = self,
		.until = output->sent + output->pending,
	};

	if (self->scope->code)
		return self->scope->code;
	if (output->error || !output->pending)
		return output->error;
	if (output->dropped)
		return -EPIPE;
	ri_list_append(&output->flushers, &flusher.link);
	return ri_park(ri_tasks_here(), self, &flusher.wait);
}

size_t rota_output_pending(const struct rota_output *output)
{
	return output->pending;
}

/* What the kernel has, it keeps until it says so: that comes soon now. It may
 * have sent it, which the flushers are told then. */
static void drop(struct ri_tasks *tasks, struct rota_output *output)
{
	if (output->dropped || output->ended)
		return;
	output->dropped = true;
	refuse_all(tasks, &output->writers, -EPIPE);
	if (output->sender && output->sender->fiber.flags & RI_TASK_IN_FLIGHT)
		ri_operation_interrupt(tasks, output->sender);
}

struct closing {
	struct ri_wait wait;
	struct rota_output *output;
};

static void close_interrupt(struct ri_tasks *tasks, struct rota_task *task)
{
	drop(tasks, ri_container(task->wait, struct closing, wait)->output);
}

/* Waits until the sender has let go of everything. */
static void join(struct ri_tasks *tasks, struct rota_task *self,
		 struct rota_output *output)
{
	struct closing closing = {
		.wait = { .what = "rota_output_close",
			  .interrupt = close_interrupt },
		.output = output,
	};

	if (self->scope->code)
		drop(tasks, output);
	wake_sender(tasks, output);
	if (output->ended)
		return;
	output->closer = self;
	ri_park(tasks, self, &closing.wait);
}

int rota_output_close(struct rota_output *output)
{
	struct rota_task *self =
		ri_scope_holder(&output->scope, RI_SCOPE_OUTPUT, __func__);
	struct ri_tasks *tasks = ri_tasks_here();

	output->closed = true;
	join(tasks, self, output);
	ri_assert(ri_list_empty(&output->writers) &&
			  ri_list_empty(&output->flushers),
		  "tasks wait for an output that is closed");
	forget(output);
	if (!output->error && output->dropped && output->pending)
		return self->scope->code;
	return output->error;
}
