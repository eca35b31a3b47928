/* SPDX-License-Identifier: MIT */
/*
 * What runs, on a terminal: a line for each transfer, and one for all. Nothing
 * where standard error is no terminal, or --quiet.
 */
#ifndef FETCH_DISPLAY_H
#define FETCH_DISPLAY_H

#include "fetch_url.h"

/* A task (of a struct fetcher *) that shows it until it is cancelled. */
int display_run(void *value);

/* Takes it off the terminal, so that something else can be said: it comes back
 * by itself. */
void display_hide(struct fetcher *fetcher);

#endif
