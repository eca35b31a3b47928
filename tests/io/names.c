/* SPDX-License-Identifier: MIT */
/*
 * Names of files: each verb once as it should be, its refusals, and what a
 * cancel does to it.
 */
#include "rota/rota.h"
#include "support/blocked.h"
#include "support/run.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A folder for one test. */
struct folder {
	char path[32];
	int fd;
	int codes[24];
	struct statx status;
	char target[32];
};

/* What is in the folder, by its short name. */
static const char *in(const struct folder *folder, const char *name)
{
	static char paths[4][64];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder->path, name);
	return path;
}

static void folder_make(struct folder *folder)
{
	memset(folder, 0, sizeof(*folder));
	strcpy(folder->path, "/tmp/rota-names-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(openat(folder->fd, "file", O_WRONLY | O_CREAT, 0600));
	assert_int_equal(truncate(in(folder, "file"), 100), 0);
}

/* All that a test leaves is gone. */
static void folder_remove(struct folder *folder)
{
	unlink(in(folder, "file"));
	close(folder->fd);
	assert_int_equal(rmdir(folder->path), 0);
}

static bool there(const struct folder *folder, const char *name)
{
	struct stat status;

	return !fstatat(folder->fd, name, &status, AT_SYMLINK_NOFOLLOW);
}

static int use_paths(void *arg)
{
	struct folder *folder = arg;
	int *codes = folder->codes;

	codes[0] = rota_mkdir(in(folder, "sub"), 0750);
	codes[1] = rota_link(in(folder, "file"), in(folder, "other"));
	codes[2] = rota_rename(in(folder, "other"), in(folder, "sub/moved"));
	codes[3] = there(folder, "other") || !there(folder, "sub/moved");
	codes[4] = rota_symlink("sub/moved", in(folder, "lead"));
	codes[5] = rota_statx(AT_FDCWD, in(folder, "lead"), 0,
			      STATX_SIZE | STATX_NLINK, &folder->status);
	codes[6] = (int)readlinkat(folder->fd, "lead", folder->target, 31);
	codes[7] = rota_rmdir(in(folder, "sub"));
	codes[8] = rota_unlink(in(folder, "lead"));
	codes[9] = rota_unlink(in(folder, "sub/moved"));
	codes[10] = rota_unlink(in(folder, "sub"));
	codes[11] = rota_rmdir(in(folder, "sub"));
	return 0;
}

static void names_come_move_and_go(void **state)
{
	static const int expected[] = { 0, 0,          0, 0, 0,       0,
					9, -ENOTEMPTY, 0, 0, -EISDIR, 0 };
	struct folder folder;

	(void)state;
	folder_make(&folder);
	assert_int_equal(test_run(use_paths, &folder), 0);
	folder_remove(&folder);
	for (int i = 0; i < 12; i++)
		assert_int_equal(folder.codes[i], expected[i]);
	assert_int_equal(folder.status.stx_size, 100);
	assert_int_equal(folder.status.stx_nlink, 2);
	assert_string_equal(folder.target, "sub/moved");
}

static int use_folder(void *arg)
{
	struct folder *folder = arg;
	int *codes = folder->codes;
	const int at = folder->fd;
	int fd;

	codes[0] = rota_mkdirat(at, "sub", 0700);
	codes[1] = rota_linkat(at, "file", at, "other", 0);
	codes[2] = rota_renameat(at, "other", at, "file", RENAME_NOREPLACE);
	codes[3] = rota_renameat(at, "other", at, "sub/moved", 0);
	codes[4] = rota_symlinkat("file", at, "lead");
	codes[5] = rota_linkat(at, "lead", at, "real", AT_SYMLINK_FOLLOW);
	codes[6] = rota_statx(at, "real", AT_SYMLINK_NOFOLLOW, STATX_SIZE,
			      &folder->status);
	fd = rota_openat(at, "real", O_RDONLY, 0);
	codes[7] = fcntl(fd, F_GETFD);
	codes[8] =
		rota_statx(fd, "", AT_EMPTY_PATH, STATX_NLINK, &folder->status);
	codes[9] = rota_close(fd);
	codes[10] = rota_unlinkat(at, "real", 0);
	codes[11] = rota_unlinkat(at, "lead", 0);
	codes[12] = rota_unlinkat(at, "sub/moved", 0);
	codes[13] = rota_unlinkat(at, "sub", 0);
	codes[14] = rota_unlinkat(at, "sub", AT_REMOVEDIR);
	return 0;
}

static void paths_begin_in_a_folder_and_flags_count(void **state)
{
	static const int expected[] = { 0, 0, -EEXIST, 0, 0, 0,       0, 1,
					0, 0, 0,       0, 0, -EISDIR, 0 };
	struct folder folder;

	(void)state;
	folder_make(&folder);
	assert_int_equal(test_run(use_folder, &folder), 0);
	folder_remove(&folder);
	for (int i = 0; i < 15; i++)
		assert_int_equal(folder.codes[i], expected[i]);
	assert_int_equal(folder.status.stx_size, 100);
	assert_int_equal(folder.status.stx_nlink, 3);
}

/* NULL for each path, then a folder that is not open for each. */
static int use_nothing(void *arg)
{
	struct folder *folder = arg;
	int *codes = folder->codes;

	codes[0] = rota_statx(AT_FDCWD, NULL, 0, STATX_SIZE, &folder->status);
	codes[1] = rota_statx(AT_FDCWD, "/", 0, STATX_SIZE, NULL);
	codes[2] = rota_rename(NULL, "x");
	codes[3] = rota_rename(in(folder, "file"), NULL);
	codes[4] = rota_link(NULL, "x");
	codes[5] = rota_link(in(folder, "file"), NULL);
	codes[6] = rota_symlink(NULL, "x");
	codes[7] = rota_symlink("x", NULL);
	codes[8] = rota_unlink(NULL);
	codes[9] = rota_rmdir(NULL);
	codes[10] = rota_mkdir(NULL, 0700);
	codes[11] = rota_openat(AT_FDCWD, NULL, O_RDONLY, 0);
	codes[12] = rota_statx(999, "x", 0, STATX_SIZE, &folder->status);
	codes[13] = rota_renameat(999, "x", AT_FDCWD, "y", 0);
	codes[14] = rota_renameat(folder->fd, "file", 999, "y", 0);
	codes[15] = rota_linkat(999, "x", AT_FDCWD, "y", 0);
	codes[16] = rota_symlinkat("x", 999, "y");
	codes[17] = rota_unlinkat(999, "x", 0);
	codes[18] = rota_mkdirat(999, "x", 0700);
	codes[19] = rota_openat(999, "x", O_RDONLY, 0);
	return 0;
}

static void null_is_efault_and_a_folder_that_is_not_open_ebadf(void **state)
{
	struct folder folder;

	(void)state;
	folder_make(&folder);
	assert_int_equal(test_run(use_nothing, &folder), 0);
	folder_remove(&folder);
	for (int i = 0; i < 12; i++)
		assert_int_equal(folder.codes[i], -EFAULT);
	for (int i = 12; i < 20; i++)
		assert_int_equal(folder.codes[i], -EBADF);
}

static int use_wrong_names(void *arg)
{
	struct folder *folder = arg;
	int *codes = folder->codes;

	codes[0] = rota_statx(folder->fd, "no", 0, 0, &folder->status);
	codes[1] = rota_rename(in(folder, "no"), in(folder, "x"));
	codes[2] = rota_link(in(folder, "no"), in(folder, "x"));
	codes[3] = rota_unlink(in(folder, "no"));
	codes[4] = rota_rmdir(in(folder, "no"));
	codes[5] = rota_mkdir("", 0700);
	codes[6] = rota_mkdir(in(folder, "file"), 0700);
	codes[7] = rota_symlink("x", in(folder, "file"));
	codes[8] = rota_link(in(folder, "file"), in(folder, "file"));
	codes[9] = rota_rmdir(in(folder, "file"));
	codes[10] = rota_unlinkat(folder->fd, "file", 0x40000000);
	return 0;
}

static void what_the_system_call_refuses_is_told(void **state)
{
	static const int expected[] = { -ENOENT, -ENOENT,  -ENOENT, -ENOENT,
					-ENOENT, -ENOENT,  -EEXIST, -EEXIST,
					-EEXIST, -ENOTDIR, -EINVAL };
	struct folder folder;

	(void)state;
	folder_make(&folder);
	assert_int_equal(test_run(use_wrong_names, &folder), 0);
	folder_remove(&folder);
	for (int i = 0; i < 11; i++)
		assert_int_equal(folder.codes[i], expected[i]);
}

static int use_cancelled(void *arg)
{
	struct folder *folder = arg;
	struct rota_deadline deadline;
	int *codes = folder->codes;
	const int at = folder->fd;

	rota_deadline_begin(&deadline, 0);
	codes[0] = rota_mkdirat(at, "sub", 0700);
	codes[1] = rota_linkat(at, "file", at, "other", 0);
	codes[2] = rota_symlinkat("file", at, "lead");
	codes[3] = rota_renameat(at, "file", at, "moved", 0);
	codes[4] = rota_unlinkat(at, "file", 0);
	codes[5] = rota_statx(at, "file", 0, 0, &folder->status);
	codes[6] = rota_openat(at, "made", O_WRONLY | O_CREAT, 0600);
	rota_deadline_end(&deadline);
	return !there(folder, "file");
}

static void in_a_cancelled_task_no_name_changes(void **state)
{
	struct folder folder;

	(void)state;
	folder_make(&folder);
	assert_int_equal(test_run(use_cancelled, &folder), 0);
	folder_remove(&folder);
	for (int i = 0; i < 7; i++)
		assert_int_equal(folder.codes[i], -ETIME);
}

/* Of the race below. */
static struct folder stage;

static int make_nothing(struct race *race)
{
	race->fd = -1;
	race->peer = -1;
	return 0;
}

/* Each is undone, to be done again. */
static int call_mkdir(struct race *race)
{
	const int result = rota_mkdirat(stage.fd, "sub", 0700);

	(void)race;
	return result | unlinkat(stage.fd, "sub", AT_REMOVEDIR);
}

static int call_rename(struct race *race)
{
	const int result =
		rota_renameat(stage.fd, "file", stage.fd, "moved", 0);

	(void)race;
	return result | renameat(stage.fd, "moved", stage.fd, "file");
}

static const struct race_verb mkdir_verb = {
	"mkdir", make_nothing, call_mkdir,        NULL,
	NULL,    false,        IORING_OP_MKDIRAT, ROTA_MILLISECOND
};

static const struct race_verb rename_verb = {
	"rename", make_nothing, call_rename,        NULL,
	NULL,     false,        IORING_OP_RENAMEAT, ROTA_MILLISECOND
};

static void what_was_done_before_a_cancel_is_told(void **state)
{
	(void)state;
	folder_make(&stage);
	test_told(&mkdir_verb, 0);
	test_told(&rename_verb, 0);
	folder_remove(&stage);
}

/* The cancel goes out with the entry, or comes when a worker has it. */
static int mkdir_and_tell(void *value)
{
	int *result = *(int **)value;

	*result = rota_mkdirat(stage.fd, "sub", 0700);
	return 0;
}

static int cancel_at_once(void *arg)
{
	unsigned *lies = arg;

	for (int round = 0; round < 200; round++) {
		struct rota_group group;
		int error, result = 1;

		rota_group_open(&group, NULL);
		error = rota_go(&group, mkdir_and_tell, &result);
		rota_yield();
		if (round % 2)
			error |= rota_sleep(round * ROTA_MICROSECOND);
		rota_group_cancel(&group, (struct rota_cancellation){ 0 });
		(void)rota_group_wait(&group);
		if (error || (result && result != -ECANCELED))
			return error ? error : result;
		*lies += (result == 0) != there(&stage, "sub");
		unlinkat(stage.fd, "sub", AT_REMOVEDIR);
	}
	return 0;
}

static void after_ecanceled_nothing_has_happened(void **state)
{
	unsigned lies = 0;

	(void)state;
	folder_make(&stage);
	assert_int_equal(test_run(cancel_at_once, &lies), 0);
	folder_remove(&stage);
	assert_int_equal(lies, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_come_move_and_go),
		cmocka_unit_test(paths_begin_in_a_folder_and_flags_count),
		cmocka_unit_test(
			null_is_efault_and_a_folder_that_is_not_open_ebadf),
		cmocka_unit_test(what_the_system_call_refuses_is_told),
		cmocka_unit_test(in_a_cancelled_task_no_name_changes),
		cmocka_unit_test(what_was_done_before_a_cancel_is_told),
		cmocka_unit_test(after_ecanceled_nothing_has_happened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
