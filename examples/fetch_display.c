/* SPDX-License-Identifier: MIT */
/*
 * The display is drawn again, over itself, some times a second. No line is
 * wider than the terminal, so that each takes one row, and it takes no more
 * than half of the rows.
 *
 *	debian-12.iso      ############------------   51%  310.2 MiB  41.0 MiB/s
 *	linux-6.18.tar.xz  ####--------------------   18%   24.9 MiB  11.2 MiB/s
 *	3 of 40 files, 402.1 MiB, 52.1 MiB/s, 0:07 left, 1 failed
 */
#include "fetch_display.h"

#include "fetch_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PERIOD_NS (200 * ROTA_MILLISECOND)

/* Where nothing is known of the terminal. */
#define COLUMNS 80
#define ROWS 24

/* A line is no longer than that, on however wide a terminal. */
#define COLUMNS_MAX 200

/* What a line takes beside the name and the bar, in columns. */
#define NUMBERS 32
#define BAR 24
#define NAME_LEAST 8

/* Room for a screen of such lines. */
#define SCREEN_BYTES 65536

/* Clears from here to the end of the screen. */
#define CLEAR "\r\033[J"

static struct winsize terminal_size(void)
{
	struct winsize size = { 0 };

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col) {
		size.ws_col = COLUMNS;
		size.ws_row = ROWS;
	}
	if (size.ws_col > COLUMNS_MAX)
		size.ws_col = COLUMNS_MAX;
	return size;
}

static void print_hiding(FILE *out, struct fetcher *fetcher)
{
	if (fetcher->rows)
		fprintf(out, "\033[%uA" CLEAR, fetcher->rows);
	fetcher->rows = 0;
}

void display_hide(struct fetcher *fetcher)
{
	print_hiding(stderr, fetcher);
}

/* A name in so many columns: what is no printable ASCII takes one, too, and of
 * one too long the end is left out. */
static void print_name(FILE *out, const char *name, unsigned columns)
{
	unsigned used = 0;

	for (; *name && used < columns; name++) {
		if (((unsigned char)*name & 0xc0) == 0x80)
			continue; /* inside of a character */
		putc(*name >= 0x20 && *name < 0x7f ? *name : '?', out);
		used++;
	}
	fprintf(out, "%*s", (int)(columns - used), "");
}

static void print_bar(FILE *out, double part, unsigned columns)
{
	const unsigned full = (unsigned)(part * columns);

	for (unsigned i = 0; i < columns; i++)
		putc(i < full ? '#' : '-', out);
}

/* Bytes that have come, written or not. */
static int64_t bytes_of(const struct job *job)
{
	return job->transfer ? job->offset + (int64_t)job->transfer->received
			     : job->file.bytes;
}

/* How many it will be; -1: not known. */
static int64_t whole_of(const struct job *job)
{
	return job->transfer && job->transfer->expected >= 0
		       ? job->offset + job->transfer->expected
		       : -1;
}

static void print_job(FILE *out, const struct job *job, unsigned columns)
{
	const int64_t whole = whole_of(job), bytes = bytes_of(job);
	const double part = whole > 0 ? (double)bytes / (double)whole : 0;
	const double seconds =
		(double)(rota_now_ns() - job->began_ns) / 1e9 + 1e-3;
	char size[SIZE_TEXT], rate[SIZE_TEXT];
	unsigned bar = 0, name = columns > NUMBERS ? columns - NUMBERS : 0;

	if (name >= NAME_LEAST + BAR) {
		bar = BAR - 2;
		name -= BAR;
	}
	if (!name) { /* only the name fits */
		print_name(out, job->name, columns);
		fputc('\n', out);
		return;
	}
	print_name(out, job->name, name);
	if (bar)
		fputs("  ", out);
	print_bar(out, part > 1 ? 1 : part, bar);
	if (whole > 0)
		fprintf(out, "  %3.0f%%", 100 * (part > 1 ? 1 : part));
	else
		fputs("      ", out);
	fprintf(out, "  %10s  %10s/s\n", report_size((double)bytes, size),
		report_size((double)(bytes - job->offset) / seconds, rate));
}

/* How long what is known of still takes, at the rate so far; < 0: not known. */
static int64_t seconds_left(const struct fetcher *fetcher, double rate)
{
	int64_t left = 0;

	for (const struct job *job = fetcher->running; job; job = job->next) {
		const int64_t whole = whole_of(job);

		if (whole < 0)
			return -1;
		left += whole - bytes_of(job);
	}
	/* Of those that have not begun: as large as those that are done. */
	if (fetcher->waiting && !fetcher->done)
		return -1;
	if (fetcher->waiting)
		left += (int64_t)(fetcher->bytes / fetcher->done *
				  fetcher->waiting);
	return rate > 1 ? (int64_t)((double)left / rate) : -1;
}

/* Those too that are not written yet. */
static double bytes_of_all(const struct fetcher *fetcher)
{
	uint64_t bytes = fetcher->bytes;

	for (const struct job *job = fetcher->running; job; job = job->next)
		if (job->transfer)
			bytes += job->transfer->received - job->transfer->taken;
	return (double)bytes;
}

static void print_total(FILE *out, const struct fetcher *fetcher,
			unsigned columns)
{
	const double seconds =
		(double)(rota_now_ns() - fetcher->began_ns) / 1e9 + 1e-3;
	const double bytes = bytes_of_all(fetcher);
	const double rate = bytes / seconds;
	const int64_t left = seconds_left(fetcher, rate);
	char text[COLUMNS_MAX + 1], size[SIZE_TEXT], speed[SIZE_TEXT];
	int used = snprintf(text, sizeof(text), "%u of %u files, %s, %s/s",
			    fetcher->done,
			    fetcher->done + fetcher->failed + fetcher->active +
				    fetcher->waiting,
			    report_size(bytes, size), report_size(rate, speed));

	if (left >= 0)
		used += snprintf(text + used, sizeof(text) - (size_t)used,
				 ", %lld:%02lld left", (long long)left / 60,
				 (long long)left % 60);
	if (fetcher->failed)
		snprintf(text + used, sizeof(text) - (size_t)used,
			 ", %u failed", fetcher->failed);
	fprintf(out, "%.*s\n", (int)columns, text);
}

static void draw_on(FILE *out, struct fetcher *fetcher)
{
	const struct winsize size = terminal_size();
	/* The last column is left free: some terminals wrap after it. */
	const unsigned columns = size.ws_col > 1 ? size.ws_col - 1u : 1;
	const unsigned most = size.ws_row / 2;
	unsigned rows = 0;

	print_hiding(out, fetcher);
	for (const struct job *job = fetcher->running; job && rows + 1 < most;
	     job = job->next, rows++)
		print_job(out, job, columns);
	print_total(out, fetcher, columns);
	fetcher->rows = rows + 1;
}

/* All of it in one write: it does not flicker. */
static void draw(struct fetcher *fetcher)
{
	static char screen[SCREEN_BYTES];
	FILE *const out = fmemopen(screen, sizeof(screen), "w");
	long bytes;

	if (!out)
		return;
	draw_on(out, fetcher);
	bytes = ftell(out);
	fclose(out);
	if (bytes > 0)
		fwrite(screen, 1, (size_t)bytes, stderr);
}

static bool is_wanted(const struct fetcher *fetcher)
{
	const char *const terminal = getenv("TERM");

	return !fetcher->options.quiet && isatty(STDERR_FILENO) && terminal &&
	       strcmp(terminal, "dumb") != 0;
}

int display_run(void *value)
{
	struct fetcher *fetcher = *(struct fetcher **)value;
	struct rota_ticker ticker;
	int error;

	if (!is_wanted(fetcher))
		return 0;
	error = rota_ticker_open(&ticker, PERIOD_NS);
	if (error)
		return error;
	while (!(error = rota_ticker_wait(&ticker, NULL)))
		draw(fetcher);
	rota_ticker_close(&ticker);
	display_hide(fetcher);
	return error;
}
