/* SPDX-License-Identifier: MIT */
/*
 * Names of files, out of URLs that anybody may have written. Whatever a URL
 * says, its file lies in the folder that was asked for, is not hidden, and can
 * be shown on a terminal.
 */
#include "fetch_name.h"

#include <ctype.h>
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

static const char *after_scheme(const char *url)
{
	const char *const found = strstr(url, "://");

	return found && found < url + strcspn(url, "/?#") + 1 ? found + 3 : url;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next byte of a path, decoded; *at moves on. */
static unsigned char decode(const char **at)
{
	const char *c = *at;

	if (*c == '%' && hex(c[1]) >= 0 && hex(c[2]) >= 0) {
		*at = c + 3;
		return (unsigned char)(hex(c[1]) * 16 + hex(c[2]));
	}
	*at = c + 1;
	return (unsigned char)*c;
}

int name_of(const char *url, char name[NAME_MAX + 1])
{
	const char *const host = after_scheme(url);
	const char *at = host + strcspn(host, "/?#");
	const char *const end = at + strcspn(at, "?#");
	size_t bytes = 0;

	for (const char *c = at; c < end; c++)
		if (*c == '/')
			at = c + 1;
	while (at < end) {
		const unsigned char c = decode(&at);

		if (bytes == NAME_MAX)
			return -ENAMETOOLONG;
		name[bytes++] = iscntrl(c) || c == '/' ? '_' : (char)c;
	}
	name[bytes] = 0;
	if (!bytes)
		strcpy(name, "index.html");
	if (*name == '.')
		*name = '_';
	return 0;
}

void name_host(const char *url, char host[NAME_MAX + 1])
{
	const char *at = after_scheme(url);
	const char *const end = at + strcspn(at, "/?#");
	size_t bytes = 0;

	for (const char *c = at; c < end; c++)
		if (*c == '@')
			at = c + 1;
	for (; at < end && bytes < NAME_MAX; at++)
		host[bytes++] = (char)tolower((unsigned char)*at);
	host[bytes] = 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

int names_claim(struct names *names, const char *name)
{
	char *const copy = strdup(name);
	char **const found = copy ? tsearch(copy, &names->tree, compare) : NULL;

	if (found && *found == copy)
		return 0;
	free(copy);
	return found ? -EEXIST : -ENOMEM;
}

void names_fini(struct names *names)
{
	tdestroy(names->tree, free);
}
