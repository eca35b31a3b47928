/* SPDX-License-Identifier: MIT */
/*
 * Results. A command fills a row with named fields, in the order in which
 * they shall stand, and hands it over; the report prints it for people or,
 * with --json, as one JSON object a line. Both come from the same fields, so
 * neither can drift from the other.
 *
 * For people there are two forms. A table has a line for each row, printed
 * as it comes, its head repeated when the fields change. Side by side, each
 * row is a column, for few rows of many fields. A note (the kernel, a
 * command line) is too long for a column and mostly the same in all rows:
 * it stands on a line of its own above, once until it changes.
 *
 * A figure that does not exist is JSON's null and a dash for people. So is a
 * figure that is not finite.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define REPORT_FIELDS_MAX 32
#define REPORT_NOTES_MAX 8

enum report_kind {
	REPORT_TEXT,   /* a word; its column stands to the left */
	REPORT_NOTE,   /* a text that is too long for a column */
	REPORT_COUNT,  /* a whole number */
	REPORT_NUMBER, /* a number with a fixed count of decimals */
};

struct report_field {
	const char *name;      /* the caller's, alive until it is printed */
	enum report_kind kind; /* which of the three below counts */
	const char *text;      /* the caller's too */
	uint64_t count;
	double number;
	int decimals; /* of number, in both forms */
};

struct report_row {
	size_t count; /* fields in use */
	struct report_field fields[REPORT_FIELDS_MAX];
};

struct report {
	FILE *out; /* flushed after every row */
	bool json; /* one object a line, else for people */

	/* The fields that the table's head names, to see when they change. */
	size_t head_count;
	const char *head[REPORT_FIELDS_MAX];

	/* The notes printed last, copied. */
	char notes[REPORT_NOTES_MAX][256];
};

void report_init(struct report *report, FILE *out, bool json);

/* Add a field to a row that starts as { 0 }; more than 32 abort. */
void report_text(struct report_row *row, const char *name, const char *text);
void report_note(struct report_row *row, const char *name, const char *text);
void report_count(struct report_row *row, const char *name, uint64_t count);
void report_number(struct report_row *row, const char *name, double number,
		   int decimals);
void report_none(struct report_row *row, const char *name);

/* Notes "kernel" and "cpu" of this machine, as every row ends with. */
void report_host(struct report_row *row);

/* Prints a row now: a line of the table, or an object. */
void report_print(struct report *report, const struct report_row *row);

/* Prints rows that have the same fields: as columns, or an object each. */
void report_side_by_side(struct report *report, const struct report_row *rows,
			 size_t count);

#endif
