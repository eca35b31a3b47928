// SPDX-License-Identifier: MIT
/*
 * Measuring one server, or two of them in turns.
 *
 * On a shared machine the same code is faster or slower by half from one
 * second to the next, so two runs one after the other tell nothing about 5%.
 * Hence both servers run at once, on the same processor, all connections are
 * open, and the load is dealt to them in turns of 80 ms: long against the
 * cost of a change, short against the machine's moods. Two neighbouring
 * turns make a pair, each pair a ratio; which server comes first changes
 * from pair to pair. What is told is the median of the ratios and their
 * quartiles.
 *
 * The processor time of a turn is exact, because a turn ends drained and is
 * read off when the server sleeps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "echo.h"
#include "echo_side.h"
#include "host.h"
#include "interrupt.h"
#include "options.h"
#include "stats.h"

#define TURN_NS 80000000u

/* Standard streams, the pipes of two servers, epolls, and some to spare. */
#define OTHER_DESCRIPTORS 32

static const char who[] = "rota-bench echo";

/* The ratios of all counted pairs, first side over second. */
struct ratios {
	size_t count;
	double *cpu;        /* of processor time per request */
	double *throughput; /* of requests per second */
};

/* Enough descriptors for the load; servers have been started before that. */
static int reserve_descriptors(const struct echo_settings *settings,
			       size_t sides)
{
	const uint64_t limit = host_raise_descriptors();
	const uint64_t needed =
		settings->connections * sides + OTHER_DESCRIPTORS;

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

/* Servers first, all of them, then connections to each. */
static int start_sides(struct echo_side *sides, size_t count,
		       const struct echo_settings *settings)
{
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
static void complain_of_errors(const struct echo_side *side)
{
	const struct load *load = &side->load;

	if (load->alive > 0)
		complain(who, "%ju of %u connections to '%s' were lost: %s",
			 (uintmax_t)load->errors, load->options.connections,
			 side->command, load_error(load));
}

/* Stops all that was started; the exit code of the whole. */
static int stop_sides(struct echo_side *sides, size_t count, int result)
{
	for (size_t index = 0; index < count; index++) {
		/* How it ended explains why the load failed, if it did. */
		if (!server_runs(&sides[index].server))
			result = -1;
		if (sides[index].load.errors > 0) {
			complain_of_errors(&sides[index]);
			result = -1;
		}
		if (echo_side_stop(&sides[index]) < 0)
			result = -1;
	}
	if (interrupt_pending())
		return 128 + interrupt_signal();
	return result < 0 ? BENCH_FAILED : BENCH_OK;
}

static int measure_alone(struct echo_side *side,
			 const struct echo_settings *settings,
			 struct report *report)
{
	struct report_row row = { 0 };
	struct echo_turn turn;

	if (start_sides(side, 1, settings) < 0)
		return -1;
	if (echo_side_turn(side, settings->warmup_ns, false, &turn) < 0 ||
	    echo_side_turn(side, settings->seconds_ns, true, &turn) < 0)
		return -1;
	echo_side_report(side, settings, &row);
	report_side_by_side(report, &row, 1);
	return 0;
}

int echo_alone(const struct echo_settings *settings, struct report *report)
{
	const bool ours = settings->connect == NULL;
	struct echo_side *side = calloc(1, sizeof(*side));

	if (side == NULL) {
		complain(who, "%s", strerror(ENOMEM));
		return BENCH_FAILED;
	}
	side->role = ours ? "server" : "connect";
	side->command = ours ? settings->server : settings->connect;
	const int result = measure_alone(side, settings, report);
	const int code = stop_sides(side, 1, result);

	free(side);
	return code;
}

/* A turn for each, the first side first or last; the ratios if counted. */
static int deal_pair(struct echo_side *sides, bool swapped, bool counted,
		     struct ratios *ratios)
{
	struct echo_turn turns[2];

	for (size_t step = 0; step < 2; step++) {
		const size_t index = swapped ? 1 - step : step;

		if (echo_side_turn(&sides[index], TURN_NS, counted,
				   &turns[index]) < 0)
			return -1;
	}
	if (!counted)
		return 0;
	ratios->cpu[ratios->count] =
		turns[0].cpu_ns_per_request / turns[1].cpu_ns_per_request;
	ratios->throughput[ratios->count] =
		turns[0].requests_per_second / turns[1].requests_per_second;
	ratios->count++;
	return 0;
}

/* How many pairs of turns fill the time, one at least if it is not 0. */
static size_t pairs_in(uint64_t ns)
{
	return (size_t)((ns + 2 * TURN_NS - 1) / (2 * TURN_NS));
}

static int deal_pairs(struct echo_side *sides,
		      const struct echo_settings *settings,
		      struct ratios *ratios)
{
	const size_t dropped = pairs_in(settings->warmup_ns);
	const size_t all = dropped + pairs_in(settings->seconds_ns);

	for (size_t pair = 0; pair < all; pair++) {
		if (deal_pair(sides, pair % 2 == 1, pair >= dropped, ratios) <
		    0)
			return -1;
		if (!server_runs(&sides[0].server) ||
		    !server_runs(&sides[1].server))
			return -1;
	}
	return 0;
}

static void report_ratios(const struct ratios *ratios, struct report_row *row)
{
	const struct stats_summary cpu =
		stats_summarize(ratios->cpu, ratios->count);
	const struct stats_summary throughput =
		stats_summarize(ratios->throughput, ratios->count);

	report_count(row, "pairs", ratios->count);
	report_number(row, "cpu_ratio", cpu.median, 4);
	report_number(row, "cpu_ratio_q1", cpu.first_quartile, 4);
	report_number(row, "cpu_ratio_q3", cpu.third_quartile, 4);
	report_number(row, "throughput_ratio", throughput.median, 4);
	report_number(row, "throughput_ratio_q1", throughput.first_quartile, 4);
	report_number(row, "throughput_ratio_q3", throughput.third_quartile, 4);
}

static void report_against(const struct echo_side *sides,
			   const struct echo_settings *settings,
			   const struct ratios *ratios, struct report *report)
{
	struct report_row rows[2] = { 0 };
	struct report_row ratio = { 0 };

	for (size_t index = 0; index < 2; index++)
		echo_side_report(&sides[index], settings, &rows[index]);
	report_side_by_side(report, rows, 2);

	report_text(&ratio, "row", "ratio");
	report_count(&ratio, "connections", settings->connections);
	report_count(&ratio, "size", settings->size);
	report_ratios(ratios, &ratio);
	report_side_by_side(report, &ratio, 1);
}

static int measure_against(struct echo_side *sides,
			   const struct echo_settings *settings,
			   struct report *report)
{
	const size_t pairs = pairs_in(settings->seconds_ns);
	double *room = calloc(2 * pairs, sizeof(room[0]));
	struct ratios ratios = { .cpu = room, .throughput = room + pairs };
	int result = -1;

	if (room == NULL)
		complain(who, "%s", strerror(ENOMEM));
	else if (start_sides(sides, 2, settings) == 0)
		result = deal_pairs(sides, settings, &ratios);
	if (result == 0)
		report_against(sides, settings, &ratios, report);
	free(room);
	return result;
}

int echo_against(const struct echo_settings *settings, struct report *report)
{
	struct echo_side *sides = calloc(2, sizeof(sides[0]));

	if (sides == NULL) {
		complain(who, "%s", strerror(ENOMEM));
		return BENCH_FAILED;
	}
	sides[0].role = "server";
	sides[0].command = settings->server;
	sides[1].role = "against";
	sides[1].command = settings->against;
	const int result = measure_against(sides, settings, report);
	const int code = stop_sides(sides, 2, result);

	free(sides);
	return code;
}
