/* SPDX-License-Identifier: MIT */
#include "stack/fiber.h"

#include <string.h>
#if RI_ASAN
#include <pthread.h>
#endif

void ri_fiber_init_thread(struct ri_fiber *fiber)
{
	memset(fiber, 0, sizeof(*fiber));
#if RI_ASAN
	pthread_attr_t attributes;
	void *bottom = NULL;

	if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
		pthread_attr_getstack(&attributes, &bottom, &fiber->bytes);
		pthread_attr_destroy(&attributes);
		fiber->bottom = bottom;
	}
#endif
#if RI_TSAN
	fiber->tsan = __tsan_get_current_fiber();
#endif
}
