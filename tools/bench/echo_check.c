// SPDX-License-Identifier: MIT
/* Whether what rota-bench echo was asked for makes sense, see echo.h. */
#include "echo.h"
#include "options.h"

#define NS_PER_SECOND 1000000000u
#define TURN_NS 80000000u
#define CONNECTIONS 50

/* Each neighbour of a firehose has a histogram, 35 KiB. */
#define NEIGHBOURS_MAX 10000

static const char who[] = "rota-bench echo";

/* What a load of several threads, of connections for a message each, or of so
 * many messages excludes. */
static int check_new(const struct echo_settings *settings)
{
	const bool apart = settings->firehose ||
			   settings->idle != ECHO_NOT_GIVEN;
	const uint64_t connections = settings->connections == ECHO_NOT_GIVEN
					     ? CONNECTIONS
					     : settings->connections;

	if (settings->threads > 1 && apart)
		complain(who, "--threads excludes --firehose and --idle");
	else if (settings->threads > connections)
		complain(who, "--threads needs as many --connections");
	else if (settings->open_loop && settings->threads > settings->rate)
		complain(who, "--threads needs a --rate of as many");
	else if (settings->brief && (apart || settings->open_loop))
		complain(who, "--short excludes --firehose, --idle and "
			      "--open-loop");
	else if (settings->requests > 0 && (apart || settings->open_loop))
		complain(who, "--requests excludes --firehose, --idle and "
			      "--open-loop");
	else if (settings->requests > 0 && settings->against != NULL)
		complain(who, "--requests and --against exclude each other");
	else if (settings->requests > 0 &&
		 settings->seconds_ns != ECHO_NOT_GIVEN)
		complain(who, "--requests and --seconds exclude each other");
	else if (settings->requests > 0 &&
		 settings->requests < settings->threads)
		complain(who, "--threads needs as many --requests");
	else
		return 0;
	return -1;
}

static int check_idle(const struct echo_settings *settings)
{
	if (settings->idle == ECHO_NOT_GIVEN)
		return 0;
	if (settings->server == NULL)
		complain(who, "--idle needs --server, whose memory it tells");
	else if (settings->connections != ECHO_NOT_GIVEN)
		complain(who, "--idle tells how many --connections there are");
	else if (settings->open_loop || settings->firehose)
		complain(who, "--idle excludes --open-loop and --firehose");
	else if (settings->seconds_ns != ECHO_NOT_GIVEN ||
		 settings->warmup_ns != ECHO_NOT_GIVEN)
		complain(who, "--idle takes no --seconds or --warmup");
	else
		return 0;
	return -1;
}

/* Which load it is to be, and what belongs to that. */
static int check_load(const struct echo_settings *settings)
{
	const uint64_t connections = settings->connections;

	if (settings->open_loop && settings->rate == ECHO_NOT_GIVEN)
		complain(who, "--open-loop needs --rate");
	else if (!settings->open_loop && settings->rate != ECHO_NOT_GIVEN)
		complain(who, "--rate needs --open-loop");
	else if (settings->open_loop && settings->firehose)
		complain(who, "--open-loop and --firehose exclude each other");
	else if (settings->firehose && connections < 2)
		complain(who, "--firehose needs two --connections or more");
	else if (settings->firehose && connections != ECHO_NOT_GIVEN &&
		 connections > NEIGHBOURS_MAX)
		complain(who, "--firehose takes %d --connections at most",
			 NEIGHBOURS_MAX);
	else
		return check_idle(settings) < 0 ? -1 : check_new(settings);
	return -1;
}

int echo_check(const struct echo_settings *settings)
{
	if (settings->connect == NULL && settings->server == NULL)
		complain(who, "--connect or --server is needed");
	else if (settings->connect != NULL && settings->server != NULL)
		complain(who, "--connect and --server exclude each other");
	else if (settings->against != NULL && settings->server == NULL)
		complain(who, "--against needs --server");
	else if (settings->seconds_ns == 0)
		complain(who, "--seconds must be more than 0");
	else
		return check_load(settings);
	return -1;
}

static void set_default(uint64_t *value, uint64_t otherwise)
{
	if (*value == ECHO_NOT_GIVEN)
		*value = otherwise;
}

/* Longer if ten messages of a schedule are, or if somebody may starve. */
static uint64_t turn_ns(const struct echo_settings *settings)
{
	const uint64_t ten_slots_ns =
		settings->open_loop ? 10ull * NS_PER_SECOND / settings->rate
				    : 0;

	if (settings->firehose)
		return NS_PER_SECOND;
	return ten_slots_ns > TURN_NS ? ten_slots_ns : TURN_NS;
}

void echo_complete(struct echo_settings *settings)
{
	if (settings->idle != ECHO_NOT_GIVEN)
		settings->connections = settings->idle;
	set_default(&settings->connections, CONNECTIONS);
	set_default(&settings->seconds_ns, 5ull * NS_PER_SECOND);
	set_default(&settings->warmup_ns, NS_PER_SECOND);
	settings->turn_ns = turn_ns(settings);
	if (settings->threads > 1 && !settings->placed)
		settings->server_cpu = settings->load_cpu = -1;
	settings->spins = !settings->sleeps && settings->threads == 1 &&
			  settings->load_cpu >= 0 &&
			  settings->load_cpu != settings->server_cpu;
}
