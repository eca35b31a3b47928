// SPDX-License-Identifier: MIT
/*
 * rota-bench micro: the rows, and what is asked for. micro_rounds.c measures
 * them.
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

static const struct micro_row rows[] = {
	{
		.name = "await_nop_1",
		.what = "one task awaits NOPs; base: bare liburing",
		.unit = "ns",
		.work = { .ops = 30000, .tasks = 1 },
		.quick = { .ops = 100, .tasks = 1 },
		.own = micro_await_own,
		.base = micro_await_base,
	},
	{
		.name = "await_nop_64",
		.what = "64 tasks await NOPs; base: bare liburing, as many a "
			"batch",
		.unit = "ns",
		.work = { .ops = 64 * 2000, .tasks = 64 },
		.quick = { .ops = 64 * 10, .tasks = 64 },
		.own = micro_await_own,
		.base = micro_await_base,
	},
	{
		.name = "stream",
		.what = "64 messages through as many receive streams, sends "
			"included; of each; base: bare liburing, multishot",
		.unit = "ns",
		.work = { .ops = 64 * 1000, .tasks = 64 },
		.quick = { .ops = 64 * 10, .tasks = 64 },
		.own = micro_stream_own,
		.base = micro_stream_base,
	},
	{
		.name = "stream_serve",
		.what = "the same by members without a stack",
		.unit = "ns",
		.work = { .ops = 64 * 1000, .tasks = 64 },
		.quick = { .ops = 64 * 10, .tasks = 64 },
		.own = micro_stream_serve_own,
		.base = micro_stream_base,
	},
	{
		.name = "spawn",
		.what = "one empty task in a group of its own, then wait",
		.unit = "ns",
		.work = { .ops = 200000, .tasks = 1 },
		.quick = { .ops = 100, .tasks = 1 },
		.own = micro_spawn_own,
	},
	{
		.name = "spawn_group",
		.what = "1000 empty tasks in a group, then wait; of each",
		.unit = "ns",
		.work = { .ops = 500 * 1000, .tasks = 1000 },
		.quick = { .ops = 2 * 1000, .tasks = 1000 },
		.own = micro_spawn_own,
	},
	{
		.name = "yield_2",
		.what = "two tasks yield in turns; base: a bare switch",
		.unit = "ns",
		.work = { .ops = 1000000, .tasks = 2 },
		.quick = { .ops = 1000, .tasks = 2 },
		.own = micro_yield_own,
		.base = micro_yield_base,
	},
	{
		.name = "yield_1000",
		.what = "1000 tasks yield in turns; base: a bare switch",
		.unit = "ns",
		.work = { .ops = 1000 * 1000, .tasks = 1000 },
		.quick = { .ops = 4 * 1000, .tasks = 1000 },
		.own = micro_yield_own,
		.base = micro_yield_base,
	},
	{
		.name = "yield_mixed",
		.what = "64 tasks on 4 call paths yield; base: a bare switch",
		.unit = "ns",
		.work = { .ops = 64 * 10000, .tasks = 64 },
		.quick = { .ops = 64 * 10, .tasks = 64 },
		.own = micro_yield_mixed_own,
		.base = micro_yield_mixed_base,
	},
	{
		.name = "deadline",
		.what = "begin and end a deadline while nobody sleeps",
		.unit = "ns",
		.work = { .ops = 500000 },
		.quick = { .ops = 100 },
		.own = micro_sleep_own,
	},
	{
		.name = "sleep_cancel",
		.what = "begin and end a deadline while 20000 tasks sleep",
		.unit = "ns",
		.work = { .ops = 500000, .tasks = 20000 },
		.quick = { .ops = 100, .tasks = 100 },
		.own = micro_sleep_own,
	},
	{
		.name = "timers_0",
		.what = "begin and end a deadline while 0 are pending",
		.unit = "ns",
		.work = { .ops = 500000, .tasks = 0 },
		.quick = { .ops = 100, .tasks = 0 },
		.own = micro_timers_own,
	},
	{
		.name = "timers_1000",
		.what = "begin and end a deadline while 1000 are pending",
		.unit = "ns",
		.work = { .ops = 500000, .tasks = 1000 },
		.quick = { .ops = 100, .tasks = 1000 },
		.own = micro_timers_own,
	},
	{
		.name = "timers_100000",
		.what = "begin and end a deadline while 100000 are pending",
		.unit = "ns",
		.work = { .ops = 500000, .tasks = 100000 },
		.quick = { .ops = 100, .tasks = 1000 },
		.own = micro_timers_own,
	},
	{
		.name = "timers_1000000",
		.what = "begin and end a deadline while 1000000 are pending",
		.unit = "ns",
		.work = { .ops = 500000, .tasks = 1000000 },
		.quick = { .ops = 100, .tasks = 1000 },
		.rounds = 11,
		.own = micro_timers_own,
	},
	{
		.name = "deadline_move",
		.what = "move a deadline later while 100000 are pending",
		.unit = "ns",
		.work = { .ops = 1000000, .tasks = 100000 },
		.quick = { .ops = 100, .tasks = 100 },
		.own = micro_move_own,
	},
	{
		.name = "sleepers",
		.what = "processor time of 100000 tasks that each sleep "
			"1 to 1000 ms",
		.unit = "ms",
		.work = { .ops = 100000 },
		.quick = { .ops = 100 },
		.rounds = 5,
		.own = micro_sleepers_own,
	},
	{
		.name = "sleepers_cold",
		.what = "the same with the engine's start and new stacks",
		.unit = "ms",
		.work = { .ops = 100000 },
		.quick = { .ops = 100 },
		.rounds = 5,
		.own = micro_sleepers_cold_own,
	},
	{
		.name = "ticker_cpu",
		.what = "processor time of a tick, 1 ms apart; base: an "
			"absolute timeout on bare liburing",
		.unit = "ns",
		.work = { .ops = 300 },
		.quick = { .ops = 5 },
		.own = micro_ticker_own,
		.base = micro_ticker_base,
	},
	{
		.name = "ticker_phase_idle",
		.what = "how late ticks of 1 ms are; beside it, at the same "
			"time, a bare absolute timeout",
		.unit = "us",
		.work = { .ops = 10000 },
		.quick = { .ops = 20 },
		.measure = micro_phase_idle,
	},
	{
		.name = "ticker_phase_busy",
		.what = "the same with 300 us of work a tick",
		.unit = "us",
		.work = { .ops = 10000 },
		.quick = { .ops = 20 },
		.measure = micro_phase_busy,
	},
	{
		.name = "shield",
		.what = "begin and end a shield that keeps nothing out",
		.unit = "ns",
		.work = { .ops = 500000 },
		.quick = { .ops = 100 },
		.own = micro_shield_own,
	},
	{
		.name = "cancel_blocked_1000",
		.what = "cancel a group of 1000 receives and wait; base: bare "
			"cancels by id",
		.unit = "ms",
		.work = { .ops = 1000 },
		.quick = { .ops = 20 },
		.own = micro_cancel_own,
		.base = micro_cancel_base,
	},
	{
		.name = "cancel_blocked_10000",
		.what = "the same with 10000",
		.unit = "ms",
		.work = { .ops = 10000 },
		.quick = { .ops = 300 },
		.rounds = 11,
		.own = micro_cancel_own,
		.base = micro_cancel_base,
	},
	{
		.name = "cancel_members_10000",
		.what = "cancel a group of 10000 that sleep and wait; of each",
		.unit = "ns",
		.work = { .ops = 10000 },
		.quick = { .ops = 100 },
		.own = micro_cancel_members_own,
	},
	{
		.name = "cancel_members_100000",
		.what = "the same with 100000",
		.unit = "ns",
		.work = { .ops = 100000 },
		.quick = { .ops = 1000 },
		.rounds = 11,
		.own = micro_cancel_members_own,
	},
	{
		.name = "cancel_nested_1000",
		.what = "cancel the outermost of 1000 nested groups, a task "
			"in each, and wait; of each",
		.unit = "ns",
		.work = { .ops = 1000, .tasks = 1000 },
		.quick = { .ops = 10, .tasks = 10 },
		.own = micro_cancel_nested_own,
	},
	{
		.name = "cancel_nested_10000",
		.what = "the same with 10000",
		.unit = "ns",
		.work = { .ops = 10000, .tasks = 10000 },
		.quick = { .ops = 100, .tasks = 100 },
		.own = micro_cancel_nested_own,
	},
	{
		.name = "cancel_stacked_1000",
		.what = "the same, but one task has opened all 1000",
		.unit = "ns",
		.work = { .ops = 1000, .tasks = 1 },
		.quick = { .ops = 10, .tasks = 1 },
		.own = micro_cancel_nested_own,
	},
	{
		.name = "cancel_stacked_10000",
		.what = "the same with 10000",
		.unit = "ns",
		.work = { .ops = 10000, .tasks = 1 },
		.quick = { .ops = 100, .tasks = 1 },
		.own = micro_cancel_nested_own,
	},
	{
		.name = "deadlines_10000",
		.what = "one deadline of 10000 receives, a ring of 64 entries: "
			"to the last one told; base: bare cancels by id",
		.unit = "ms",
		.work = { .ops = 10000 },
		.quick = { .ops = 300 },
		.rounds = 11,
		.own = micro_deadlines_own,
		.base = micro_deadlines_base,
	},
	{
		.name = "close_waiting_1000",
		.what = "close a socket that 1000 tasks wait on, 10000 on "
			"others; of each; base: bare cancels by id",
		.unit = "ns",
		.work = { .ops = 1000, .tasks = 10000 },
		.quick = { .ops = 100, .tasks = 300 },
		.rounds = 11,
		.own = micro_close_own,
		.base = micro_close_base,
	},
	{
		.name = "drain_idle_1000",
		.what = "drain a group of 1000 idle receives and wait; base: "
			"bare cancels by id",
		.unit = "ms",
		.work = { .ops = 1000 },
		.quick = { .ops = 20 },
		.own = micro_drain_own,
		.base = micro_cancel_base,
	},
	{
		.name = "message_awake",
		.what = "a message to another loop, bursts of 32: processor "
			"time of both",
		.unit = "ns",
		.work = { .ops = 32 * 20000 },
		.quick = { .ops = 32 * 10 },
		.own = micro_message_awake_own,
	},
	{
		.name = "message_asleep",
		.what = "until a loop that sleeps runs a message; base: a "
			"bare eventfd wake",
		.unit = "ns",
		.work = { .ops = 200 },
		.quick = { .ops = 5 },
		.own = micro_message_asleep_own,
		.base = micro_message_asleep_base,
	},
	{
		.name = "spawn_remote",
		.what = "1000 empty tasks to the other loop, then wait; of "
			"each",
		.unit = "ns",
		.work = { .ops = 200 * 1000 },
		.quick = { .ops = 2 * 1000 },
		.own = micro_spawn_remote_own,
	},
	{
		.name = "spread",
		.what = "10000 pieces of 20 us over two loops; base: two bare "
			"threads and an atomic counter",
		.unit = "ms",
		.work = { .ops = 10000 },
		.quick = { .ops = 100 },
		.rounds = 11,
		.own = micro_spread_own,
		.base = micro_spread_base,
	},
	{
		.name = "parked_memory",
		.what = "resident bytes of each of 100000 tasks that wait",
		.unit = "bytes",
		.work = { .ops = 100000 },
		.quick = { .ops = 100 },
		.rounds = 3,
		.maps = true,
		.own = micro_memory_own,
	},
	{
		.name = "file_read",
		.what = "4 KiB from the page cache; base: bare liburing",
		.unit = "ns",
		.work = { .ops = 10000 },
		.quick = { .ops = 20 },
		.own = micro_file_own,
		.base = micro_file_base,
	},
	{
		.name = "reader_lines",
		.what = "a line of 64 bytes, 4 KiB a receive; base: read(2) "
			"and memchr",
		.unit = "ns",
		.work = { .ops = 50 * 1024 },
		.quick = { .ops = 1024 },
		.own = micro_lines_own,
		.base = micro_lines_base,
	},
	{
		.name = "offload",
		.what = "an empty call on another thread; base: a mutex and "
			"conditions",
		.unit = "ns",
		.work = { .ops = 10000 },
		.quick = { .ops = 20 },
		.own = micro_offload_own,
		.base = micro_offload_base,
	},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

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
	bool wanted[ROWS];
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

	for (size_t index = 0; index < ROWS; index++) {
		if (strcmp(rows[index].name, name) != 0)
			continue;
		request->wanted[index] = true;
		return 1;
	}
	for (size_t index = 0; index < ROWS; index++) {
		if (strncmp(rows[index].name, name, strlen(name)) != 0)
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
	for (size_t index = 0; index < ROWS; index++)
		if (request->wanted[index])
			printf("%-21s %-5s  %s\n", rows[index].name,
			       rows[index].unit, rows[index].what);
}

static int measure(const struct request *request)
{
	struct report report;
	int exit_code = BENCH_OK;

	report_init(&report, stdout, request->json);
	host_raise_descriptors();
	for (size_t index = 0; index < ROWS; index++)
		if (request->wanted[index] &&
		    micro_measure(&rows[index], &request->settings, &report) <
			    0)
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
