// SPDX-License-Identifier: MIT
/* Arguments and complaints, see options.h. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "options.h"

#define NS_PER_SECOND 1000000000.0

void complain(const char *who, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", who);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

int option_count(const char *who, const struct option_range *range,
		 const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	const unsigned long long value = strtoull(text, &end, 10);

	if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 ||
	    value < range->least || value > range->most) {
		complain(who, "%s: '%s' is no whole number from %ju to %ju",
			 range->name, text, (uintmax_t)range->least,
			 (uintmax_t)range->most);
		return -1;
	}
	*out = value;
	return 0;
}

int option_seconds(const char *who, const struct option_range *range,
		   const char *text, uint64_t *out_ns)
{
	char *end;
	const double value = strtod(text, &end);

	/* Written so that a NaN fails it too. */
	if (!isdigit((unsigned char)text[0]) || *end != '\0' ||
	    !(value >= (double)range->least && value <= (double)range->most)) {
		complain(who, "%s: '%s' is no number from %ju to %ju",
			 range->name, text, (uintmax_t)range->least,
			 (uintmax_t)range->most);
		return -1;
	}
	*out_ns = (uint64_t)(value * NS_PER_SECOND);
	return 0;
}

int options_no_more(const char *who, int argc, char **argv, int next)
{
	if (next == argc)
		return 0;
	complain(who, "'%s' belongs to no option", argv[next]);
	return -1;
}
