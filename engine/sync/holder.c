/* SPDX-License-Identifier: MIT */
#include "sync/holder.h"

#include <stdio.h>

#define TEXT_BYTES 256

/* " accounts", or nothing. */
static const char *named(const char *name)
{
	return name ? name : "";
}

/* Who calls, and where: "task work (spawned at work.c:3) calls rota_..." */
static void tell_caller(char text[TEXT_BYTES], const char *verb,
			const struct rota_site *site)
{
	struct ri_loop *loop = ri_loop_here;
	const struct rota_task *self;
	int length;

	if (!loop || !ri_loop_in_fiber(loop)) {
		snprintf(text, TEXT_BYTES, "%s is called outside of a task",
			 verb);
		return;
	}
	self = ri_task_of(loop->current);
	length = snprintf(text, TEXT_BYTES,
			  "task %s (spawned at %s:%d) calls %s",
			  ri_task_name(self), self->site->file,
			  self->site->line, verb);
	if (site && length > 0 && length < TEXT_BYTES)
		snprintf(text + length, TEXT_BYTES - (size_t)length,
			 " at %s:%d", site->file, site->line);
}

static void tell_holder(char text[TEXT_BYTES], const struct rota_holder *holder)
{
	const struct rota_task *task = holder->task;

	if (ri_holder_is(holder, task))
		snprintf(text, TEXT_BYTES, "task %s (spawned at %s:%d)",
			 ri_task_name(task), task->site->file,
			 task->site->line);
	else
		snprintf(text, TEXT_BYTES, "task %u, which has ended",
			 holder->id);
}

void ri_sync_missing(const char *verb, const char *noun, unsigned state)
{
	ri_abort(__FILE__, __LINE__, "%s for a %s that %s", verb, noun,
		 state == RI_SYNC_GONE ? "has had its fini"
				       : "was never initialised");
}

void ri_holder_in_the_way(const struct rota_holder *holder, const char *name,
			  const char *verb, const struct rota_site *site)
{
	char who[TEXT_BYTES], caller[TEXT_BYTES];

	tell_holder(who, holder);
	tell_caller(caller, verb, site);
	ri_abort(holder->site->file, holder->site->line,
		 "the %s%s%s taken here is held by %s, but %s",
		 holder->site->function, name ? " " : "", named(name), who,
		 caller);
}

void ri_holder_missing(const char *noun, const char *name, const char *verb)
{
	char caller[TEXT_BYTES];

	tell_caller(caller, verb, NULL);
	ri_abort(__FILE__, __LINE__, "nobody holds the %s%s%s, but %s", noun,
		 name ? " " : "", named(name), caller);
}
