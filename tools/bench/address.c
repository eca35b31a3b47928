// SPDX-License-Identifier: MIT
/* Socket addresses from and to text, see address.h. */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "address.h"

static const char unix_prefix[] = "unix:";

static bool parse_unix(const char *path, struct address *out)
{
	struct sockaddr_un *name = (struct sockaddr_un *)&out->storage;
	const size_t length = strlen(path);

	if (length == 0 || length >= sizeof(name->sun_path))
		return false;
	name->sun_family = AF_UNIX;
	memcpy(name->sun_path, path, length + 1);
	out->bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				 length + 1);
	return true;
}

bool address_parse_host(const char *host, uint16_t port, struct address *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&out->storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->storage;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		out->bytes = sizeof(*v4);
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		out->bytes = sizeof(*v6);
		return true;
	}
	return false;
}

static bool parse_port(const char *text, uint16_t *out)
{
	char *end;
	const unsigned long port = strtoul(text, &end, 10);

	if (!isdigit((unsigned char)text[0]) || *end != '\0' || port > 65535)
		return false;
	*out = (uint16_t)port;
	return true;
}

bool address_parse(const char *text, struct address *out)
{
	char host[ADDRESS_TEXT_BYTES];
	const char *colon = strrchr(text, ':');
	uint16_t port;

	memset(out, 0, sizeof(*out));
	if (strncmp(text, unix_prefix, sizeof(unix_prefix) - 1) == 0)
		return parse_unix(text + sizeof(unix_prefix) - 1, out);
	if (colon == NULL || !parse_port(colon + 1, &port))
		return false;

	/* Brackets belong to IPv6, which has colons of its own, and only so. */
	const bool bracketed = text[0] == '[';
	const char *start = text + (bracketed ? 1 : 0);
	const char *end = colon - (bracketed ? 1 : 0);

	if (end <= start || (bracketed && *end != ']') ||
	    (size_t)(end - start) >= sizeof(host))
		return false;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	return (strchr(host, ':') != NULL) == bracketed &&
	       address_parse_host(host, port, out);
}

void address_format(const struct address *address,
		    char text[static ADDRESS_TEXT_BYTES])
{
	const struct sockaddr_in *v4 =
		(const struct sockaddr_in *)&address->storage;
	const struct sockaddr_in6 *v6 =
		(const struct sockaddr_in6 *)&address->storage;
	const struct sockaddr_un *name =
		(const struct sockaddr_un *)&address->storage;
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->storage.ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(text, ADDRESS_TEXT_BYTES, "%s:%u", host,
			 (unsigned int)ntohs(v4->sin_port));
	} else if (address->storage.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(text, ADDRESS_TEXT_BYTES, "[%s]:%u", host,
			 (unsigned int)ntohs(v6->sin6_port));
	} else {
		snprintf(text, ADDRESS_TEXT_BYTES, "%s%.108s", unix_prefix,
			 name->sun_path);
	}
}
