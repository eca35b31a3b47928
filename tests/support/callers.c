/* SPDX-License-Identifier: MIT */
#include "support/callers.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 64

int callers_open(struct callers *callers)
{
	memset(callers, 0, sizeof(*callers));
	callers->address.sun_family = AF_UNIX;
	callers->bytes = sizeof(callers->address);
	callers->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(callers->listener, (struct sockaddr *)&callers->address,
		 sizeof(sa_family_t)) ||
	    listen(callers->listener, BACKLOG) ||
	    getsockname(callers->listener, (struct sockaddr *)&callers->address,
			&callers->bytes))
		return -errno;
	return 0;
}

static int come(struct callers *callers)
{
	const char letter = (char)('a' + (callers->came % 26));
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	callers->clients[callers->came++] = fd;
	if (connect(fd, (struct sockaddr *)&callers->address, callers->bytes) ||
	    send(fd, &letter, 1, MSG_NOSIGNAL) != 1)
		return -errno;
	return 0;
}

int callers_come(struct callers *callers, unsigned count)
{
	int error = 0;

	for (unsigned i = 0; i < count && !error; i++)
		error = come(callers);
	return error;
}

int callers_take(struct callers *callers, int fd)
{
	char letter = '?';

	if (fd < 0)
		return fd;
	if (recv(fd, &letter, 1, MSG_DONTWAIT) != 1)
		letter = '!';
	callers->order[callers->taken++] = letter;
	close(fd);
	return 0;
}

unsigned callers_closed(const struct callers *callers)
{
	unsigned count = 0;

	for (unsigned i = 0; i < callers->came; i++) {
		struct pollfd closed = { .fd = callers->clients[i] };

		count += poll(&closed, 1, 0) == 1 && closed.revents & POLLHUP;
	}
	return count;
}

void callers_close(struct callers *callers)
{
	for (unsigned i = 0; i < callers->came; i++)
		close(callers->clients[i]);
	if (callers->listener >= 0)
		close(callers->listener);
	callers->listener = -1;
	callers->came = 0;
}
