/* SPDX-License-Identifier: MIT */
#ifndef FETCH_REPORT_H
#define FETCH_REPORT_H

#include "fetch_url.h"

#include <stdio.h>

/* Bytes as people write them: "16.0 KiB". */
#define SIZE_TEXT 16
const char *report_size(double bytes, char text[SIZE_TEXT]);

/* Text of others, safe for a terminal. */
void report_text(FILE *out, const char *text);

/* What became of a URL: the only thing that is said of it. */
void report_job(const struct job *job);

/* What became of all. */
void report_all(const struct fetcher *fetcher);

#endif
