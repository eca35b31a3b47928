// SPDX-License-Identifier: MIT
/* Sockets to which nobody sends, see quiet.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "quiet.h"

/* Descriptors that are left to others: a ring, /proc, a socket or two. */
#define SPARE 16

void quiet_close(struct quiet *quiet)
{
	while (quiet->opened > 0)
		close(quiet->fds[--quiet->opened]);
	free(quiet->fds);
	quiet->fds = NULL;
}

/* No more descriptors: those that there are have to do. */
static int make_do(struct quiet *quiet)
{
	if (quiet->opened <= SPARE)
		return -EMFILE;
	for (unsigned spare = 0; spare < SPARE; spare++)
		close(quiet->fds[--quiet->opened]);
	return 0;
}

static int open_up_to(struct quiet *quiet, unsigned most)
{
	while (quiet->opened < most) {
		const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		if (fd < 0 && errno == EMFILE)
			return make_do(quiet);
		if (fd < 0)
			return -errno;
		quiet->fds[quiet->opened++] = fd;
	}
	return 0;
}

static int open_shared(struct quiet *quiet, uint64_t count, uint64_t most)
{
	int error;

	*quiet = (struct quiet){ .count = (unsigned)count };
	quiet->fds = calloc(count, sizeof(quiet->fds[0]));
	if (quiet->fds == NULL)
		return -ENOMEM;
	error = open_up_to(quiet, (unsigned)most);
	if (error < 0) {
		quiet_close(quiet);
		return error;
	}
	for (unsigned index = quiet->opened; index < quiet->count; index++)
		quiet->fds[index] = quiet->fds[index % quiet->opened];
	return 0;
}

int quiet_open(struct quiet *quiet, uint64_t count)
{
	return open_shared(quiet, count, count);
}

int quiet_open_one(struct quiet *quiet, uint64_t count)
{
	return open_shared(quiet, count, 1);
}
