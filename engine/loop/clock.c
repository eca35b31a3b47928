/* SPDX-License-Identifier: MIT */
#include "rota/clock.h"

#include "loop/loop.h"
#include "ring/linux.h"

int64_t rota_now_ns(void)
{
	if (ri_loop_here)
		return ri_loop_now(ri_loop_here);
	return ri_kernel_linux.now_ns(&ri_kernel_linux);
}

int64_t rota_after_ns(int64_t duration_ns)
{
	const int64_t now_ns = rota_now_ns();
	int64_t deadline_ns;

	if (duration_ns <= 0)
		return now_ns;
	if (__builtin_add_overflow(now_ns, duration_ns, &deadline_ns))
		return ROTA_NEVER;
	return deadline_ns;
}
