/* SPDX-License-Identifier: MIT */
#ifndef FETCH_SUM_H
#define FETCH_SUM_H

#include "fetch_options.h"

#include <stdbool.h>

/* Was this program built with a library for sums? */
bool sum_is_known(void);

/* Reads the file and compares its SHA-256: 0; -EBADMSG: it is another one; or
 * what reading says. Suspends. */
int sum_check(int fd, const unsigned char expected[CHECKSUM_BYTES]);

#endif
