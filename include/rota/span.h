/* SPDX-License-Identifier: MIT */
/*
 * A piece of somebody's memory: where it starts, and how long it is.
 */
#ifndef ROTA_SPAN_H
#define ROTA_SPAN_H

#include <stddef.h>

/* A piece of memory. */
struct rota_span {
	char *data;   /* the first byte; with 0 bytes it may be NULL */
	size_t bytes; /* how many there are */
};

#endif
