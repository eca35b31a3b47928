/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses. The helper has all that the look-up needs in its own
 * frame, so the task can leave it at any time until the answer is there: what
 * is claimed then is copied into the task's memory, what is not is dropped.
 */
#include "rota/resolve.h"

#include "cores/offload.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>

/* In the frame of rota_resolve; all but the first are its arguments. */
struct resolve_call {
	struct ri_call call;                        /* what the pool knows */
	const char *host;                           /* the name */
	const struct rota_resolve_options *options; /* never NULL */
	struct rota_address *list;                  /* gets the addresses */
	unsigned max;                               /* as many of them */
};

/* Letters, digits, `-` and `_`: returns what is behind them. */
static const char *skip_label(const char *text)
{
	while (isalnum((unsigned char)*text) || *text == '-' || *text == '_')
		text++;
	return text;
}

/* getaddrinfo reads these as parts of an IPv4 address, in any base. */
static bool is_number(const char *label, size_t length)
{
	if (length >= 2 && label[0] == '0' && (label[1] | 32) == 'x')
		return true;
	for (size_t i = 0; i < length; i++)
		if (!isdigit((unsigned char)label[i]))
			return false;
	return true;
}

static bool is_name(const char *text)
{
	const char *label = text, *end = skip_label(text);

	if (strnlen(text, RI_HOST_BYTES) >= RI_HOST_BYTES)
		return false;
	while (end > label && *end == '.' && end[1]) {
		label = end + 1;
		end = skip_label(label);
	}
	return end > label && (!*end || *end == '.') &&
	       !is_number(label, (size_t)(end - label));
}

static int error_of(int result, int system_error)
{
	switch (result) {
	case EAI_NONAME:
		return -ENOENT;
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		return -ENODATA;
	case EAI_AGAIN:
		return -ECOMM;
	case EAI_FAIL:
		return -EREMOTEIO;
	case EAI_FAMILY:
		return -EAFNOSUPPORT;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_OVERFLOW:
		return -EOVERFLOW;
	case EAI_SYSTEM:
		return system_error ? system_error : -EIO;
	default:
		return -EIO;
	}
}

/* An address into the list, if it has room. */
static void put(const struct resolve_call *own, unsigned index,
		const struct addrinfo *info)
{
	const struct rota_resolve_options *options = own->options;
	struct rota_address *address;

	if (index >= own->max)
		return;
	address = &own->list[index];
	memset(address, 0, sizeof(*address));
	memcpy(&address->storage, info->ai_addr, info->ai_addrlen);
	address->bytes = info->ai_addrlen;
	/* The port is at the same place in both. */
	address->v4.sin_port = htons(options->port);
}

/* The next one, from here on, that is of this family, or that is not. */
static const struct addrinfo *next_of(const struct addrinfo *info, int family,
				      bool same)
{
	while (info && (info->ai_family == family) != same)
		info = info->ai_next;
	return info;
}

/* Each family in its own order, and taking turns: how many. */
static unsigned put_alternating(const struct resolve_call *own,
				const struct addrinfo *found)
{
	const int family = found->ai_family;
	const struct addrinfo *turns[2] = { found,
					    next_of(found, family, false) };
	unsigned count = 0, turn = 0;

	while (turns[0] || turns[1]) {
		if (!turns[turn])
			turn = !turn;
		put(own, count++, turns[turn]);
		turns[turn] = next_of(turns[turn]->ai_next, family, turn == 0);
		turn = !turn;
	}
	return count;
}

static unsigned put_all(const struct resolve_call *own,
			const struct addrinfo *found)
{
	unsigned count = 0;

	for (; found; found = found->ai_next)
		put(own, count++, found);
	return count;
}

/* What a claimed look-up comes to. */
static int answer(const struct resolve_call *own, int result,
		  const struct ri_lookup *lookup)
{
	unsigned count;

	if (result)
		return error_of(result, lookup->error);
	if (!lookup->found)
		return -ENODATA;
	count = own->options->alternate ? put_alternating(own, lookup->found)
					: put_all(own, lookup->found);
	return (int)count;
}

static void run_lookup(struct ri_helper *helper)
{
	const struct ri_kernel *kernel = helper->pool->options.kernel;
	struct ri_lookup *lookup = &helper->lookup;
	const int result = kernel->resolve(kernel, lookup);
	struct ri_call *call = ri_helper_claim(helper);

	if (call)
		ri_helper_answer(
			call,
			answer(ri_container(call, struct resolve_call, call),
			       result, lookup));
	if (!result)
		kernel->resolve_free(kernel, lookup->found);
}

static void hand_over(struct ri_call *call, struct ri_helper *helper)
{
	const struct resolve_call *own =
		ri_container(call, struct resolve_call, call);

	strcpy(helper->host, own->host);
	helper->lookup = (struct ri_lookup){
		.host = helper->host,
		.family = own->options->family ? own->options->family
					       : AF_UNSPEC,
	};
}

/* One that is no name: 1, or -errno; 0: it may be a name. */
static int resolve_literal(const struct resolve_call *own)
{
	const int family = own->options->family;
	struct rota_address address;
	const int error =
		rota_address_parse(&address, own->host, own->options->port);

	if (error == -EINVAL && is_name(own->host))
		return 0;
	if (error)
		return error;
	if (family && address.any.sa_family != family)
		return -ENODATA;
	if (own->max)
		own->list[0] = address;
	return 1;
}

/* What can be told at once; 0: nothing. */
static int resolve_here(const struct resolve_call *own, const char *verb)
{
	const struct rota_task *self = ri_task_self(verb);
	const int family = own->options->family;

	if (!own->host)
		return -EINVAL;
	if (family && family != AF_INET && family != AF_INET6)
		return -EAFNOSUPPORT;
	if (self->scope->code)
		return self->scope->code;
	return resolve_literal(own);
}

int rota_resolve(const char *host, const struct rota_resolve_options *options,
		 struct rota_address *list, unsigned max)
{
	static const struct rota_resolve_options defaults;
	struct resolve_call own = {
		.call = { .run = run_lookup, .hand_over = hand_over },
		.host = host,
		.options = options ? options : &defaults,
		.list = list,
		.max = max,
	};
	const int result = resolve_here(&own, __func__);

	return result ? result : ri_offload_await(&own.call, __func__);
}
