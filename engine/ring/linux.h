/* SPDX-License-Identifier: MIT */
#ifndef RI_RING_LINUX_H
#define RI_RING_LINUX_H

#include "base/kernel.h"

/* The kernel that this program runs on. Stateless, for any thread. */
extern const struct ri_kernel ri_kernel_linux;

#endif
