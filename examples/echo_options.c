/* SPDX-License-Identifier: MIT */
/*
 * The command line of rota-echo. A wrong one is told on one line, with exit
 * status 2.
 */
#include "echo_options.h"

#include <rota/rota.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Descriptors that are not connections: standard ones, ring, listener, signal,
 * and some that the program around may have open. */
#define OTHER_DESCRIPTORS 32

/* The soft limit goes up to the hard one; what is left for connections. */
static unsigned raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur <= 2 * OTHER_DESCRIPTORS)
		return 1;
	if (limit.rlim_cur > 1u << 20)
		return 1u << 20;
	return (unsigned)limit.rlim_cur - OTHER_DESCRIPTORS;
}

static const char usage[] =
	"usage: rota-echo [OPTION...]\n"
	"Sends back what it receives, until SIGINT or SIGTERM.\n"
	"\n"
	"  --address ADDRESS      to listen on (127.0.0.1)\n"
	"  --port PORT            0 takes a free one (7777)\n"
	"  --unix PATH            listen on a Unix socket instead\n"
	"  --loops N              threads; 0: one for each processor (1)\n"
	"  --accept least|each    one listener, and each connection to the loop\n"
	"                         with the fewest; or a listener on each loop\n"
	"  --stream               receive into buffers that all share\n"
	"  --serve                the same, and no stack while idle\n"
	"  --buffers N            that they share (256)\n"
	"  --idle-timeout-ms MS   ends connections that say nothing (none)\n"
	"  --max-connections N    of a listener; more wait in its backlog (the "
	"descriptor limit)\n"
	"  --grace-ms MS          to finish in when stopped (5000)\n"
	"  --counters             print at the end what each loop did\n"
	"  --quiet                do not print the address\n"
	"  --help                 this\n";

__attribute__((noreturn)) static void refuse(const char *what)
{
	fprintf(stderr, "rota-echo: %s (--help lists the options)\n", what);
	exit(2);
}

static long long number(const char *option, const char *text, long long most)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || end == text || *end || value < 0 || value > most) {
		fprintf(stderr, "rota-echo: --%s wants 0 to %lld, not '%s'\n",
			option, most, text);
		exit(2);
	}
	return value;
}

static const struct option long_options[] = {
	{ "address", required_argument, NULL, 'a' },
	{ "port", required_argument, NULL, 'p' },
	{ "unix", required_argument, NULL, 'u' },
	{ "idle-timeout-ms", required_argument, NULL, 'i' },
	{ "max-connections", required_argument, NULL, 'm' },
	{ "grace-ms", required_argument, NULL, 'g' },
	{ "stream", no_argument, NULL, 'r' },
	{ "serve", no_argument, NULL, 's' },
	{ "buffers", required_argument, NULL, 'b' },
	{ "loops", required_argument, NULL, 'l' },
	{ "accept", required_argument, NULL, 'c' },
	{ "counters", no_argument, NULL, 'n' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static enum accept way_to_accept(const char *text)
{
	if (strcmp(text, "each") == 0)
		return ACCEPT_EACH;
	if (strcmp(text, "least") != 0) {
		fprintf(stderr,
			"rota-echo: --accept wants least or each, not '%s'\n",
			text);
		exit(2);
	}
	return ACCEPT_LEAST;
}

static int64_t duration(const char *option)
{
	return number(option, optarg, INT64_MAX / ROTA_MILLISECOND) *
	       ROTA_MILLISECOND;
}

static void take_number(struct options *options, int option)
{
	switch (option) {
	case 'p':
		options->port = (uint16_t)number("port", optarg, 65535);
		break;
	case 'i':
		options->idle_ns = duration("idle-timeout-ms");
		break;
	case 'g':
		options->grace_ns = duration("grace-ms");
		break;
	case 'm':
		options->connections_max =
			(unsigned)number("max-connections", optarg, 1 << 20);
		break;
	case 'b':
		options->buffers = (unsigned)number("buffers", optarg, 8192);
		break;
	case 'l':
		options->loops =
			(unsigned)number("loops", optarg, ROTA_LOOPS_MAX);
		if (!options->loops)
			options->loops = ROTA_LOOPS_ALL;
		break;
	default:
		fprintf(stderr, "rota-echo: --help lists the options\n");
		exit(2);
	}
}

static void take_option(struct options *options, int option)
{
	switch (option) {
	case 'a':
		options->address = optarg;
		break;
	case 'u':
		options->path = optarg;
		break;
	case 'c':
		options->accept = way_to_accept(optarg);
		break;
	case 'r':
		options->style = STYLE_STREAM;
		break;
	case 's':
		options->style = STYLE_SERVE;
		break;
	case 'n':
		options->counters = true;
		break;
	case 'q':
		options->quiet = true;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		take_number(options, option);
	}
}

void options_parse(struct options *options, int argc, char **argv)
{
	int option;

	*options = (struct options){ .port = 7777,
				     .grace_ns = 5 * ROTA_SECOND,
				     .connections_max = raise_limit() };
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
		take_option(options, option);
	if (optind < argc)
		refuse("it takes options only");
	if (options->path && options->address)
		refuse("--unix and --address exclude each other");
	if (!options->address)
		options->address = "127.0.0.1";
	if (options->path && options->accept == ACCEPT_EACH)
		refuse("--unix has one listener: --accept least");
	/* Members without a stack stay where they were accepted. */
	if (options->style == STYLE_SERVE && !options->path)
		options->accept = ACCEPT_EACH;
	if (!options->connections_max)
		refuse("--max-connections 0 would accept nobody");
}
