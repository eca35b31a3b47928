/* SPDX-License-Identifier: MIT */
/*
 * A file that is not there until it is complete: it is written under a
 * temporary name in the same folder, and renamed.
 */
#ifndef FETCH_FILE_H
#define FETCH_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a server says of which version of something it sent, at most. */
#define VERSION_BYTES 256

struct file {
	int folder;                   /* where it is to be */
	const char *name;             /* when it is complete */
	char temporary[NAME_MAX + 1]; /* until then */
	int fd;                       /* open and locked; -1: not open */
	int64_t bytes;                /* that are in it */
	bool marked;                  /* it has a version */
};

/* Nothing is open yet. */
void file_init(struct file *file, int folder, const char *name);

/* Is there one that is complete? Its size, or -errno. */
int64_t file_size(const struct file *file);

/* Opens what an earlier run has left, and tells of which version it is. 0, or
 * -ENOENT, ...; -EBUSY: another program is writing it. */
int file_reopen(struct file *file, char version[VERSION_BYTES]);

/* Opens it, empty, whatever there was. 0 or -errno, as above. */
int file_create(struct file *file);

/* Notes of which version it is, if the file system can: only for who goes on
 * with it later. */
void file_mark(struct file *file, const char *version);

/* Empty again. 0 or -errno. */
int file_truncate(struct file *file);

/* Appends. 0 or -errno. */
int file_write(struct file *file, const char *data, size_t bytes);

/* It is complete: renames and closes it. 0 or -errno. */
int file_commit(struct file *file, bool sync);

/* Closes it, if it is open, and removes it unless it is to be kept. Cancelled
 * or not. */
void file_abandon(struct file *file, bool keep);

#endif
