// SPDX-License-Identifier: MIT
/* To start sides and to stop them, see echo_sides.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "echo_sides.h"
#include "host.h"
#include "interrupt.h"
#include "options.h"

/* Of the load: standard streams, the pipes of two servers, epolls. Of a
 * server: its ring, its listener, and what it keeps back for itself. */
#define OTHER_DESCRIPTORS 64

static const char who[] = "rota-bench echo";

struct echo_side *echo_sides_create(const struct echo_settings *settings,
				    size_t count)
{
	const bool ours = settings->connect == NULL;
	struct echo_side *sides = calloc(count, sizeof(sides[0]));

	if (sides == NULL) {
		complain(who, "%s", strerror(ENOMEM));
		return NULL;
	}
	sides[0].role = ours ? "server" : "connect";
	sides[0].command = ours ? settings->server : settings->connect;
	if (count > 1) {
		sides[1].role = "against";
		sides[1].command = settings->against;
	}
	return sides;
}

/* What the load needs; a server needs as many as it has connections. */
static uint64_t descriptors_needed(const struct echo_settings *settings,
				   size_t sides)
{
	return settings->connections * sides + OTHER_DESCRIPTORS;
}

/* Enough descriptors for the load; servers have been started before that. */
static int reserve_descriptors(const struct echo_settings *settings,
			       size_t sides)
{
	const uint64_t limit = host_raise_descriptors();
	const uint64_t needed = descriptors_needed(settings, sides);

	if (needed <= limit)
		return 0;
	complain(who, "%ju connections need %ju descriptors, the limit is %ju",
		 (uintmax_t)settings->connections, (uintmax_t)needed,
		 (uintmax_t)limit);
	return -1;
}

static int pin_load(const struct echo_settings *settings)
{
	const int result =
		settings->load_cpu < 0 ? 0 : host_pin(settings->load_cpu);

	if (result < 0)
		complain(who, "cannot run on processor %d: %s",
			 settings->load_cpu, strerror(-result));
	return result;
}

int echo_sides_start(struct echo_side *sides, size_t count,
		     const struct echo_settings *settings)
{
	host_widen_descriptors(descriptors_needed(settings, count));
	for (size_t index = 0; index < count; index++)
		if (echo_side_start(&sides[index], settings) < 0)
			return -1;
	if (reserve_descriptors(settings, count) < 0 || pin_load(settings) < 0)
		return -1;
	for (size_t index = 0; index < count; index++)
		if (echo_side_connect(&sides[index], settings) < 0)
			return -1;
	return 0;
}

/* Some connections were lost, but not all: the load went on without them. */
static void complain_of_errors(const struct echo_side *side,
			       const struct echo_settings *settings)
{
	if (!team_is_broken(&side->team))
		complain(who, "%ju of %ju connections to '%s' were lost: %s",
			 (uintmax_t)team_errors(&side->team),
			 (uintmax_t)(settings->brief ? side->requests
						     : settings->connections),
			 side->command, team_error(&side->team));
}

int echo_sides_stop(struct echo_side *sides, size_t count,
		    const struct echo_settings *settings, int result)
{
	for (size_t index = 0; index < count; index++) {
		/* How it ended explains why the load failed, if it did. */
		if (!server_runs(&sides[index].server))
			result = -1;
		if (team_errors(&sides[index].team) > 0) {
			complain_of_errors(&sides[index], settings);
			result = -1;
		}
		if (echo_side_stop(&sides[index]) < 0)
			result = -1;
	}
	if (interrupt_pending())
		return 128 + interrupt_signal();
	return result < 0 ? BENCH_FAILED : BENCH_OK;
}
