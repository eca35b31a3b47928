/* SPDX-License-Identifier: MIT */
#include "support/pair.h"

#include "rota/rota.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

int test_pair_open(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ? -errno
									: 0;
}

/* What is accepted inherits it from who listens. */
static void set_buffers(int fd, int bytes)
{
	if (!bytes)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

int test_pair_open_tcp(int pair[2], int buffer_bytes)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr =
					       htonl(INADDR_LOOPBACK) };
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t bytes = sizeof(address);
	const int type = SOCK_STREAM | SOCK_CLOEXEC;
	const int listener = socket(AF_INET, type, 0);
	int error = 0;

	pair[1] = socket(AF_INET, type, 0);
	set_buffers(listener, buffer_bytes);
	set_buffers(pair[1], buffer_bytes);
	if (bind(listener, any, bytes) || listen(listener, 1) ||
	    getsockname(listener, any, &bytes) || connect(pair[1], any, bytes))
		error = -errno;
	else
		pair[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return error;
}

int test_pair_close(const int pair[2])
{
	return rota_close(pair[0]) | rota_close(pair[1]);
}
