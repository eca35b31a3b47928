/* SPDX-License-Identifier: MIT */
/*
 * Messages: pieces, descriptors beside them, and what a cancel leaves.
 */
#include "rota/rota.h"
#include "support/blocked.h"
#include "support/pair.h"
#include "support/run.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A message with room for one descriptor. */
struct letter {
	struct msghdr message;
	struct iovec pieces[2];
	char bytes[16];
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))];
};

static struct msghdr *letter_open(struct letter *letter)
{
	memset(letter, 0, sizeof(*letter));
	letter->pieces[0] = (struct iovec){ letter->bytes, 4 };
	letter->pieces[1] = (struct iovec){ letter->bytes + 4, 12 };
	letter->message = (struct msghdr){
		.msg_iov = letter->pieces,
		.msg_iovlen = 2,
		.msg_control = letter->room,
		.msg_controllen = sizeof(letter->room),
	};
	return &letter->message;
}

static struct msghdr *letter_enclose(struct letter *letter, int fd)
{
	struct msghdr *message = letter_open(letter);
	struct cmsghdr *header = CMSG_FIRSTHDR(message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	memcpy(letter->bytes, "0123456789abcdef", 16);
	return message;
}

/* The descriptor that came with it, or -1. */
static int letter_enclosed(struct letter *letter)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(&letter->message);
	int fd;

	if (!header || header->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

struct stage {
	int pair[2];
	int codes[12];
	struct letter letter;
};

static int pass_descriptor(void *arg)
{
	struct stage *stage = arg;
	struct letter sent;
	int error = test_pair_open(stage->pair), fd;

	stage->codes[0] = rota_sendmsg(
		stage->pair[1], letter_enclose(&sent, stage->pair[1]), 0);
	stage->codes[1] =
		rota_recvmsg(stage->pair[0], letter_open(&stage->letter), 0);
	fd = letter_enclosed(&stage->letter);
	stage->codes[2] = fcntl(fd, F_GETFD);
	stage->codes[3] = rota_send(fd, "x", 1, 0);
	stage->codes[4] = rota_recv(stage->pair[0], sent.bytes, 16, 0);
	return error | rota_close(fd) | test_pair_close(stage->pair);
}

static void a_descriptor_that_is_passed_is_close_on_exec(void **state)
{
	static const int expected[] = { 16, 16, FD_CLOEXEC, 1, 1 };
	struct stage stage;

	(void)state;
	assert_int_equal(test_run(pass_descriptor, &stage), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(stage.codes[i], expected[i]);
	assert_memory_equal(stage.letter.bytes, "0123456789abcdef", 16);
}

static int refuse(void *arg)
{
	struct stage *stage = arg;
	struct msghdr *message = letter_open(&stage->letter);
	struct rota_deadline deadline;
	int *codes = stage->codes;
	int error = test_pair_open(stage->pair);

	message->msg_controllen = 0;
	codes[0] = rota_sendmsg(stage->pair[0], NULL, 0);
	codes[1] = rota_recvmsg(stage->pair[0], NULL, 0);
	message->msg_iovlen = 1025;
	codes[2] = rota_sendmsg(stage->pair[0], message, 0);
	codes[3] = rota_recvmsg(stage->pair[0], message, 0);
	message->msg_iovlen = 0;
	codes[4] = rota_sendmsg(stage->pair[0], message, 0);
	message->msg_iovlen = 2;
	rota_deadline_begin(&deadline, 0);
	codes[5] = rota_sendmsg(stage->pair[0], message, 0);
	codes[6] = rota_recvmsg(stage->pair[0], message, 0);
	rota_deadline_end(&deadline);
	codes[7] = rota_sendmsg(STDIN_FILENO, message, 0);
	error |= rota_close(stage->pair[1]);
	codes[8] = rota_sendmsg(stage->pair[0], message, 0);
	codes[9] = rota_recvmsg(stage->pair[0], message, 0);
	error |= rota_close(stage->pair[0]);
	codes[10] = rota_sendmsg(stage->pair[0], message, 0);
	codes[11] = rota_recvmsg(stage->pair[0], message, 0);
	return error;
}

static void what_cannot_be_meant_is_refused_and_an_end_is_epipe(void **state)
{
	static const int expected[] = { -EFAULT, -EFAULT, -EMSGSIZE, -EMSGSIZE,
					0,       -ETIME,  -ETIME,    -ENOTSOCK,
					-EPIPE,  0,       -EBADF,    -EBADF };
	struct stage stage;

	(void)state;
	assert_int_equal(test_run(refuse, &stage), 0);
	for (int i = 0; i < 12; i++)
		assert_int_equal(stage.codes[i], expected[i]);
}

static int call_recvmsg(struct race *race)
{
	struct letter letter;
	int n = rota_recvmsg(race->fd, letter_open(&letter), 0);

	if (n >= 0)
		close(letter_enclosed(&letter));
	return n;
}

static int send_letter(struct race *race)
{
	struct letter letter;

	return sendmsg(race->peer, letter_enclose(&letter, race->peer), 0) == 16
		       ? 0
		       : -errno;
}

static bool letter_remains(struct race *race)
{
	struct letter letter;
	int fd;

	if (recvmsg(race->fd, letter_open(&letter), MSG_DONTWAIT) != 16)
		return false;
	fd = letter_enclosed(&letter);
	return fd >= 0 && !close(fd);
}

static const struct race_verb recvmsg_verb = {
	"recvmsg",      race_open_pair, call_recvmsg,      send_letter,
	letter_remains, false,          IORING_OP_RECVMSG, 0
};

static void
a_receive_that_was_stopped_took_no_byte_and_no_descriptor(void **state)
{
	(void)state;
	test_blocked(&recvmsg_verb, 16, true);
}

static int call_sendmsg(struct race *race)
{
	struct letter letter;

	letter_open(&letter)->msg_controllen = 0;
	return rota_sendmsg(race->fd, &letter.message, 0);
}

static const struct race_verb sendmsg_verb = { "sendmsg",
					       race_open_full_pair,
					       call_sendmsg,
					       race_empty_pair,
					       NULL,
					       false,
					       IORING_OP_SENDMSG,
					       0 };

static void a_send_that_found_no_room_sends_when_there_is(void **state)
{
	(void)state;
	test_blocked(&sendmsg_verb, 16, true);
}

#define LARGE (8 << 20)

/* With MSG_WAITALL it goes on when the room is full. */
static int call_large(struct race *race)
{
	static char text[LARGE];
	struct iovec piece = { text, sizeof(text) };
	const struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

	return rota_sendmsg(race->fd, &message, MSG_WAITALL);
}

static const struct race_verb large_verb = {
	"sendmsg", race_open_pair, call_large,        NULL,
	NULL,      false,          IORING_OP_SENDMSG, 0
};

static int interrupt_and_count(struct race *race)
{
	int error = race_settle();

	race->early = race->returned;
	error |= race_interrupt(race) | race_settle();
	return error | race_empty_pair(race);
}

static void a_send_that_had_sent_some_returns_how_many(void **state)
{
	struct race race;

	(void)state;
	for (int by = RACE_CANCEL; by <= RACE_CLOSE; by++) {
		race_run(&race, &large_verb, (enum race_interruption)by,
			 interrupt_and_count);
		assert_false(race.early);
		assert_in_range(race.result, 1, LARGE - 1);
		assert_int_equal(race.held, race.result);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_descriptor_that_is_passed_is_close_on_exec),
		cmocka_unit_test(
			what_cannot_be_meant_is_refused_and_an_end_is_epipe),
		cmocka_unit_test(
			a_receive_that_was_stopped_took_no_byte_and_no_descriptor),
		cmocka_unit_test(a_send_that_found_no_room_sends_when_there_is),
		cmocka_unit_test(a_send_that_had_sent_some_returns_how_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
