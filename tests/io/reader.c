/* SPDX-License-Identifier: MIT */
/*
 * The buffered reader: what it hands out of what came in which pieces. (How a
 * descriptor ends, and broken promises: reader_ends.c. Against a model, in
 * random pieces: reader_model.c.)
 */
#include "support/fed.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static void take_4_lines(struct fed *fed)
{
	for (int i = 0; i < 4; i++)
		fed_line(fed);
}

static void what_comes_in_pieces_is_handed_out_in_lines(void **state)
{
	(void)state;
	FED(take_4_lines, "[abc] [de] [fg] end ", "ab", "c\nde\nf", "g\n");
	FED(take_4_lines, "[a] [b] [c] [d] ", "a\nb\nc\nd\n");
}

static void a_line_is_without_its_ending_and_may_be_empty(void **state)
{
	(void)state;
	FED(take_4_lines, "[] [] [a\rb] [\r] ", "\n\r\na\rb\n\r\r\n");
	FED(take_4_lines, "[a] [] [b] end ", "a\r", "\n", "\r", "\n", "b",
	    "\n");
}

static void take_2_blocks(struct fed *fed)
{
	fed_until(fed, "\r\n\r\n");
	fed_until(fed, "\r\n\r\n");
}

static void a_delimiter_that_comes_in_pieces_is_found(void **state)
{
	(void)state;
	FED(take_2_blocks, "[ab\r\n\r\n] [\r\n\r\n] ", "ab\r", "\n", "\r",
	    "\n\r\n\r", "\n");
	FED(take_2_blocks, "[a\r\n\r\r\n\r\n] [\n\r\n\r\n] ", "a\r\n\r",
	    "\r\n\r", "\n\n\r\n", "\r\n");
	FED(take_2_blocks, "[\r\n\r\n] end ", "\r\n\r\n");
}

static void take_other_delimiters(struct fed *fed)
{
	fed_until(fed, "aab");
	fed_until(fed, "b");
	fed_until(fed, "aab");
	fed_until(fed, "b");
}

static void each_search_is_for_its_own_delimiter(void **state)
{
	(void)state;
	FED(take_other_delimiters, "[aaab] [xb] [abxaab] [b] ", "aa", "abx",
	    "babxa", "abb");
}

static void take_strings(struct fed *fed)
{
	const bool sent = send(fed->pair[1], "one\0\0two", 8, 0) == 8;
	struct rota_span span;
	int n;

	for (int i = 0; i < 3 && sent; i++) {
		n = rota_reader_until(&fed->reader, "", &span);
		test_trail_add(&fed->trail, n > 0 ? span.data : "no");
		test_trail_add(&fed->trail, n == (int)span.bytes ? "." : "!");
	}
}

static void no_text_as_a_delimiter_is_the_byte_0(void **state)
{
	(void)state;
	FED(take_strings, "one..no!", "x");
}

static void look_for_lines(struct fed *fed)
{
	for (int i = 0; i < 3; i++) {
		const bool block = rota_reader_has(&fed->reader, "b\n"),
			   last = rota_reader_has(&fed->reader, "c"),
			   any = rota_reader_has(&fed->reader, "\n");

		test_trail_add(&fed->trail, block ? "B" : "-");
		test_trail_add(&fed->trail, last ? "C" : "-");
		test_trail_add(&fed->trail, any ? "L " : "- ");
		fed_line(fed);
	}
}

static void whether_a_whole_one_has_come_is_told_without_a_wait(void **state)
{
	(void)state;
	FED(look_for_lines, "--- [a] BCL [b] -C- [cd] ", "a\nb\nc", "d\n");
}

static void take_a_long_line(struct fed *fed)
{
	fed_until(fed, "\n");
	fed_ready(fed);
	fed_line(fed);
	fed_skip_until(fed, "\n");
	fed_line(fed);
	fed_line(fed);
}

static void a_line_may_be_as_long_as_the_memory_and_no_longer(void **state)
{
	(void)state;
	FED(take_4_lines, "[0123456789abcde] [x] end end ", "0123456789abcde",
	    "\nx\n");
	FED(take_a_long_line,
	    "EMSGSIZE (0123456789abcdef) EMSGSIZE 17 [x] end ",
	    "0123456789abcdef", "\nx\n");
	FED(take_a_long_line,
	    "EMSGSIZE (0123456789abcdef) EMSGSIZE 36 [y] end ",
	    "0123456789abcdef0123456789abcdefghi\ny\n");
}

static void take_two_and_a_long_line(struct fed *fed)
{
	fed_line(fed);
	fed_line(fed);
	fed_line(fed);
	fed_exactly(fed, 18);
	fed_line(fed);
}

static void a_line_too_long_can_be_read_in_another_way(void **state)
{
	(void)state;
	FED(take_two_and_a_long_line,
	    "[a] [b] EMSGSIZE [0123456789abcdefgh] [i] ", "a\nb\n012345678",
	    "9abcdefghi\n");
}

static void take_half_a_line(struct fed *fed)
{
	fed_line(fed);
	fed_line(fed);
	fed_ready(fed);
	fed_until(fed, "\r\n");
	fed_read(fed, 64);
	fed_until(fed, "\n");
	fed_line(fed);
}

static void an_end_within_a_line_leaves_what_came(void **state)
{
	(void)state;
	FED(take_half_a_line, "[a] ENODATA (bc) ENODATA [bc] end end ", "a\nb",
	    "c");
}

static void take_in_place(struct fed *fed)
{
	struct rota_span span;
	int n = rota_reader_until(&fed->reader, "\n", &span);
	bool right = n == 2 && span.data == fed->memory;

	span.data[0] = 'x';
	n = rota_reader_until(&fed->reader, "\n", &span);
	right = right && n == 3 && span.data == fed->memory + 2;
	right = right && fed->memory[0] == 'x';
	test_trail_add(&fed->trail, right ? "in place" : "elsewhere");
}

static void what_is_handed_out_stands_in_the_memory(void **state)
{
	(void)state;
	FED(take_in_place, "in place", "a\nbc\nd");
}

static void wait_briefly(struct fed *fed)
{
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, TEST_START_NS + 2);
	fed_line(fed);
	fed_ready(fed);
	fed_line(fed);
	rota_deadline_end(&deadline);
	fed_line(fed);
	fed_line(fed);
}

static void who_is_late_within_a_line_loses_nothing(void **state)
{
	(void)state;
	FED(wait_briefly, "ETIME (a) ETIME [ab] end ", "a", "", "b", "\n");
}

static void call_cancelled(struct fed *fed)
{
	struct rota_deadline deadline;

	fed_peek(fed, 5);
	rota_deadline_begin(&deadline, 0);
	fed_line(fed);
	fed_until(fed, "a");
	fed_peek(fed, 1);
	fed_exactly(fed, 1);
	fed_exactly(fed, 0);
	fed_read(fed, 1);
	fed_skip(fed, 1);
	fed_skip_until(fed, "\n");
	fed_ready(fed);
	rota_deadline_end(&deadline);
	fed_line(fed);
	fed_line(fed);
}

static void a_cancelled_task_is_refused_what_is_there_and_keeps_it(void **state)
{
	(void)state;
	FED(call_cancelled,
	    "[a\nbc\n] ETIME ETIME ETIME [] ETIME [] ETIME ETIME "
	    "0 ETIME 0 ETIME (a\nbc\n) [a] [bc] ",
	    "a\nbc\n");
}

static void look_ahead(struct fed *fed)
{
	fed_peek(fed, 0);
	fed_peek(fed, 3);
	fed_peek(fed, 1);
	fed_peek(fed, 0);
	fed_exactly(fed, 2);
	fed_peek(fed, FED_BYTES);
	fed_peek(fed, FED_BYTES + 1);
	fed_skip(fed, 14);
	fed_peek(fed, 3);
	fed_ready(fed);
	fed_skip(fed, 2);
	fed_peek(fed, 1);
}

static void a_look_ahead_waits_for_so_many_and_takes_none(void **state)
{
	(void)state;
	FED(look_ahead,
	    "end [abcd] [abcd] [abcd] [ab] [cdefghijklmnopqr] "
	    "EMSGSIZE 14 ENODATA (qr) 2 end ",
	    "a", "bcd", "efg", "hijklmnopqr");
}

static void take_exactly(struct fed *fed)
{
	fed_exactly(fed, 0);
	fed_exactly(fed, 3);
	fed_exactly(fed, 5);
	fed_ready(fed);
	fed_exactly(fed, 9);
	fed_exactly(fed, 1);
}

static void exactly_so_many_come_from_the_memory_and_behind_it(void **state)
{
	(void)state;
	FED(take_exactly, "[] [abc] [defgh] (i) [ijk] ENODATA [] ENODATA ",
	    "ab", "cde", "fghi", "jk");
}

static void take_large(struct fed *fed)
{
	char memory[FED_BYTES];

	fed_line(fed);
	memcpy(memory, fed->memory, FED_BYTES);
	fed_exactly(fed, 3 + FED_BYTES);
	test_trail_add(&fed->trail, memcmp(memory, fed->memory, FED_BYTES)
					    ? "moved "
					    : "same ");
	fed_read(fed, FED_BYTES);
	test_trail_add(&fed->trail, memcmp(memory, fed->memory, FED_BYTES)
					    ? "moved "
					    : "same ");
	fed_line(fed);
}

static void large_ones_come_straight_into_the_buffer(void **state)
{
	(void)state;
	FED(take_large,
	    "[x] [abc0123456789ABCDEF] same [0123456789ABCDEF] same [y] ",
	    "x\nabc", "0123456789ABCDEF0123456789ABCDEFy\n");
}

static void take_some(struct fed *fed)
{
	fed_read(fed, 0);
	fed_ready(fed);
	fed_read(fed, 2);
	fed_read(fed, 8);
	fed_read(fed, 8);
	fed_read(fed, 64);
	fed_read(fed, (size_t)INT_MAX + 1);
	fed_read(fed, SIZE_MAX);
	fed_read(fed, INT_MAX);
	fed_read(fed, 8);
}

static void some_are_what_is_there_or_comes(void **state)
{
	(void)state;
	FED(take_some, "end () [ab] [c] [de] [fgh] EINVAL EINVAL [ij] end ",
	    "abc", "de", "fgh", "ij");
}

static void skip_some(struct fed *fed)
{
	fed_skip(fed, 0);
	fed_skip(fed, 3);
	fed_ready(fed);
	fed_skip(fed, 20);
	fed_line(fed);
	fed_skip(fed, SIZE_MAX);
	fed_skip(fed, 1);
}

static void bytes_that_are_there_count_when_some_are_skipped(void **state)
{
	(void)state;
	FED(skip_some, "0 3 (d) 20 [y] 2 ENODATA 0 ENODATA ", "ab", "cd",
	    "0123456789ABCDEF012", "y\nz", "z");
}

static void skip_in_time(struct fed *fed)
{
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, TEST_START_NS + 2);
	fed_skip(fed, 5);
	rota_deadline_end(&deadline);
	fed_exactly(fed, 1);
	rota_deadline_begin(&deadline, TEST_START_NS + 5);
	fed_exactly(fed, 6);
	rota_deadline_end(&deadline);
	fed_exactly(fed, 2);
}

static void who_is_late_is_told_how_many_were_taken(void **state)
{
	(void)state;
	FED(skip_in_time, "3 ETIME [d] [efg] ETIME [hi] ", "abc", "", "de",
	    "fg", "", "hi");
}

static void skip_blocks(struct fed *fed)
{
	fed_skip_until(fed, "\r\n\r\n");
	fed_ready(fed);
	fed_skip_until(fed, "\r\n\r\n");
	fed_skip_until(fed, "-");
	fed_ready(fed);
	fed_skip_until(fed, "-");
}

static void what_is_skipped_may_be_longer_than_the_memory(void **state)
{
	(void)state;
	FED(skip_blocks, "6 (c) 35 6 ENODATA () 0 ENODATA ", "ab\r\n\r", "\nc",
	    "0123456789ABCDEF0123456789ABCD\r\n", "\r\nabc", "def");
}

static void skip_blocks_in_time(struct fed *fed)
{
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, TEST_START_NS + 2);
	fed_skip_until(fed, "\r\n\r\n");
	rota_deadline_end(&deadline);
	fed_ready(fed);
	fed_skip_until(fed, "\r\n\r\n");
	fed_line(fed);
}

static void half_a_delimiter_is_kept_for_who_was_late(void **state)
{
	(void)state;
	FED(skip_blocks_in_time, "16 ETIME (\r\n\r) 4 [a] ",
	    "0123456789ABCDEF\r\n\r", "", "\na\n");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_in_pieces_is_handed_out_in_lines),
		cmocka_unit_test(a_line_is_without_its_ending_and_may_be_empty),
		cmocka_unit_test(a_delimiter_that_comes_in_pieces_is_found),
		cmocka_unit_test(each_search_is_for_its_own_delimiter),
		cmocka_unit_test(no_text_as_a_delimiter_is_the_byte_0),
		cmocka_unit_test(
			whether_a_whole_one_has_come_is_told_without_a_wait),
		cmocka_unit_test(
			a_line_may_be_as_long_as_the_memory_and_no_longer),
		cmocka_unit_test(a_line_too_long_can_be_read_in_another_way),
		cmocka_unit_test(an_end_within_a_line_leaves_what_came),
		cmocka_unit_test(what_is_handed_out_stands_in_the_memory),
		cmocka_unit_test(who_is_late_within_a_line_loses_nothing),
		cmocka_unit_test(
			a_cancelled_task_is_refused_what_is_there_and_keeps_it),
		cmocka_unit_test(a_look_ahead_waits_for_so_many_and_takes_none),
		cmocka_unit_test(
			exactly_so_many_come_from_the_memory_and_behind_it),
		cmocka_unit_test(large_ones_come_straight_into_the_buffer),
		cmocka_unit_test(some_are_what_is_there_or_comes),
		cmocka_unit_test(
			bytes_that_are_there_count_when_some_are_skipped),
		cmocka_unit_test(who_is_late_is_told_how_many_were_taken),
		cmocka_unit_test(what_is_skipped_may_be_longer_than_the_memory),
		cmocka_unit_test(half_a_delimiter_is_kept_for_who_was_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
