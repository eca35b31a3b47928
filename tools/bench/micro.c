// SPDX-License-Identifier: MIT
/*
 * rota-bench micro: what is asked for. micro_rows.c has the rows, micro_rounds.c
 * measures them.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "host.h"
#include "micro.h"
#include "options.h"
#include "report.h"

static const char who[] = "rota-bench micro";

static const char usage[] =
	"usage: rota-bench micro [NAME...] [OPTION...]\n"
	"\n"
	"Times single steps of the engine; where it can, beside the same work done\n"
	"without it, in turn. A NAME is one row's, or the beginning of several;\n"
	"without any, all run.\n"
	"\n"
	"  --list      tell the rows, run none\n"
	"  --rounds N  of each row (21, some fewer); medians are over rounds\n"
	"  --ops N     operations of a round, instead of each row's own number\n"
	"  --seconds S of each run of ticker_phase (10)\n"
	"  --quick     do little, only to see that it works\n"
	"  --json      one object a line\n"
	"  --help      this text\n";

enum {
	OPTION_LIST = 1,
	OPTION_ROUNDS,
	OPTION_OPS,
	OPTION_SECONDS,
	OPTION_QUICK,
	OPTION_JSON,
};

static const struct option long_options[] = {
	{ "list", no_argument, NULL, OPTION_LIST },
	{ "rounds", required_argument, NULL, OPTION_ROUNDS },
	{ "ops", required_argument, NULL, OPTION_OPS },
	{ "seconds", required_argument, NULL, OPTION_SECONDS },
	{ "quick", no_argument, NULL, OPTION_QUICK },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const struct option_range rounds_range = { "--rounds", 1, 100000 };
static const struct option_range ops_range = { "--ops", 1, 1000000000 };
static const struct option_range seconds_range = { "--seconds", 0, 86400 };

struct request {
	struct micro_settings settings;
	bool wanted[MICRO_ROWS_MAX];
	bool list;
	bool json;
	bool help;
};

static int set_option(struct request *request, int option)
{
	switch (option) {
	case OPTION_LIST:
		request->list = true;
		return 0;
	case OPTION_ROUNDS:
		return option_count(who, &rounds_range, optarg,
				    &request->settings.rounds);
	case OPTION_OPS:
		return option_count(who, &ops_range, optarg,
				    &request->settings.ops);
	case OPTION_SECONDS:
		return option_seconds(who, &seconds_range, optarg,
				      &request->settings.duration_ns);
	case OPTION_QUICK:
		request->settings.quick = true;
		return 0;
	case OPTION_JSON:
		request->json = true;
		return 0;
	case 'h':
		request->help = true;
		return 0;
	default:
		return -1;
	}
}

/* The row of that name, else all that begin with it. How many. */
static unsigned want(struct request *request, const char *name)
{
	unsigned found = 0;

	for (size_t index = 0; index < micro_rows_count; index++) {
		if (strcmp(micro_rows[index].name, name) != 0)
			continue;
		request->wanted[index] = true;
		return 1;
	}
	for (size_t index = 0; index < micro_rows_count; index++) {
		if (strncmp(micro_rows[index].name, name, strlen(name)) != 0)
			continue;
		request->wanted[index] = true;
		found++;
	}
	return found;
}

static int want_all(struct request *request, int argc, char **argv)
{
	if (argc == 0)
		want(request, "");
	for (int index = 0; index < argc; index++) {
		if (argv[index][0] != '\0' && want(request, argv[index]) > 0)
			continue;
		complain(who, "no row begins with '%s' (--list tells them)",
			 argv[index]);
		return -1;
	}
	return 0;
}

static int parse(struct request *request, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) !=
	       -1)
		if (set_option(request, option) < 0)
			return -1;
	return want_all(request, argc - optind, argv + optind);
}

static void list(const struct request *request)
{
	for (size_t index = 0; index < micro_rows_count; index++)
		if (request->wanted[index])
			printf("%-21s %-5s  %s\n", micro_rows[index].name,
			       micro_rows[index].unit, micro_rows[index].what);
}

static int measure(const struct request *request)
{
	struct report report;
	int exit_code = BENCH_OK;

	report_init(&report, stdout, request->json);
	host_raise_descriptors();
	for (size_t index = 0; index < micro_rows_count; index++)
		if (request->wanted[index] &&
		    micro_measure(&micro_rows[index], &request->settings,
				  &report) < 0)
			exit_code = BENCH_FAILED;
	return exit_code;
}

int bench_micro(int argc, char **argv)
{
	struct request request = { 0 };

	if (parse(&request, argc, argv) < 0)
		return BENCH_USAGE;
	if (request.help) {
		fputs(usage, stdout);
		return BENCH_OK;
	}
	if (request.list) {
		list(&request);
		return BENCH_OK;
	}
	return measure(&request);
}
