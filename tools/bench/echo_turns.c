// SPDX-License-Identifier: MIT
/*
 * Measuring one server, or two of them in turns.
 *
 * On a shared machine the same code is faster or slower by half from one
 * second to the next, so two runs one after the other tell nothing about 5%.
 * Hence both servers run at once, on the same processor, all connections are
 * open, and the load is dealt to them in turns of 80 ms: long against the
 * cost of a change, short against the machine's moods (of 1 s beside
 * a firehose, where somebody may starve). Two neighbouring
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
#include "echo_sides.h"
#include "options.h"
#include "stats.h"

static const char who[] = "rota-bench echo";

/* The ratios of all counted pairs, first side over second. */
struct ratios {
	size_t count;
	double *cpu;        /* of processor time per request */
	double *throughput; /* of requests per second */
};

static int measure_alone(struct echo_side *side,
			 const struct echo_settings *settings,
			 struct report *report)
{
	const struct load_amount warmup = { .ns = settings->warmup_ns };
	const struct load_amount measured = { settings->seconds_ns,
					      settings->requests };
	struct report_row row = { 0 };
	struct echo_turn turn;

	if (echo_sides_start(side, 1, settings) < 0)
		return -1;
	if (echo_side_turn(side, &warmup, false, &turn) < 0 ||
	    echo_side_turn(side, &measured, true, &turn) < 0)
		return -1;
	echo_side_report(side, settings, &row);
	report_side_by_side(report, &row, 1);
	return 0;
}

int echo_alone(const struct echo_settings *settings, struct report *report)
{
	struct echo_side *side = echo_sides_create(settings, 1);

	if (side == NULL)
		return BENCH_FAILED;
	const int result = measure_alone(side, settings, report);
	const int code = echo_sides_stop(side, 1, settings, result);

	free(side);
	return code;
}

/* A turn for each, the first side first or last; ratios NULL: not counted. */
static int deal_pair(struct echo_side *sides, uint64_t turn_ns, bool swapped,
		     struct ratios *ratios)
{
	const struct load_amount amount = { .ns = turn_ns };
	struct echo_turn turns[2];

	for (size_t step = 0; step < 2; step++) {
		const size_t index = swapped ? 1 - step : step;

		if (echo_side_turn(&sides[index], &amount, ratios != NULL,
				   &turns[index]) < 0)
			return -1;
	}
	if (ratios == NULL)
		return 0;
	ratios->cpu[ratios->count] =
		turns[0].cpu_ns_per_request / turns[1].cpu_ns_per_request;
	ratios->throughput[ratios->count] =
		turns[0].requests_per_second / turns[1].requests_per_second;
	ratios->count++;
	return 0;
}

/* How many pairs of turns fill the time, one at least if it is not 0. */
static size_t pairs_in(const struct echo_settings *settings, uint64_t ns)
{
	const uint64_t pair_ns = 2 * settings->turn_ns;

	return (size_t)((ns + pair_ns - 1) / pair_ns);
}

static int deal_pairs(struct echo_side *sides,
		      const struct echo_settings *settings,
		      struct ratios *ratios)
{
	const size_t dropped = pairs_in(settings, settings->warmup_ns);
	const size_t all = dropped + pairs_in(settings, settings->seconds_ns);

	for (size_t pair = 0; pair < all; pair++) {
		if (deal_pair(sides, settings->turn_ns, pair % 2 == 1,
			      pair < dropped ? NULL : ratios) < 0)
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
	report_count(&ratio, "threads", settings->threads);
	report_ratios(ratios, &ratio);
	report_side_by_side(report, &ratio, 1);
}

static int measure_against(struct echo_side *sides,
			   const struct echo_settings *settings,
			   struct report *report)
{
	const size_t pairs = pairs_in(settings, settings->seconds_ns);
	double *room = calloc(2 * pairs, sizeof(room[0]));
	struct ratios ratios = { .cpu = room, .throughput = room + pairs };
	int result = -1;

	if (room == NULL)
		complain(who, "%s", strerror(ENOMEM));
	else if (echo_sides_start(sides, 2, settings) == 0)
		result = deal_pairs(sides, settings, &ratios);
	if (result == 0)
		report_against(sides, settings, &ratios, report);
	free(room);
	return result;
}

int echo_against(const struct echo_settings *settings, struct report *report)
{
	struct echo_side *sides = echo_sides_create(settings, 2);

	if (sides == NULL)
		return BENCH_FAILED;
	const int result = measure_against(sides, settings, report);
	const int code = echo_sides_stop(sides, 2, settings, result);

	free(sides);
	return code;
}
