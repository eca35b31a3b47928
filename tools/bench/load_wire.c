// SPDX-License-Identifier: MIT
/* Messages on their way, see load_wire.h. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load_wire.h"

/* Neighbours in time and place begin elsewhere. */
static const unsigned char *message_of(const struct load *load,
				       const struct load_connection *connection,
				       uint64_t number)
{
	const uint64_t index = load->options.first +
			       (uint64_t)(connection - load->connections);

	return load->pattern + (index * 61 + number * 97) % LOAD_PLACES;
}

void load_lose(struct load *load, struct load_connection *connection, int error)
{
	if (load->errors++ == 0)
		load->first_errno = error;
	load->alive--;
	connection->lost = true;
	load->busy -= connection->allowed - connection->back;
	connection->allowed = connection->back;
	if (connection->fd >= 0)
		close(connection->fd);
	connection->fd = -1;
}

/* So many more bytes are with the socket. */
static void count_sent(struct load *load, struct load_connection *connection,
		       uint32_t bytes)
{
	const bool first = connection->sent_bytes == 0;
	const uint64_t number = connection->sent;

	connection->sent_bytes += bytes;
	if (connection->sent_bytes == connection->size) {
		connection->sent++;
		connection->sent_bytes = 0;
	}
	if (first && load->protocol->begun != NULL)
		load->protocol->begun(load, connection, number);
}

/* Edge-triggered, so until the socket takes no more. */
void load_send(struct load *load, struct load_connection *connection)
{
	while (connection->sent < connection->allowed) {
		const unsigned char *message =
			message_of(load, connection, connection->sent);
		const ssize_t sent =
			send(connection->fd, message + connection->sent_bytes,
			     connection->size - connection->sent_bytes,
			     MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0 && errno != EINTR) {
			load_lose(load, connection, errno);
			return;
		}
		if (sent > 0)
			count_sent(load, connection, (uint32_t)sent);
	}
}

void load_allow(struct load *load, struct load_connection *connection)
{
	connection->allowed++;
	load->busy++;
	load_send(load, connection);
}

static void count_back(struct load *load, struct load_connection *connection,
		       uint32_t bytes)
{
	connection->back_bytes += bytes;
	if (connection->back_bytes < connection->size)
		return;
	const uint64_t number = connection->back++;

	connection->back_bytes = 0;
	load->requests++;
	load->busy--;
	load->protocol->returned(load, connection, number);
}

/* Compares what landed, message by message; no more than is out. */
static void take(struct load *load, struct load_connection *connection,
		 uint32_t bytes)
{
	const unsigned char *data = load->scratch;

	while (bytes > 0 && connection->fd >= 0) {
		const uint32_t rest = connection->size - connection->back_bytes;
		const uint32_t piece = bytes < rest ? bytes : rest;
		const unsigned char *message =
			message_of(load, connection, connection->back);

		if (memcmp(data, message + connection->back_bytes, piece) !=
		    0) {
			load_lose(load, connection, 0);
			return;
		}
		data += piece;
		bytes -= piece;
		count_back(load, connection, piece);
	}
}

/* One byte too many is asked for where none may come. Once as much as can
 * have come has been taken, whatever follows is told by an edge of its own. */
bool load_receive_piece(struct load *load, struct load_connection *connection)
{
	const uint64_t out = load_bytes_out(connection);
	const uint32_t asked = out < LOAD_SCRATCH_BYTES ? (uint32_t)out
							: LOAD_SCRATCH_BYTES;
	const ssize_t got = recv(connection->fd, load->scratch,
				 asked + (out == 0), MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0 || out == 0) {
		load_lose(load, connection,
			  got < 0    ? errno
			  : got == 0 ? ECONNRESET
				     : 0);
		return false;
	}
	take(load, connection, (uint32_t)got);
	return (uint32_t)got == asked && asked < out && connection->fd >= 0;
}

void load_receive(struct load *load, struct load_connection *connection)
{
	while (load_receive_piece(load, connection))
		;
}
