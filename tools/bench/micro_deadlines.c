// SPDX-License-Identifier: MIT
/*
 * How long does it take until the last of many tasks has been told that its
 * deadline has come? All wait in the kernel, each under a deadline of its own,
 * and all deadlines are one point in time. The ring is small, so the cancels
 * go out in many batches. The clock starts at that point; when it stops, every
 * task has resumed. Base: as many receives on a bare ring of that size, each
 * cancelled by its id, without a wait for a deadline.
 */
#include <errno.h>
#include <rota/rota.h>

#include "bare_blocked.h"
#include "blocked.h"
#include "micro.h"

#define ENTRIES 64

/* How long it is from the first task's start to the deadline: all have to be
 * in the kernel before. Where that is too short it is doubled. */
#define LEAD_NS (5 * ROTA_MILLISECOND)
#define LEAD_EACH_NS (5 * ROTA_MICROSECOND)
#define DOUBLED_MAX 8

struct own {
	struct blocked blocked; /* first: its members find the rest */
	int64_t lead_ns;
	int64_t deadline_ns;
	uint64_t came; /* deadlines, as rota_deadline_end tells */
};

static int receive(void *value)
{
	const struct blocked_member *member = value;
	struct own *own = (struct own *)member->all;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, own->deadline_ns);
	const int result = blocked_receive(member, -ETIME);

	own->came += rota_deadline_end(&deadline);
	return result == -ETIME ? 0 : result;
}

/* -EAGAIN: the deadline came too early. */
static int run_group(struct own *own)
{
	struct rota_group group;

	own->deadline_ns = rota_after_ns(own->lead_ns);
	own->came = 0;

	rota_group_open(&group, NULL);
	const int error = blocked_start(&own->blocked, &group, receive);
	const bool late = rota_now_ns() >= own->deadline_ns;
	const int result = rota_group_wait(&group);

	if (error < 0 || result < 0)
		return error < 0 ? error : result;
	return late ? -EAGAIN : 0;
}

static int run_in_time(void *arg)
{
	struct own *own = arg;
	int error = run_group(own);

	for (int doubled = 0; error == -EAGAIN && doubled < DOUBLED_MAX;
	     doubled++) {
		own->lead_ns *= 2;
		error = run_group(own);
	}
	return error;
}

int micro_deadlines_own(const struct micro_work *work,
			struct micro_sample *sample)
{
	const struct rota_config config = { .entries = ENTRIES };
	struct quiet sockets;
	int error = quiet_open(&sockets, work->ops);

	if (error < 0)
		return error;
	struct own own = {
		.blocked.sockets = &sockets,
		.lead_ns = LEAD_NS + (int64_t)work->ops * LEAD_EACH_NS,
	};

	error = micro_run_twice(&config, run_in_time, &own);
	/* Who was told, and whose deadline came, are the same tasks. */
	*sample = micro_ms(own.blocked.last_ns - (uint64_t)own.deadline_ns,
			   own.came == own.blocked.told ? own.came : 0);
	quiet_close(&sockets);
	return error;
}

int micro_deadlines_base(const struct micro_work *work,
			 struct micro_sample *sample)
{
	struct quiet sockets;
	int error = quiet_open(&sockets, work->ops);

	if (error < 0)
		return error;
	struct bare_blocked bare = { .sockets = &sockets, .entries = ENTRIES };

	error = bare_blocked_measure(&bare);
	*sample = micro_ms(bare.elapsed_ns, bare.cancelled);
	quiet_close(&sockets);
	return error;
}
