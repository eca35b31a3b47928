/* SPDX-License-Identifier: MIT */
/*
 * Do two pieces of memory share no byte? Of nothing there is none.
 */
#ifndef RI_IO_APART_H
#define RI_IO_APART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool ri_apart(const void *one, size_t one_bytes,
			    const void *other, size_t other_bytes)
{
	const uintptr_t a = (uintptr_t)one, b = (uintptr_t)other;

	return a > b ? a - b >= other_bytes : b - a >= one_bytes;
}

#endif
