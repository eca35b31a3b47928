// SPDX-License-Identifier: MIT
/*
 * What a silent connection costs in memory: the server's resident memory with
 * all connections open, each after one message, less that without any, for
 * each of them. Counted is user memory, page by page (Rss in smaps_rollup);
 * the kernel's own, of sockets and of operations that wait, is not in it.
 *
 * Memory does not move with the machine's moods, so two servers are measured
 * one after the other: twice as many connections would need twice the ports.
 */
#include <stdlib.h>

#include "command.h"
#include "echo.h"
#include "echo_sides.h"

/* After the last answer: whoever gives memory back soon, shall. */
#define IDLE_NS 200000000u

struct idle {
	double bytes_per_connection;
	struct report_row row;
};

static void report_idle(const struct echo_side *side,
			const struct echo_settings *settings, struct idle *idle)
{
	const uint64_t rss = server_rss_bytes(&side->server);
	const double grown = (double)rss - (double)side->rss_before;
	struct report_row *row = &idle->row;

	idle->bytes_per_connection = grown / (double)settings->connections;
	report_text(row, "row", side->role);
	report_note(row, "command", side->command);
	report_count(row, "connections", settings->connections);
	report_count(row, "size", settings->size);
	report_count(row, "errors", team_errors(&side->team));
	report_count(row, "server_rss_before", side->rss_before);
	report_count(row, "server_rss_bytes", rss);
	report_number(row, "bytes_per_connection", idle->bytes_per_connection,
		      0);
	report_host(row);
}

/* One server, from start to end: an exit code. */
static int measure_side(struct echo_side *side,
			const struct echo_settings *settings, struct idle *idle)
{
	struct load_turn turn;
	int result = echo_sides_start(side, 1, settings);

	if (result == 0)
		result = load_greet(&side->team.loads[0], IDLE_NS, &turn);
	if (result == 0) {
		server_cpu_ns(&side->server); /* until it sleeps */
		report_idle(side, settings, idle);
	}
	return echo_sides_stop(side, 1, settings, result);
}

static void report_ratio(const struct idle *idle,
			 const struct echo_settings *settings,
			 struct report *report)
{
	struct report_row row = { 0 };

	report_text(&row, "row", "ratio");
	report_count(&row, "connections", settings->connections);
	report_count(&row, "size", settings->size);
	report_number(
		&row, "bytes_ratio",
		idle[0].bytes_per_connection / idle[1].bytes_per_connection, 4);
	report_side_by_side(report, &row, 1);
}

int echo_idle(const struct echo_settings *settings, struct report *report)
{
	const size_t count = settings->against == NULL ? 1 : 2;
	struct echo_side *sides = echo_sides_create(settings, count);
	struct idle idle[2] = { 0 };
	int code = sides == NULL ? BENCH_FAILED : BENCH_OK;

	for (size_t index = 0; code == BENCH_OK && index < count; index++)
		code = measure_side(&sides[index], settings, &idle[index]);
	free(sides);
	if (code != BENCH_OK)
		return code;
	const struct report_row rows[2] = { idle[0].row, idle[1].row };

	report_side_by_side(report, rows, count);
	if (count == 2)
		report_ratio(idle, settings, report);
	return BENCH_OK;
}
