/* SPDX-License-Identifier: MIT */
/*
 * The command line of rota-fetch. A wrong one is told on one line, with exit
 * status 2.
 */
#include "fetch_options.h"

#include "fetch_sum.h"

#include <rota/rota.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* URLs at once: each has a task, a handle of libcurl and a buffer. */
#define JOBS_MAX 10000

static const char usage[] =
	"usage: rota-fetch [OPTION...] URL...\n"
	"Fetches URLs (http, https), many at once, into files named as they are.\n"
	"\n"
	"  -i, --input FILE       URLs, one a line; - is standard input\n"
	"  -d, --directory DIR    where the files go (.)\n"
	"  -o, --output FILE      the name of the file, of one URL\n"
	"  -j, --jobs N           at once (16)\n"
	"  --per-host N           at once from one host and port (any)\n"
	"  --timeout SECONDS      that one try may take (any)\n"
	"  --connect-timeout SECONDS\n"
	"                         to be connected in (30)\n"
	"  --retries N            of what may pass: no connection, a timeout, an\n"
	"                         answer cut off, 408, 429, 5xx (3)\n"
	"  --rate BYTES           a second, of all together; 64k, 10M, 1G\n"
	"  --resume               keep files that are there, and go on with those\n"
	"                         that an earlier run has left half done\n"
	"  --checksum sha256:HEX  that the file has to have, of one URL\n"
	"  --header 'NAME: TEXT'  to send too; may be given again\n"
	"  --insecure             do not look at certificates\n"
	"  --cacert FILE          the authorities to trust instead\n"
	"  --fsync                have each file on the disk before it is named\n"
	"  --fail-fast            end at the first failure\n"
	"  -q, --quiet            tell of failures only\n"
	"  --json                 one object for each URL on standard output\n"
	"  --help                 this\n"
	"\n"
	"A file is named as the last part of its URL's path (index.html if there is\n"
	"none); a dot at the front, control characters and slashes become _. A second\n"
	"URL with the same name fails. The file has its name when it is complete;\n"
	"before it is .NAME.part beside it. SIGINT: what runs is finished, nothing new\n"
	"begins; a second one ends it at once. Exit: 0 all, 1 some failed, 2 usage.\n";

__attribute__((noreturn)) static void refuse(const char *what)
{
	fprintf(stderr, "rota-fetch: %s (--help lists the options)\n", what);
	exit(2);
}

__attribute__((noreturn)) static void want(const char *option, const char *what)
{
	fprintf(stderr, "rota-fetch: --%s wants %s, not '%s'\n", option, what,
		optarg);
	exit(2);
}

static unsigned number(const char *option, unsigned least, unsigned most)
{
	char range[64], *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(optarg, &end, 10);
	if (errno || end == optarg || *end || *optarg == '-' || value < least ||
	    value > most) {
		snprintf(range, sizeof(range), "%u to %u", least, most);
		want(option, range);
	}
	return (unsigned)value;
}

static int64_t duration(const char *option)
{
	char *end;
	double seconds;

	errno = 0;
	seconds = strtod(optarg, &end);
	/* (Not >: what is no number fails, too.) */
	if (errno || end == optarg || *end || !(seconds >= 0.001) ||
	    !(seconds <= 1e6))
		want(option, "seconds, 0.001 to 1000000");
	return (int64_t)(seconds * (double)ROTA_SECOND);
}

static uint64_t bytes_a_second(void)
{
	static const char units[] = "kMGkmg";
	char *end;
	uint64_t value;
	const char *unit;

	errno = 0;
	value = strtoull(optarg, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit)
		end++;
	if (errno || !value || *optarg == '-' || *end || value > 1ull << 40)
		want("rate", "bytes a second, as 500000, 64k, 10M");
	if (unit)
		value <<= 10 * ((unit - units) % 3 + 1);
	return value;
}

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) % 16 : -1;
}

static void take_checksum(struct options *options)
{
	static const char kind[] = "sha256:";
	const char *text = optarg + strlen(kind);

	if (strncmp(optarg, kind, strlen(kind)) ||
	    strlen(text) != 2 * CHECKSUM_BYTES ||
	    strspn(text, "0123456789abcdefABCDEF") != 2 * CHECKSUM_BYTES)
		want("checksum", "sha256: and 64 hexadecimal digits");
	for (unsigned i = 0; i < CHECKSUM_BYTES; i++)
		options->checksum[i] = (unsigned char)(digit(text[2 * i]) * 16 +
						       digit(text[2 * i + 1]));
	options->checked = true;
}

static void take_header(struct options *options)
{
	struct curl_slist *longer;

	if (!strchr(optarg, ':') || strpbrk(optarg, "\r\n"))
		want("header", "'NAME: TEXT'");
	longer = curl_slist_append(options->headers, optarg);
	if (!longer)
		refuse("no memory for the headers");
	options->headers = longer;
}

static const struct option long_options[] = {
	{ "input", required_argument, NULL, 'i' },
	{ "directory", required_argument, NULL, 'd' },
	{ "output", required_argument, NULL, 'o' },
	{ "jobs", required_argument, NULL, 'j' },
	{ "per-host", required_argument, NULL, 'p' },
	{ "timeout", required_argument, NULL, 't' },
	{ "connect-timeout", required_argument, NULL, 'c' },
	{ "retries", required_argument, NULL, 'r' },
	{ "rate", required_argument, NULL, 'b' },
	{ "resume", no_argument, NULL, 'R' },
	{ "checksum", required_argument, NULL, 's' },
	{ "header", required_argument, NULL, 'H' },
	{ "insecure", no_argument, NULL, 'k' },
	{ "cacert", required_argument, NULL, 'a' },
	{ "fsync", no_argument, NULL, 'y' },
	{ "fail-fast", no_argument, NULL, 'f' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "json", no_argument, NULL, 'J' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void take_value(struct options *options, int option)
{
	switch (option) {
	case 'j':
		options->jobs = number("jobs", 1, JOBS_MAX);
		break;
	case 'p':
		options->per_host = number("per-host", 1, JOBS_MAX);
		break;
	case 't':
		options->timeout_ns = duration("timeout");
		break;
	case 'c':
		options->connect_ns = duration("connect-timeout");
		break;
	case 'r':
		options->retries = number("retries", 0, 1000);
		break;
	case 'b':
		options->rate = bytes_a_second();
		break;
	case 's':
		take_checksum(options);
		break;
	case 'H':
		take_header(options);
		break;
	default:
		fprintf(stderr, "rota-fetch: --help lists the options\n");
		exit(2);
	}
}

static void take_switch(struct options *options, int option)
{
	switch (option) {
	case 'R':
		options->resume = true;
		break;
	case 'k':
		options->insecure = true;
		break;
	case 'y':
		options->fsync = true;
		break;
	case 'f':
		options->fail_fast = true;
		break;
	case 'q':
		options->quiet = true;
		break;
	case 'J':
		options->json = true;
		break;
	default:
		take_value(options, option);
	}
}

static void take_option(struct options *options, int option)
{
	switch (option) {
	case 'i':
		options->list = optarg;
		break;
	case 'd':
		options->folder = optarg;
		break;
	case 'o':
		options->output = optarg;
		break;
	case 'a':
		options->authorities = optarg;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		take_switch(options, option);
	}
}

static void check(const struct options *options)
{
	const bool one = options->url_count == 1 && !options->list;

	if (!options->url_count && !options->list)
		refuse("no URL");
	if (options->output && !one)
		refuse("--output names one file: it takes one URL");
	if (options->output && options->folder)
		refuse("--output and --directory exclude each other");
	if (options->checked && !sum_is_known())
		refuse("--checksum needs libcrypto, which was not there when "
		       "this was built");
	if (options->checked && !one)
		refuse("--checksum is of one file: it takes one URL");
}

void options_parse(struct options *options, int argc, char **argv)
{
	int option;

	*options = (struct options){ .jobs = 16,
				     .retries = 3,
				     .connect_ns = 30 * ROTA_SECOND };
	while ((option = getopt_long(argc, argv, "i:d:o:j:q", long_options,
				     NULL)) >= 0)
		take_option(options, option);
	options->urls = argv + optind;
	options->url_count = (unsigned)(argc - optind);
	check(options);
}
