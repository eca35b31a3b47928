/* SPDX-License-Identifier: MIT */
/*
 * Literal addresses. Not by getaddrinfo(3), with AI_NUMERICHOST: it takes
 * memory, which a task's verbs do not, reads "127.1" and "2130706433" as
 * 127.0.0.1, where a slip should be told, and knows no Unix sockets.
 */
#include "rota/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the text of an address in a scope has room for. */
#define SCOPED_BYTES (INET6_ADDRSTRLEN + IF_NAMESIZE)

/* A path ends in a zero; a name in the abstract namespace begins with one, and
 * its length is the address's. */
static int parse_local(struct rota_address *address, const char *path)
{
	const size_t length = strlen(path);
	const bool abstract = path[0] == '@';

	if (length <= abstract || length >= sizeof(address->local.sun_path))
		return -EINVAL;
	address->local.sun_family = AF_UNIX;
	memcpy(address->local.sun_path, path, length + 1);
	if (abstract)
		address->local.sun_path[0] = '\0';
	address->bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				     length + !abstract);
	return 0;
}

/* An interface by its number or its name. */
static int parse_scope(uint32_t *scope, const char *text)
{
	char *end;
	unsigned long number;

	if (!isdigit((unsigned char)*text)) {
		*scope = if_nametoindex(text);
		return !*text ? -EINVAL : *scope ? 0 : -ENODEV;
	}
	number = strtoul(text, &end, 10);
	*scope = (uint32_t)number;
	return *end || !number || number > INT32_MAX ? -EINVAL : 0;
}

static int parse_v6(struct rota_address *address, const char *text,
		    uint16_t port)
{
	char bare[SCOPED_BYTES];
	char *scope;
	size_t length = strlen(text);

	if (length > 2 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	if (length >= sizeof(bare))
		return -EINVAL;
	memcpy(bare, text, length);
	bare[length] = '\0';
	scope = strchr(bare, '%');
	if (scope)
		*scope++ = '\0';
	if (inet_pton(AF_INET6, bare, &address->v6.sin6_addr) != 1)
		return -EINVAL;
	address->v6.sin6_family = AF_INET6;
	address->v6.sin6_port = htons(port);
	address->bytes = sizeof(address->v6);
	return scope ? parse_scope(&address->v6.sin6_scope_id, scope) : 0;
}

int rota_address_parse(struct rota_address *address, const char *text,
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

static int print_v6(const struct sockaddr_in6 *address, char *text,
		    size_t bytes)
{
	char bare[INET6_ADDRSTRLEN], scope[16] = "";

	inet_ntop(AF_INET6, &address->sin6_addr, bare, sizeof(bare));
	if (address->sin6_scope_id)
		snprintf(scope, sizeof(scope), "%%%u", address->sin6_scope_id);
	return snprintf(text, bytes, "[%s%s]:%u", bare, scope,
			ntohs(address->sin6_port));
}

/* The kernel ends a path with a zero if there is room; a socket without a name
 * has no path at all. */
static int print_local(const struct rota_address *address, char *text,
		       size_t bytes)
{
	const size_t head = offsetof(struct sockaddr_un, sun_path);
	const char *path = address->local.sun_path;
	size_t length = address->bytes > head ? address->bytes - head : 0;
	const bool abstract = length > 0 && !path[0];

	if (length > sizeof(address->local.sun_path))
		length = sizeof(address->local.sun_path);
	path += abstract;
	length -= abstract;
	return snprintf(text, bytes, "unix:%s%.*s", abstract ? "@" : "",
			(int)length, path);
}

int rota_address_print(const struct rota_address *address, char *text,
		       size_t bytes)
{
	char bare[INET_ADDRSTRLEN];
	int length;

	switch (address->bytes ? address->any.sa_family : AF_UNSPEC) {
	case AF_INET:
		inet_ntop(AF_INET, &address->v4.sin_addr, bare, sizeof(bare));
		length = snprintf(text, bytes, "%s:%u", bare,
				  ntohs(address->v4.sin_port));
		break;
	case AF_INET6:
		length = print_v6(&address->v6, text, bytes);
		break;
	case AF_UNIX:
		length = print_local(address, text, bytes);
		break;
	default:
		return -EAFNOSUPPORT;
	}
	return (size_t)length < bytes ? length : -ENOSPC;
}
