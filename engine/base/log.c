/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void ri_tell(char line[RI_LINE_BYTES + 1])
{
	const size_t length = strlen(line);

	line[length] = '\n';
	/* Nobody could be told that it did not work. */
	if (write(STDERR_FILENO, line, length + 1) < 0)
		return;
}

void ri_log(const struct ri_log *log, const char *format, ...)
{
	char line[RI_LINE_BYTES + 1] = "rota: ";
	const size_t prefix = strlen(line);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line + prefix, RI_LINE_BYTES - prefix, format, arguments);
	va_end(arguments);
	if (log->write)
		log->write(log->context, line + prefix);
	else
		ri_tell(line);
}
