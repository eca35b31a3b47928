/* SPDX-License-Identifier: MIT */
/*
 * A deadline is a scope inside one task: from rota_deadline_begin to
 * rota_deadline_end everything that blocks in this task, and in groups that
 * are opened in between, fails with -ETIME once the deadline has come.
 *
 *	struct rota_deadline limit;
 *
 *	rota_deadline_begin(&limit, rota_after_ns(2 * ROTA_SECOND));
 *	n = rota_recv(fd, buffer, sizeof(buffer), 0);
 *	if (rota_deadline_end(&limit))
 *		...it took too long
 *
 * A deadline tells when the engine asks the kernel to stop, not when the verb
 * returns: an operation that the kernel cannot stop keeps its task.
 */
#ifndef ROTA_DEADLINE_H
#define ROTA_DEADLINE_H

#include "rota/clock.h"
#include "rota/scope.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* In the frame of who begins it; its fields are private. */
struct rota_deadline {
	struct rota_scope scope; /* what it is */
	int64_t moved_ns;        /* where it was moved to, if that was later */
};

/* Begins a deadline. Of several that are nested, the earliest one counts; a
 * point in time that is past (0 and negative ones too) ends everything at
 * once, ROTA_NEVER never does. What is past is told by the clock as the engine
 * read it last: in rota_now_ns, or when it last looked for completions. Costs
 * no system call and no memory.
 *
 * Cannot fail, never suspends, tasks only. The function that calls it calls
 * rota_deadline_end too: one that returns without it aborts the program,
 * naming this line. */
void rota_deadline_begin_at(struct rota_deadline *deadline, int64_t deadline_ns,
			    const struct rota_site *site);

#define rota_deadline_begin(deadline, deadline_ns)                \
	__extension__({                                           \
		static const struct rota_site rota_site_ =        \
			ROTA_SITE_("deadline", 0);                \
		rota_deadline_begin_at((deadline), (deadline_ns), \
				       &rota_site_);              \
	})

/* Moves a deadline to another point in time, as a connection does with each
 * message that comes before it was idle for too long. True if it was moved;
 * false, and nothing changes, if it has come already: what is cancelled stays
 * so. A point that is past ends everything at once, ROTA_NEVER never does. If
 * another scope has ended this one, moving it changes nothing any more.
 *
 * To move it later costs two stores; the engine wakes at the old point, if that
 * comes first, and looks again at the new one. No memory, no system call. Never
 * suspends, never refused. The task that began it only, and it need not be its
 * innermost scope; any other task, or a deadline that has ended, aborts the
 * program. */
bool rota_deadline_move(struct rota_deadline *deadline, int64_t deadline_ns);

/* Ends the innermost scope of the task, which must be this deadline (or the
 * program aborts). True if it was this deadline that came, false if it did not
 * come, or something else ended the scope first. Never suspends, never
 * refused, the task that began it only. */
bool rota_deadline_end(struct rota_deadline *deadline);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
