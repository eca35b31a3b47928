/* SPDX-License-Identifier: MIT */
/*
 * Dialling: a literal address is connected to; of a name, which may have many
 * addresses, the first that answers is, as RFC 8305 (happy eyeballs) asks.
 * Attempts run as members of a group that the first success ends:
 *
 *	::1          |--------- no answer ---------- cancelled
 *	192.0.2.7    | 250 ms |-- refused
 *	2001:db8::7  |                   |-- connected
 *
 * A new one begins when the one before has had its time, or any has failed. One
 * that connects too late to win is closed by the group's discard function. All
 * of it is by public calls, as a program would race what it likes.
 */
#include "rota/resolve.h"
#include "rota/rota.h"

#include <netinet/tcp.h>

/* RFC 8305, section 8: Connection Attempt Delay. */
#define ATTEMPT_DELAY_NS (250 * ROTA_MILLISECOND)

/* That are tried: over 4 s of attempts. Names with hundreds of addresses have
 * no better ones. */
#define ADDRESSES_MAX 16

static int connect_to(const struct rota_address *address, int type)
{
	const bool tcp = type == SOCK_STREAM &&
			 address->any.sa_family != AF_UNIX;
	const int fd = rota_socket(address->any.sa_family, type, 0);
	const int on = 1;
	int error = 0;

	if (fd < 0)
		return fd;
	if (tcp)
		error = rota_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
					sizeof(on));
	if (!error)
		error = rota_connect(fd, &address->any, address->bytes);
	if (!error)
		return fd;
	rota_close(fd);
	return error;
}

/* In the frame of who dials. */
struct race {
	struct rota_group attempts; /* that are under way */
	struct rota_group *delay; /* until the next attempt; NULL: none waits */
	int last_error;           /* of those that failed */
};

/* One member. */
struct attempt {
	struct race *race;                  /* which one it takes part in */
	const struct rota_address *address; /* where it connects to */
};

/* Ends the delay: its owner's sleep returns. */
static void hurry(struct race *race)
{
	if (race->delay)
		rota_group_cancel(race->delay,
				  (struct rota_cancellation){
					  0, "an attempt has failed" });
}

static int try_one(void *value)
{
	const struct attempt *attempt = value;
	const int fd = connect_to(attempt->address, SOCK_STREAM);

	if (fd < 0 && !rota_cancelled()) {
		attempt->race->last_error = fd;
		hurry(attempt->race);
	}
	return fd;
}

static void hang_up(int fd, void *value)
{
	(void)value;
	rota_close(fd);
}

/* Sleeps in a group of its own, without members: to cancel that ends nothing
 * but the sleep. What the sleep says does not matter: if the race is over, the
 * next attempt is refused. */
static void give_it_time(struct race *race)
{
	struct rota_group delay;

	rota_group_open(&delay, NULL);
	race->delay = &delay;
	(void)!rota_sleep(ATTEMPT_DELAY_NS);
	race->delay = NULL;
	rota_group_wait(&delay);
}

static int race(const struct rota_address *list, unsigned count)
{
	struct race race = { .delay = NULL };
	int error = 0, fd;

	rota_group_open(
		&race.attempts,
		&(struct rota_group_options){ .name = "rota_dial",
					      .mode = ROTA_GROUP_FIRST_SUCCESS,
					      .discard = hang_up });
	for (unsigned i = 0; i < count && !error; i++) {
		const struct attempt attempt = { &race, &list[i] };

		error = rota_go(&race.attempts, try_one, attempt);
		if (!error && i + 1 < count)
			give_it_time(&race);
	}
	fd = rota_group_wait(&race.attempts);
	if (fd < 0 && rota_cancelled())
		return rota_cancelled();
	if (fd < 0)
		return error ? error : race.last_error;
	return fd;
}

static int dial_name(const char *name, uint16_t port)
{
	const struct rota_resolve_options options = { .port = port,
						      .alternate = true };
	struct rota_address list[ADDRESSES_MAX];
	int count = rota_resolve(name, &options, list, ADDRESSES_MAX);

	if (count < 0)
		return count;
	if (count == 1)
		return connect_to(&list[0], SOCK_STREAM);
	if (count > ADDRESSES_MAX)
		count = ADDRESSES_MAX;
	return race(list, (unsigned)count);
}

int rota_dial(const char *host, uint16_t port)
{
	struct rota_address address;
	const int error = rota_address_parse(&address, host, port);

	/* Not a literal: a name, unless rota_resolve says the same. */
	if (error == -EINVAL)
		return dial_name(host, port);
	return error ? error : connect_to(&address, SOCK_STREAM);
}

int rota_dial_datagram(const char *address, uint16_t port)
{
	struct rota_address parsed;
	const int error = rota_address_parse(&parsed, address, port);

	return error ? error : connect_to(&parsed, SOCK_DGRAM);
}
