/* SPDX-License-Identifier: MIT */
#include "ring/features.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *word;
	enum ri_feature feature;
} words[] = {
	{ "abs_timer", RI_FEATURE_ABS_TIMER },
	{ "no_iowait", RI_FEATURE_NO_IOWAIT },
	{ "guard", RI_FEATURE_GUARD },
};

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
			       "abs_timer, no_iowait, guard",
			       (int)length, word);
			return -EINVAL;
		}
		*mask |= feature;
		word += length;
		word += *word == ',';
	}
	return 0;
}
