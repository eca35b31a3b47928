/* SPDX-License-Identifier: MIT */
#include "ring/features.h"

#include <errno.h>
#include <liburing.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *word;
	enum ri_feature feature;
} words[] = {
	{ "abs_timer", RI_FEATURE_ABS_TIMER },
	{ "no_iowait", RI_FEATURE_NO_IOWAIT },
	{ "guard", RI_FEATURE_GUARD },
	{ "futex", RI_FEATURE_FUTEX },
	{ "waitid", RI_FEATURE_WAITID },
	{ "ftruncate", RI_FEATURE_FTRUNCATE },
	{ "send_zc", RI_FEATURE_SEND_ZC },
	{ "zc_usage", RI_FEATURE_ZC_USAGE },
	{ "ring_message", RI_FEATURE_RING_MESSAGE },
};

static const struct {
	enum ri_opcode opcode;
	enum ri_feature feature;
} operations[] = {
	{ RI_OP_WAITID, RI_FEATURE_WAITID },
	{ RI_OP_FUTEX_WAIT, RI_FEATURE_FUTEX },
	{ RI_OP_FTRUNCATE, RI_FEATURE_FTRUNCATE },
	{ RI_OP_SEND_ZC, RI_FEATURE_SEND_ZC },
};

/* Operations that a probe has room for. */
#define PROBED 64

static unsigned find(const char *word, size_t length)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i].word) == length &&
		    memcmp(words[i].word, word, length) == 0)
			return words[i].feature;
	return 0;
}

int ri_features_masked(const struct ri_log *log, unsigned *mask)
{
	const char *word = secure_getenv("ROTA_MASK");

	*mask = 0;
	while (word && *word) {
		const size_t length = strcspn(word, ",");
		const unsigned feature = find(word, length);

		if (!feature) {
			ri_log(log,
			       "ROTA_MASK: '%.*s' is unknown; the words are "
			       "abs_timer, no_iowait, guard, futex, "
			       "waitid, ftruncate, send_zc, zc_usage, "
			       "ring_message",
			       (int)length, word);
			return -EINVAL;
		}
		*mask |= feature;
		word += length;
		word += *word == ',';
	}
	return 0;
}

unsigned ri_features_of_opcodes(const struct ri_kernel *kernel, int fd)
{
	alignas(struct io_uring_probe) unsigned char
		room[sizeof(struct io_uring_probe) +
		     PROBED * sizeof(struct io_uring_probe_op)] = { 0 };
	struct io_uring_probe *probe = (struct io_uring_probe *)(void *)room;
	unsigned features = 0;

	if (kernel->enroll(kernel, fd, IORING_REGISTER_PROBE, probe, PROBED) <
	    0)
		return 0;
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (io_uring_opcode_supported(probe, (int)operations[i].opcode))
			features |= operations[i].feature;
	return features;
}
