/* SPDX-License-Identifier: MIT */
/*
 * To be included before the code whose steps are woven (support/weave.h): its
 * atomic built-ins lead to the weaver.
 */
#ifndef TEST_SUPPORT_WEAVE_ATOMICS_H
#define TEST_SUPPORT_WEAVE_ATOMICS_H

#include "support/weave.h"

#define WEAVE_WORD(pointer, order_, value_)                             \
	(&(struct weave_word){ .address = (void *)(uintptr_t)(pointer), \
			       .bytes = sizeof(*(pointer)),             \
			       .order = (order_),                       \
			       .value = (uint64_t)(uintptr_t)(value_) })

/* Without the qualifiers of what the pointer points to. */
#define WEAVE_AS(pointer, value_) \
	((__typeof__(*(pointer) + 0))(uintptr_t)(value_))

#define __atomic_load_n(pointer, order) \
	WEAVE_AS(pointer, weave_load(WEAVE_WORD(pointer, order, 0)))

#define __atomic_store_n(pointer, value, order) \
	weave_store(WEAVE_WORD(pointer, order, value))

#define __atomic_exchange_n(pointer, value, order) \
	WEAVE_AS(pointer, weave_exchange(WEAVE_WORD(pointer, order, value)))

#define __atomic_compare_exchange_n(pointer, expected, value, weak, order, \
				    other)                                 \
	({                                                                 \
		uint64_t found_ = (uint64_t)(uintptr_t) * (expected);      \
		const bool done_ = weave_compare(                          \
			WEAVE_WORD(pointer, order, value), &found_);       \
		*(expected) = WEAVE_AS(expected, found_);                  \
		done_;                                                     \
	})

#define __atomic_thread_fence(order) weave_fence(order)

#endif
