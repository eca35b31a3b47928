// SPDX-License-Identifier: MIT
/* JSON strings, see json.h. */
#include <stddef.h>
#include <stdint.h>

#include "json.h"

/* Bytes that a UTF-8 sequence has by its first one; 0 if none starts so. */
static size_t sequence_bytes(unsigned char first)
{
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef)
		return 3;
	if (first >= 0xf0 && first <= 0xf4)
		return 4;
	return 0;
}

/* Whether a second byte is one that may follow: no surrogates, no overlong
 * forms, nothing beyond U+10FFFF. */
static int second_fits(unsigned char first, unsigned char second)
{
	const unsigned char least = first == 0xe0   ? 0xa0
				    : first == 0xf0 ? 0x90
						    : 0x80;
	const unsigned char most = first == 0xed   ? 0x9f
				   : first == 0xf4 ? 0x8f
						   : 0xbf;

	return second >= least && second <= most;
}

/* Length of the valid sequence that the text begins with, else 0. */
static size_t valid_sequence(const unsigned char *text)
{
	const size_t bytes = sequence_bytes(text[0]);

	if (bytes == 0 || !second_fits(text[0], text[1]))
		return 0;
	/* A terminating zero is no continuation, so this ends in the text. */
	for (size_t index = 2; index < bytes; index++)
		if ((text[index] & 0xc0) != 0x80)
			return 0;
	return bytes;
}

static void print_ascii(FILE *out, unsigned char byte)
{
	if (byte == '"' || byte == '\\')
		fprintf(out, "\\%c", byte);
	else if (byte == '\n')
		fputs("\\n", out);
	else if (byte == '\t')
		fputs("\\t", out);
	else if (byte < 0x20 || byte == 0x7f)
		fprintf(out, "\\u%04x", byte);
	else
		fputc(byte, out);
}

void json_print_string(FILE *out, const char *text)
{
	const unsigned char *next = (const unsigned char *)text;

	if (text == NULL) {
		fputs("null", out);
		return;
	}
	fputc('"', out);
	while (*next != '\0') {
		const size_t bytes = valid_sequence(next);

		if (*next < 0x80) {
			print_ascii(out, *next++);
		} else if (bytes == 0) {
			fputs("\\ufffd", out);
			next++;
		} else {
			fwrite(next, 1, bytes, out);
			next += bytes;
		}
	}
	fputc('"', out);
}
