// SPDX-License-Identifier: MIT
/* A server, the load on it, and what came of it, see echo_side.h. */
#include <math.h>

#include "echo_firehose.h"
#include "echo_side.h"

#define NS_PER_SECOND 1e9
#define NS_PER_US 1e3

int echo_side_start(struct echo_side *side,
		    const struct echo_settings *settings)
{
	if (settings->connect != NULL) {
		side->server.address = settings->address;
		return 0;
	}
	if (server_start(&side->server, side->command, settings->server_cpu) <
	    0)
		return -1;
	/* It says that it listens, and only then comes to its first wait. */
	server_cpu_ns(&side->server);
	side->rss_before = server_rss_bytes(&side->server);
	return 0;
}

int echo_side_connect(struct echo_side *side,
		      const struct echo_settings *settings)
{
	const struct load_options options = {
		.address = side->server.address,
		.connections = (uint32_t)settings->connections,
		.size = (uint32_t)settings->size,
		.rate = settings->open_loop ? settings->rate : 0,
		.firehose = settings->firehose,
		.brief = settings->brief,
		.spins = settings->spins,
	};

	return team_open(&side->team, &options, (uint32_t)settings->threads);
}

static uint64_t cpu_ns(const struct echo_side *side)
{
	return side->server.pid == 0 ? 0 : server_cpu_ns(&side->server);
}

/* What processor time is divided by: requests, or KiB with a firehose. */
static double work(const struct echo_side *side, uint64_t requests,
		   uint64_t poured)
{
	const struct load_options *options = &side->team.loads[0].options;
	const double bytes = (double)requests * options->size +
			     (double)poured * LOAD_FIREHOSE_BYTES;

	return options->firehose ? bytes / 1024 : (double)requests;
}

static void count_turn(struct echo_side *side, const struct load_turn *turn,
		       uint64_t used_ns)
{
	side->requests += turn->requests;
	side->poured += turn->poured;
	side->elapsed_ns += turn->elapsed_ns;
	side->cpu_ns += used_ns;
}

int echo_side_turn(struct echo_side *side, const struct load_amount *amount,
		   bool counted, struct echo_turn *turn)
{
	struct histogram *histogram = counted ? &side->histogram : NULL;
	struct load_turn dealt;

	if (team_once(&side->team, &dealt) < 0)
		return -1;
	const uint64_t before_ns = cpu_ns(side);

	if (team_turn(&side->team, amount, histogram, &dealt) < 0)
		return -1;
	const uint64_t used_ns = cpu_ns(side) - before_ns;

	if (counted)
		count_turn(side, &dealt, used_ns);
	turn->cpu_ns_per_request =
		(double)used_ns / work(side, dealt.requests, dealt.poured);
	turn->requests_per_second = (double)dealt.requests * NS_PER_SECOND /
				    (double)dealt.elapsed_ns;
	return 0;
}

static void report_schedule(const struct echo_side *side,
			    const struct echo_settings *settings,
			    struct report_row *row)
{
	if (!settings->open_loop)
		return;
	report_count(row, "rate", settings->rate);
	report_count(row, "sent_late", team_late(&side->team));
}

static void report_latency(const struct echo_side *side, struct report_row *row)
{
	static const struct {
		const char *name;
		double part;
	} quantiles[] = {
		{ "p50_us", 0.5 },
		{ "p90_us", 0.9 },
		{ "p99_us", 0.99 },
		{ "p999_us", 0.999 },
	};

	for (size_t index = 0; index < 4; index++)
		report_number(row, quantiles[index].name,
			      histogram_quantile(&side->histogram,
						 quantiles[index].part) /
				      NS_PER_US,
			      2);
	report_number(row, "max_us", (double)side->histogram.max / NS_PER_US,
		      2);
}

/* Of a server that is not ours the kernel tells us nothing. */
static void report_server(const struct echo_side *side,
			  const struct echo_settings *settings,
			  struct report_row *row)
{
	const bool known = side->server.pid != 0;
	const double rss = known ? (double)server_rss_bytes(&side->server)
				 : NAN;
	const double grown = rss - (double)side->rss_before;
	const double cpu = known ? (double)side->cpu_ns : NAN;

	report_number(row,
		      settings->firehose ? "server_cpu_ns_per_kib"
					 : "server_cpu_ns_per_request",
		      cpu / work(side, side->requests, side->poured), 1);
	report_number(row, "server_busy", cpu / (double)side->elapsed_ns, 3);
	report_number(row, "server_rss_bytes", rss, 0);
	/* Of connections that are gone by then it tells nothing. */
	report_number(row, "bytes_per_connection",
		      settings->brief ? NAN
				      : grown / (double)settings->connections,
		      0);
}

void echo_side_report(const struct echo_side *side,
		      const struct echo_settings *settings,
		      struct report_row *row)
{
	report_text(row, "row", side->role);
	report_note(row, "command", side->command);
	report_count(row, "connections", settings->connections);
	report_count(row, "size", settings->size);
	report_count(row, "threads", settings->threads);
	report_count(row, "short", settings->brief);
	report_number(row, "seconds", (double)side->elapsed_ns / NS_PER_SECOND,
		      3);
	report_count(row, "requests", side->requests);
	report_number(row, "requests_per_s",
		      (double)side->requests * NS_PER_SECOND /
			      (double)side->elapsed_ns,
		      0);
	report_schedule(side, settings, row);
	report_latency(side, row);
	if (settings->firehose)
		echo_firehose_report(side, row);
	report_count(row, "errors", team_errors(&side->team));
	report_server(side, settings, row);
	report_host(row);
}

int echo_side_stop(struct echo_side *side)
{
	team_close(&side->team);
	return server_stop(&side->server);
}
