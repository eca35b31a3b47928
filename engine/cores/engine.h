/* SPDX-License-Identifier: MIT */
#ifndef RI_CORES_ENGINE_H
#define RI_CORES_ENGINE_H

#include "base/kernel.h"
#include "rota/engine.h"

/* rota_run over another kernel than Linux: for tests. */
int ri_engine_run(const struct rota_config *config,
		  const struct ri_kernel *kernel, int (*fn)(void *), void *arg);

#endif
