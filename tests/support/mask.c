/* SPDX-License-Identifier: MIT */
#include "support/mask.h"

#include <stdlib.h>
#include <string.h>

static char *before; /* NULL: it was not set */

int test_mask_keep(void **state)
{
	const char *mask = getenv("ROTA_MASK");

	(void)state;
	before = mask ? strdup(mask) : NULL;
	return 0;
}

int test_mask_restore(void **state)
{
	(void)state;
	if (before)
		setenv("ROTA_MASK", before, 1);
	else
		unsetenv("ROTA_MASK");
	free(before);
	before = NULL;
	return 0;
}
