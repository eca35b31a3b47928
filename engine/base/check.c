/* SPDX-License-Identifier: MIT */
/*
 * The one place from which rota ends a program. The line is built in a buffer
 * on the stack and written by one call: it must come out whole also when
 * several threads fail at once.
 */
#include "base/check.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local ri_abort_hook *abort_hook;
static _Thread_local void *abort_context;

void ri_abort_hook_set(ri_abort_hook *hook, void *context)
{
	abort_hook = hook;
	abort_context = context;
}

void ri_abort(const char *file, int line, const char *format, ...)
{
	char text[RI_LINE_BYTES + 1];
	va_list arguments;
	int length;

	length = snprintf(text, RI_LINE_BYTES, "rota: %s:%d: ", file, line);
	va_start(arguments, format);
	if (length >= 0 && length < RI_LINE_BYTES)
		vsnprintf(text + length, RI_LINE_BYTES - (size_t)length, format,
			  arguments);
	va_end(arguments);
	if (abort_hook)
		abort_hook(abort_context, text);
	else
		ri_tell(text);
	abort();
}
