/* SPDX-License-Identifier: MIT */
#ifndef FETCH_URL_H
#define FETCH_URL_H

#include "fetch_driver.h"
#include "fetch_file.h"
#include "fetch_name.h"
#include "fetch_options.h"

/* A host, and how many may be asked of it at once. */
struct host {
	struct host *next;       /* of the table */
	struct rota_limit limit; /* --per-host */
	char name[NAME_MAX + 1]; /* and its port */
};

/* What the tasks of all URLs share. */
struct fetcher {
	struct options options;
	struct driver driver;
	struct names names;    /* that are given away */
	int folder;            /* where the files go */
	struct host *hosts;    /* only with --per-host */
	struct rota_rate rate; /* --rate: a token stands for `unit` bytes */
	uint64_t unit;         /* ... */
	uint64_t burst;        /* bytes that are waited for at once */
	struct job *running;   /* the first one */
	struct job **newest;   /* where the next one goes */
	unsigned waiting;      /* URLs of the command line that did not begin */
	unsigned rows;         /* of the terminal that the display takes */
	unsigned active;       /* jobs that run */
	unsigned done;         /* URLs that are complete */
	unsigned failed;       /* URLs that are not, and will not be */
	uint64_t bytes;        /* that came, of all */
	int64_t began_ns;      /* when all of it began */
};

/* One URL. */
struct job {
	struct fetcher *fetcher;
	struct job *next;            /* that runs too */
	struct job **link;           /* what points to this one */
	char *url;                   /* to be freed with it */
	char name[NAME_MAX + 1];     /* of the file */
	struct file file;            /* what is written */
	struct transfer *transfer;   /* of this try; NULL: between two */
	struct curl_slist *headers;  /* of this try, where they differ */
	struct host *host;           /* only with --per-host */
	int64_t began_ns;            /* when it began */
	int64_t offset;              /* where this try goes on */
	int64_t retry_after_ns;      /* how long the server wants no more */
	unsigned retries;            /* tries after the first */
	long status;                 /* what the server answered; 0: nothing */
	bool kept;                   /* it was there already */
	bool may_pass;               /* another try makes sense */
	bool anew;                   /* what was left is of no use */
	char cause[CURL_ERROR_SIZE]; /* why it failed; "": it did not */
};

/* A job for this URL, which is copied; NULL: no memory. */
struct job *job_create(struct fetcher *fetcher, const char *url);

/* It never began, and this is why. */
void job_refuse(struct job *job, const char *cause);

/* Fetches it, tells how that went, and destroys the job: what a task runs, of
 * a struct job *. */
int job_run(void *value);

#endif
