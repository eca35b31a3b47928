/* SPDX-License-Identifier: MIT */
/*
 * The buffered writer: what goes out when, and that errors stay. (Peers that
 * are slow or gone, other descriptors, broken promises: writer_ends.c. In random
 * pieces against a model: writer_model.c.)
 */
#include "support/pair.h"
#include "support/written.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int write_small(struct written *written)
{
	written_flush(written);
	written_put(written, "ab");
	written_put(written, "");
	written_put(written, "cde");
	written_unsent(written);
	written_got(written);
	written_flush(written);
	written_got(written);
	written_unsent(written);
	written_put(written, "f");
	written_flush(written);
	written_got(written);
	return rota_writer_sent(&written->writer) != 6;
}

static void small_pieces_go_out_together_when_flushed(void **state)
{
	(void)state;
	written_run(write_small, "....(abcde)[].[abcde]()..[f]");
}

/* Counts, and holds nothing back. */
static bool count(void *context, const struct test_arrival *arrival)
{
	struct written *written = context;

	written->ops += arrival->opcode == IORING_OP_SEND ||
			arrival->opcode == IORING_OP_SENDMSG;
	return false;
}

static int write_around_the_edge(struct written *written)
{
	test_kernel_hold(&written->kernel, count, written);
	written_put(written, "0123456789");
	written_put(written, "ABCDEF");
	written_unsent(written);
	written_put(written, "x");
	written_unsent(written);
	written_got(written);
	written_put(written, "y");
	written_put(written, "0123456789ABCDEF");
	written_got(written);
	written_put(written, "0123456789ABCDEFG");
	written_got(written);
	/* Only what fitted was copied. */
	return memcmp(written->memory, "y123456789ABCDEF", 16) ||
	       written->ops != 3;
}

static void what_does_not_fit_goes_out_uncopied_with_what_is_there(void **state)
{
	(void)state;
	written_run(write_around_the_edge,
		    "..(0123456789ABCDEF).()"
		    "[0123456789ABCDEFx]..[y0123456789ABCDEF]"
		    ".[0123456789ABCDEFG]");
}

static int print(struct written *written)
{
	struct rota_writer *writer = &written->writer;

	written_note(written, rota_writer_print(writer, "%s=%d;", "a", 12));
	written_note(written, rota_writer_print(writer, "%s", ""));
	written_note(written, rota_writer_print(writer, "%c%03d", 'b', 7));
	written_unsent(written);
	written_got(written);
	/* Fifteen bytes and the byte 0 fit into memory of sixteen. */
	written_note(written, rota_writer_print(writer, "%015d", 1));
	written_got(written);
	written_unsent(written);
	written_note(written, rota_writer_print(writer, "%d", 2));
	written_got(written);
	written_unsent(written);
	written_flush(written);
	written_got(written);
	return 0;
}

static void
text_is_printed_behind_what_is_there_or_after_it_was_sent(void **state)
{
	(void)state;
	written_run(print, "...(a=12;b007)[].[a=12;b007](000000000000001)"
			   ".[000000000000001](2).[2]");
}

static int print_too_much(struct written *written)
{
	written_put(written, "ab");
	written_note(written, rota_writer_print(&written->writer, "%016d", 1));
	written_unsent(written);
	written_put(written, "c");
	written_flush(written);
	written_got(written);
	written_init(written);
	written_note(written, rota_writer_print(&written->writer, "%s", "c"));
	written_flush(written);
	written_got(written);
	return 0;
}

static void text_longer_than_the_memory_is_emsgsize_and_not_begun(void **state)
{
	(void)state;
	written_run(print_too_much, ".EMSGSIZE(ab)EMSGSIZEEMSGSIZE[]..[c]");
}

__attribute__((format(printf, 2, 3))) static int
reply(struct rota_writer *writer, const char *format, ...)
{
	va_list arguments;
	int error;

	va_start(arguments, format);
	error = rota_writer_vprint(writer, format, arguments);
	va_end(arguments);
	return error;
}

static int print_by_way_of_another(struct written *written)
{
	written_put(written, "0123456789ABCD");
	written_note(written, reply(&written->writer, "%d %s", 250, "OK"));
	written_got(written);
	written_flush(written);
	written_got(written);
	return 0;
}

static void functions_with_arguments_of_their_own_can_print(void **state)
{
	(void)state;
	written_run(print_by_way_of_another, "..[0123456789ABCD].[250 OK]");
}

static int write_to_nobody(struct written *written)
{
	int error;

	written_put(written, "ab");
	written_flush(written);
	error = rota_close(written->pair[1]);
	written_put(written, "cd");
	written_flush(written);
	written_put(written, "e");
	written_note(written, rota_writer_print(&written->writer, "f"));
	written_put(written, "0123456789ABCDEFG");
	written_flush(written);
	written_unsent(written);
	error |= rota_writer_sent(&written->writer) != 2;
	return error | test_pair_open(written->pair);
}

static void the_first_error_stays_and_what_went_out_is_told(void **state)
{
	(void)state;
	written_run(write_to_nobody, "...EPIPEEPIPEEPIPEEPIPEEPIPE(cd)");
}

static int write_cancelled(struct written *written)
{
	struct rota_deadline deadline;

	written_put(written, "ab");
	rota_deadline_begin(&deadline, 0);
	written_put(written, "c");
	rota_deadline_end(&deadline);
	written_put(written, "d");
	written_flush(written);
	written_unsent(written);
	written_got(written);
	written_init(written);
	written_put(written, "e");
	written_flush(written);
	written_got(written);
	return 0;
}

static void a_refusal_in_a_cancelled_task_is_an_error_that_stays(void **state)
{
	(void)state;
	written_run(write_cancelled, ".ETIMEETIMEETIME(ab)[]..[e]");
}

static int write_nothing(struct written *written)
{
	written_note(written, rota_writer_write(&written->writer, NULL, 0));
	written_note(written, rota_writer_write(&written->writer, NULL, 1));
	written_put(written, "a");
	written_init(written);
	written_note(written, rota_writer_print(&written->writer, NULL));
	written_flush(written);
	return 0;
}

/* A letter that the "C" locale does not have. */
static int print_what_cannot_be(struct written *written)
{
	written_put(written, "ab");
	written_note(written,
		     rota_writer_print(&written->writer, "%ls", L"\u00e9"));
	written_flush(written);
	written_unsent(written);
	return 0;
}

static void text_that_the_c_library_refuses_is_einval(void **state)
{
	(void)state;
	written_run(print_what_cannot_be, ".EINVALEINVAL(ab)");
}

static void where_something_is_needed_nothing_is_efault(void **state)
{
	(void)state;
	written_run(write_nothing, ".EFAULTEFAULTEFAULTEFAULT");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_pieces_go_out_together_when_flushed),
		cmocka_unit_test(
			what_does_not_fit_goes_out_uncopied_with_what_is_there),
		cmocka_unit_test(
			text_is_printed_behind_what_is_there_or_after_it_was_sent),
		cmocka_unit_test(
			text_longer_than_the_memory_is_emsgsize_and_not_begun),
		cmocka_unit_test(
			functions_with_arguments_of_their_own_can_print),
		cmocka_unit_test(
			the_first_error_stays_and_what_went_out_is_told),
		cmocka_unit_test(
			a_refusal_in_a_cancelled_task_is_an_error_that_stays),
		cmocka_unit_test(text_that_the_c_library_refuses_is_einval),
		cmocka_unit_test(where_something_is_needed_nothing_is_efault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
