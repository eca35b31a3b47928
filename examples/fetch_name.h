/* SPDX-License-Identifier: MIT */
#ifndef FETCH_NAME_H
#define FETCH_NAME_H

#include <limits.h>

/* Which names are given away in this run. */
struct names {
	void *tree; /* tsearch(3) */
};

/* A safe name for what this URL names, made of the last part of its path. 0, or
 * -ENAMETOOLONG. */
int name_of(const char *url, char name[NAME_MAX + 1]);

/* What is between the scheme and the path, as far as it fits: two URLs with the
 * same one are served by the same host and port. */
void name_host(const char *url, char host[NAME_MAX + 1]);

/* Takes the name for this run. 0; -EEXIST: it is taken; -ENOMEM. */
int names_claim(struct names *names, const char *name);

/* When nobody needs them any more. */
void names_fini(struct names *names);

#endif
