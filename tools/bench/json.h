/* SPDX-License-Identifier: MIT */
/*
 * A JSON string from any bytes. Quotes, backslashes and control characters
 * are escaped; what is not UTF-8 (a command line may be anything) becomes
 * U+FFFD, because one bad byte would cost the reader the whole line.
 */
#ifndef BENCH_JSON_H
#define BENCH_JSON_H

#include <stdio.h>

/* Prints the text with its quotes; NULL is printed as null. */
void json_print_string(FILE *out, const char *text);

#endif
