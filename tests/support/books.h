/* SPDX-License-Identifier: MIT */
/*
 * The books of the buffers that receive streams share: where each block is, who
 * holds it, and whether the sums are right.
 */
#ifndef TEST_SUPPORT_BOOKS_H
#define TEST_SUPPORT_BOOKS_H

#include "rota/stream.h"

/* What does not balance, or NULL. To be asked by a task; `streams` are all
 * receive streams of the loop that are open. The words stand until the next
 * call. */
const char *books_wrong(const struct rota_stream *const *streams,
			unsigned count);

#endif
