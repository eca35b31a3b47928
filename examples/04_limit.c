/* SPDX-License-Identifier: MIT */
/*
 * Fan-out over many pieces with a bound: this program sums its own bytes, in
 * pieces, eight at a time. rota_go waits for a slot, so a piece that has its
 * turn later has neither a task nor a stack yet. The first error stops what
 * runs, nothing more begins, and wait returns it. (Over the items of an array,
 * rota_for_each does the same.)
 *
 * The wrong way: a task for each piece that takes a semaphore as the first thing
 * it does. Only the reads are bounded then: all stacks exist at once, 8 KiB for
 * each of a million, and after an error they come to life to find out.
 */
#include <rota/rota.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PIECE_BYTES 4096
#define AT_A_TIME 8

struct sum {
	int fd;
	uint64_t total; /* no lock: tasks of one loop take turns */
	unsigned begun; /* pieces that got a slot */
	unsigned now;   /* pieces that are being read */
	unsigned most;  /* at the same time */
};

struct piece {
	struct sum *sum;
	int64_t offset;
	size_t bytes;
};

static int sum_piece(void *value)
{
	struct piece *piece = value;
	struct sum *sum = piece->sum;
	unsigned char buffer[PIECE_BYTES];
	int n;

	if (++sum->now > sum->most)
		sum->most = sum->now;
	n = rota_pread(sum->fd, buffer, piece->bytes, piece->offset);
	for (int i = 0; i < n; i++)
		sum->total += buffer[i];
	sum->now--;
	/* It may be shorter than it was said to be. */
	return n < 0 || n == (int)piece->bytes ? n : -ENODATA;
}

/* Sums a file that is said to have so many bytes. */
static int sum_file(struct sum *sum, int64_t bytes)
{
	struct piece piece = { .sum = sum, .bytes = PIECE_BYTES };
	struct rota_group pieces;
	int refused = 0, error;

	rota_group_open(&pieces,
			&(struct rota_group_options){ .limit = AT_A_TIME });
	for (; piece.offset < bytes && !refused; piece.offset += PIECE_BYTES) {
		if (bytes - piece.offset < PIECE_BYTES)
			piece.bytes = (size_t)(bytes - piece.offset);
		refused = rota_go(&pieces, sum_piece, piece);
		sum->begun += !refused;
	}
	error = rota_group_wait(&pieces);
	return error ? error : refused;
}

static int run(void *arg)
{
	struct sum good = { .fd = rota_open("/proc/self/exe", O_RDONLY, 0) };
	struct sum bad = { .fd = good.fd };
	struct stat stat;
	int error, expected;

	(void)arg;
	if (good.fd < 0 || fstat(good.fd, &stat) < 0)
		return good.fd < 0 ? good.fd : -errno;
	error = sum_file(&good, stat.st_size);
	printf("all pieces summed, at most %u at a time: %s\n", good.most,
	       strerror(-error));
	/* An index that is out of date: the file is said to be longer. */
	expected = sum_file(&bad, 8 * stat.st_size);
	printf("a piece past the end stopped the others: %s\n",
	       strerror(-expected));
	rota_close(good.fd);
	if (error || expected != -ENODATA || good.most != AT_A_TIME)
		return -EPROTO;
	return bad.begun < 8 * good.begun - AT_A_TIME ? 0 : -EPROTO;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
