// SPDX-License-Identifier: MIT
/* Rows for people or for programs, see report.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "json.h"
#include "report.h"

/* Room for a figure: 20 digits of a count, or a double with its decimals. */
#define FIGURE_BYTES 64

/* A text column is at least as wide, so that the rows of a table line up. */
#define TEXT_WIDTH 21
#define NUMBER_WIDTH 10

/* No value is printed with more, and none is asked for with more. */
#define DECIMALS_MAX 9

void report_init(struct report *report, FILE *out, bool json)
{
	memset(report, 0, sizeof(*report));
	report->out = out;
	report->json = json;
}

static struct report_field *add_field(struct report_row *row, const char *name,
				      enum report_kind kind)
{
	if (row->count == REPORT_FIELDS_MAX)
		abort();
	struct report_field *field = &row->fields[row->count++];

	*field = (struct report_field){ .name = name, .kind = kind };
	return field;
}

void report_text(struct report_row *row, const char *name, const char *text)
{
	add_field(row, name, REPORT_TEXT)->text = text;
}

void report_note(struct report_row *row, const char *name, const char *text)
{
	add_field(row, name, REPORT_NOTE)->text = text;
}

void report_count(struct report_row *row, const char *name, uint64_t count)
{
	add_field(row, name, REPORT_COUNT)->count = count;
}

void report_number(struct report_row *row, const char *name, double number,
		   int decimals)
{
	struct report_field *field = add_field(row, name, REPORT_NUMBER);

	field->number = number;
	field->decimals = decimals < DECIMALS_MAX ? decimals : DECIMALS_MAX;
}

void report_none(struct report_row *row, const char *name)
{
	report_number(row, name, NAN, 0);
}

void report_host(struct report_row *row)
{
	report_note(row, "kernel", host_kernel());
	report_note(row, "cpu", host_cpu());
}

static bool field_is_figure(const struct report_field *field)
{
	return field->kind == REPORT_COUNT || field->kind == REPORT_NUMBER;
}

/* The figure as text; `missing` where there is none. */
static void format_figure(const struct report_field *field, const char *missing,
			  char text[static FIGURE_BYTES])
{
	if (field->kind == REPORT_COUNT)
		snprintf(text, FIGURE_BYTES, "%ju", (uintmax_t)field->count);
	else if (!isfinite(field->number))
		snprintf(text, FIGURE_BYTES, "%s", missing);
	else if (fabs(field->number) < 1e40)
		snprintf(text, FIGURE_BYTES, "%.*f", field->decimals,
			 field->number);
	else
		snprintf(text, FIGURE_BYTES, "%e", field->number);
}

static void print_object(const struct report *report,
			 const struct report_row *row)
{
	char figure[FIGURE_BYTES];

	for (size_t index = 0; index < row->count; index++) {
		const struct report_field *field = &row->fields[index];

		fputs(index == 0 ? "{" : ",", report->out);
		json_print_string(report->out, field->name);
		fputc(':', report->out);
		if (field_is_figure(field)) {
			format_figure(field, "null", figure);
			fputs(figure, report->out);
		} else {
			json_print_string(report->out, field->text);
		}
	}
	fputs("}\n", report->out);
}

/* The cell for people; in `figure` unless the field is a text itself. */
static const char *cell_text(const struct report_field *field,
			     char figure[static FIGURE_BYTES])
{
	if (!field_is_figure(field))
		return field->text;
	format_figure(field, "-", figure);
	return figure;
}

static void print_notes(struct report *report, const struct report_row *row)
{
	size_t place = 0;

	for (size_t index = 0; index < row->count; index++) {
		const struct report_field *field = &row->fields[index];

		if (field->kind != REPORT_NOTE || place == REPORT_NOTES_MAX)
			continue;
		char *last = report->notes[place++];
		const size_t bytes = sizeof(report->notes[0]);

		if (strncmp(last, field->text, bytes - 1) == 0)
			continue;
		snprintf(last, bytes, "%s", field->text);
		fprintf(report->out, "%s: %s\n", field->name, field->text);
	}
}

static bool head_is_of(const struct report *report,
		       const struct report_row *row)
{
	if (report->head_count != row->count)
		return false;
	for (size_t index = 0; index < row->count; index++)
		if (strcmp(report->head[index], row->fields[index].name) != 0)
			return false;
	return true;
}

static int column_width(const struct report_field *field)
{
	const int least = field->kind == REPORT_TEXT ? TEXT_WIDTH
						     : NUMBER_WIDTH;
	const int name = (int)strlen(field->name);

	return name > least ? name : least;
}

/* A cell of the table: texts to the left, figures to the right. */
static void print_cell(const struct report *report,
		       const struct report_field *field, const char *text)
{
	const int width = column_width(field);

	if (field->kind == REPORT_TEXT)
		fprintf(report->out, "  %-*s", width, text);
	else
		fprintf(report->out, "  %*s", width, text);
}

static void print_head(struct report *report, const struct report_row *row)
{
	report->head_count = row->count;
	for (size_t index = 0; index < row->count; index++) {
		const struct report_field *field = &row->fields[index];

		report->head[index] = field->name;
		if (field->kind != REPORT_NOTE)
			print_cell(report, field, field->name);
	}
	fputc('\n', report->out);
}

static void print_line(struct report *report, const struct report_row *row)
{
	char figure[FIGURE_BYTES];

	print_notes(report, row);
	if (!head_is_of(report, row))
		print_head(report, row);
	for (size_t index = 0; index < row->count; index++) {
		const struct report_field *field = &row->fields[index];

		if (field->kind != REPORT_NOTE)
			print_cell(report, field, cell_text(field, figure));
	}
	fputc('\n', report->out);
}

void report_print(struct report *report, const struct report_row *row)
{
	if (report->json)
		print_object(report, row);
	else
		print_line(report, row);
	fflush(report->out);
}

static size_t widest_name(const struct report_row *row)
{
	size_t widest = 0;

	for (size_t index = 0; index < row->count; index++) {
		const size_t length = strlen(row->fields[index].name);

		widest = length > widest ? length : widest;
	}
	return widest;
}

static void print_columns(struct report *report, const struct report_row *rows,
			  size_t count)
{
	const int width = (int)widest_name(&rows[0]);
	char figure[FIGURE_BYTES];

	for (size_t column = 0; column < count; column++)
		print_notes(report, &rows[column]);
	for (size_t index = 0; index < rows[0].count; index++) {
		if (rows[0].fields[index].kind == REPORT_NOTE)
			continue;
		fprintf(report->out, "%-*s", width, rows[0].fields[index].name);
		for (size_t column = 0; column < count; column++)
			fprintf(report->out, "  %14s",
				cell_text(&rows[column].fields[index], figure));
		fputc('\n', report->out);
	}
}

void report_side_by_side(struct report *report, const struct report_row *rows,
			 size_t count)
{
	if (!report->json)
		print_columns(report, rows, count);
	for (size_t index = 0; report->json && index < count; index++)
		print_object(report, &rows[index]);
	fflush(report->out);
}
