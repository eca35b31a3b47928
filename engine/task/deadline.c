/* SPDX-License-Identifier: MIT */
/*
 * A deadline that is moved later stays where it is on the wheel: only its new
 * point is noted, and what is called when the old one comes. Of a thousand
 * messages that each move the idle time-out of their connection on, the wheel
 * hears once.
 */
#include "rota/deadline.h"

#include "task/scope.h"

void rota_deadline_begin_at(struct rota_deadline *deadline, int64_t deadline_ns,
			    const struct rota_site *site)
{
	struct rota_task *self = ri_scope_opener("rota_deadline_begin");

	ri_scope_open(&deadline->scope, RI_SCOPE_DEADLINE, self, site);
	ri_scope_arm(ri_tasks_here(), &deadline->scope, deadline_ns);
}

/* The point has come at which it is on the wheel. Where it was moved to may be
 * past too, but other deadlines may have come before that: the wheel knows. */
static void look_again(struct rota_timer *timer)
{
	const int64_t moved_ns =
		ri_container(timer, struct rota_deadline, scope.timer)->moved_ns;

	if (moved_ns == ROTA_NEVER)
		return;
	timer->deadline_ns = moved_ns;
	timer->fire = ri_scope_due;
	if (!ri_loop_arm(&ri_tasks_here()->loop, timer))
		ri_scope_due(timer);
}

bool rota_deadline_move(struct rota_deadline *deadline, int64_t deadline_ns)
{
	struct rota_scope *scope = &deadline->scope;
	struct rota_timer *timer = &scope->timer;
	struct ri_tasks *tasks;

	ri_scope_holder(scope, RI_SCOPE_DEADLINE, __func__);
	if (scope->code)
		return !(scope->marks & RI_MARK_EXPIRED);
	tasks = ri_tasks_here();
	if (ri_timer_armed(timer)) {
		if (deadline_ns >= timer->deadline_ns &&
		    deadline_ns > tasks->loop.now_ns) {
			deadline->moved_ns = deadline_ns;
			timer->fire = look_again;
			return true;
		}
		ri_wheel_remove(&tasks->loop.wheel, timer);
	}
	ri_scope_arm(tasks, scope, deadline_ns);
	return true;
}

bool rota_deadline_end(struct rota_deadline *deadline)
{
	ri_scope_end(&deadline->scope, __func__);
	return deadline->scope.marks & RI_MARK_EXPIRED;
}
