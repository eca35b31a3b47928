/* SPDX-License-Identifier: MIT */
#include "support/pair.h"

#include "rota/rota.h"

#include <errno.h>
#include <sys/socket.h>

int test_pair_open(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ? -errno
									: 0;
}

int test_pair_close(const int pair[2])
{
	return rota_close(pair[0]) | rota_close(pair[1]);
}
