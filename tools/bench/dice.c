// SPDX-License-Identifier: MIT
#include "dice.h"

#include <rota/rota.h>

#define SPREAD_BITS 36 /* 68.7 s */

struct dice dice_take(int64_t lead_ns, uint64_t seed)
{
	return (struct dice){ rota_after_ns(lead_ns), seed };
}

int64_t dice_roll(struct dice *dice)
{
	dice->state = dice->state * 6364136223846793005u + 1442695040888963407u;
	return dice->from_ns + (int64_t)(dice->state >> (64 - SPREAD_BITS));
}

uint64_t dice_arm_and_leave(struct dice *dice, uint64_t ops)
{
	uint64_t left = 0;

	for (uint64_t index = 0; index < ops; index++) {
		struct rota_deadline deadline;

		rota_deadline_begin(&deadline, dice_roll(dice));
		left += !rota_deadline_end(&deadline);
	}
	return left;
}
