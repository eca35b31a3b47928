/* SPDX-License-Identifier: MIT */
/*
 * Checksums, of what is on the disk and not of what came: parts of a file may
 * have come in an earlier run.
 */
#include "fetch_sum.h"

#include <rota/rota.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#ifdef FETCH_CRYPTO
#include <openssl/evp.h>

#define PIECE_BYTES 16384

bool sum_is_known(void)
{
	return true;
}

static int add_all(EVP_MD_CTX *sum, int fd)
{
	char piece[PIECE_BYTES];
	int64_t offset = 0;
	int n;

	while ((n = rota_pread(fd, piece, sizeof(piece), offset)) > 0) {
		if (!EVP_DigestUpdate(sum, piece, (size_t)n))
			return -ENOMEM;
		offset += n;
	}
	return n;
}

int sum_check(int fd, const unsigned char expected[CHECKSUM_BYTES])
{
	unsigned char found[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *const sum = EVP_MD_CTX_new();
	int error = -ENOMEM;

	if (sum && EVP_DigestInit_ex(sum, EVP_sha256(), NULL)) {
		error = add_all(sum, fd);
		if (!error && !EVP_DigestFinal_ex(sum, found, NULL))
			error = -ENOMEM;
	}
	EVP_MD_CTX_free(sum);
	if (error)
		return error;
	return memcmp(found, expected, CHECKSUM_BYTES) ? -EBADMSG : 0;
}
#else
bool sum_is_known(void)
{
	return false;
}

int sum_check(int fd, const unsigned char expected[CHECKSUM_BYTES])
{
	(void)fd;
	(void)expected;
	return -ENOTSUP;
}
#endif
