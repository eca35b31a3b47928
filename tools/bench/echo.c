// SPDX-License-Identifier: MIT
/*
 * rota-bench echo: what is asked for. echo_check.c sees whether that makes
 * sense, echo_turns.c and echo_idle.c measure it.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "echo.h"
#include "host.h"
#include "interrupt.h"
#include "options.h"

static const char who[] = "rota-bench echo";

static const char usage[] =
	"usage: rota-bench echo --connect ADDR:PORT [OPTION...]\n"
	"       rota-bench echo --server COMMAND [--against COMMAND]"
	" [OPTION...]\n"
	"\n"
	"Loads an echo server: each connection sends a message, waits\n"
	"until all of it is back, compares it, sends the next. Or\n"
	"\n"
	"  --open-loop --rate R R messages a second over all connections\n"
	"                       (to each server), evenly, by a schedule:\n"
	"                       latency counts from when one was to be sent;\n"
	"                       late is one sent 0.1 ms after that\n"
	"  --firehose           one of the connections sends as fast as it can\n"
	"                       and reads all of it; how the others fare\n"
	"  --short              a connection for each message: connect, send,\n"
	"                       receive, close; N of them at a time\n"
	"  --idle N             N connections send one each, then they are\n"
	"                       silent: what memory of the server each takes\n"
	"\n"
	"  --connect ADDR:PORT  a server that runs; also [::1]:PORT or\n"
	"                       unix:PATH\n"
	"  --server COMMAND     start this one by 'sh -c exec COMMAND'; it\n"
	"                       says 'NAME: listening on ADDR:PORT'\n"
	"  --against COMMAND    start this one as well, load them in turns\n"
	"                       of 80 ms (a firehose: 1 s), tell the ratio\n"
	"                       of the first to it\n"
	"  --connections N      to each server (50)\n"
	"  --size BYTES         of a message (64)\n"
	"  --threads N          of the load, to each server (1): connections\n"
	"                       and rate are dealt over them. With several\n"
	"                       nothing is bound to a processor unless\n"
	"                       --cpus says so\n"
	"  --requests N         so many, in place of a time\n"
	"  --seconds S          measured, both servers together (5)\n"
	"  --warmup S           before that, not counted (1)\n"
	"  --cpus A,B           processors of the servers and of the load\n"
	"                       (the first two usable ones); or 'any'\n"
	"  --sleep              let the load sleep while it waits. With a\n"
	"                       processor of its own it spins, so that the\n"
	"                       server does not pay for waking it\n"
	"  --json               one object a line\n"
	"  --help               this text\n";

enum {
	OPTION_OPEN_LOOP = 1,
	OPTION_RATE,
	OPTION_FIREHOSE,
	OPTION_SHORT,
	OPTION_IDLE,
	OPTION_CONNECT,
	OPTION_SERVER,
	OPTION_AGAINST,
	OPTION_CONNECTIONS,
	OPTION_SIZE,
	OPTION_THREADS,
	OPTION_REQUESTS,
	OPTION_SECONDS,
	OPTION_WARMUP,
	OPTION_CPUS,
	OPTION_SLEEP,
	OPTION_JSON,
};

static const struct option long_options[] = {
	{ "open-loop", no_argument, NULL, OPTION_OPEN_LOOP },
	{ "rate", required_argument, NULL, OPTION_RATE },
	{ "firehose", no_argument, NULL, OPTION_FIREHOSE },
	{ "short", no_argument, NULL, OPTION_SHORT },
	{ "idle", required_argument, NULL, OPTION_IDLE },
	{ "connect", required_argument, NULL, OPTION_CONNECT },
	{ "server", required_argument, NULL, OPTION_SERVER },
	{ "against", required_argument, NULL, OPTION_AGAINST },
	{ "connections", required_argument, NULL, OPTION_CONNECTIONS },
	{ "size", required_argument, NULL, OPTION_SIZE },
	{ "threads", required_argument, NULL, OPTION_THREADS },
	{ "requests", required_argument, NULL, OPTION_REQUESTS },
	{ "seconds", required_argument, NULL, OPTION_SECONDS },
	{ "warmup", required_argument, NULL, OPTION_WARMUP },
	{ "cpus", required_argument, NULL, OPTION_CPUS },
	{ "sleep", no_argument, NULL, OPTION_SLEEP },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const struct option_range rate_range = { "--rate", 1, 10000000 };
static const struct option_range idle_range = { "--idle", 1, 100000 };
static const struct option_range connections_range = { "--connections", 1,
						       1000000 };
static const struct option_range threads_range = { "--threads", 1, 64 };
static const struct option_range requests_range = { "--requests", 1,
						    1000000000000 };
static const struct option_range size_range = { "--size", 1, 1u << 30 };
static const struct option_range seconds_range = { "--seconds", 0, 86400 };
static const struct option_range warmup_range = { "--warmup", 0, 86400 };

static int set_connect(struct echo_settings *settings, const char *text)
{
	settings->connect = text;
	if (address_parse(text, &settings->address))
		return 0;
	complain(who,
		 "--connect: '%s' is not ADDR:PORT, [ADDR]:PORT or unix:PATH",
		 text);
	return -1;
}

static bool is_usable(int cpu)
{
	int usable = 0;

	for (unsigned int index = 0; usable >= 0 && usable != cpu; index++)
		usable = host_usable_cpu(index);
	return usable == cpu;
}

static int set_cpus(struct echo_settings *settings, const char *text)
{
	char end;

	settings->placed = true;
	if (strcmp(text, "any") == 0) {
		settings->server_cpu = -1;
		settings->load_cpu = -1;
		return 0;
	}
	if (sscanf(text, "%d,%d%c", &settings->server_cpu, &settings->load_cpu,
		   &end) == 2 &&
	    is_usable(settings->server_cpu) && is_usable(settings->load_cpu))
		return 0;
	complain(who, "--cpus: '%s' is not two usable processors A,B or 'any'",
		 text);
	return -1;
}

static int set_option(struct echo_settings *settings, int option)
{
	switch (option) {
	case OPTION_OPEN_LOOP:
		settings->open_loop = true;
		return 0;
	case OPTION_RATE:
		return option_count(who, &rate_range, optarg, &settings->rate);
	case OPTION_FIREHOSE:
		settings->firehose = true;
		return 0;
	case OPTION_SHORT:
		settings->brief = true;
		return 0;
	case OPTION_IDLE:
		return option_count(who, &idle_range, optarg, &settings->idle);
	case OPTION_CONNECT:
		return set_connect(settings, optarg);
	case OPTION_SERVER:
		settings->server = optarg;
		return 0;
	case OPTION_AGAINST:
		settings->against = optarg;
		return 0;
	case OPTION_CONNECTIONS:
		return option_count(who, &connections_range, optarg,
				    &settings->connections);
	case OPTION_SIZE:
		return option_count(who, &size_range, optarg, &settings->size);
	case OPTION_THREADS:
		return option_count(who, &threads_range, optarg,
				    &settings->threads);
	case OPTION_REQUESTS:
		return option_count(who, &requests_range, optarg,
				    &settings->requests);
	case OPTION_SECONDS:
		return option_seconds(who, &seconds_range, optarg,
				      &settings->seconds_ns);
	case OPTION_WARMUP:
		return option_seconds(who, &warmup_range, optarg,
				      &settings->warmup_ns);
	case OPTION_CPUS:
		return set_cpus(settings, optarg);
	case OPTION_SLEEP:
		settings->sleeps = true;
		return 0;
	case OPTION_JSON:
		settings->json = true;
		return 0;
	case 'h':
		settings->help = true;
		return 0;
	default: /* getopt_long has complained */
		return -1;
	}
}

static int parse(struct echo_settings *settings, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) >= 0)
		if (set_option(settings, option) < 0)
			return -1;
	if (settings->help)
		return 0;
	if (options_no_more(who, argc, argv, optind) < 0)
		return -1;
	return echo_check(settings);
}

int bench_echo(int argc, char **argv)
{
	/* With one processor only there is nothing to choose. */
	const bool several = host_usable_cpu(1) >= 0;
	struct echo_settings settings = {
		.idle = ECHO_NOT_GIVEN,
		.connections = ECHO_NOT_GIVEN,
		.size = 64,
		.threads = 1,
		.rate = ECHO_NOT_GIVEN,
		.seconds_ns = ECHO_NOT_GIVEN,
		.warmup_ns = ECHO_NOT_GIVEN,
		.server_cpu = several ? host_usable_cpu(0) : -1,
		.load_cpu = several ? host_usable_cpu(1) : -1,
	};
	struct report report;

	if (parse(&settings, argc, argv) < 0)
		return BENCH_USAGE;
	if (settings.help) {
		fputs(usage, stdout);
		return BENCH_OK;
	}
	echo_complete(&settings);
	interrupt_watch();
	report_init(&report, stdout, settings.json);
	if (settings.idle != ECHO_NOT_GIVEN)
		return echo_idle(&settings, &report);
	return settings.against == NULL ? echo_alone(&settings, &report)
					: echo_against(&settings, &report);
}
