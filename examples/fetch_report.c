/* SPDX-License-Identifier: MIT */
/*
 * What rota-fetch says: of each URL one line, at the end a summary. Results are
 * on standard output, failures and the summary on standard error.
 */
#include "fetch_report.h"

#include "fetch_display.h"

#include <string.h>

const char *report_size(double bytes, char text[SIZE_TEXT])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	unsigned unit = 0;

	while (bytes >= 1000 && unit < 4) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, SIZE_TEXT, unit ? "%.1f %s" : "%.0f %s", bytes,
		 units[unit]);
	return text;
}

/* How many bytes of UTF-8 are one character here; 0: none. */
static unsigned character(const unsigned char *text)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned bytes = *text < 0x80   ? 1
			       : *text < 0xc0 ? 0
			       : *text < 0xe0 ? 2
			       : *text < 0xf0 ? 3
			       : *text < 0xf8 ? 4
					      : 0;
	unsigned value = bytes ? *text & (0xffu >> (bytes + (bytes > 1))) : 0;

	for (unsigned i = 1; i < bytes; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (text[i] & 0x3f);
	}
	if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000) ||
	    (bytes && value < least[bytes]))
		return 0;
	/* The second row of control characters. */
	return value >= 0x80 && value < 0xa0 ? 0 : bytes;
}

void report_text(FILE *out, const char *text)
{
	while (*text) {
		const unsigned bytes = character((const unsigned char *)text);

		if (!bytes || (unsigned char)*text < 0x20 || *text == 0x7f)
			putc('?', out);
		else
			fwrite(text, 1, bytes, out);
		text += bytes ? bytes : 1;
	}
}

static void print_json(const char *text)
{
	putchar('"');
	while (*text) {
		const unsigned char c = (unsigned char)*text;
		const unsigned bytes = character((const unsigned char *)text);

		if (c == '"' || c == '\\')
			putchar('\\');
		if (!bytes)
			fputs("\\ufffd", stdout);
		else if (c < 0x20 || c == 0x7f)
			printf("\\u%04x", c);
		else
			fwrite(text, 1, bytes, stdout);
		text += bytes ? bytes : 1;
	}
	putchar('"');
}

static void print_object(const struct job *job)
{
	fputs("{\"url\":", stdout);
	print_json(job->url);
	fputs(",\"file\":", stdout);
	print_json(job->name);
	printf(",\"bytes\":%lld,\"status\":%ld,\"error\":",
	       (long long)job->file.bytes, job->status);
	if (*job->cause)
		print_json(job->cause);
	else
		fputs("null", stdout);
	printf(",\"retries\":%u}\n", job->retries);
}

static void print_failure(const struct job *job)
{
	fputs("rota-fetch: ", stderr);
	report_text(stderr, job->url);
	fputs(": ", stderr);
	report_text(stderr, job->cause);
	if (job->retries)
		fprintf(stderr, " (tried %u times)", job->retries + 1);
	putc('\n', stderr);
}

static void print_success(const struct job *job)
{
	char size[SIZE_TEXT];

	report_text(stdout, job->name);
	printf(": %s%s\n", report_size((double)job->file.bytes, size),
	       job->kept ? ", was there" : "");
}

void report_job(const struct job *job)
{
	const struct options *options = &job->fetcher->options;

	display_hide(job->fetcher);
	if (options->json)
		print_object(job);
	else if (*job->cause)
		print_failure(job);
	else if (!options->quiet)
		print_success(job);
}

void report_all(const struct fetcher *fetcher)
{
	const double seconds =
		(double)(rota_now_ns() - fetcher->began_ns) / 1e9;
	char all[SIZE_TEXT], rate[SIZE_TEXT];

	fprintf(stderr, "%u of %u files, %s in %.1f s, %s/s", fetcher->done,
		fetcher->done + fetcher->failed,
		report_size((double)fetcher->bytes, all), seconds,
		report_size((double)fetcher->bytes / (seconds + 1e-9), rate));
	if (fetcher->failed)
		fprintf(stderr, ", %u failed", fetcher->failed);
	putc('\n', stderr);
}
