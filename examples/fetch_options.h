/* SPDX-License-Identifier: MIT */
#ifndef FETCH_OPTIONS_H
#define FETCH_OPTIONS_H

#include <curl/curl.h>

#include <stdbool.h>
#include <stdint.h>

/* Of a sha256, in bytes. */
#define CHECKSUM_BYTES 32

struct options {
	char **urls;                /* of the command line */
	unsigned url_count;         /* how many */
	const char *list;           /* a file with more of them, "-", or NULL */
	const char *folder;         /* where the files go */
	const char *output;         /* the name of the only file, or NULL */
	unsigned jobs;              /* URLs at once */
	unsigned per_host;          /* ... of one host; 0: as many */
	unsigned retries;           /* after the first try */
	int64_t timeout_ns;         /* of a try; 0: none */
	int64_t connect_ns;         /* to be connected in */
	uint64_t rate;              /* bytes a second, of all; 0: any */
	struct curl_slist *headers; /* to be sent with each request */
	const char *authorities;    /* a file of certificates, or NULL */
	bool checked;               /* there is a checksum: */
	unsigned char checksum[CHECKSUM_BYTES]; /* of the only file */
	bool resume;    /* go on with what an earlier run left */
	bool insecure;  /* take any certificate */
	bool fsync;     /* files are on the disk when they have their
	                             names */
	bool fail_fast; /* the first failure ends it */
	bool quiet;     /* say nothing but what failed */
	bool json;      /* an object for each URL */
};

/* Fills them in from the command line, or says what is wrong with that and
 * ends the program with exit status 2. */
void options_parse(struct options *options, int argc, char **argv);

#endif
