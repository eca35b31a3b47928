/* SPDX-License-Identifier: MIT */
#include "support/story.h"

void story_note(struct test_trail *trail, const char *name, int code)
{
	test_trail_add(trail, name);
	if (code == -ECANCELED)
		test_trail_add(trail, "!");
	else if (code == -ETIME)
		test_trail_add(trail, "~");
	else if (code == -ESHUTDOWN)
		test_trail_add(trail, ".");
	else if (code < 0)
		test_trail_add(trail, "?");
	test_trail_add(trail, " ");
}

int act(void *value)
{
	const struct actor *actor = value;
	const int code = rota_sleep(actor->sleep_ns);

	story_note(actor->trail, actor->name, code);
	if (!code)
		return actor->result;
	return actor->spoiled ? actor->spoiled : code;
}

int act_in_shield(void *value)
{
	const struct actor *actor = value;
	struct rota_shield shield;
	int code;

	rota_shield_begin(&shield, ROTA_SECOND);
	code = rota_sleep(actor->sleep_ns);
	rota_shield_end(&shield);
	story_note(actor->trail, actor->name, rota_cancelled());
	return code ? code : actor->result;
}
