/* SPDX-License-Identifier: MIT */
/*
 * Victims that work on names of files: a thread of the kernel does it. After
 * each one there is a name if, and only if, that was reported.
 */
#include "rota/rota.h"
#include "support/victim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The name that a verb makes or takes away is the path, with this it is the
 * other one. */
static void other_path(const struct victim *victim, char other[64])
{
	snprintf(other, 64, "%s-other", victim->path);
}

static int set_up_name(struct victim *victim)
{
	static atomic_uint count;

	snprintf(victim->path, sizeof(victim->path), "/tmp/rota-name-%d-%u",
		 (int)getpid(), atomic_fetch_add(&count, 1));
	remove(victim->path);
	return 0;
}

static int make_file(const struct victim *victim)
{
	const int fd = open(victim->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int prepare_file(struct victim *victim)
{
	return make_file(victim);
}

static int prepare_folder(struct victim *victim)
{
	return mkdir(victim->path, 0700) && errno != EEXIST ? -errno : 0;
}

static int call_mkdir(struct victim *victim)
{
	return rota_mkdir(victim->path, 0700);
}

static int call_rmdir(struct victim *victim)
{
	return rota_rmdir(victim->path);
}

static int call_unlink(struct victim *victim)
{
	return rota_unlink(victim->path);
}

static int call_symlink(struct victim *victim)
{
	return rota_symlink("/", victim->path);
}

static int call_link(struct victim *victim)
{
	char other[64];

	other_path(victim, other);
	return rota_link(victim->path, other);
}

static int call_rename(struct victim *victim)
{
	char other[64];

	other_path(victim, other);
	return rota_rename(victim->path, other);
}

static int call_statx(struct victim *victim)
{
	struct statx out = { 0 };
	const int error =
		rota_statx(AT_FDCWD, victim->path, 0, STATX_BASIC_STATS, &out);

	if (!error)
		referee_expect(victim->referee, "whether it is a file",
			       S_ISREG(out.stx_mode), true);
	return error;
}

static bool is_there(const char *path)
{
	struct stat out;

	return !lstat(path, &out);
}

static void expect_name(struct victim *victim, const char *path, bool there)
{
	if (victim->called)
		referee_expect(victim->referee, "whether the name is there",
			       is_there(path), there);
}

/* Those that make one. */
static void check_made(struct victim *victim)
{
	expect_name(victim, victim->path, !victim->result);
	remove(victim->path);
}

/* Those that take it away. */
static void check_gone(struct victim *victim)
{
	expect_name(victim, victim->path, victim->result != 0);
}

static void check_link(struct victim *victim)
{
	char other[64];

	other_path(victim, other);
	expect_name(victim, other, !victim->result);
	remove(other);
}

static void check_rename(struct victim *victim)
{
	char other[64];

	other_path(victim, other);
	expect_name(victim, other, !victim->result);
	expect_name(victim, victim->path, victim->result != 0);
	remove(other);
}

#define NAME(verb, prepares, checks)                        \
	VICTIM_SLOW, .set_up = set_up_name, .call = (verb), \
		     .prepare = (prepares), .check = (checks)

const struct victim_class victim_names[] = {
	{ "mkdir", NAME(call_mkdir, NULL, check_made) },
	{ "rmdir", NAME(call_rmdir, prepare_folder, check_gone) },
	{ "unlink", NAME(call_unlink, prepare_file, check_gone) },
	{ "symlink", NAME(call_symlink, NULL, check_made) },
	{ "link", NAME(call_link, prepare_file, check_link) },
	{ "rename", NAME(call_rename, prepare_file, check_rename) },
	{ "statx", NAME(call_statx, prepare_file, NULL) },
};
const unsigned victim_names_count =
	sizeof(victim_names) / sizeof(victim_names[0]);
