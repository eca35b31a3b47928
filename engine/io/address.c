/* SPDX-License-Identifier: MIT */
#include "io/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int parse_local(struct ri_address *address, const char *path)
{
	const size_t length = strlen(path);

	if (length == 0 || length >= sizeof(address->local.sun_path))
		return -EINVAL;
	address->local.sun_family = AF_UNIX;
	memcpy(address->local.sun_path, path, length + 1);
	address->bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				     length + 1);
	return 0;
}

static int parse_v6(struct ri_address *address, const char *text, uint16_t port)
{
	char bare[INET6_ADDRSTRLEN];
	size_t length = strlen(text);

	if (length > 2 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	if (length >= sizeof(bare))
		return -EINVAL;
	memcpy(bare, text, length);
	bare[length] = '\0';
	if (inet_pton(AF_INET6, bare, &address->v6.sin6_addr) != 1)
		return -EINVAL;
	address->v6.sin6_family = AF_INET6;
	address->v6.sin6_port = htons(port);
	address->bytes = sizeof(address->v6);
	return 0;
}

int ri_address_parse(struct ri_address *address, const char *text,
		     uint16_t port)
{
	if (!text)
		return -EINVAL;
	memset(address, 0, sizeof(*address));
	if (strncmp(text, "unix:", 5) == 0)
		return parse_local(address, text + 5);
	if (inet_pton(AF_INET, text, &address->v4.sin_addr) != 1)
		return parse_v6(address, text, port);
	address->v4.sin_family = AF_INET;
	address->v4.sin_port = htons(port);
	address->bytes = sizeof(address->v4);
	return 0;
}

int ri_address_print(const struct ri_address *address, char *text, size_t bytes)
{
	char bare[INET6_ADDRSTRLEN];
	int length;

	switch (address->any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &address->v4.sin_addr, bare, sizeof(bare));
		length = snprintf(text, bytes, "%s:%u", bare,
				  ntohs(address->v4.sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &address->v6.sin6_addr, bare, sizeof(bare));
		length = snprintf(text, bytes, "[%s]:%u", bare,
				  ntohs(address->v6.sin6_port));
		break;
	case AF_UNIX:
		length = snprintf(text, bytes, "unix:%s",
				  address->local.sun_path);
		break;
	default:
		return -EAFNOSUPPORT;
	}
	return (size_t)length < bytes ? length : -ENOSPC;
}
